//! Exactly once, on the real API server: killed at each step, and troubled on the way.
//!
//! These trials start more actions than a cluster allows in an hour, so they
//! have a control plane of their own.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt as _, future::join_all};
use harness::{
    Shared,
    once::{Remedy, Scene, Servers, Tally, Wants, labels_of, seeded, tally},
    proxy::{Class, Effect, Fault, Faults, Label, Write},
    trial, until,
};
use libtest_mimic::Trial;

/// How many seeds the gate runs, each kind of run twice; the bench runs hundreds.
const SEEDS: u64 = 8;

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
        trial(
            "an_api_server_in_trouble_for_a_while_delays_the_effects_only",
            shared,
            in_trouble_for_a_while,
        ),
        trial(
            "restarted_among_sick_pods_an_actuator_begins_no_more_than_the_cap",
            shared,
            restarted_among_sick_pods,
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
        .buffer_unordered(8)
        .collect::<Vec<_>>()
        .await;
    let log = servers.control_plane().audit_entries();
    let mut all = Tally::default();
    for run in &runs {
        all.add(run.tally(&log));
    }
    verdict(&all);
    let struck = runs.iter().map(|run| run.struck.len()).sum::<usize>();
    assert!(struck >= 4, "only {struck} writes were struck");
}

/// What an API server in trouble does to every request of some classes.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Answers(Fault),
    Away,
}

async fn in_trouble_for_a_while(shared: &Shared) {
    let servers = servers(shared).await;
    let troubles = [
        Trouble::Answers(Fault::TooMany { retry_after: false }),
        Trouble::Answers(Fault::TooMany { retry_after: true }),
        Trouble::Answers(Fault::ServerError),
        Trouble::Answers(Fault::CutAnswer),
        Trouble::Answers(Fault::LoseAnswer),
        Trouble::Away,
    ];
    let runs = troubles.map(|trouble| in_trouble(&servers, trouble));
    for (trouble, tally) in join_all(runs).await {
        verdict(&tally);
        assert_eq!(tally.begun, 4, "{trouble:?}: {tally:?}");
    }
}

/// An API server that is in trouble from when the first effect is asked for.
async fn in_trouble(servers: &Servers<'_>, trouble: Trouble) -> (Trouble, Tally) {
    let wants = Wants {
        evict: 1,
        roll: 1,
        scale: 1,
        remove: 1,
        budget: 4,
    };
    let scene = Scene::set(servers, "trouble", wants).await;
    let proxy = scene.proxy().await;
    scene.ask(&scene.wanted).await;
    let effects = [Effect::Evict, Effect::Patch, Effect::Scale, Effect::Delete];
    let first = effects.map(|effect| Label::before(Write::Effect(effect)));
    let stop = proxy.hold_at(first.to_vec(), 0);
    let _actuator = scene.actuator(&proxy, "only", &ALONE);
    let held = tokio::time::timeout(STEP, stop).await;
    let held = held.expect("an effect comes").expect("the proxy runs");
    match trouble {
        Trouble::Answers(fault) => {
            proxy.trouble(Faults::always(fault, &Class::WRITES));
            held.let_go();
            until("some trouble", STEP, async || {
                let met = proxy.troubles().len();
                (met >= 8)
                    .then_some(())
                    .ok_or(format!("{met} requests met it"))
            })
            .await;
            proxy.calm();
        }
        Trouble::Away => {
            proxy.away(true);
            drop(held);
            // longer than a request is tried again by itself, and than a lease lasts
            tokio::time::sleep(Duration::from_mins(1)).await;
            proxy.away(false);
        }
    }
    let actions = scene.ended(STEP * 5).await.expect("every action ends");
    let log = servers.control_plane().audit_entries();
    (trouble, tally(&scene, &actions, &proxy.troubles(), &log))
}

async fn restarted_among_sick_pods(shared: &Shared) {
    let servers = servers(shared).await;
    let wants = Wants {
        evict: 200,
        budget: 20,
        ..Wants::default()
    };
    let scene = Scene::set(&servers, "sick", wants).await;
    scene.ask(&scene.wanted).await;
    let (ended, kills) = scene.restarted(&ALONE, STEP * 8).await;
    let actions = ended.expect("twenty end, and the others wait");
    assert_eq!(kills, 2);
    let tally = tally(
        &scene,
        &actions,
        &[],
        &servers.control_plane().audit_entries(),
    );
    verdict(&tally);
    assert_eq!((tally.asked, tally.begun), (200, 20), "{tally:?}");
}
