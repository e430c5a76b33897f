//! `/healthz`, `/readyz` and `/metrics`.
//!
//! Readiness is truthful: a process is ready when every one of its gates is
//! passed, and a gate is passed only by the code that sees the thing work. The
//! answer of `/readyz` names each gate and what it waits for.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use prometheus_client::encoding::text::encode;
use tokio::net::TcpListener;

use crate::{shutdown::Shutdown, telemetry::Registry};

/// The gates of a process.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, Result<(), String>>>>);

/// One thing that must work before a process is ready.
#[derive(Clone, Debug)]
pub struct Gate {
    health: Health,
    name: String,
}

impl Health {
    /// A process without gates, which is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a gate that is not passed yet.
    pub fn gate(&self, name: &str) -> Gate {
        let gate = Gate {
            health: self.clone(),
            name: name.to_owned(),
        };
        gate.fail("starting");
        gate
    }

    /// Whether every gate is passed, and a line for each.
    pub fn report(&self) -> (bool, String) {
        let gates = self.gates();
        let ready = gates.values().all(Result::is_ok);
        let lines = gates
            .iter()
            .fold(String::new(), |mut lines, (name, state)| {
                let state = state.as_ref().map_or_else(String::as_str, |()| "ok");
                let _infallible = writeln!(lines, "{name}: {state}");
                lines
            });
        (ready, lines)
    }

    fn gates(&self) -> MutexGuard<'_, BTreeMap<String, Result<(), String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// The thing works.
    pub fn pass(&self) {
        self.set(Ok(()));
    }

    /// The thing does not work, and why.
    pub fn fail(&self, why: &str) {
        self.set(Err(why.to_owned()));
    }

    fn set(&self, state: Result<(), String>) {
        let mut gates = self.health.gates();
        let previous = gates.insert(self.name.clone(), state.clone());
        if previous.is_some_and(|previous| previous.is_ok() != state.is_ok()) {
            match state {
                Ok(()) => tracing::info!(gate = self.name, "ready"),
                Err(why) => tracing::warn!(gate = self.name, why, "not ready"),
            }
        }
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` until shutdown.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    listen: SocketAddr,
    health: Health,
    registry: Registry,
    shutdown: Shutdown,
) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    tracing::info!(address = %listener.local_addr()?, "serving health and metrics");
    serve_on(listener, health, registry, shutdown).await
}

/// As [`serve`], on a listener that is bound already.
///
/// # Errors
/// When the listener fails.
pub async fn serve_on(
    listener: TcpListener,
    health: Health,
    registry: Registry,
    shutdown: Shutdown,
) -> io::Result<()> {
    let metrics = Arc::new(registry);
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(scrape).with_state(metrics));
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.wait().await })
        .await
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    let (ready, lines) = health.report();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, lines)
}

async fn scrape(
    State(registry): State<Arc<Registry>>,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let mut text = String::new();
    let status = match encode(&mut text, &registry) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (status, [("content-type", kind)], text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gate_that_is_not_passed_keeps_a_process_from_being_ready() {
        let health = Health::new();
        let (bus, watch) = (health.gate("bus"), health.gate("watch"));
        bus.pass();
        assert_eq!(
            health.report(),
            (false, "bus: ok\nwatch: starting\n".to_owned())
        );
        watch.pass();
        assert!(health.report().0);
        bus.fail("connection lost");
        assert_eq!(health.report().1, "bus: connection lost\nwatch: ok\n");
    }
}
