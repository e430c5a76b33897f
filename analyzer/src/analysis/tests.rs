use proptest::prelude::*;
use schemas::{
    action::{HealingActionStatus, Phase},
    alert::AlertKind,
    object::ContainerState,
    policy::{HealingPolicyStatus, Mode, Remedy},
};

use super::*;
use crate::testing::{Usage, at, created, deployment, node, pod, policy, rows, scrape, settings};

/// An analysis and what is known beside the streams.
struct Scene {
    analysis: Analysis,
    policies: Vec<Arc<HealingPolicy>>,
    actions: Vec<Arc<HealingAction>>,
    told: Told,
}

fn scene(policy: HealingPolicy) -> Scene {
    let mut scene = Scene {
        analysis: Analysis::new(settings()),
        policies: vec![Arc::new(policy)],
        actions: Vec::new(),
        told: Told::default(),
    };
    for name in ["web-1", "web-2", "web-3"] {
        scene.object(pod(name).owned_by("web").state());
    }
    scene
}

fn restarts() -> HealingPolicy {
    policy("p").action("restart", 10).build()
}

impl Scene {
    fn step(&mut self, input: Input) -> Vec<Output> {
        let view = View {
            policies: &self.policies,
            actions: &self.actions,
            told: &self.told,
            live: true,
        };
        self.analysis.step(input, &view)
    }

    fn object(&mut self, state: ObjectState) {
        assert!(self.step(Input::Object(Box::new(state), at(0))).is_empty());
    }

    fn tick(&mut self, second: i64, usage: &[Usage<'_>]) -> Vec<Output> {
        self.step(Input::Scrape(scrape(second, usage)))
    }

    /// Ticks every 15 seconds, with one usage for `web-1` each and 40 % for the others.
    fn leak(&mut self, from: i64, percents: &[f64]) -> Vec<Output> {
        let mut outputs = Vec::new();
        for (second, percent) in (from..).step_by(15).zip(percents) {
            let usage = [
                ("web-1", Some(*percent)),
                ("web-2", Some(40.0)),
                ("web-3", Some(40.0)),
            ];
            outputs.extend(self.tick(second, &usage));
        }
        outputs
    }
}

fn alerted(outputs: &[Output]) -> impl Iterator<Item = &Alert> {
    outputs.iter().filter_map(|output| match output {
        Output::Alert(alert) => Some(alert.as_ref()),
        Output::Propose(_) | Output::Observe(..) | Output::Report(_) | Output::Ask(_) => None,
    })
}

fn is_about_a_case(alert: &Alert) -> bool {
    use AlertKind::{CaseDiagnosed, CaseOpened, CaseResolved};
    matches!(alert.kind, CaseOpened | CaseDiagnosed | CaseResolved)
}

/// What was told of triggers.
fn alerts(outputs: &[Output]) -> Vec<(AlertKind, &str, Option<Timestamp>)> {
    alerted(outputs)
        .filter(|alert| !is_about_a_case(alert))
        .map(|alert| (alert.kind, alert.target.name.as_str(), alert.fired_at))
        .collect()
}

/// What was told of cases.
fn case_alerts(outputs: &[Output]) -> Vec<(AlertKind, &str)> {
    alerted(outputs)
        .filter(|alert| is_about_a_case(alert))
        .map(|alert| (alert.kind, alert.target.name.as_str()))
        .collect()
}

fn proposals(outputs: &[Output]) -> Vec<&Proposal> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Propose(proposal) => Some(proposal.as_ref()),
            Output::Alert(_) | Output::Observe(..) | Output::Report(_) | Output::Ask(_) => None,
        })
        .collect()
}

fn status(outputs: &[Output]) -> HealingPolicyStatus {
    let found = outputs.iter().rev().find_map(|output| match output {
        Output::Report(report) => Some(report.status.clone()),
        Output::Alert(_) | Output::Observe(..) | Output::Propose(_) | Output::Ask(_) => None,
    });
    found.unwrap()
}

#[test]
fn the_pod_that_leaks_is_the_one_that_is_acted_on() {
    let mut scene = scene(restarts());
    let outputs = scene.leak(15, &[60.0, 86.0, 87.0, 88.0]);
    assert_eq!(
        alerts(&outputs),
        [
            (AlertKind::TriggerPending, "web-1", None),
            (AlertKind::TriggerFiring, "web-1", Some(at(60))),
        ]
    );
    assert_eq!(
        case_alerts(&outputs).first(),
        Some(&(AlertKind::CaseOpened, "web"))
    );
    let proposed = proposals(&outputs);
    assert_eq!(proposed.len(), 1);
    let spec = &proposed[0].recommendation.spec;
    assert_eq!(spec.target_resource.name, "web-1");
    assert_eq!(spec.trigger.as_ref().unwrap().since, at(30));
    assert_eq!(proposed[0].alert.action, proposed[0].recommendation.name.1);
}

#[test]
fn a_status_says_what_is_going_on() {
    let mut scene = scene(restarts());
    let evaluating = status(&scene.leak(15, &[60.0, 86.2]));
    assert_eq!(
        (evaluating.targets, evaluating.pending, evaluating.firing),
        (3, 1, 0)
    );
    assert_eq!(evaluating.worst.as_deref(), Some("web-1/app 86.2 > 85"));
    assert_eq!(evaluating.active_triggers[0].state, "EVALUATING");
    assert_eq!(evaluating.last_evaluated, Some(at(30)));
    let fired = status(&scene.leak(45, &[87.0, 88.0]));
    assert_eq!((fired.pending, fired.firing), (0, 1));
    assert_eq!(fired.active_triggers[0].state, "FIRED");
    assert!(schemas::condition::is_true(&fired.conditions, "Ready"));
    assert!(schemas::condition::is_true(&fired.conditions, "Accepted"));
}

#[test]
fn without_a_limit_there_is_no_data_and_no_action() {
    let mut scene = scene(restarts());
    for name in ["web-1", "web-2", "web-3"] {
        scene.object(pod(name).owned_by("web").unlimited().state());
    }
    let mut outputs = Vec::new();
    for second in [15, 30, 45, 60, 75] {
        let usage = [
            ("web-1", Some(500.0)),
            ("web-2", Some(40.0)),
            ("web-3", Some(40.0)),
        ];
        let mut unlimited = scrape(second, &[]);
        unlimited.shards = [(0, rows(second, &usage, None))].into();
        outputs.extend(scene.step(Input::Scrape(unlimited)));
    }
    assert!(alerts(&outputs).is_empty() && proposals(&outputs).is_empty());
    let status = status(&outputs);
    assert_eq!(status.no_data[0].reason, "no memory limit is set");
    assert_eq!(status.no_data[0].targets, 3);
    let ready = schemas::condition::get(&status.conditions, "Ready").unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "NoData")
    );
}

#[test]
fn a_target_that_is_gone_resolves() {
    let mut scene = scene(restarts());
    scene.leak(15, &[86.0, 87.0, 88.0]);
    let mut gone = pod("web-1").owned_by("web").state();
    (gone.deleted, gone.observed_at) = (true, at(50));
    scene.object(gone);
    let outputs = scene.tick(60, &[("web-2", Some(40.0)), ("web-3", Some(40.0))]);
    let resolved = alerted(&outputs).next();
    assert_eq!(resolved.unwrap().reason, "TargetGone");
    assert_eq!(resolved.unwrap().ends_at, Some(at(60)));
}

#[test]
fn monitor_mode_alerts_and_proposes_nothing() {
    let mut scene = scene(policy("p").action("restart", 1).mode(Mode::Monitor).build());
    let outputs = scene.leak(15, &[86.0, 87.0, 88.0]);
    assert_eq!(alerts(&outputs).len(), 2);
    assert!(proposals(&outputs).is_empty());
    let held = status(&outputs).active_triggers[0].held.clone();
    assert_eq!(
        held.as_deref(),
        Some("the policy only watches (mode: monitor)")
    );
}

#[test]
fn an_open_action_is_observed_with_the_siblings_of_its_target() {
    let mut scene = scene(restarts());
    let outputs = scene.leak(15, &[86.0, 87.0, 88.0]);
    let action = created(&proposals(&outputs)[0].recommendation, Phase::Verifying);
    scene.actions.push(Arc::new(action));
    let outputs = scene.leak(60, &[20.0]);
    let observation = outputs.iter().find_map(|output| match output {
        Output::Observe(_, observation) => Some(observation.as_ref()),
        Output::Propose(_) | Output::Alert(_) | Output::Report(_) | Output::Ask(_) => None,
    });
    let observation = observation.unwrap();
    let seen: Vec<_> = observation
        .readings
        .iter()
        .map(|reading| {
            (
                reading.target.name.as_str(),
                reading.breaching,
                reading.ready,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("web-1", false, true),
            ("web-2", false, true),
            ("web-3", false, true)
        ]
    );
    assert_eq!(observation.readings[0].sampled_at, Some(at(60)));
    assert_eq!(observation.evaluated_at, at(60));
}

#[test]
fn a_successor_continues_the_episode_it_was_told_of() {
    let mut first = scene(restarts());
    let outputs = first.leak(15, &[86.0, 87.0, 88.0]);
    let name = proposals(&outputs)[0].recommendation.name.clone();
    let mut second = scene(restarts());
    for output in &outputs {
        if let Output::Alert(alert) = output {
            second
                .told
                .hear(&alert.as_ref().clone().envelope("analyzer", at(45)));
        }
    }
    let outputs = second.leak(60, &[88.0]);
    assert_eq!(proposals(&outputs)[0].recommendation.name, name);
    assert!(alerts(&outputs).is_empty() && case_alerts(&outputs).is_empty());
    let outputs = second.leak(75, &[20.0]);
    assert_eq!(
        case_alerts(&outputs),
        [(AlertKind::CaseResolved, "web")],
        "the end of the case that its predecessor had told of"
    );
}

#[test]
fn the_end_of_an_episode_is_told_when_its_policy_is_gone() {
    let mut scene = scene(restarts());
    scene.leak(15, &[86.0, 87.0, 88.0]);
    scene.policies.clear();
    let outputs = scene.leak(60, &[88.0]);
    assert_eq!(
        alerts(&outputs),
        [(AlertKind::TriggerResolved, "web-1", Some(at(45)))]
    );
}

#[test]
fn a_workload_reads_as_its_worst_pod() {
    let selects = policy("p").action("restart", 10).selecting("Deployment");
    let mut scene = scene(selects.build());
    scene.object(deployment("web"));
    let outputs = scene.leak(15, &[86.0, 87.0, 88.0]);
    let spec = &proposals(&outputs)[0].recommendation.spec;
    assert_eq!(
        (
            spec.target_resource.kind.as_str(),
            spec.target_resource.name.as_str()
        ),
        ("Deployment", "web")
    );
    assert_eq!(
        status(&outputs).worst.as_deref(),
        Some("web (web-1)/app 88 > 85")
    );
}

#[test]
fn a_forecast_leads_to_an_action_before_the_threshold_is_reached() {
    for (kind, speaker) in [("Pod", "web-1/app"), ("Deployment", "web (web-1)/app")] {
        let policy = policy("p")
            .action("restart", 1)
            .predictive("memory_usage_percent", 85.0)
            .selecting(kind)
            .build();
        let mut scene = scene(policy);
        scene.object(deployment("web"));
        let percents: Vec<f64> = (0..24).map(|tick| 40.0 + f64::from(tick)).collect();
        let outputs = scene.leak(15, &percents);
        let spec = &proposals(&outputs)[0].recommendation.spec;
        assert_eq!(spec.target_resource.kind, kind);
        // 40 scrapes ahead of the 23rd, the first 30 s after half of the lookback was covered
        let trigger = spec.trigger.as_ref().unwrap();
        assert_eq!(trigger.value, Some(102.0));
        assert_eq!(trigger.reading, "forecast 102 > 85 in 10m (R² 1.00)");
        let worst = format!("{speaker} forecast 103 > 85 in 10m (R² 1.00)");
        assert_eq!(status(&outputs).worst, Some(worst));
    }
}

#[test]
fn a_crash_loop_fires_as_a_condition_and_names_its_container() {
    let mut scene = scene(
        policy("p")
            .action("restart", 1)
            .on_condition("CrashLoopBackOff")
            .build(),
    );
    let looping = ContainerState {
        name: "app".to_owned(),
        state: "terminated".to_owned(),
        reason: "Error".to_owned(),
        restarts: 3,
        ..ContainerState::default()
    };
    scene.object(pod("web-1").owned_by("web").with_container(looping).state());
    let outputs = scene.leak(15, &[40.0, 40.0, 40.0]);
    let spec = &proposals(&outputs)[0].recommendation.spec;
    assert_eq!(spec.target_resource.name, "web-1");
    let trigger = spec.trigger.as_ref().unwrap();
    assert_eq!(trigger.reading, "CrashLoopBackOff is True");
    assert_eq!(trigger.since, at(15));
    let evidence = &spec.diagnosis.as_ref().unwrap().evidence;
    let says = |what: &str| evidence.iter().any(|piece| piece.statement.contains(what));
    assert!(says("app") && says("CrashLoopBackOff"), "{evidence:?}");
}

/// A policy about nodes, which has to live in the system namespace.
fn of_nodes(policy: crate::testing::PolicyBuilder) -> HealingPolicy {
    let mut policy = policy
        .selecting("Node")
        .remedy("close", 10, Remedy::Cordon)
        .build();
    policy.metadata.namespace = Some(settings().bounds.system_namespace);
    policy
}

#[test]
fn a_node_that_is_not_ready_is_acted_on_and_observed_itself() {
    let mut scene = scene(of_nodes(policy("p").on_condition("NotReady")));
    scene.object(node("n1", "True"));
    scene.object(node("n2", "Unknown"));
    let outputs = scene.leak(15, &[40.0, 40.0, 40.0]);
    let spec = &proposals(&outputs)[0].recommendation.spec;
    let target = &spec.target_resource;
    assert_eq!((target.kind.as_str(), target.name.as_str()), ("Node", "n2"));
    assert_eq!(target.namespace, None);
    let observed = outputs.iter().find_map(|output| match output {
        Output::Observe(_, observation) => Some(observation),
        Output::Alert(_) | Output::Report(_) | Output::Propose(_) | Output::Ask(_) => None,
    });
    let readings = &observed.unwrap().readings;
    assert_eq!(readings.len(), 1, "{readings:?}");
    assert!(readings[0].breaching && readings[0].target.name == "n2");
}

#[test]
fn a_nodes_usage_is_percent_of_what_it_can_give_and_no_containers() {
    let mut high = policy("p");
    high = high.on_query("node_memory_usage_percent", 85.0);
    let mut scene = scene(of_nodes(high));
    scene.object(node("n1", "True"));
    scene.object(node("n2", "True"));
    let mut outputs = Vec::new();
    for second in [15, 30, 45] {
        let usage = [("n1", 40.0), ("n2", 86.0)];
        scene.step(Input::Nodes(crate::testing::nodes(second, &usage)));
        // A container at 95 % is no node at 95 %.
        outputs.extend(scene.tick(second, &[("web-1", Some(95.0))]));
    }
    let proposed = proposals(&outputs);
    let names: Vec<_> = proposed
        .iter()
        .map(|one| one.recommendation.spec.target_resource.name.as_str())
        .collect();
    assert_eq!(names, ["n2"]);
    let reading = proposed[0].recommendation.spec.trigger.as_ref();
    assert_eq!(reading.unwrap().value, Some(86.0));
}

#[test]
fn an_event_that_names_a_node_in_place_of_its_uid_counts_for_it() {
    let mut scene = scene(of_nodes(policy("p").on_events("Rebooted", 1)));
    scene.object(node("n1", "True"));
    let mut regarding = crate::testing::target("Node", "n1");
    (regarding.namespace, regarding.uid) = (String::new(), "n1".to_owned());
    let event = ClusterEvent {
        uid: "event".to_owned(),
        regarding,
        kind: "Warning".to_owned(),
        reason: "Rebooted".to_owned(),
        note: String::new(),
        reporter: "kubelet".to_owned(),
        occurred_at: at(16),
        count: 1,
        increase: 1,
    };
    scene.step(Input::Event(Box::new(event)));
    let outputs = scene.leak(15, &[40.0, 40.0]);
    let target = &proposals(&outputs)[0].recommendation.spec.target_resource;
    assert_eq!((target.kind.as_str(), target.name.as_str()), ("Node", "n1"));
}

#[test]
fn an_omitted_count_of_events_means_one_and_the_events_own_count_counts() {
    let mut scene = scene(
        policy("p")
            .action("restart", 1)
            .on_events("Unhealthy", 3)
            .build(),
    );
    for increase in [2, 1] {
        let event = ClusterEvent {
            uid: "event".to_owned(),
            regarding: crate::testing::target("Pod", "web-2"),
            kind: "Warning".to_owned(),
            reason: "Unhealthy".to_owned(),
            note: String::new(),
            reporter: "kubelet".to_owned(),
            occurred_at: at(16),
            count: 4 - increase,
            increase,
        };
        assert!(alerts(&scene.leak(15, &[40.0])).is_empty());
        scene.step(Input::Event(Box::new(event)));
    }
    let outputs = scene.leak(30, &[40.0]);
    assert_eq!(
        alerts(&outputs),
        [(AlertKind::TriggerFiring, "web-2", Some(at(30)))]
    );
    let omitted: schemas::policy::EventTrigger =
        serde_json::from_str(r#"{"reason":"BackOff"}"#).unwrap();
    assert_eq!(omitted.count, 1);
}

#[test]
fn a_policy_that_is_not_accepted_says_what_is_wrong() {
    let mut wrong = restarts();
    wrong.spec.triggers[0]
        .metric_trigger
        .as_mut()
        .unwrap()
        .query = "sum(((".to_owned();
    let mut scene = scene(wrong);
    let status = status(&scene.leak(15, &[86.0]));
    let accepted = schemas::condition::get(&status.conditions, "Accepted").unwrap();
    assert_eq!(
        (accepted.status.as_str(), accepted.reason.as_str()),
        ("False", "InvalidQuery")
    );
}

#[test]
fn what_was_before_a_policy_is_none_of_its_business() {
    let mut young = restarts();
    young.metadata.creation_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(40)));
    let mut scene = scene(young);
    let outputs = scene.leak(15, &[86.0, 87.0, 88.0, 89.0, 90.0]);
    let trigger = proposals(&outputs)[0].recommendation.spec.trigger.clone();
    assert_eq!(trigger.unwrap().since, at(45));
}

/// A history of three pods, a tick each 15 seconds.
fn history() -> impl Strategy<Value = Vec<[Option<f64>; 3]>> {
    let usage = prop_oneof![1 => Just(None), 3 => (0.0..84.0).prop_map(Some), 4 => (86.0..99.0).prop_map(Some)];
    proptest::collection::vec([usage.clone(), usage.clone(), usage], 1..14)
}

fn usage_of(pods: &[Option<f64>; 3]) -> [Usage<'static>; 3] {
    [("web-1", pods[0]), ("web-2", pods[1]), ("web-3", pods[2])]
}

/// Creates what is proposed and ends it after two ticks; returns everything that followed.
fn live_through(
    history: &[[Option<f64>; 3]],
    from: usize,
    told: Told,
) -> (Vec<(i64, Output)>, Vec<String>) {
    let mut scene = scene(policy("p").action("restart", 10).action("again", 5).build());
    scene.told = told;
    let first = i64::try_from(from + 1).unwrap() * 15;
    scene.analysis.settings.evaluate_from = at(first);
    let (mut outputs, mut names) = (Vec::new(), Vec::new());
    for (index, pods) in history.iter().enumerate() {
        let second = i64::try_from(index + 1).unwrap() * 15;
        let followed = scene.tick(second, &usage_of(pods));
        for proposal in proposals(&followed) {
            names.push(proposal.recommendation.name.1.clone());
            let action = created(&proposal.recommendation, Phase::Pending);
            scene.actions.push(Arc::new(action));
        }
        for action in &mut scene.actions {
            let ended = HealingActionStatus {
                phase: Phase::Failed,
                started_at: Some(at(second)),
                finished_at: Some(at(second)),
                ..action.status.clone().unwrap()
            };
            let mut changed = HealingAction::clone(action);
            changed.status = Some(ended);
            if index % 2 == 0 {
                *action = Arc::new(changed);
            }
        }
        outputs.extend(followed.into_iter().map(|output| (second, output)));
    }
    (outputs, names)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_messages_lead_to_the_same_outputs(history in history()) {
        let one = live_through(&history, 0, Told::default());
        let other = live_through(&history, 0, Told::default());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn no_action_is_proposed_twice(history in history()) {
        let (_, mut names) = live_through(&history, 0, Told::default());
        let proposed = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), proposed);
    }

    #[test]
    fn a_run_that_begins_later_tells_the_same_once_it_was_told_what_was_before(
        history in history(), from in 0_usize..14,
    ) {
        let alerts_of = |outputs: Vec<(i64, Output)>| -> Vec<_> {
            outputs
                .into_iter()
                .filter_map(|(second, output)| match output {
                    Output::Alert(alert) => Some((second, *alert)),
                    Output::Propose(_) | Output::Observe(..) | Output::Report(_) | Output::Ask(_) => None,
                })
                .collect()
        };
        let whole = alerts_of(live_through(&history, 0, Told::default()).0);
        let mut told = Told::default();
        for (second, alert) in &whole {
            told.hear(&alert.clone().envelope("analyzer", at(*second)));
        }
        let begun = i64::try_from(from).unwrap() * 15;
        let later = alerts_of(live_through(&history, from, told).0);
        let keyed = |alerts: &[(i64, Alert)]| -> Vec<_> {
            alerts
                .iter()
                .filter(|(second, _)| *second > begun)
                .map(|(second, alert)| (*second, alert.kind, alert.target.clone(), alert.starts_at, alert.fired_at))
                .collect()
        };
        prop_assert_eq!(keyed(&later), keyed(&whole));
    }
}
