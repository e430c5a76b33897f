//! One run: what a seed decides happens to the actuators of a scene.

use std::time::{Duration, Instant};

use fastrand::Rng;
use schemas::action::HealingAction;
use tokio::time::timeout;

use super::scene::{Remedy, Scene, Servers, Wants, labels_of, signal};
use super::tally::{Tally, tally};
use crate::AuditLog;
use crate::proxy::{Asked, Class, Effect, Fault, Faults, Held, Label, Proxy, Write};
use tokio::sync::oneshot::Receiver;

/// How long a write that is to be held may take to come by; then the run goes on without. It
/// comes within seconds, or every action ends before it; a machine that does much else, on which
/// an actuator takes long to start and to get its lease, needs the rest.
const COMES_BY: Duration = Duration::from_mins(1);

/// How many instants are drawn for one kill: most actions pass some of them soon.
const INSTANTS: usize = 5;

/// How long actions may take to end. An action gives up by itself after less.
const ENDS: Duration = Duration::from_mins(4);

/// A lease that is lost soon.
const SHORT_LEASE: [&str; 2] = ["--lease-seconds", "3"];

/// What a run left behind, to be counted.
pub struct Run<'a> {
    scene: Scene<'a>,
    ended: Result<Vec<HealingAction>, String>,
    /// Where the actuator was killed, or stopped past its lease.
    pub struck: Vec<Label>,
    /// What went wrong on the way.
    pub troubles: Vec<(Fault, Asked)>,
    /// How long it took, from actuators that start to actions that ended.
    pub took: Duration,
}

impl Run<'_> {
    /// Counts it.
    pub fn tally(&self, log: &AuditLog) -> Tally {
        match &self.ended {
            Ok(actions) => tally(&self.scene, actions, &self.troubles, log),
            Err(why) => Tally {
                wrong: vec![format!("{}: {why}", self.scene.namespace())],
                ..Tally::default()
            },
        }
    }
}

/// Five actions are allowed and six are asked for.
const WANTS: Wants = Wants {
    evict: 3,
    roll: 1,
    scale: 1,
    remove: 1,
    budget: 5,
};

/// Makes the run of `seed`. Of four seeds, two kill the only actuator, one kills
/// an actuator that has a second one beside it, and one stops an actuator until
/// another has taken over, and then lets its last write arrive.
pub async fn seeded<'a>(servers: &'a Servers<'a>, seed: u64) -> Run<'a> {
    let mut dice = Rng::with_seed(seed);
    let scene = Scene::set(servers, &format!("seed{seed}"), WANTS).await;
    let permille = dice.choice([0, 20, 40, 80]).unwrap_or_default();
    let faults = |seed| Faults {
        seed,
        permille,
        among: Fault::ALL.to_vec(),
        on: Class::ALL.to_vec(),
    };
    let (first, second) = (scene.proxy().await, scene.proxy().await);
    first.trouble(faults(seed));
    second.trouble(faults(!seed));
    scene.ask(&scene.wanted).await;
    let begun = Instant::now();
    let mut play = Play {
        scene: &scene,
        dice,
        struck: Vec::new(),
    };
    let ended = match seed % 4 {
        0 | 1 => play.killed(&first).await,
        2 => play.killed_beside(&first, &second).await,
        _ => play.overtaken(&first, &second).await,
    };
    let (struck, took) = (play.struck, begun.elapsed());
    let mut troubles = first.troubles();
    troubles.extend(second.troubles());
    Run {
        scene,
        ended,
        struck,
        troubles,
        took,
    }
}

struct Play<'p, 'a> {
    scene: &'p Scene<'a>,
    dice: Rng,
    struck: Vec<Label>,
}

type Stop = Receiver<Held>;
type Ended = Result<Vec<HealingAction>, String>;

impl Play<'_, '_> {
    /// Some instants in the lives of some actions, of which the first that comes counts.
    fn somewhere(&mut self) -> Vec<Label> {
        let all: Vec<_> = Remedy::ALL.into_iter().flat_map(labels_of).collect();
        let dice = &mut self.dice;
        (0..INSTANTS)
            .filter_map(|_| dice.choice(all.clone()))
            .collect()
    }

    /// The write that is held at `stop`, unless everything ends before one comes by.
    async fn comes_by(&self, stop: Stop) -> Option<Held> {
        tokio::select! {
            held = stop => held.ok(),
            _ = self.scene.ended(COMES_BY) => None,
        }
    }

    /// An actuator that is killed again and again, and started again at once.
    async fn killed(&mut self, proxy: &Proxy) -> Ended {
        let options = ["--lease-seconds", "15", "--warmup-seconds", "0"];
        for _ in 0..self.dice.usize(1..=3) {
            let stop = proxy.hold_at(self.somewhere(), self.dice.usize(..2));
            let mut actuator = self.scene.actuator(proxy, "only", &options);
            if let Some(held) = self.comes_by(stop).await {
                actuator.kill_hard();
                self.struck.push(held.label.clone());
            }
        }
        let last = self.scene.actuator(proxy, "only", &options);
        let ended = self.scene.ended(ENDS).await;
        ended.map_err(|why| format!("{why}; the actuator says:\n{}", last.logs_tail(30)))
    }

    /// One that is killed while another stands by.
    async fn killed_beside(&mut self, first: &Proxy, second: &Proxy) -> Ended {
        let stop = first.hold_at(self.somewhere(), self.dice.usize(..2));
        let mut actuator = self.scene.actuator(first, "first", &SHORT_LEASE);
        let _second = self.scene.actuator(second, "second", &SHORT_LEASE);
        if let Some(held) = self.comes_by(stop).await {
            actuator.kill_hard();
            self.struck.push(held.label.clone());
            drop(held);
            actuator = self.scene.actuator(first, "first", &SHORT_LEASE);
        }
        let ended = self.scene.ended(ENDS).await;
        drop(actuator);
        ended
    }

    /// One that is stopped with a write on its way, until another has taken over;
    /// then the write arrives, and the first one wakes up believing in its lease.
    async fn overtaken(&mut self, first: &Proxy, second: &Proxy) -> Ended {
        let effects = [Effect::Evict, Effect::Patch, Effect::Scale, Effect::Delete];
        let begins = Label::before(Write::Status("InProgress".to_owned()));
        let labels = if self.dice.bool() {
            effects
                .map(|effect| Label::before(Write::Effect(effect)))
                .to_vec()
        } else {
            vec![begins]
        };
        let stop = first.hold_at(labels, self.dice.usize(..4));
        let first_actuator = self.scene.actuator(first, "first", &SHORT_LEASE);
        let held = self.comes_by(stop).await;
        let _second = self.scene.actuator(second, "second", &SHORT_LEASE);
        if let Some(held) = held {
            signal(&first_actuator, "STOP");
            let taken = async {
                while self.scene.holder() != "second" {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            };
            let overtaken = timeout(COMES_BY, taken).await.is_ok();
            // long enough for the other to make the same write, or not: both must be right
            let rest = self.dice.u64(..3000);
            tokio::time::sleep(Duration::from_millis(rest)).await;
            if overtaken {
                self.struck.push(held.label.clone());
            }
            held.let_go();
            signal(&first_actuator, "CONT");
        }
        let ended = self.scene.ended(ENDS).await;
        drop(first_actuator);
        ended
    }
}
