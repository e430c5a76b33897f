//! The three programs in one process, for a small cluster.
//!
//! Each keeps its own lease, its own gates and its own metrics; one server
//! answers for all of them. When one ends, the others are asked to end too: a
//! process that only looks alive helps nobody.

use anyhow::Context as _;
use runtime::{bus::Bus, health::Health, lease::Lease, shutdown::Shutdown, telemetry::Registry};

use crate::cli::RunArgs;

/// Runs all three until shutdown.
pub(crate) async fn run(args: RunArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let RunArgs {
        common,
        collector,
        analyzer,
        actuator,
    } = args;
    let health = Health::new();
    let mut registry = Registry::default();
    let reads = collector::collect(
        common.clone(),
        collector,
        (
            health.clone(),
            collector::telemetry::Telemetry::register(&mut registry),
        ),
        shutdown.clone(),
    );
    let analyzes = analyzer::analyze(
        common.clone(),
        analyzer,
        (
            health.clone(),
            analyzer::telemetry::Telemetry::register(&mut registry),
        ),
        shutdown.clone(),
    );
    let telemetry = actuator::telemetry::Telemetry::register(&mut registry);
    let performs = async {
        let client = runtime::kube::client(&common.kube, "actuator").await?;
        // The lease is given back only after the last pass has ended.
        let last = Shutdown::new();
        let mut lease = Lease::start(client.clone(), actuator::LEASE, &common.lease, last.clone());
        let parts = actuator::Parts {
            bus: Bus::connect(&common.bus, &shutdown).await?,
            lease: lease.clone(),
            client,
            health: health.clone(),
            telemetry,
        };
        let done = actuator::serve(common.clone(), actuator, parts, shutdown.clone()).await;
        last.request();
        lease.given_back().await;
        done
    };
    let pages = async {
        runtime::health::serve(common.listen, health.clone(), registry, shutdown.clone())
            .await
            .with_context(|| format!("failed to serve health and metrics on {}", common.listen))
    };
    let ended = tokio::join!(
        ends_all(reads, "collector", &shutdown),
        ends_all(analyzes, "analyzer", &shutdown),
        ends_all(performs, "actuator", &shutdown),
        ends_all(pages, "health", &shutdown),
    );
    ended.0.and(ended.1).and(ended.2).and(ended.3)
}

/// Waits for a part, and asks the others to end when it does.
async fn ends_all(
    part: impl Future<Output = anyhow::Result<()>>,
    name: &'static str,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let ended = part.await;
    shutdown.request();
    ended.with_context(|| format!("the {name} ended"))
}
