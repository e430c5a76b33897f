//! Findings in, cases out.

use std::collections::BTreeMap;

use schemas::{object::ObjectState, policy::Severity};

use super::*;
use crate::{
    accepted::{Accepted, accept},
    testing::{
        at, bare_node, bounds, deployment, pod, policy, revision, service, settings, with_condition,
    },
};

/// What exists, and the findings about it.
pub(super) struct World {
    pub(super) accepted: Accepted,
    pub(super) inventory: Inventory,
    pub(super) window: Window,
    pub(super) actions: Actions,
    /// Which object, since when, and when it fired.
    pub(super) episodes: BTreeMap<String, (i64, Option<i64>)>,
    pub(super) cases: Cases,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            accepted: accept(&policy("p").build(), &bounds()).unwrap(),
            inventory: Inventory::default(),
            window: Window::new(settings().window),
            actions: Actions::default(),
            episodes: BTreeMap::new(),
            cases: Cases::default(),
        }
    }

    pub(super) fn has(mut self, states: impl IntoIterator<Item = ObjectState>) -> Self {
        self.put(states);
        self
    }

    pub(super) fn put(&mut self, states: impl IntoIterator<Item = ObjectState>) {
        for state in states {
            self.inventory.apply(state, at(0));
        }
    }

    /// The trigger of the policy holds on an object since a second, and has fired.
    pub(super) fn finds(mut self, name: &str, since: i64) -> Self {
        self.find(name, since);
        self
    }

    pub(super) fn find(&mut self, name: &str, since: i64) {
        let episode = (since, Some(since + 30));
        self.episodes.insert(format!("uid-{name}"), episode);
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.episodes.remove(&format!("uid-{name}"));
    }

    pub(super) fn tick(&mut self, second: i64) -> Vec<Case> {
        let found: Vec<Found<'_>> = self
            .episodes
            .iter()
            .filter_map(|(uid, (since, fired_at))| {
                Some(Found {
                    policy: ("shop", "p"),
                    watched: &self.accepted.triggers[0],
                    offender: self.inventory.get(uid)?,
                    episode: Episode {
                        since: at(*since),
                        fired_at: fired_at.map(at),
                        seen_at: at(second),
                    },
                    measured: None,
                })
            })
            .collect();
        let sources = Sources {
            inventory: &self.inventory,
            window: &self.window,
            actions: &self.actions,
            at: at(second),
        };
        self.cases.update(&found, &sources)
    }

    /// The owners of each case at a tick, by name.
    pub(super) fn owners(&mut self, second: i64) -> Vec<Vec<String>> {
        let cases = self.tick(second);
        let names = |case: Case| case.owners.into_iter().map(|one| one.owner.name).collect();
        cases.into_iter().map(names).collect()
    }
}

fn down(name: &str, since: i64) -> ObjectState {
    with_condition(bare_node(name), "Ready", ("Unknown", since))
}

fn sick(name: &str, owner: &str) -> ObjectState {
    let pod = pod(name).owned_by(owner).labelled("app", owner);
    pod.condition("Ready", "False").state()
}

#[test]
fn the_sick_pods_of_one_owner_are_one_case() {
    let mut world = World::new()
        .has([
            sick("web-1", "web"),
            sick("web-2", "web"),
            deployment("web"),
        ])
        .finds("web-2", 60)
        .finds("web-1", 90);
    let cases = world.tick(120);
    assert_eq!(cases.len(), 1);
    let member = &cases[0].owners[0];
    assert_eq!(
        (member.owner.kind.as_str(), member.since),
        ("Deployment", at(60))
    );
    let names: Vec<_> = member.sick.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(names, ["web-2", "web-1"]);
    assert_eq!(member.severity, Severity::Warning);
    assert_eq!((cases[0].opened_at, cases[0].at), (at(60), at(120)));
}

#[test]
fn two_unrelated_failures_at_once_stay_two() {
    let mut world = World::new()
        .has([
            sick("web-1", "web"),
            sick("cart-1", "cart"),
            bare_node("node-1"),
        ])
        .finds("web-1", 61)
        .finds("cart-1", 60);
    assert_eq!(world.owners(120), [["cart"], ["web"]]);
}

#[test]
fn a_node_that_fails_is_one_case_whoever_runs_on_it() {
    let names: Vec<String> = (0..200).map(|n| format!("app-{n:03}")).collect();
    let pods = names.iter().map(|name| {
        let pod = pod(&format!("{name}-1")).owned_by(name).on("node-9");
        pod.condition("Ready", "False").state()
    });
    let mut world = World::new()
        .has(pods)
        .has([down("node-9", 100), bare_node("node-1")]);
    for (n, name) in (0_i64..).zip(&names) {
        world.find(&format!("{name}-1"), 70 + n);
    }
    let cases = world.tick(400);
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].owners.len(), 200);
    assert!(cases[0].evidence.len() <= 32);
}

#[test]
fn nodes_that_fail_together_are_one_case_and_one_that_fails_later_is_another() {
    let ill = |n: u8| {
        let pod = pod(&format!("p{n}"))
            .owned_by(&format!("d{n}"))
            .on(&format!("n{n}"));
        pod.condition("Ready", "False").state()
    };
    let mut world = World::new()
        .has([
            ill(1),
            ill(2),
            ill(3),
            down("n1", 100),
            down("n2", 160),
            down("n3", 900),
        ])
        .finds("p1", 100)
        .finds("p2", 160)
        .finds("p3", 900);
    assert_eq!(world.owners(1000), [vec!["d1", "d2"], vec!["d3"]]);
}

#[test]
fn a_crash_loop_everywhere_is_not_put_down_to_one_of_its_nodes() {
    let on = |n: u8, node: &str| {
        let pod = pod(&format!("web-{n}")).owned_by("web").on(node);
        pod.condition("Ready", "False").state()
    };
    let other = pod("cart-1")
        .owned_by("cart")
        .on("n1")
        .condition("Ready", "False");
    let mut world = World::new()
        .has([on(1, "n1"), on(2, "n2"), on(3, "n3"), other.state()])
        .has([down("n1", 100), bare_node("n2"), bare_node("n3")]);
    for (name, since) in [
        ("web-1", 111),
        ("web-2", 111),
        ("web-3", 111),
        ("cart-1", 110),
    ] {
        world.find(name, since);
    }
    assert_eq!(world.owners(200), [["cart"], ["web"]]);
}

#[test]
fn what_was_sick_long_before_its_node_has_another_cause() {
    let on = |name: &str| pod(name).owned_by(&name.replace("-1", "")).on("n1").state();
    let mut world = World::new()
        .has([on("old-1"), on("new-1"), on("next-1"), down("n1", 1000)])
        .finds("old-1", 60)
        .finds("new-1", 1010)
        .finds("next-1", 1020);
    assert_eq!(world.owners(1100), [vec!["old"], vec!["new", "next"]]);
}

#[test]
fn pods_that_find_no_place_after_their_node_fell_over_belong_to_its_case() {
    let mut stuck = pod("web-1").owned_by("web").on("n1").state();
    stuck.terminating = true;
    let waits = pod("web-2")
        .owned_by("web")
        .on("")
        .condition("Ready", "False");
    let other = pod("cart-1")
        .owned_by("cart")
        .on("n1")
        .condition("Ready", "False");
    let mut world = World::new()
        .has([stuck, waits.state(), other.state(), down("n1", 100)])
        .finds("web-2", 420)
        .finds("cart-1", 110);
    assert_eq!(world.owners(500), [["cart", "web"]]);
}

#[test]
fn who_calls_what_failed_first_belongs_to_its_case_over_any_number_of_steps() {
    let calling = |name: &str, called: &str| {
        let pod = pod(&format!("{name}-1"))
            .owned_by(name)
            .labelled("app", name);
        pod.calls(called).condition("Ready", "False").state()
    };
    let world = || {
        World::new()
            .has([
                sick("db-1", "db"),
                calling("cart", "db"),
                calling("web", "cart"),
            ])
            .has([
                service("db", "db"),
                service("cart", "cart"),
                service("web", "web"),
            ])
    };
    let mut cascade = world()
        .finds("db-1", 60)
        .finds("cart-1", 120)
        .finds("web-1", 300);
    assert_eq!(cascade.owners(400), [["db", "cart", "web"]]);
    let mut caller_first = world().finds("db-1", 120).finds("cart-1", 60);
    assert_eq!(caller_first.owners(400), [["cart"], ["db"]]);
    let mut much_later = world().finds("db-1", 60).finds("cart-1", 361);
    assert_eq!(much_later.owners(400), [["db"], ["cart"]]);
}

#[test]
fn a_service_in_trouble_is_one_with_whom_it_sends_to() {
    let mut world = World::new()
        .has([
            sick("web-1", "web"),
            sick("cart-1", "cart"),
            service("front", "web"),
        ])
        .finds("web-1", 90)
        .finds("front", 60)
        .finds("cart-1", 50);
    assert_eq!(world.owners(200), [vec!["cart"], vec!["front", "web"]]);
}

#[test]
fn a_missing_reference_joins_whom_it_holds_up_and_nobody_else() {
    let held = |name: &str, reason: &str| {
        let pod = pod(&format!("{name}-1")).owned_by(name);
        pod.needs("ConfigMap", "common", "env")
            .waiting(reason)
            .state()
    };
    let mut world = World::new()
        .has([
            held("a", "CreateContainerConfigError"),
            held("b", "CreateContainerConfigError"),
        ])
        .has([held("c", "CrashLoopBackOff")])
        .finds("a-1", 60)
        .finds("b-1", 90)
        .finds("c-1", 60);
    assert_eq!(world.owners(200), [vec!["a", "b"], vec!["c"]]);
}

#[test]
fn workloads_of_one_release_that_break_at_its_rollout_are_one_case() {
    let released = |name: &str| {
        let mut state = deployment(name);
        let label = ("app.kubernetes.io/instance".to_owned(), "shop".to_owned());
        state.labels.extend([label]);
        state
    };
    let rolled = |name: &str, second: i64| {
        [
            revision(name, (1, 0), &[("image", "a:1")]),
            revision(name, (2, second), &[("image", &format!("{name}:2"))]),
        ]
    };
    let mut world = World::new()
        .has([released("a"), released("b"), released("c")])
        .has(rolled("a", 1000))
        .has(rolled("b", 1100))
        .has([sick("a-x", "a"), sick("b-x", "b"), sick("c-x", "c")])
        .finds("a-x", 1050)
        .finds("b-x", 1160)
        .finds("c-x", 1165);
    assert_eq!(world.owners(1200), [vec!["a", "b"], vec!["c"]]);
}

#[test]
fn a_case_keeps_its_name_while_owners_come_and_go() {
    let ill = |n: u8| {
        let pod = pod(&format!("p{n}")).owned_by(&format!("d{n}")).on("n1");
        pod.condition("Ready", "False").state()
    };
    let mut world = World::new()
        .has([ill(1), ill(2), down("n1", 100)])
        .finds("p1", 100);
    let first = world.tick(120).remove(0);
    world.find("p2", 150);
    let both = world.tick(165).remove(0);
    world.forget("p1");
    world.put([bare_node("n1")]);
    let later = world.tick(180).remove(0);
    let names = [&first, &both, &later].map(|case| case.owners.len());
    assert_eq!(names, [1, 2, 1]);
    assert_eq!([&both.id, &later.id], [&first.id, &first.id]);
    assert_eq!(later.opened_at, at(100));
    world.forget("p2");
    assert_eq!(world.tick(195), []);
    assert!(world.cases.is_empty());
    world.find("p2", 210);
    assert_ne!(world.tick(225)[0].id, first.id);
}

#[test]
fn a_case_does_not_fall_apart_when_its_node_is_back_before_its_pods_are() {
    let ill = |n: u8| {
        pod(&format!("p{n}"))
            .owned_by(&format!("d{n}"))
            .on("n1")
            .state()
    };
    let mut world = World::new()
        .has([ill(1), ill(2), down("n1", 100)])
        .finds("p1", 100)
        .finds("p2", 130);
    assert_eq!(world.owners(150), [["d1", "d2"]]);
    world.put([bare_node("n1")]);
    assert_eq!(world.owners(165), [["d1", "d2"]]);
}

#[test]
fn cases_that_turn_out_to_be_one_go_on_under_the_oldest_name() {
    let mut world = World::new()
        .has([sick("db-1", "db"), service("db", "db")])
        .has([pod("web-1").owned_by("web").labelled("app", "web").state()])
        .finds("db-1", 60)
        .finds("web-1", 90);
    let before = world.tick(120);
    assert_eq!(before.len(), 2);
    world.put([pod("web-1")
        .owned_by("web")
        .labelled("app", "web")
        .calls("db")
        .state()]);
    let after = world.tick(135);
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].id, before[0].id);
    assert_eq!(world.cases.len(), 1);
}

#[test]
fn an_analyzer_that_starts_anew_gives_the_same_cases() {
    let ill = |n: u8| {
        pod(&format!("p{n}"))
            .owned_by(&format!("d{n}"))
            .on("n1")
            .state()
    };
    let world = || {
        World::new()
            .has([ill(1), ill(2), ill(3), down("n1", 100)])
            .has([sick("other-1", "other")])
    };
    let mut live = world();
    let mut last = Vec::new();
    for (second, name) in [(100, "p1"), (115, "other-1"), (130, "p2"), (145, "p3")] {
        live.find(name, second);
        last = live.tick(second);
    }
    let mut anew = world();
    anew.episodes = live.episodes.clone();
    assert_eq!(format!("{:?}", anew.tick(145)), format!("{last:?}"));
    assert_eq!(last.len(), 2);
}
