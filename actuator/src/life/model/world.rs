//! The world around the production functions: an API server, two actuators, a
//! lease, people, and what goes wrong.
//!
//! Versions are not counted: each pass remembers whether what it read was
//! written since, which is all that a precondition asks.

use schemas::action::Phase;

use super::mind::{Answer, Decision, Effect, Id, Mind, Pod, Question, Thing};

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wrong {
    /// An effect came twice.
    Twice,
    /// A call was sent without its intent on record.
    NoIntent,
    /// An effect came of a call that was sent after the end was on record.
    AfterEnd,
    /// More was started than the budget allows.
    Budget,
    /// A final phase was left.
    LeftEnd,
    /// What a person had changed was overwritten.
    Overwrote,
    /// What had been done was recorded as not done.
    Untrue,
}

/// Where a pass of an actuator over an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pass {
    Idle,
    /// The action was read.
    Read {
        status: Id,
        fresh: bool,
        at: u8,
    },
    /// The rest was read, so the decision is known.
    Gathered(Known),
    /// The history was read again, and the lock is held.
    Reserving(Known),
    /// The lease was looked at, and the intent is on its way.
    Writing(Known, Id),
    /// The claim is on record.
    Claimed(Known, Id, Effect),
    /// A call is on its way.
    Calling(Known, Effect),
    /// It was answered.
    Answered(Known, Answer),
}

/// What a pass knows.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Known {
    pub(super) question: Question,
    /// Nobody has written the action since it was read.
    pub(super) fresh: bool,
    /// Nobody has written the object since it was read.
    pub(super) same: bool,
    /// Whether the effect was there when the object was read.
    pub(super) done: bool,
    /// Whether the call was sent after the end was on record.
    pub(super) late: bool,
}

/// A request whose sender does not wait any more, or a copy of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stray {
    Call(u8, Known, Effect),
    Write(u8, Known, Id),
}

/// One action, and what it acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Life {
    pub(super) status: Id,
    pub(super) thing: Thing,
    /// Effects so far, and those that were taken back.
    pub(super) effects: u8,
    pub(super) undone: u8,
    /// A person has set the count since the action began.
    pub(super) theirs: bool,
}

/// How much may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) faults: u8,
    pub(super) moves: u8,
    pub(super) reports: u8,
    pub(super) people: u8,
    pub(super) ticks: u8,
}

/// The whole world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) at: u8,
    pub(super) lives: Vec<Life>,
    /// By actuator, then by action.
    pub(super) passes: [Vec<Pass>; 2],
    pub(super) stray: Option<Stray>,
    pub(super) holder: u8,
    pub(super) since: u8,
    /// What is promised on the lease itself, by action.
    pub(super) notes: Vec<Option<Id>>,
    pub(super) breaching: bool,
    /// Whether time passes between the reading of the action and that of the rest.
    pub(super) fine: bool,
    pub(super) left: Left,
    pub(super) wrong: Option<Wrong>,
}

/// What the driver does; each is a thing that it could forget.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Driver {
    /// Reads the object back before it calls.
    pub(super) reads_back: bool,
    /// Writes a status only over the one that was read.
    pub(super) versions: bool,
    /// Records that it begins a call that cannot be read back.
    pub(super) claims: bool,
    /// Names the UID that was judged.
    pub(super) uids: bool,
    /// Notes on the lease what it is about to start, before it writes that.
    pub(super) notes: bool,
    /// Reserves one action at a time.
    pub(super) locks: bool,
    /// Goes on with the very version that its claim wrote.
    pub(super) own_claim: bool,
    /// Not the driver's: whether an effect after the end counts as wrong.
    pub(super) strict: bool,
}

impl World {
    fn fail(&mut self, wrong: Wrong) {
        self.wrong.get_or_insert(wrong);
    }

    pub(super) fn is_locked(&self, who: u8) -> bool {
        let mut passes = self.passes[usize::from(who)].iter();
        passes.any(|pass| matches!(pass, Pass::Reserving(_) | Pass::Writing(..)))
    }

    /// Whether an intent is on its way. None is for longer than a warm-up.
    pub(super) fn is_reserving(&self) -> bool {
        let mut passes = self.passes.iter().flatten();
        let stray = matches!(self.stray, Some(Stray::Write(..)));
        stray || passes.any(|pass| matches!(pass, Pass::Writing(..)))
    }

    fn known(&mut self) -> impl Iterator<Item = &mut Known> {
        let passes = self.passes.iter_mut().flatten();
        let held = passes.filter_map(|pass| match pass {
            Pass::Idle | Pass::Read { .. } => None,
            Pass::Gathered(known)
            | Pass::Reserving(known)
            | Pass::Writing(known, _)
            | Pass::Claimed(known, ..)
            | Pass::Calling(known, _)
            | Pass::Answered(known, _) => Some(known),
        });
        let stray = self.stray.as_mut().map(|stray| match stray {
            Stray::Call(_, known, _) | Stray::Write(_, known, _) => known,
        });
        held.chain(stray)
    }

    /// The API server writes the status `to`. Whether it did.
    pub(super) fn write(&mut self, mind: &Mind, driver: Driver, known: &Known, to: Id) -> bool {
        let action = known.question.action;
        let life = &self.lives[usize::from(action)];
        let before = life.status;
        if known.question.status == to {
            return true;
        }
        if !known.fresh && driver.versions {
            return false;
        }
        let (old, new) = (mind.status(before), mind.status(to));
        if old.phase.is_final() {
            self.fail(Wrong::LeftEnd);
        }
        if known.done && matches!(new.phase, Phase::Cancelled | Phase::Denied) {
            self.fail(Wrong::Untrue);
        }
        self.lives[usize::from(action)].status = to;
        for other in self.known().filter(|k| k.question.action == action) {
            other.fresh = false;
        }
        for pass in self
            .passes
            .iter_mut()
            .map(|passes| &mut passes[usize::from(action)])
        {
            if let Pass::Read { fresh, .. } = pass {
                *fresh = false;
            }
        }
        let lives = self.lives.iter();
        let started = lives.filter(|life| mind.status(life.status).started_at.is_some());
        if started.count() > 1 {
            self.fail(Wrong::Budget);
        }
        true
    }

    /// Notes that the object of `action` was written.
    pub(super) fn touch(&mut self, action: u8) {
        for known in self.known().filter(|k| k.question.action == action) {
            known.same = false;
        }
    }

    /// The API server, or the webhook, gets a call.
    pub(super) fn land(&mut self, driver: Driver, known: &Known, effect: Effect) -> Answer {
        let action = usize::from(known.question.action);
        let life = self.lives[action];
        let so_far = life.effects;
        let answer = self.change(driver, known, effect);
        let effects = self.lives[action].effects;
        if effects > 1 {
            self.fail(Wrong::Twice);
        }
        if driver.strict && known.late && effects > so_far {
            self.fail(Wrong::AfterEnd);
        }
        answer
    }

    fn change(&mut self, driver: Driver, known: &Known, effect: Effect) -> Answer {
        let action = usize::from(known.question.action);
        let life = self.lives[action];
        match effect {
            Effect::Evict => match life.thing.pod {
                Pod::New(_) if driver.uids => return Answer::Overtaken,
                Pod::Going => return Answer::Made,
                Pod::Old | Pod::New(_) => self.lives[action].thing.pod = Pod::Going,
            },
            Effect::Stamp | Effect::Scale(..) if !known.same => return Answer::Lost,
            Effect::Stamp => {
                self.lives[action].thing.stamp = true;
                self.touch(known.question.action);
                return Answer::Made;
            }
            Effect::Scale(from, to) => {
                if life.theirs {
                    self.fail(Wrong::Overwrote);
                }
                self.lives[action].thing.replicas = to;
                if to < from {
                    self.lives[action].undone += 1;
                    self.touch(known.question.action);
                    return Answer::Made;
                }
            }
            Effect::Hook => {}
        }
        self.touch(known.question.action);
        self.lives[action].effects += 1;
        Answer::Made
    }

    /// Sends a call, if the lease is still held and the object takes it.
    pub(super) fn send(&mut self, mind: &Mind, mut known: Known, effect: Effect) -> Pass {
        let life = self.lives[usize::from(known.question.action)];
        let status = mind.status(life.status);
        if status.started_at.is_none() || status.plan.is_empty() {
            self.fail(Wrong::NoIntent);
        }
        known.late = status.phase.is_final();
        if let Effect::Scale(from, _) = effect {
            // The scale is read once more.
            if life.thing.replicas != from {
                return Pass::Answered(known, Answer::Overtaken);
            }
            known.same = true;
        }
        Pass::Calling(known, effect)
    }
}

/// What follows from what a pass knows. Without reading back, it acts on what it believed at first.
pub(super) fn decide(mind: &mut Mind, driver: Driver, known: &Known) -> Decision {
    let mut question = known.question;
    let is_begun = mind.status(question.status).phase == Phase::InProgress;
    if !driver.reads_back && is_begun {
        question.thing.pod = Pod::Old;
        question.breaching = true;
    }
    mind.decide(&question)
}
