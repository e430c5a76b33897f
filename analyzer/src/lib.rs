//! The analyzer: from the bus to findings, diagnoses and healing actions.
//!
//! ```text
//! samples ─► scrapes ─┐
//! objects ────────────┼─► intake ─► analysis ─► emit ─► HealingActions, statuses
//! events ─────────────┘  (the cut)      │          └──► alerts, observations
//!                         inventory, window, promql, conditions, trigger, recommend
//! ```
//! It thinks and proposes; it never touches a workload. The analysis is pure:
//! what follows from a tick depends on the streams, the policies and the
//! existing actions alone.

use std::sync::Arc;

use anyhow::Context as _;
use runtime::{
    bus::Bus, config::CommonArgs, health::Health, lease::Lease, shutdown::Shutdown,
    telemetry::Registry,
};
use tokio::sync::mpsc;

pub mod accepted;
pub mod actions;
pub mod advise;
pub mod analysis;
pub mod case;
pub mod conditions;
pub mod config;
pub mod evidence;
pub mod explain;
pub mod forecast;
pub mod inventory;
pub mod learn;
pub mod measure;
pub mod promql;
pub mod recommend;
pub mod scope;
pub mod scrapes;
pub mod sizing;
pub mod telemetry;
pub mod told;
pub mod trigger;
pub mod window;

mod emit;
mod feed;
mod intake;
mod policies;
#[cfg(test)]
mod testing;

pub use config::{Config, Options};

use advise::consult::{self, Consultants};
use emit::Emitter;
use intake::{Gates, Parts};
use policies::Policies;
use telemetry::Telemetry;

/// Name of the lease.
pub const LEASE: &str = "kubeskippy-analyzer";
/// The program, as alerts name their source.
const PROGRAM: &str = "analyzer";
/// Ticks that may wait to be written before the next is evaluated.
const EMISSIONS: usize = 16;

/// Runs the analyzer, with health and metrics of its own, until shutdown.
///
/// # Errors
/// When the options are unusable or the address cannot be listened on.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let Config { common, options } = config;
    let mut registry = Registry::default();
    let telemetry = Telemetry::register(&mut registry);
    let health = Health::new();
    let listen = common.listen;
    let served = runtime::health::serve(listen, health.clone(), registry, shutdown.clone());
    let work = Box::pin(analyze(
        common,
        options,
        (health, telemetry),
        shutdown.clone(),
    ));
    let (served, work) = tokio::join!(
        async {
            let ended = served.await;
            shutdown.request();
            ended.with_context(|| format!("failed to serve health and metrics on {listen}"))
        },
        async {
            let ended = work.await;
            shutdown.request();
            ended
        }
    );
    work.and(served)
}

/// Runs the analyzer inside a process that serves health and metrics itself.
///
/// # Errors
/// When the options are unusable.
pub async fn analyze(
    common: CommonArgs,
    options: Options,
    (health, telemetry): (Health, Telemetry),
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let gates = Gates {
        samples: health.gate("samples stream"),
        objects: health.gate("objects stream"),
        events: health.gate("events stream"),
        alerts: health.gate("alerts stream"),
        advice: health.gate("advice stream"),
        journal: health.gate("journal stream"),
        ticks: health.gate("ticks"),
        lease: health.gate("analyzer lease"),
    };
    let watching = (
        health.gate("healing policies"),
        health.gate("healing actions seen"),
    );
    let models = options.models()?;
    let client = runtime::kube::client(&common.kube, PROGRAM).await?;
    let bus = match Bus::connect(&common.bus, &shutdown).await {
        Ok(bus) => bus,
        Err(runtime::bus::Error::ShutDown { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // The lease is given back only after the last alert was published.
    let last = Shutdown::new();
    let lease = Lease::start(client.clone(), LEASE, &common.lease, last.clone());
    let mut held = lease.clone();
    let told = emit::SharedTold::default();
    let (to_emitter, from_intake) = mpsc::channel(EMISSIONS);
    let policies = Policies::watch(&client, &common, watching, &shutdown);
    let asking = consult::Parts {
        bus: bus.clone(),
        lease: lease.clone(),
        policies: policies.clone(),
        telemetry: telemetry.models.clone(),
    };
    let (consultants, ask) = Consultants::new(&models, asking, shutdown.clone())
        .context("failed to set up a client for the models")?;
    let parts = Parts {
        policies,
        bus: bus.clone(),
        options,
        models: models.names(),
        consultants: consultants.clone(),
        told: Arc::clone(&told),
        lease: lease.clone(),
        gates,
        telemetry: telemetry.clone(),
        emissions: to_emitter,
    };
    let writes = Emitter::new(client, (bus, lease), told, (telemetry, consultants));
    tokio::join!(
        ask,
        intake::run(parts, shutdown.clone()),
        writes.run(from_intake, shutdown)
    );
    last.request();
    held.given_back().await;
    Ok(())
}
