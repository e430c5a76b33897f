//! Carries out healing actions under safety limits, and verifies their effect.
//!
//! In: `HealingAction` objects, and what the analyzer reports on their targets.
//! Out: evictions, rollouts and scalings; status, Kubernetes Events, alerts and
//! the journal. Nothing that an action says is believed: policy and target are
//! read from the API server again, every guard is asked, and only their common
//! yes makes the permit without which nothing is written.

use anyhow::Context as _;
use runtime::{
    bus::Bus, config::CommonArgs, health, health::Health, lease::Lease, shutdown::Shutdown,
    telemetry::Registry,
};

pub mod change;
pub mod config;
pub mod execute;
pub mod gather;
pub mod journal;
pub mod judge;
pub mod landed;
pub mod ledger;
pub mod life;
pub mod object;
pub mod pause;
pub mod plan;
pub mod progress;
pub mod reason;
pub mod reconcile;
pub mod record;
pub mod report;
pub mod snapshot;
pub mod standing;
pub mod telemetry;
pub mod tenure;
pub mod undo;
pub mod verify;
pub mod webhook;

mod serve;
#[cfg(test)]
mod testing;
mod upkeep;

pub use config::{Config, Options};
pub use serve::{Parts, serve};

/// Name of the lease.
pub const LEASE: &str = "kubeskippy-actuator";

/// Runs the actuator alone until shutdown.
///
/// # Errors
/// When the cluster or the bus cannot be used at all.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let Config { common, options } = config;
    let client = runtime::kube::client(&common.kube, "actuator").await?;
    let bus = Bus::connect(&common.bus, &shutdown).await?;
    let health = Health::new();
    let mut registry = Registry::default();
    // The lease is given back only after the last pass has ended.
    let last = Shutdown::new();
    let mut lease = Lease::start(client.clone(), LEASE, &common.lease, last.clone());
    let parts = Parts {
        lease: lease.clone(),
        telemetry: telemetry::Telemetry::register(&mut registry),
        client,
        bus,
        health: health.clone(),
    };
    let CommonArgs { listen, .. } = common;
    let pages = health::serve(listen, health, registry, shutdown.clone());
    let work = serve(common, options, parts, shutdown.clone());
    let (pages, work) = tokio::join!(pages, async {
        let done = work.await;
        // Without its work, a process that still answers /healthz would be kept alive for nothing.
        shutdown.request();
        last.request();
        lease.given_back().await;
        done
    });
    pages.with_context(|| format!("failed to serve health and metrics on {listen}"))?;
    work
}
