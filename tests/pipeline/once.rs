//! Exactly once, on the real API server: killed at each step, and troubled on the way.
//!
//! These trials start more actions than a cluster allows in an hour, so they
//! have a control plane of their own.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt as _, future::join_all};
use harness::{
    Shared,
    once::{Remedy, Scene, Servers, Tally, Wants, labels_of, seeded, tally},
    proxy::Label,
    trial,
};
use libtest_mimic::Trial;

/// How many seeds the gate runs; the bench runs hundreds.
const SEEDS: u64 = 20;

/// How long an action may take from one step to the next.
const STEP: Duration = Duration::from_mins(1);

const ALONE: [&str; 4] = ["--lease-seconds", "15", "--warmup-seconds", "0"];

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "killed_at_every_step_an_actuator_acts_exactly_once",
            shared,
            killed_at_every_step,
        ),
        trial(
            "killed_and_troubled_by_a_seed_actuators_act_exactly_once",
            shared,
            killed_and_troubled_by_a_seed,
        ),
    ]
}

async fn servers(shared: &Shared) -> Servers<'_> {
    Servers::install(shared.control_plane(), shared.nats().url()).await
}

fn verdict(tally: &Tally) {
    assert!(tally.wrong.is_empty(), "{:#?}\n{tally:?}", tally.wrong);
}

async fn killed_at_every_step(shared: &Shared) {
    let servers = servers(shared).await;
    let runs = join_all(Remedy::ALL.map(|remedy| killed_at_every_step_of(&servers, remedy))).await;
    let killed: BTreeSet<Label> = runs.iter().flat_map(|(_, killed)| killed.clone()).collect();
    let wanted: BTreeSet<Label> = Remedy::ALL.into_iter().flat_map(labels_of).collect();
    let mut all = Tally::default();
    for (tally, _) in runs {
        all.add(tally);
    }
    verdict(&all);
    assert_eq!(killed, wanted);
    assert_eq!(all.phases.get("Succeeded"), Some(&all.asked), "{all:?}");
}

/// One action after the other; the actuator is killed at each step of one.
async fn killed_at_every_step_of(servers: &Servers<'_>, remedy: Remedy) -> (Tally, Vec<Label>) {
    let labels = labels_of(remedy);
    let count = labels.len();
    let mut wants = Wants {
        budget: count,
        ..Wants::default()
    };
    match remedy {
        Remedy::Evict => wants.evict = count,
        Remedy::Roll => wants.roll = count,
        Remedy::Scale => wants.scale = count,
        Remedy::Remove => wants.remove = count,
    }
    let scene = Scene::set(servers, "steps", wants).await;
    let proxy = scene.proxy().await;
    let mut actuator = scene.actuator(&proxy, "only", &ALONE);
    let mut killed = Vec::new();
    for (label, wanted) in labels.iter().zip(&scene.wanted) {
        let stop = proxy.hold_at(vec![label.clone()], 0);
        scene.ask(std::slice::from_ref(wanted)).await;
        let held = tokio::time::timeout(STEP, stop).await;
        let held = held.expect("the step comes").expect("the proxy runs");
        actuator.kill_hard();
        killed.push(held.label.clone());
        drop(held);
        actuator = scene.actuator(&proxy, "only", &ALONE);
    }
    let actions = scene.ended(STEP * 2).await.expect("every action ends");
    let log = servers.control_plane().audit_entries();
    (tally(&scene, &actions, &proxy.troubles(), &log), killed)
}

async fn killed_and_troubled_by_a_seed(shared: &Shared) {
    let servers = servers(shared).await;
    let runs = futures::stream::iter(0..SEEDS)
        .map(|seed| seeded(&servers, seed))
        .buffer_unordered(10)
        .collect::<Vec<_>>()
        .await;
    let log = servers.control_plane().audit_entries();
    let mut all = Tally::default();
    for run in &runs {
        all.add(run.tally(&log));
    }
    verdict(&all);
    let struck = runs.iter().map(|run| run.struck.len()).sum::<usize>();
    assert!(struck >= 10, "only {struck} writes were struck");
}
