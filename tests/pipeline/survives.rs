//! Servers and programs that go away in the middle, and messages that make no sense.

use std::{sync::Arc, time::Duration};

use harness::{Nats, Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::{
    action::Phase,
    alert::{Alert, AlertKind},
    subject::{Stream, Subjects},
};

use crate::{
    heals::memory_policy,
    stack::{Part, Stack, summary},
};

const HEAL: Duration = Duration::from_mins(4);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "a_bus_that_dies_and_returns_mid_leak_delays_the_healing_only",
            shared,
            a_bus_that_dies_and_returns,
        ),
        trial(
            "a_killed_analyzers_successor_fires_at_the_same_event_time",
            shared,
            a_killed_analyzers_successor,
        ),
        trial(
            "two_analyzers_make_one_action",
            shared,
            two_analyzers_make_one_action,
        ),
        trial(
            "messages_that_make_no_sense_are_counted_and_skipped",
            shared,
            malformed_messages_are_skipped,
        ),
    ]
}

async fn a_bus_that_dies_and_returns(shared: &Shared) {
    let mut nats = Nats::start();
    let mut stack = Stack::on_bus(shared, "busdies", nats.url()).await;
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&full);
    let pods = stack.ready_pods("app=full", 1).await;
    let pod = pods.keys().next().expect("one pod");
    stack.namespace.apply(&memory_policy("duration: 15s"));
    stack.collect_with(&["--buffer-kilobytes", "16"]);
    stack.start().await;
    stack
        .namespace
        .annotate_pod(pod, &[("sim.kubeskippy.io/memory", "250Mi")]);
    stack.alert(AlertKind::TriggerPending, HEAL).await;

    nats.kill();
    until("scrapes that were lost", HEAL, async || {
        let gap = stack
            .part(Part::Collector)
            .metric("kubeskippy_collector_gap_scrapes_total");
        if gap >= 1.0 {
            Ok(())
        } else {
            Err(format!("{gap}; {}", stack.tails()))
        }
    })
    .await;
    nats.restart();

    stack.action_in(Phase::Succeeded, HEAL).await;
}

async fn a_killed_analyzers_successor(shared: &Shared) {
    let mut stack = Stack::new(shared, "successor").await;
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("250Mi");
    stack.namespace.create_workload(&full);
    stack.ready_pods("app=full", 1).await;
    stack
        .namespace
        .apply(&memory_policy("duration: 20s").replace("spec:", "spec:\n  mode: monitor"));
    stack.start().await;
    let pending = stack.alert(AlertKind::TriggerPending, HEAL).await;

    stack.part(Part::Analyzer).program.kill_hard();
    stack.start_part(Part::Analyzer).await;

    let firing = stack.alert(AlertKind::TriggerFiring, HEAL).await;
    let since = pending.starts_at.expect("when it began");
    assert_eq!(firing.starts_at, Some(since));
    // Scrapes are one second apart: an analyzer that had never died would have fired within one of this instant.
    let fired = firing.fired_at.expect("when it fired");
    let waited = fired.duration_since(since);
    assert!(
        waited.as_secs() >= 20 && waited.as_secs_f64() < 22.5,
        "{waited:?}"
    );
    let begun = stack.alerts().await;
    let begun = begun
        .iter()
        .filter(|alert| alert.kind == AlertKind::TriggerPending)
        .count();
    assert_eq!(begun, 1, "the successor told of the same episode again");
}

async fn two_analyzers_make_one_action(shared: &Shared) {
    let mut stack = Stack::new(shared, "two").await;
    let full = Workload::deployment("full")
        .replicas(2)
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&full);
    let pods = stack.ready_pods("app=full", 2).await;
    let mut pods = pods.keys();
    let (first, other) = (pods.next().expect("a pod"), pods.next().expect("a pod"));
    stack.namespace.apply(&memory_policy("duration: 5s"));
    stack.start().await;
    let second = stack.spawn(Part::Analyzer, &["--identity", "second"]).await;
    until("the second analyzer has evaluated", HEAL, async || {
        let ticks = second.metric("kubeskippy_analyzer_ticks_total");
        if ticks >= 3.0 {
            Ok(())
        } else {
            Err(format!("{ticks} ticks"))
        }
    })
    .await;
    leak(&stack, first);
    stack.action_in(Phase::Succeeded, HEAL).await;
    let actions = stack.actions().await;
    assert_eq!(actions.len(), 1, "{:?}", summary(&actions));
    let told = stack.alerts().await;
    let fired = |alert: &&Alert| alert.kind == AlertKind::TriggerFiring;
    assert_eq!(told.iter().filter(fired).count(), 1);

    // The one that stood by takes over.
    stack.part(Part::Analyzer).program.kill_hard();
    leak(&stack, other);
    until("two actions that succeeded", HEAL, async || {
        let actions = stack.actions().await;
        let phases = summary(&actions);
        let done = phases
            .iter()
            .filter(|(_, phase)| *phase == Phase::Succeeded);
        if done.count() == 2 {
            Ok(())
        } else {
            Err(format!("{phases:?}"))
        }
    })
    .await;
    assert_eq!(stack.actions().await.len(), 2);
}

/// Makes `pod` use nearly all of its limit.
fn leak(stack: &Stack<'_>, pod: &str) {
    stack
        .namespace
        .annotate_pod(pod, &[("sim.kubeskippy.io/memory", "250Mi")]);
}

async fn malformed_messages_are_skipped(shared: &Shared) {
    let mut stack = Stack::new(shared, "malformed").await;
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&full);
    let pods = stack.ready_pods("app=full", 1).await;
    let pod = pods.keys().next().expect("one pod");
    stack.namespace.apply(&memory_policy("duration: 5s"));
    stack.start().await;
    let subjects = Subjects::new(&stack.cluster);
    let client = shared.nats().client().await;
    let js = async_nats::jetstream::new(client);
    let rubbish: [&'static [u8]; 4] = [b"", b"{", b"\xff\xfe\x00", b"ARROW1\0\0garbage"];
    let streams = [
        Stream::Samples,
        Stream::Objects,
        Stream::Events,
        Stream::Observations,
        Stream::Alerts,
    ];
    for stream in streams {
        let subject = subjects.all(stream).to_string().replace('>', "rubbish.a.b");
        for payload in rubbish {
            let sent = js
                .publish(subject.clone(), payload.into())
                .await
                .expect("sent");
            sent.await.expect("stored");
        }
    }
    until("every malformed message was counted", HEAL, async || {
        let counted = stack
            .part(Part::Analyzer)
            .metric("kubeskippy_analyzer_malformed_messages_total");
        if counted >= 16.0 {
            Ok(())
        } else {
            Err(format!("{counted}; {}", stack.tails()))
        }
    })
    .await;
    stack
        .namespace
        .annotate_pod(pod, &[("sim.kubeskippy.io/memory", "250Mi")]);
    until_healed(&stack).await;
}

/// Waits for a healed target. Alerts cannot be read here: rubbish lies among them.
async fn until_healed(stack: &Stack<'_>) {
    stack.action_in(Phase::Succeeded, HEAL).await;
}
