//! The loop around the reconciler: watch, lease, gates.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{Stream, StreamExt as _};
use jiff::SignedDuration;
use kube::{
    Api, Client,
    api::ListParams,
    runtime::{
        Config as ControllerConfig, Controller, PredicateConfig, WatchStreamExt as _, predicates,
        reflector, watcher,
    },
};
use runtime::{
    bus::Bus,
    chain, clock,
    config::CommonArgs,
    health::{Gate, Health},
    lease::Lease,
    shutdown::Shutdown,
};
use schemas::action::HealingAction;
use tokio::sync::Mutex;

use crate::{
    config::Options,
    gather::Gatherer,
    journal::{Delivery, Journal},
    pause,
    reconcile::{Driver, on_error, reconcile},
    record::Records,
    snapshot::Limits,
    telemetry::Telemetry,
    tenure::Tenure,
    upkeep::Upkeep,
    webhook::{Webhooks, address::Rules},
};

/// How soon an API server that could not say which actions there are is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What the actuator needs from the process it runs in.
pub struct Parts {
    /// The API server.
    pub client: Client,
    /// The bus.
    pub bus: Bus,
    /// Who acts.
    pub lease: Lease,
    /// Where readiness is told.
    pub health: Health,
    /// The instruments.
    pub telemetry: Telemetry,
}

/// Reconciles healing actions until shutdown.
///
/// # Errors
/// When the custom resources are not installed, or may not be read.
pub async fn serve(
    common: CommonArgs,
    options: Options,
    parts: Parts,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let Parts {
        client,
        bus,
        lease,
        health,
        telemetry,
    } = parts;
    let reconciles = options.reconciles;
    let watch = health.gate("healing actions");
    let gates = (health.gate("lease"), health.gate("bus"));
    let Some(api) = healing_actions(&client, &shutdown).await? else {
        return Ok(());
    };
    // Whatever client this process shares, what is written to targets is sent once.
    let writer = runtime::kube::client_without_retries(&common.kube, "actuator").await?;
    let limits = limits(&common, &options);
    let webhooks = webhooks(&options, &limits, &bus);
    let switched = pause::switched(&client, &limits.system_namespace);
    let tenure = Tenure::default();
    let (actions, store) = reflector::store();
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(store)
        .applied_objects()
        .predicate_filter(predicates::generation, PredicateConfig::default());
    let (journal, delivery) = Journal::new(writer.clone(), bus.clone(), &common, telemetry.clone());
    let driver = Arc::new(Driver {
        gatherer: Gatherer::new(client, bus.clone(), limits),
        records: Records::new(writer.clone(), journal, telemetry.clone()),
        client: writer,
        webhooks,
        telemetry: telemetry.clone(),
        tenure: tenure.clone(),
        lease: lease.clone(),
        common,
        actions: actions.clone(),
        reserving: Mutex::new(()),
    });
    let upkeep = Upkeep::new(Arc::clone(&driver), bus.clone(), &options).run(shutdown.clone());
    let (ending, gates_ending) = (shutdown.clone(), shutdown.clone());
    let work = Controller::for_stream(stream, actions.clone())
        .with_config(ControllerConfig::default().concurrency(reconciles))
        .reconcile_all_on(changes(lease.clone(), tenure.clone(), telemetry))
        .reconcile_all_on(switched)
        .graceful_shutdown_on(async move { ending.wait().await })
        .run(reconcile, on_error, driver)
        .for_each(async |passed| {
            if let Err(error) = passed {
                tracing::debug!(error = chain(&error), "not reconciled");
            }
        });
    let synced = async move {
        if actions.wait_until_ready().await.is_ok() {
            watch.pass();
        }
    };
    let gates = keep_gates(&lease, &bus, gates, &gates_ending);
    tokio::join!(Box::pin(until_told(work, delivery)), synced, gates, upkeep);
    Ok(())
}

/// Works and delivers. What the last pass has to tell is told before this ends.
async fn until_told(work: impl Future<Output = ()>, delivery: Delivery) {
    let ended = Shutdown::new();
    let work = async {
        work.await;
        ended.request();
    };
    tokio::join!(work, delivery.run(ended.clone()));
}

/// The healing actions of all namespaces, which the cluster must know; `None` at shutdown. An
/// API server in trouble is asked again: only its refusal says that something is not installed.
async fn healing_actions(
    client: &Client,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Api<HealingAction>>> {
    let api: Api<HealingAction> = Api::all(client.clone());
    loop {
        let Err(error) = api.list(&ListParams::default().limit(1)).await else {
            return Ok(Some(api));
        };
        let is_refused = matches!(
            &error,
            kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429
        );
        if is_refused {
            return Err(error).context(
                "failed to list healing actions: apply deploy/crds and deploy/rbac first",
            );
        }
        tracing::warn!(error = chain(&error), "healing actions not listed");
        tokio::select! {
            () = shutdown.wait() => return Ok(None),
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
}

fn webhooks(options: &Options, limits: &Limits, bus: &Bus) -> Webhooks {
    Webhooks {
        rules: limits.webhooks.clone(),
        secrets: options.webhooks.secrets.clone(),
        certificates: options.webhooks.certificates.clone(),
        source: format!("/kubeskippy/{}/actuator", bus.cluster),
    }
}

fn limits(common: &CommonArgs, options: &Options) -> Limits {
    let Options {
        cluster_per_hour,
        namespace_per_hour,
        storm_percent,
        node_percent,
        storm_pods,
        storm_quiet_seconds,
        warmup_seconds,
        reconciles: _,
        keep_actions: _,
        keep_actions_in_cluster: _,
        keep_actions_hours: _,
        upkeep_seconds: _,
        hanging_seconds,
        webhooks,
    } = options;
    let warmup = warmup_seconds.unwrap_or(common.lease.lease_seconds);
    Limits {
        system_namespace: common.lease.lease_namespace.clone(),
        cluster_per_hour: *cluster_per_hour,
        namespace_per_hour: *namespace_per_hour,
        storm_percent: *storm_percent,
        node_percent: *node_percent,
        storm_pods: *storm_pods,
        storm_quiet: SignedDuration::from_secs(i64::from(*storm_quiet_seconds)),
        warmup: SignedDuration::from_secs(i64::from(warmup)),
        hanging: SignedDuration::from_secs(i64::from(*hanging_seconds)),
        webhooks: Rules {
            http: webhooks.http,
            allow: webhooks.allow.clone(),
        },
    }
}

/// Yields whenever this replica begins to hold the lease, so that it looks at every action at once.
fn changes(lease: Lease, tenure: Tenure, telemetry: Telemetry) -> impl Stream<Item = ()> + Send {
    futures::stream::unfold(
        (lease, tenure, telemetry, false),
        |(mut lease, tenure, telemetry, mut held)| async move {
            loop {
                let holds = lease.holds();
                tenure.note(holds, clock::now());
                telemetry.leading.set(i64::from(holds));
                if holds && !held {
                    return Some(((), (lease, tenure, telemetry, true)));
                }
                held = holds;
                lease.changed().await;
            }
        },
    )
}

/// Keeps the gates true to what the lease and the connection are now.
async fn keep_gates(
    lease: &Lease,
    bus: &Bus,
    (lease_gate, bus_gate): (Gate, Gate),
    shutdown: &Shutdown,
) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        if lease.is_known() {
            lease_gate.pass();
        } else {
            lease_gate.fail("nobody is known to hold it");
        }
        if bus.is_connected() {
            bus_gate.pass();
        } else {
            bus_gate.fail("not connected");
        }
        tokio::select! {
            () = shutdown.wait() => return,
            _ = every.tick() => {}
        }
    }
}
