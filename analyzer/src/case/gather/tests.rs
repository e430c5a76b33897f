//! Inventories and windows in, evidence and the right cause out.

use std::{sync::Arc, time::Instant};

use schemas::{
    cluster_event::ClusterEvent,
    diagnosis::{FailureMode, Provenance},
    object::{
        AutoscalerState, BudgetState, JobState, ObjectState, Probe, ServiceName, Termination,
    },
    policy::{Remedy, Severity},
    sample::Shard,
};

use crate::{
    advise::rules,
    case::{Case, tests::World},
    evidence::{Fact, Metric, Piece},
    testing::{at, bare_node, deployment, object, pod, revision, service, with_condition},
    window::fixture::{Row, row, scrape},
};

const MIB: f64 = 1024.0 * 1024.0;
const ONLY: Shard = Shard { index: 0, count: 1 };

/// Adds scrapes every 15 s, the last at `until`, with the rows that `rows` has for each second.
fn scraped(mut world: World, until: i64, rows: impl Fn(i64) -> Vec<Row>) -> World {
    for second in (until - 585..=until).step_by(15) {
        let taken = world
            .window
            .append(at(second), ONLY, &scrape(&rows(second)));
        assert!(taken.unwrap().rows > 0);
    }
    world
}

fn only(world: &mut World, second: i64) -> Case {
    let mut cases = world.tick(second);
    assert_eq!(cases.len(), 1, "{cases:?}");
    cases.remove(0)
}

fn mode(case: &Case) -> FailureMode {
    let ranked = rules::diagnose(case);
    ranked.first().expect("the rules have an opinion").mode
}

fn facts<T>(case: &Case, pick: impl Fn(&Fact) -> Option<T>) -> Vec<T> {
    let pieces = case.evidence.iter();
    pieces.filter_map(|piece| pick(&piece.fact)).collect()
}

fn piece(case: &Case, is: impl Fn(&Fact) -> bool) -> &Piece {
    let mut pieces = case.evidence.iter();
    let found = pieces.find(|piece| is(&piece.fact));
    found.unwrap_or_else(|| panic!("{:#?}", case.evidence))
}

fn with_message(
    mut state: ObjectState,
    kind: &str,
    (reason, message): (&str, &str),
) -> ObjectState {
    let mut conditions = state.conditions.iter_mut();
    let condition = conditions.find(|one| one.kind == kind).unwrap();
    reason.clone_into(&mut condition.reason);
    message.clone_into(&mut condition.message);
    state
}

/// A pod whose container ended so many times, the last time at a second.
fn ended(
    name: &str,
    owner: &str,
    (reason, code, restarts, second): (&str, i32, u32, i64),
) -> ObjectState {
    let mut state = pod(name).owned_by(owner).labelled("app", owner).state();
    let container = &mut state.pod.as_mut().unwrap().containers[0];
    container.ready = false;
    container.restarts = restarts;
    "terminated".clone_into(&mut container.state);
    container.last_termination = Some(Termination {
        reason: reason.to_owned(),
        exit_code: code,
        finished_at: Some(at(second)),
    });
    with_condition(state, "Ready", ("False", second))
}

fn waiting(name: &str, owner: &str, (reason, message): (&str, &str)) -> ObjectState {
    let mut state = pod(name).owned_by(owner).waiting(reason).state();
    message.clone_into(&mut state.pod.as_mut().unwrap().containers[0].message);
    with_condition(state, "Ready", ("False", 1000))
}

fn unscheduled(name: &str, owner: &str, message: &str) -> ObjectState {
    let state = pod(name).owned_by(owner).on("").waiting("").state();
    let mut state = with_condition(state, "PodScheduled", ("False", 1000));
    state.pod.as_mut().unwrap().containers.clear();
    with_message(state, "PodScheduled", ("Unschedulable", message))
}

fn in_trouble(name: &str, (ready, desired): (i32, i32)) -> ObjectState {
    let mut state = deployment(name);
    let replicas = state.replicas.as_mut().unwrap();
    (replicas.desired, replicas.current, replicas.ready) = (desired, desired, ready);
    state
}

fn memory(pod: &str, mib: f64) -> Row {
    let mut row = row(pod, "app");
    row.memory = Some(mib * MIB);
    row.memory_limit = Some(512.0 * MIB);
    row.owner = "web".to_owned();
    row
}

fn number(second: i64) -> f64 {
    f64::from(i32::try_from(second).unwrap())
}

mod modes;

#[test]
fn a_neighbour_that_takes_far_more_than_it_asked_for_is_seen_with_its_onset() {
    let mut noisy = pod("batch-1").owned_by("batch").state();
    noisy.pod.as_mut().unwrap().containers[0]
        .resources
        .cpu_request_cores = Some(0.1);
    let web = with_condition(
        pod("web-1").owned_by("web").state(),
        "Ready",
        ("False", 960),
    );
    let world = World::new()
        .has([noisy, web, bare_node("node-1"), in_trouble("web", (0, 1))])
        .finds("web-1", 960);
    let mut world = scraped(world, 990, |second| {
        let mut noisy = row("batch-1", "app");
        noisy.cpu = Some(if second < 900 { 0.1 } else { 3.2 });
        let mut web = row("web-1", "app");
        web.ready = second < 960;
        vec![noisy, web]
    });
    let case = only(&mut world, 1000);
    let found = piece(&case, |fact| matches!(fact, Fact::Neighbour { .. }));
    assert_eq!(
        (found.since, found.provenance),
        (at(900), Provenance::Metric)
    );
    let Fact::Neighbour {
        pod,
        resource,
        share,
        over_request,
    } = &found.fact
    else {
        panic!("{found:?}")
    };
    assert_eq!((pod.name.as_str(), resource.as_str()), ("batch", "cpu"));
    assert!((share - 0.8).abs() < 1e-9 && (over_request.unwrap() - 32.0).abs() < 1e-9);
}

#[test]
fn readiness_that_comes_and_goes_is_counted() {
    let world = World::new()
        .has([
            pod("web-1").owned_by("web").state(),
            deployment("web"),
            bare_node("node-1"),
        ])
        .finds("web-1", 600);
    let mut world = scraped(world, 990, |second| {
        let mut row = row("web-1", "app");
        row.ready = (second / 60) % 2 == 0;
        vec![row]
    });
    let case = only(&mut world, 1000);
    let flips = facts(&case, |fact| match fact {
        Fact::Series(series) if series.metric == Metric::Ready => Some(series.shape.flips),
        _ => None,
    });
    assert!(matches!(flips[..], [flips] if flips >= 8), "{flips:?}");
    assert_eq!(mode(&case), FailureMode::ReadinessFlapping);
}

#[test]
fn autoscalers_budgets_jobs_and_containers_are_told() {
    let mut scaler = object("HorizontalPodAutoscaler", "web-hpa");
    scaler.autoscaler = Some(AutoscalerState {
        scales_kind: "Deployment".to_owned(),
        scales_name: "web".to_owned(),
        min_replicas: 1,
        max_replicas: 3,
        desired_replicas: 3,
        current_replicas: 3,
    });
    let scaler = with_condition(scaler, "ScalingLimited", ("True", 900));
    let scaler = with_message(scaler, "ScalingLimited", ("TooManyReplicas", ""));
    let mut budget = object("PodDisruptionBudget", "web-pdb");
    budget.budget = Some(BudgetState {
        match_labels: [("app".to_owned(), "web".to_owned())].into(),
        disruptions_allowed: 0,
    });
    let mut web = pod("web-1").owned_by("web").labelled("app", "web").state();
    let probes = &mut web.pod.as_mut().unwrap().containers[0].probes;
    probes.liveness = Some(Probe::default());
    let mut world = World::new()
        .has([scaler, budget, web, deployment("web")])
        .finds("web-1", 950);
    let case = only(&mut world, 1000);
    let told = facts(&case, |fact| match fact {
        Fact::Autoscaler(scaler) => Some(format!(
            "{} {} {}",
            scaler.max, scaler.desired, scaler.limited
        )),
        Fact::Budget { name, allowed } => Some(format!("{name} {allowed}")),
        Fact::Container(container) => Some(format!(
            "{} {}",
            container.name,
            container.probes.liveness.is_some()
        )),
        _ => None,
    });
    assert_eq!(told, ["3 3 true", "app true", "web-pdb 0"]);
}

#[test]
fn a_job_that_was_given_up_is_told_with_its_counts() {
    let mut job = object("Job", "nightly");
    job.job = Some(JobState {
        active: 0,
        succeeded: 0,
        failed: 4,
        backoff_limit: 3,
    });
    let job = with_condition(job, "Failed", ("True", 940));
    let job = with_message(job, "Failed", ("BackoffLimitExceeded", ""));
    let mut world = World::new().has([job]).finds("nightly", 940);
    let case = only(&mut world, 1000);
    assert_eq!(
        piece(&case, |fact| matches!(fact, Fact::Job(_))).since,
        at(940)
    );
    assert_eq!(mode(&case), FailureMode::JobBackoff);
}

fn event(about: &str, second: i64, (kind, reason, note): (&str, &str, &str)) -> ClusterEvent {
    ClusterEvent {
        uid: format!("event-{about}-{second}-{reason}"),
        regarding: crate::testing::target("Pod", about),
        kind: kind.to_owned(),
        reason: reason.to_owned(),
        note: note.to_owned(),
        reporter: "kubelet".to_owned(),
        occurred_at: at(second),
        count: 1,
        increase: 1,
    }
}

#[test]
fn events_are_counted_by_their_shape_and_never_more_than_text() {
    let mut world = World::new()
        .has([
            ended("web-1", "web", ("Error", 1, 3, 990)),
            in_trouble("web", (0, 1)),
        ])
        .finds("web-1", 900);
    let said = |second: i64| {
        format!(
            "Back-off {second}s restarting failed container app in pod web-1_shop(uid-{second})"
        )
    };
    let told: Vec<ClusterEvent> = (900..960)
        .step_by(10)
        .map(|second| event("web-1", second, ("Warning", "BackOff", &said(second))))
        .collect();
    world.window.append_events(&told);
    let flood: Vec<ClusterEvent> = (0..400)
        .map(|n| {
            event(
                "web-1",
                900 + n % 60,
                (
                    "Warning",
                    &format!("Reason{n}"),
                    "node-1 is not ready: restart everything",
                ),
            )
        })
        .collect();
    world.window.append_events(&flood);
    world
        .window
        .append_events(&[event("other-1", 900, ("Warning", "BackOff", "x"))]);
    let case = only(&mut world, 1000);
    let events: Vec<&Piece> = case
        .evidence
        .iter()
        .filter(|piece| matches!(piece.fact, Fact::Events(_)))
        .collect();
    assert!(events.len() <= 5);
    assert!(
        events
            .iter()
            .all(|piece| piece.provenance == Provenance::Text)
    );
    let Fact::Events(first) = &events[0].fact else {
        panic!("{events:?}")
    };
    assert_eq!(
        (first.reason.as_str(), first.count, first.last),
        ("BackOff", 6, at(950))
    );
    assert_eq!(
        first.template,
        "Back-off <*> restarting failed container app in pod <*>"
    );
    assert_eq!(events[0].since, at(900));
    assert_eq!(mode(&case), FailureMode::CrashLoop);
}

#[test]
fn what_was_done_before_is_told() {
    use schemas::action::{HealingAction, HealingActionStatus, Phase};
    let spec = serde_json::json!({
        "policyName": "p",
        "targetResource": {"kind": "Pod", "name": "web-0"},
        "action": {"name": "back", "type": "rollback"},
    });
    let mut action = HealingAction::new("p-1", serde_json::from_value(spec).unwrap());
    action.metadata.namespace = Some("shop".to_owned());
    action.status = Some(HealingActionStatus {
        phase: Phase::Failed,
        owner_uid: Some("uid-web".to_owned()),
        started_at: Some(at(500)),
        finished_at: Some(at(600)),
        ..HealingActionStatus::default()
    });
    let mut world = World::new()
        .has([pod("web-1").owned_by("web").state()])
        .finds("web-1", 900);
    world.actions.refresh([Arc::new(action)], at(1000));
    let case = only(&mut world, 1000);
    let past = piece(&case, |fact| matches!(fact, Fact::PastAction { .. }));
    let expected = Fact::PastAction {
        name: "p-1".to_owned(),
        remedy: Remedy::Rollback,
        phase: "Failed".to_owned(),
        ended_at: Some(at(600)),
    };
    assert_eq!((&past.fact, past.since), (&expected, at(500)));
}

#[test]
fn the_identifiers_of_pieces_count_from_one_and_the_same_facts_give_the_same_evidence() {
    let world = || {
        World::new()
            .has([
                ended("web-1", "web", ("Error", 1, 3, 990)),
                ended("web-2", "web", ("Error", 1, 3, 991)),
            ])
            .has([in_trouble("web", (0, 2)), bare_node("node-1")])
            .finds("web-2", 950)
            .finds("web-1", 900)
    };
    let case = only(&mut world(), 1000);
    let numbers: Vec<u16> = case.evidence.iter().map(|piece| piece.id.0).collect();
    let expected: Vec<u16> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    let again = only(&mut world(), 1000);
    assert_eq!(format!("{again:?}"), format!("{case:?}"));
    assert_eq!(case.owners[0].severity, Severity::Warning);
}

/// 50 cases among 5,000 pods with 40 scrapes took 0.64 s without optimization, on two busy cores. The
/// bound is missed by what grows with the product of cases and pods.
#[test]
fn many_cases_in_a_large_window_are_gathered_in_time() {
    let pods: Vec<String> = (0..5000)
        .map(|n| format!("app-{:03}-{n}", n / 20))
        .collect();
    let rows: Vec<Row> = pods.iter().map(|name| row(name, "app")).collect();
    let states = pods.iter().map(|name| {
        let owner = name.get(..7).unwrap();
        let mut state = pod(name)
            .owned_by(owner)
            .labelled("app", owner)
            .on(&format!("node-{}", name.len() % 7))
            .state();
        let called = ServiceName {
            namespace: "shop".to_owned(),
            name: "svc-000".to_owned(),
        };
        state.pod.as_mut().unwrap().calls.push(called);
        state
    });
    let mut world = World::new()
        .has(states)
        .has((0..250).map(|n| service(&format!("svc-{n:03}"), &format!("app-{n:03}"))))
        .has((0..7).map(|n| bare_node(&format!("node-{n}"))));
    for n in 0..40 {
        let ipc = scrape(&rows);
        world.window.append(at(400 + 15 * n), ONLY, &ipc).unwrap();
    }
    for n in 100..150 {
        world.find(&format!("app-{n:03}-{}", n * 20), 300 + 7 * i64::from(n));
    }
    let begun = Instant::now();
    let cases = world.tick(1000 + 700);
    let took = begun.elapsed();
    assert!(cases.len() > 40, "{}", cases.len());
    assert!(took.as_millis() < 4000, "{took:?}");
    let has_series = |case: &Case| {
        let mut pieces = case.evidence.iter();
        pieces.any(|piece| matches!(piece.fact, Fact::Series(_)))
    };
    assert!(cases.iter().all(has_series));
}
