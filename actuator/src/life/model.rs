//! The life of an action, model-checked.
//!
//! The checker goes through every order of what two actuators do, of what the
//! network, a lease, a crash and a person do to them, within the bounds of each
//! scenario; what an actuator decides is asked of the production functions.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use schemas::action::Phase;
use stateright::{Checker as _, HasDiscoveries, Model, Property};

mod mind;
mod turn;
mod world;

use mind::{Mind, Pod, Remedied, Thing};
use turn::{Event, after, ends, events};
use world::{Driver, Left, Life, Pass, World, Wrong};

const SOUND: Driver = Driver {
    reads_back: true,
    versions: true,
    claims: true,
    uids: true,
    notes: false,
    locks: true,
    own_claim: true,
    strict: false,
};

/// Whether a world has come to something.
type Reached = fn(&Scenario, &World) -> bool;

const SUCCEEDED: (&str, Reached) = ("Succeeded", |model, world| {
    model.is_reached(world, Phase::Succeeded)
});
const FAILED: (&str, Reached) = ("Failed", |model, world| {
    model.is_reached(world, Phase::Failed)
});
const ROLLED_BACK: (&str, Reached) = ("RolledBack", |model, world| {
    model.is_reached(world, Phase::RolledBack)
});
const CANCELLED: (&str, Reached) = ("Cancelled", |model, world| {
    model.is_reached(world, Phase::Cancelled)
});

/// A scenario, and the driver that lives in it.
struct Scenario {
    remedy: Remedied,
    actions: usize,
    /// The instant at which it begins.
    starts: u8,
    fine: bool,
    /// Who holds the lease at first.
    holder: u8,
    left: Left,
    /// What a person may set the count to.
    counts: &'static [i32],
    reached: &'static [(&'static str, Reached)],
    driver: Driver,
    mind: Mutex<Mind>,
    ending: Mutex<HashSet<World>>,
}

impl Scenario {
    fn new(remedy: Remedied, left: Left) -> Self {
        Self {
            remedy,
            actions: 1,
            starts: 1,
            fine: false,
            holder: 0,
            left,
            counts: &[5],
            reached: &[],
            driver: SOUND,
            mind: Mutex::new(Mind::new(remedy, 15)),
            ending: Mutex::default(),
        }
    }

    fn mind(&self) -> MutexGuard<'_, Mind> {
        self.mind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self, world: &World) -> bool {
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        world.wrong.is_some() || ends(world, &mut self.mind(), self.driver, &mut ending)
    }

    fn is_reached(&self, world: &World, phase: Phase) -> bool {
        let mind = self.mind();
        let mut lives = world.lives.iter();
        lives.any(|life| mind.status(life.status).phase == phase)
    }
}

impl Model for Scenario {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let thing = Thing {
            pod: Pod::Old,
            stamp: false,
            replicas: 2,
        };
        let status = if self.remedy == Remedied::Hook {
            self.mind().hooked()
        } else {
            0
        };
        let life = Life {
            status,
            thing,
            effects: 0,
            undone: 0,
            theirs: false,
        };
        vec![World {
            at: self.starts,
            lives: vec![life; self.actions],
            passes: [
                vec![Pass::Idle; self.actions],
                vec![Pass::Idle; self.actions],
            ],
            stray: None,
            holder: self.holder,
            since: 0,
            notes: vec![None; self.actions],
            breaching: true,
            fine: self.fine,
            left: self.left,
            wrong: None,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Event>) {
        if world.wrong.is_none() {
            actions.extend(events(world, &self.mind(), self.remedy, self.counts));
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let next = after(world, &mut self.mind(), self.driver, event);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("no effect twice", |_, world: &World| {
                world.wrong != Some(Wrong::Twice)
            }),
            Property::always(
                "no call without its intent on record",
                |_, world: &World| world.wrong != Some(Wrong::NoIntent),
            ),
            Property::always("no effect after the end", |_, world: &World| {
                world.wrong != Some(Wrong::AfterEnd)
            }),
            Property::always("no budget exceeded", |_, world: &World| {
                world.wrong != Some(Wrong::Budget)
            }),
            Property::always("no end is left", |_, world: &World| {
                world.wrong != Some(Wrong::LeftEnd)
            }),
            Property::always("what a person changed is theirs", |_, world: &World| {
                world.wrong != Some(Wrong::Overwrote)
            }),
            Property::always("what was done is not denied", |_, world: &World| {
                world.wrong != Some(Wrong::Untrue)
            }),
            Property::always("every action ends", |model: &Self, world: &World| {
                model.ends(world)
            }),
        ];
        let reached = self.reached.iter();
        properties.extend(reached.map(|(name, is_reached)| Property::sometimes(name, *is_reached)));
        properties
    }
}

/// Goes through all of it, and fails with the way that led there.
#[expect(
    clippy::print_stdout,
    reason = "how much was gone through is part of the result"
)]
fn holds(name: &str, scenario: Scenario) {
    let checker = scenario.checker().spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states, depth {depth}");
    assert!(checker.is_done(), "not gone through");
    checker.assert_properties();
}

/// Looks for a way in which a driver that forgets something does `wrong`.
#[expect(
    clippy::print_stdout,
    reason = "how much was gone through is part of the result"
)]
fn breaks(wrong: &'static str, scenario: Scenario) {
    let only = HasDiscoveries::AnyOf([wrong].into());
    let checker = scenario.checker().finish_when(only).spawn_bfs().join();
    let states = checker.unique_state_count();
    let way = checker.discovery(wrong);
    let way = way.unwrap_or_else(|| panic!("{wrong}: not broken in {states} states"));
    println!(
        "{wrong}: broken after {} events: {:?}",
        way.clone().into_actions().len(),
        way.into_actions()
    );
}

fn eviction(driver: Driver) -> Scenario {
    let left = Left {
        faults: 2,
        moves: 1,
        reports: 1,
        people: 0,
        ticks: 1,
    };
    Scenario {
        driver,
        ..Scenario::new(Remedied::Evict, left)
    }
}

fn scaling(driver: Driver) -> Scenario {
    let left = Left {
        faults: 1,
        moves: 1,
        reports: 1,
        people: 1,
        ticks: 2,
    };
    Scenario {
        driver,
        starts: 2,
        ..Scenario::new(Remedied::Scale, left)
    }
}

fn hook(driver: Driver) -> Scenario {
    let left = Left {
        faults: 2,
        moves: 2,
        reports: 1,
        people: 0,
        ticks: 1,
    };
    Scenario {
        driver,
        ..Scenario::new(Remedied::Hook, left)
    }
}

fn two_actions(driver: Driver, warmup: i64) -> Scenario {
    let left = Left {
        faults: 0,
        moves: 1,
        reports: 0,
        people: 0,
        ticks: 1,
    };
    Scenario {
        actions: 2,
        driver,
        mind: Mutex::new(Mind::new(Remedied::Evict, warmup)),
        ..Scenario::new(Remedied::Evict, left)
    }
}

#[test]
fn an_eviction_happens_once_whatever_fails() {
    let mut scenario = eviction(SOUND);
    scenario.reached = &[SUCCEEDED, CANCELLED];
    holds("eviction", scenario);
}

#[test]
fn a_scaling_happens_once_and_is_taken_back_unless_it_is_somebody_elses_by_then() {
    let mut scenario = scaling(SOUND);
    scenario.reached = &[SUCCEEDED, FAILED, ROLLED_BACK, CANCELLED];
    holds("scaling", scenario);
}

#[test]
fn a_budget_of_one_starts_one_of_two_actions() {
    holds("budget", two_actions(SOUND, 15));
}

#[test]
fn a_webhook_is_called_at_most_once() {
    let mut scenario = hook(SOUND);
    scenario.reached = &[SUCCEEDED, FAILED, CANCELLED];
    holds("webhook", scenario);
}

#[test]
fn without_reading_back_what_was_done_is_denied() {
    let driver = Driver {
        reads_back: false,
        ..SOUND
    };
    breaks("what was done is not denied", eviction(driver));
}

#[test]
fn without_versions_an_end_is_left() {
    let driver = Driver {
        versions: false,
        ..SOUND
    };
    breaks("no end is left", eviction(driver));
}

#[test]
fn without_the_uid_another_pod_is_evicted() {
    let driver = Driver {
        uids: false,
        ..SOUND
    };
    breaks("no effect twice", eviction(driver));
}

#[test]
fn without_a_claim_a_webhook_is_called_twice() {
    let driver = Driver {
        claims: false,
        ..SOUND
    };
    breaks("no effect twice", hook(driver));
}

#[test]
fn a_claim_that_goes_on_with_a_newer_version_leaves_an_end() {
    let driver = Driver {
        own_claim: false,
        ..SOUND
    };
    breaks("no end is left", hook(driver));
}

#[test]
fn without_the_lock_the_budget_is_exceeded() {
    let driver = Driver {
        locks: false,
        ..SOUND
    };
    breaks("no budget exceeded", two_actions(driver, 15));
}

/// A write that its sender has given up lands after the next one was reserved.
#[test]
fn without_a_note_on_the_lease_a_late_write_exceeds_the_budget() {
    let driver = Driver {
        notes: false,
        ..SOUND
    };
    let mut scenario = two_actions(driver, 15);
    scenario.left.faults = 1;
    breaks("no budget exceeded", scenario);
}

#[test]
fn with_a_note_on_the_lease_a_late_write_does_not_exceed_the_budget() {
    let driver = Driver {
        notes: true,
        ..SOUND
    };
    let mut scenario = two_actions(driver, 15);
    scenario.left.faults = 1;
    scenario.left.moves = 0;
    holds("budget with notes", scenario);
}

#[test]
fn without_a_warm_up_the_budget_is_exceeded() {
    let mut scenario = two_actions(SOUND, 0);
    // By the other's clock, which is ahead, every report would be too old for the successor.
    scenario.holder = 1;
    breaks("no budget exceeded", scenario);
}

/// Known, and told in docs/architecture.md: nothing but the version of the
/// action could fence a call, and an eviction does not carry it.
#[test]
fn an_eviction_may_come_after_its_action_was_cancelled() {
    let driver = Driver {
        strict: true,
        ..SOUND
    };
    breaks("no effect after the end", eviction(driver));
}

/// Known, and told in docs/architecture.md: the scale subresource takes no
/// stamp, so a count that a person has set back looks like one never changed.
#[test]
fn a_scaling_whose_answer_was_lost_and_that_a_person_took_back_is_made_again() {
    let mut scenario = scaling(SOUND);
    scenario.counts = &[2];
    breaks("what a person changed is theirs", scenario);
}
