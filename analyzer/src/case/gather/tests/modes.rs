//! A whole case of each failure mode, from the inventory to the cause that the rules name.

use schemas::{
    diagnosis::{FailureMode, Provenance},
    object::{ClaimState, QuotaState},
};

use super::*;
use crate::evidence::Metric;

#[test]
fn memory_that_climbs_steadily_is_a_leak() {
    let world = World::new()
        .has([
            pod("web-1").owned_by("web").state(),
            deployment("web"),
            bare_node("node-1"),
        ])
        .finds("web-1", 900);
    let mut world = scraped(world, 990, |second| {
        vec![memory("web-1", 100.0 + 0.4 * number(second))]
    });
    let case = only(&mut world, 1000);
    let series = facts(&case, |fact| match fact {
        Fact::Series(series) if series.metric == Metric::MemoryBytes => Some(series.clone()),
        _ => None,
    });
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].limit, Some(512.0 * MIB));
    assert!(series[0].shape.linearity > 0.99);
    assert!(series[0].points.len() <= 48);
    assert_eq!(mode(&case), FailureMode::MemoryLeak);
}

#[test]
fn kills_for_want_of_memory_soon_after_each_start_are_a_limit_that_is_too_small() {
    let mut world = World::new()
        .has([
            ended("web-1", "web", ("OOMKilled", 137, 4, 990)),
            in_trouble("web", (0, 1)),
            bare_node("node-1"),
        ])
        .finds("web-1", 900);
    let case = only(&mut world, 1000);
    let end = piece(&case, |fact| matches!(fact, Fact::Termination(_)));
    assert_eq!(
        (end.since, end.provenance),
        (at(990), Provenance::ControlPlane)
    );
    assert_eq!(mode(&case), FailureMode::OutOfMemory);
}

#[test]
fn crashes_since_another_image_are_a_bad_rollout() {
    let mut sick = ended("web-b", "web", ("Error", 1, 3, 1050));
    sick.labels
        .insert("pod-template-hash".to_owned(), "hash-2".to_owned());
    let well = pod("web-a")
        .owned_by("web")
        .labelled("pod-template-hash", "hash-1");
    let mut world = World::new()
        .has([
            sick,
            well.state(),
            in_trouble("web", (1, 2)),
            bare_node("node-1"),
        ])
        .has([
            revision("web", (1, 0), &[("containers.app.image", "web:1")]),
            revision("web", (2, 1000), &[("containers.app.image", "web:2")]),
        ])
        .finds("web-b", 1030);
    let case = only(&mut world, 1060);
    let rollout = piece(&case, |fact| matches!(fact, Fact::Rollout(_)));
    assert_eq!(rollout.since, at(1000));
    let Fact::Rollout(rollout) = &rollout.fact else {
        panic!("{rollout:?}")
    };
    assert_eq!(
        (rollout.revision, rollout.previous, rollout.complete),
        (2, Some(1), false)
    );
    let change = (Some("web:1".to_owned()), Some("web:2".to_owned()));
    assert_eq!(rollout.changes["containers.app.image"], change);
    let siblings = facts(&case, |fact| match fact {
        Fact::Siblings {
            pods,
            sick,
            sick_of_newest,
            of_newest,
        } => Some([*pods, *sick, *sick_of_newest, *of_newest]),
        _ => None,
    });
    assert_eq!(siblings, [[2, 1, 1, 1]]);
    assert_eq!(mode(&case), FailureMode::BadRollout);
}

#[test]
fn a_config_map_that_is_not_there_is_named() {
    let message = "configmap \"settings\" not found";
    let mut world = World::new()
        .has([
            waiting("web-1", "web", ("CreateContainerConfigError", message)),
            in_trouble("web", (0, 1)),
        ])
        .finds("web-1", 1000);
    assert_eq!(mode(&only(&mut world, 1060)), FailureMode::MissingReference);
}

#[test]
fn an_image_that_the_registry_does_not_know_is_a_bad_image() {
    let message =
        "rpc error: code = NotFound desc = failed to pull: docker.io/shop/web:9: not found";
    let mut world = World::new()
        .has([
            waiting("web-1", "web", ("ErrImagePull", message)),
            in_trouble("web", (0, 1)),
        ])
        .finds("web-1", 1000);
    assert_eq!(mode(&only(&mut world, 1060)), FailureMode::BadImage);
}

#[test]
fn a_node_with_two_hundred_pods_that_is_silent_is_one_case_with_one_cause() {
    let names: Vec<String> = (0..200).map(|n| format!("app-{n:03}")).collect();
    let pods = names.iter().map(|name| {
        let pod = pod(&format!("{name}-1"))
            .owned_by(name)
            .on("node-9")
            .state();
        with_condition(pod, "Ready", ("False", 130))
    });
    let mut world = World::new()
        .has(pods)
        .has([with_condition(
            bare_node("node-9"),
            "Ready",
            ("Unknown", 100),
        )])
        .has((0..4).map(|n| bare_node(&format!("node-{n}"))));
    for name in &names {
        world.find(&format!("{name}-1"), 130);
    }
    let case = only(&mut world, 200);
    let nodes = facts(&case, |fact| match fact {
        Fact::Node(node) => Some((
            node.name.clone(),
            node.ready.clone(),
            node.nodes,
            node.not_ready,
        )),
        _ => None,
    });
    assert_eq!(nodes, [("node-9".to_owned(), "Unknown".to_owned(), 5, 1)]);
    assert_eq!(case.evidence.len(), 32);
    assert_eq!(mode(&case), FailureMode::NodeNotReady);
}

#[test]
fn one_of_three_crashing_pods_on_a_bad_node_tells_nothing_of_the_node() {
    let on = |n: i64, node: &str| {
        let mut state = ended(&format!("web-{n}"), "web", ("Error", 1, 5, 990));
        node.clone_into(&mut state.pod.as_mut().unwrap().node);
        state
    };
    let mut world = World::new()
        .has([
            on(1, "n1"),
            on(2, "n2"),
            on(3, "n3"),
            in_trouble("web", (0, 3)),
        ])
        .has([
            with_condition(bare_node("n1"), "Ready", ("False", 950)),
            bare_node("n2"),
            bare_node("n3"),
        ]);
    for name in ["web-1", "web-2", "web-3"] {
        world.find(name, 960);
    }
    let case = only(&mut world, 1000);
    assert_eq!(
        facts(&case, |fact| matches!(fact, Fact::Node(_)).then_some(())),
        []
    );
    assert_eq!(mode(&case), FailureMode::CrashLoop);
}

#[test]
fn a_quota_that_is_used_up_is_why_pods_are_missing() {
    let mut owner = in_trouble("web", (0, 3));
    owner.replicas.as_mut().unwrap().current = 0;
    let owner = with_condition(owner, "ReplicaFailure", ("True", 1000));
    let message = "pods \"web-1\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5";
    let owner = with_message(owner, "ReplicaFailure", ("FailedCreate", message));
    let mut quota = object("ResourceQuota", "small");
    quota.quota = Some(QuotaState {
        hard: [("pods".to_owned(), 5.0), ("limits.memory".to_owned(), 1e10)].into(),
        used: [("pods".to_owned(), 5.0), ("limits.memory".to_owned(), 1e9)].into(),
    });
    let mut world = World::new().has([owner, quota]).finds("web", 1000);
    let case = only(&mut world, 1060);
    let used_up = facts(&case, |fact| match fact {
        Fact::Quota { resource, used, .. } => Some((resource.clone(), *used)),
        _ => None,
    });
    assert_eq!(used_up, [("pods".to_owned(), 5.0)]);
    assert_eq!(mode(&case), FailureMode::QuotaExceeded);
}

#[test]
fn a_claim_that_is_not_bound_keeps_its_pod_waiting() {
    let message = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    let mut state = unscheduled("web-1", "web", message);
    let needs = pod("x")
        .needs("PersistentVolumeClaim", "data", "volume")
        .state()
        .pod
        .unwrap()
        .needs;
    state.pod.as_mut().unwrap().needs = needs;
    let mut claim = object("PersistentVolumeClaim", "data");
    claim.claim = Some(ClaimState {
        phase: "Pending".to_owned(),
        storage_class: "fast".to_owned(),
    });
    let mut world = World::new()
        .has([state, claim, in_trouble("web", (0, 1))])
        .finds("web-1", 1000);
    let case = only(&mut world, 1060);
    let Fact::Claim {
        phase,
        storage_class,
        ..
    } = &piece(&case, |fact| matches!(fact, Fact::Claim { .. })).fact
    else {
        panic!("{case:?}")
    };
    assert_eq!(
        (phase.as_str(), storage_class.as_str()),
        ("Pending", "fast")
    );
    assert_eq!(mode(&case), FailureMode::UnboundVolume);
}

#[test]
fn a_taint_and_want_of_room_are_told_apart() {
    for (message, expected) in [
        (
            "0/3 nodes are available: 3 node(s) had untolerated taint {gpu: }.",
            FailureMode::UnschedulableTaint,
        ),
        (
            "0/3 nodes are available: 1 node(s) had untolerated taint {x: }, 2 Insufficient cpu.",
            FailureMode::UnschedulableResources,
        ),
    ] {
        let mut world = World::new()
            .has([
                unscheduled("web-1", "web", message),
                in_trouble("web", (0, 1)),
            ])
            .finds("web-1", 1000);
        assert_eq!(mode(&only(&mut world, 1060)), expected);
    }
}

#[test]
fn of_three_owners_that_fail_along_their_calls_the_last_called_is_the_cause() {
    let calling = |name: &str, called: &str, second: i64| {
        let pod = pod(&format!("{name}-1"))
            .owned_by(name)
            .labelled("app", name);
        with_condition(pod.calls(called).state(), "Ready", ("False", second))
    };
    let mut world = World::new()
        .has([
            ended("db-1", "db", ("OOMKilled", 137, 4, 980)),
            calling("cart", "db-svc", 960),
            calling("web", "cart-svc", 990),
        ])
        .has(["db", "cart", "web"].map(|name| service(&format!("{name}-svc"), name)))
        .has(["db", "cart", "web"].map(|name| in_trouble(name, (0, 1))))
        .finds("db-1", 900)
        .finds("cart-1", 960)
        .finds("web-1", 990);
    let case = only(&mut world, 1000);
    let calls = facts(&case, |fact| match fact {
        Fact::Dependency { on, failed_at } => Some((on.name.clone(), *failed_at)),
        _ => None,
    });
    assert_eq!(
        calls,
        [
            ("db".to_owned(), Some(at(900))),
            ("cart".to_owned(), Some(at(960)))
        ]
    );
    let ranked = rules::diagnose(&case);
    assert_eq!(ranked[0].about.name, "db");
    assert_eq!(ranked[0].mode, FailureMode::OutOfMemory);
}

#[test]
fn a_called_owner_without_findings_is_in_trouble_when_none_of_its_pods_is_ready() {
    let db = pod("db-1").owned_by("db").labelled("app", "db").state();
    let db = with_condition(db, "Ready", ("False", 940));
    let web = pod("web-1").owned_by("web").calls("db-svc").state();
    let mut world = World::new()
        .has([
            db,
            with_condition(web, "Ready", ("False", 960)),
            service("db-svc", "db"),
        ])
        .finds("web-1", 960);
    let case = only(&mut world, 1000);
    let calls = facts(&case, |fact| match fact {
        Fact::Dependency { on, failed_at } => Some((on.to_string(), *failed_at)),
        _ => None,
    });
    assert_eq!(calls, [("Deployment shop/db".to_owned(), Some(at(940)))]);
}

#[test]
fn a_service_that_selects_nothing_is_the_cause_of_its_callers_trouble() {
    let mut empty = service("back", "back-v2");
    empty.service.as_mut().unwrap().ready = 0;
    let web = pod("web-1").owned_by("web").calls("back").state();
    let mut world = World::new()
        .has([
            with_condition(web, "Ready", ("False", 960)),
            empty,
            in_trouble("web", (0, 1)),
        ])
        .finds("web-1", 960);
    let case = only(&mut world, 1000);
    assert_eq!(mode(&case), FailureMode::ServiceWithoutEndpoints);
}
