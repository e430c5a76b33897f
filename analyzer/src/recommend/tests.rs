use std::sync::Arc;

use schemas::action::HealingActionStatus;
use schemas::policy::HealingPolicy;

use super::*;
use crate::{
    accepted::accept,
    testing::{at, bounds, created, pod, policy},
};

/// A firing trigger on one pod, and the actions that exist.
struct Scene {
    accepted: Accepted,
    inventory: Inventory,
    actions: Vec<Arc<HealingAction>>,
    sizing: Sizing,
    proposals: Proposals,
    offender: &'static str,
    since: i64,
}

fn scene(policy: &HealingPolicy) -> Scene {
    let mut inventory = Inventory::default();
    inventory.apply(pod("web-1").owned_by("web").state(), at(0));
    Scene {
        accepted: accept(policy, &bounds()).unwrap(),
        inventory,
        actions: Vec::new(),
        sizing: Sizing::default(),
        proposals: Proposals::default(),
        offender: "uid-web-1",
        since: 100,
    }
}

impl Scene {
    fn decide(&self, now: i64) -> Result<Recommendation, Held> {
        let mut actions = Actions::default();
        actions.refresh(self.actions.iter().cloned(), at(now));
        let measured = Measured {
            value: 86.2,
            container: Some("app".to_owned()),
            pod: None,
            sampled_at: at(now),
            basis: crate::forecast::Basis::Measured,
        };
        let offence = Offence {
            policy: &self.accepted,
            watched: &self.accepted.triggers[0],
            offender: self.inventory.get(self.offender).unwrap(),
            episode: Episode {
                since: at(self.since),
                fired_at: Some(at(self.since + 30)),
                seen_at: at(now),
            },
            measured: &measured,
            opinion: None,
        };
        let around = Circumstances {
            inventory: &self.inventory,
            actions: &actions,
            sizing: &self.sizing,
            proposals: Some(&self.proposals),
            most_open: 2,
            at: at(now),
        };
        recommend(&offence, &around)
    }

    fn add(&mut self, recommendation: &Recommendation, status: HealingActionStatus) {
        let mut action = created(recommendation, status.phase);
        action.status = Some(status);
        self.actions
            .retain(|known| known.metadata.name != action.metadata.name);
        self.actions.push(Arc::new(action));
    }
}

/// An action that began at 130 and ended at 200.
fn ended(phase: Phase) -> HealingActionStatus {
    HealingActionStatus {
        phase,
        target_uid: Some("uid-web-1".to_owned()),
        owner_uid: Some("uid-web".to_owned()),
        started_at: Some(at(130)),
        finished_at: Some(at(200)),
        ..HealingActionStatus::default()
    }
}

fn two_rungs() -> HealingPolicy {
    policy("p")
        .action("restart", 50)
        .remedy("scale", 10, Remedy::Scale)
        .build()
}

#[test]
fn the_offender_is_restarted_and_the_reading_says_why() {
    let decided = scene(&two_rungs()).decide(130).unwrap();
    let spec = &decided.spec;
    assert_eq!(spec.action.name, "restart");
    assert_eq!(spec.target_resource.name, "web-1");
    assert_eq!(spec.target_resource.uid.as_deref(), Some("uid-web-1"));
    let trigger = spec.trigger.as_ref().unwrap();
    assert_eq!(trigger.reading, "86.2 > 85");
    assert_eq!(trigger.offender_uid, None);
    assert!(!spec.dry_run);
    let evidence = &spec.diagnosis.as_ref().unwrap().evidence;
    assert_eq!(evidence[0].id, "E1");
    assert!(
        evidence[2]
            .statement
            .contains("memory limit 536870912 bytes")
    );
}

#[test]
fn the_same_episode_has_the_same_name_and_another_has_another() {
    let mut scene = scene(&two_rungs());
    let first = scene.decide(130).unwrap();
    assert_eq!(first.name, scene.decide(145).unwrap().name);
    scene.since = 115;
    assert_ne!(first.name, scene.decide(145).unwrap().name);
}

#[test]
fn the_next_rung_comes_only_after_a_failure_and_its_cooldown() {
    let mut scene = scene(&two_rungs());
    let first = scene.decide(130).unwrap();
    let open = HealingActionStatus {
        phase: Phase::InProgress,
        ..HealingActionStatus::default()
    };
    scene.add(&first, open);
    assert!(matches!(scene.decide(145), Err(Held::Open { .. })));
    scene.add(&first, ended(Phase::Failed));
    assert_eq!(scene.decide(215), Err(Held::Cooldown { until: at(500) }));
    let second = scene.decide(500).unwrap();
    assert_eq!(second.spec.action.name, "scale");
    assert_ne!(first.name, second.name);
    scene.add(
        &second,
        HealingActionStatus {
            finished_at: Some(at(600)),
            ..ended(Phase::Failed)
        },
    );
    assert_eq!(scene.decide(2000), Err(Held::EveryActionTried));
}

#[test]
fn a_refusal_does_not_advance_the_ladder() {
    for phase in [Phase::Denied, Phase::Cancelled] {
        let mut scene = scene(&two_rungs());
        let first = scene.decide(130).unwrap();
        scene.add(&first, ended(phase));
        assert!(matches!(scene.decide(5000), Err(Held::Refused { .. })));
    }
}

#[test]
fn an_action_that_somebody_deleted_does_not_come_back() {
    let mut scene = scene(&two_rungs());
    let first = scene.decide(130).unwrap();
    scene.proposals.names.insert(first.name.1.clone());
    assert!(matches!(scene.decide(145), Err(Held::Deleted { .. })));
}

#[test]
fn the_replacement_of_a_pod_that_was_restarted_in_vain_is_on_the_next_rung() {
    let mut scene = scene(&two_rungs());
    let first = scene.decide(130).unwrap();
    scene.add(&first, ended(Phase::Failed));
    let replacement = pod("web-2").owned_by("web").created(140).state();
    scene.inventory.apply(replacement, at(140));
    (scene.offender, scene.since) = ("uid-web-2", 170);
    assert_eq!(scene.decide(215), Err(Held::Cooldown { until: at(500) }));
    assert_eq!(scene.decide(500).unwrap().spec.action.name, "scale");
}

#[test]
fn a_sibling_that_was_there_before_starts_on_the_first_rung() {
    let mut scene = scene(&two_rungs());
    let first = scene.decide(130).unwrap();
    scene.add(&first, ended(Phase::Failed));
    let sibling = pod("web-2").owned_by("web").created(90).state();
    scene.inventory.apply(sibling, at(90));
    (scene.offender, scene.since) = ("uid-web-2", 170);
    assert_eq!(scene.decide(215).unwrap().spec.action.name, "restart");
}

#[test]
fn scaling_is_about_the_owner_and_names_the_offender() {
    let policy = policy("p").remedy("scale", 10, Remedy::Scale).build();
    let spec = scene(&policy).decide(130).unwrap().spec;
    assert_eq!(spec.target_resource.kind, "Deployment");
    assert_eq!(spec.target_resource.name, "web");
    let trigger = spec.trigger.unwrap();
    assert_eq!(trigger.offender_name.as_deref(), Some("web-1"));
    assert_eq!(trigger.offender_uid.as_deref(), Some("uid-web-1"));
}

#[test]
fn a_pod_without_an_owner_cannot_be_scaled_nor_one_without_a_node_cordoned() {
    let policy = policy("p").remedy("scale", 10, Remedy::Scale).build();
    let mut lonely = scene(&policy);
    lonely.inventory.apply(pod("web-1").state(), at(0));
    assert_eq!(lonely.decide(130), Err(Held::NoOwner { remedy: "scale" }));
    let cordon = crate::testing::policy("p")
        .remedy("cordon", 10, Remedy::Cordon)
        .build();
    assert_eq!(scene(&cordon).decide(130), Err(Held::NoNode));
}

#[test]
fn one_target_has_one_open_action_whosever_it_is() {
    let mut scene = scene(&two_rungs());
    let mut foreign = scene.decide(130).unwrap();
    foreign.name.1 = "of-another-policy".to_owned();
    foreign.spec.policy_name = "other".to_owned();
    scene
        .actions
        .push(Arc::new(created(&foreign, Phase::Verifying)));
    let held = scene.decide(145).unwrap_err();
    assert_eq!(
        held,
        Held::TargetBusy {
            action: "of-another-policy".to_owned()
        }
    );
}

#[test]
fn open_actions_of_a_policy_are_bounded() {
    let mut scene = scene(&two_rungs());
    for name in ["a", "b"] {
        let mut other = scene.decide(130).unwrap();
        other.name.1 = name.to_owned();
        other.spec.target_resource.uid = Some(format!("uid-{name}"));
        scene
            .actions
            .push(Arc::new(created(&other, Phase::Pending)));
        if name == "b" {
            assert_eq!(scene.decide(145), Err(Held::TooManyOpen { open: 2 }));
        }
    }
}

#[test]
fn modes_decide_between_nothing_a_dry_run_and_an_action() {
    let mode = |mode| scene(&policy("p").action("restart", 1).mode(mode).build()).decide(130);
    assert_eq!(mode(Mode::Monitor), Err(Held::Monitor));
    assert!(mode(Mode::Dryrun).unwrap().spec.dry_run);
    assert!(!mode(Mode::Manual).unwrap().spec.dry_run);
    let none = scene(&policy("p").mode(Mode::Automatic).build()).decide(130);
    assert_eq!(none, Err(Held::NoAction));
}

#[test]
fn a_recommended_size_waits_for_samples_and_is_then_said_in_numbers() {
    use crate::sizing::{Container, Resource, Usage};
    use schemas::policy::{Recommended, ResizeAction};

    let mut policy = policy("p").remedy("fit", 50, Remedy::Resize).build();
    policy.spec.actions[0].resize_action = Some(ResizeAction {
        recommended: Some(Recommended {
            min_samples: 2,
            ..Recommended::default()
        }),
        ..ResizeAction::default()
    });
    let mut scene = scene(&policy);
    let held = scene.decide(130).unwrap_err();
    assert_eq!(
        held.to_string(),
        "no memory is recommended for container app of Deployment/web yet: 0 of 2 samples"
    );
    for second in [100, 115] {
        scene.sizing.take(Usage {
            of: Container {
                namespace: "shop".into(),
                kind: "Deployment".into(),
                name: "web".into(),
                container: "app".into(),
            },
            at: at(second),
            resource: Resource::Memory,
            value: 480.0 * 1024.0 * 1024.0,
        });
    }

    let spec = scene.decide(130).unwrap().spec;

    let resize = spec.action.resize_action.unwrap();
    assert_eq!(resize.recommended, None);
    assert_eq!(resize.container.as_deref(), Some("app"));
    let limit = schemas::quantity::parse(&resize.limits["memory"]).unwrap();
    assert!(limit >= 480.0 * 1.15 * 1024.0 * 1024.0, "{limit}");
    let evidence = spec.diagnosis.unwrap().evidence;
    let says = &evidence.last().unwrap().statement;
    assert!(
        says.contains("peak of 480.000") && says.contains("2 samples since"),
        "{says}"
    );
}
