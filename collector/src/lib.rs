//! The collector: from the cluster to the bus.
//!
//! ```text
//! source (watches, metrics API) → reading → inventory ─┬→ outbox → publish → JetStream
//!                                           usage ─────┴→ scrape → encode ↗
//! ```
//! It reads and publishes; it never writes to the cluster, but for the lease
//! that lets one of several replicas publish.

use anyhow::Context;
use runtime::{
    bus::Bus, config::CommonArgs, health::Health, lease::Lease, shutdown::Shutdown,
    telemetry::Registry,
};
use tokio::sync::mpsc;

pub mod config;
pub mod dedup;
pub mod encode;
pub mod inventory;
pub mod kind;
pub mod outbox;
pub mod reading;
pub mod scrape;
pub mod source;
pub mod staleness;
pub mod telemetry;

mod collect;
mod gates;
mod predecessor;
mod publish;

use collect::{Collector, Parts};
use config::{Config, Options, UsageSource};
use gates::Gates;
use telemetry::Telemetry;

/// Name of the lease.
pub const LEASE: &str = "kubeskippy-collector";
/// Readings that may wait before the watches are held back.
const READINGS: usize = 4096;

/// Runs the collector, with health and metrics of its own, until shutdown.
///
/// # Errors
/// When the options are unusable or the address cannot be listened on.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let Config { common, options } = config;
    let mut registry = Registry::default();
    let telemetry = Telemetry::register(&mut registry);
    let health = Health::new();
    let served = runtime::health::serve(common.listen, health.clone(), registry, shutdown.clone());
    let collected = collect(common, options, (health, telemetry), shutdown.clone());
    let ends = async {
        let ended = collected.await;
        shutdown.request();
        ended
    };
    let (served, ended) = tokio::join!(
        async {
            let served = served.await.context("failed to serve health and metrics");
            shutdown.request();
            served
        },
        ends
    );
    ended.and(served)
}

/// Runs the collector inside a process that serves health and metrics itself.
///
/// # Errors
/// When the options are unusable.
pub async fn collect(
    common: CommonArgs,
    options: Options,
    (health, telemetry): (Health, Telemetry),
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let gates = Gates::new(&health, options.usage == UsageSource::Metrics);
    let client = runtime::kube::client(&common.kube, "collector").await?;
    let bus = match Bus::connect(&common.bus, &shutdown).await {
        Ok(bus) => bus,
        Err(runtime::bus::Error::ShutDown { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // The lease is given back only after the last message has landed.
    let last = Shutdown::new();
    let lease = Lease::start(client.clone(), LEASE, &common.lease, last.clone());
    let mut held = lease.clone();
    let (to, readings) = mpsc::channel(READINGS);
    for source in source::all(&client, &common.namespaces, &options, &lease).await {
        source::spawn(source, to.clone(), shutdown.clone());
    }
    let parts = Parts {
        bus,
        lease,
        telemetry,
        gates,
        scopes: source::objects::scopes(&common.namespaces),
        events: source::events::names(&common.namespaces),
    };
    Collector::new(parts, options).run(readings, shutdown).await;
    last.request();
    held.given_back().await;
    Ok(())
}
