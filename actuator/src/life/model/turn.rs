//! What can happen next in a world, and what it makes of it.

use std::collections::HashSet;

use super::{
    mind::{Answer, Decision, Effect, Id, Mind, Pod, Question, Remedied},
    world::{Driver, Known, Left, Pass, Stray, World, decide},
};

/// Something that happens. Actuators and actions are named by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// A pass begins: the action is read.
    Begin(u8, u8),
    /// A pass begins, and reads everything at one instant.
    Look(u8, u8),
    /// The rest is read; the other action from a cache that may know nothing yet.
    Gather(u8, u8, Cache),
    /// The pass does what follows.
    Act(u8, u8),
    /// What is on its way arrives, and the answer too.
    Land(u8, u8),
    /// It arrives, and the answer is lost.
    LoseAnswer(u8, u8),
    /// It is lost.
    LoseRequest(u8, u8),
    /// It arrives later than its sender waits.
    Delay(u8, u8),
    /// It arrives, and once more later.
    Duplicate(u8, u8),
    /// It is refused, for now or for good.
    Refuse(u8, u8, Answer),
    /// A stray request arrives, or never does.
    Stray { arrives: bool },
    /// An actuator ends at once, and starts anew.
    Crash(u8),
    /// The lease changes hands.
    Move,
    /// Time goes on.
    Tick,
    /// The trigger's value is bad, or good, from now on.
    Report,
    /// The controller puts another pod in the place of the one that is going.
    Replace(u8),
    /// A person sets the count.
    Person(u8, i32),
}

/// What a pass first sees of the other action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cache {
    Stale,
    Current,
}

fn place(who: u8, action: u8) -> (usize, usize) {
    (usize::from(who), usize::from(action))
}

/// Everything that can happen in `world`.
pub(super) fn events(world: &World, mind: &Mind, remedy: Remedied, counts: &[i32]) -> Vec<Event> {
    let mut events = Vec::new();
    for who in 0..2 {
        for action in 0..u8::try_from(world.lives.len()).unwrap() {
            of_pass(world, mind, (who, action), &mut events);
        }
        let is_busy = |pass: &Pass| !matches!(pass, Pass::Idle | Pass::Read { .. });
        if world.left.faults > 0 && world.passes[usize::from(who)].iter().any(is_busy) {
            events.push(Event::Crash(who));
        }
    }
    if world.stray.is_some() {
        events.push(Event::Stray { arrives: true });
        events.push(Event::Stray { arrives: false });
    }
    if world.left.moves > 0 {
        events.push(Event::Move);
    }
    if world.left.ticks > 0 && !world.is_reserving() {
        events.push(Event::Tick);
    }
    if world.left.reports > 0 {
        events.push(Event::Report);
    }
    for (life, action) in world.lives.iter().zip(0..) {
        if life.thing.pod == Pod::Going {
            events.push(Event::Replace(action));
        }
        if world.left.people > 0 && remedy == Remedied::Scale {
            let counts = counts.iter().filter(|count| **count != life.thing.replicas);
            events.extend(counts.map(|count| Event::Person(action, *count)));
        }
    }
    events
}

fn of_pass(world: &World, mind: &Mind, (who, action): (u8, u8), events: &mut Vec<Event>) {
    let (w, a) = place(who, action);
    match world.passes[w][a] {
        Pass::Idle => {
            let status = world.lives[a].status;
            let is_over = mind.status(status).phase.is_final();
            if world.holder == who && !is_over && !mind.rests(status, who, world.at) {
                events.push(if world.fine {
                    Event::Begin(who, action)
                } else {
                    Event::Look(who, action)
                });
            }
        }
        Pass::Read { .. } => {
            events.push(Event::Gather(who, action, Cache::Current));
            if world.lives.len() > 1 {
                events.push(Event::Gather(who, action, Cache::Stale));
            }
        }
        Pass::Gathered(_) | Pass::Reserving(_) | Pass::Claimed(..) | Pass::Answered(..) => {
            events.push(Event::Act(who, action));
        }
        Pass::Writing(..) => {
            events.push(Event::Land(who, action));
            if world.left.faults > 0 {
                events.push(Event::LoseRequest(who, action));
                if world.stray.is_none() {
                    events.push(Event::Delay(who, action));
                }
            }
        }
        Pass::Calling(_, effect) => {
            events.push(Event::Land(who, action));
            if world.left.faults > 0 {
                events.push(Event::LoseAnswer(who, action));
                events.push(Event::LoseRequest(who, action));
                events.push(Event::Refuse(who, action, Answer::Forbidden));
                if effect == Effect::Evict {
                    events.push(Event::Refuse(who, action, Answer::Blocked));
                }
                if world.stray.is_none() {
                    events.push(Event::Delay(who, action));
                    if effect != Effect::Hook {
                        events.push(Event::Duplicate(who, action));
                    }
                }
            }
        }
    }
}

/// The world after `event`.
pub(super) fn after(before: &World, mind: &mut Mind, driver: Driver, event: Event) -> World {
    let mut world = before.clone();
    let left = &mut world.left;
    match event {
        Event::Begin(who, action) => begin(&mut world, who, action),
        Event::Look(who, action) => {
            begin(&mut world, who, action);
            gather(&mut world, (who, action), Cache::Stale);
        }
        Event::Gather(who, action, cache) => gather(&mut world, (who, action), cache),
        Event::Act(who, action) => act(&mut world, mind, driver, (who, action)),
        Event::Land(who, action) => arrive(&mut world, mind, driver, (who, action)),
        Event::LoseAnswer(..)
        | Event::LoseRequest(..)
        | Event::Delay(..)
        | Event::Duplicate(..)
        | Event::Refuse(..) => {
            left.faults -= 1;
            disturb(&mut world, mind, driver, event);
        }
        Event::Stray { arrives } => come_late(&mut world, mind, driver, arrives),
        Event::Crash(who) => {
            left.faults -= 1;
            cut(&mut world, who);
            if world.holder == who {
                world.since = world.at;
            }
        }
        Event::Move => {
            left.moves -= 1;
            world.holder = 1 - world.holder;
            world.since = world.at;
        }
        Event::Tick => tick(&mut world),
        Event::Report => {
            left.reports -= 1;
            world.breaching = !world.breaching;
        }
        Event::Replace(action) => {
            world.lives[usize::from(action)].thing.pod = Pod::New(world.at);
            world.touch(action);
        }
        Event::Person(action, count) => {
            left.people -= 1;
            let life = &mut world.lives[usize::from(action)];
            life.thing.replicas = count;
            life.theirs = mind.status(life.status).started_at.is_some();
            world.touch(action);
        }
    }
    world
}

/// The network, or the API server, does not do what is expected of it.
fn disturb(world: &mut World, mind: &Mind, driver: Driver, event: Event) {
    match event {
        Event::LoseAnswer(who, action) => {
            arrive(world, mind, driver, (who, action));
            unanswered(world, (who, action));
        }
        Event::LoseRequest(who, action) => {
            unanswered(world, (who, action));
        }
        Event::Delay(who, action) => {
            stray(world, (who, action));
            unanswered(world, (who, action));
        }
        Event::Duplicate(who, action) => {
            stray(world, (who, action));
            arrive(world, mind, driver, (who, action));
        }
        Event::Refuse(who, action, answer) => {
            let (w, a) = place(who, action);
            if let Pass::Calling(known, _) = world.passes[w][a] {
                world.passes[w][a] = Pass::Answered(known, answer);
            }
        }
        Event::Begin(..)
        | Event::Look(..)
        | Event::Gather(..)
        | Event::Act(..)
        | Event::Land(..)
        | Event::Stray { .. }
        | Event::Crash(_)
        | Event::Move
        | Event::Tick
        | Event::Report
        | Event::Replace(_)
        | Event::Person(..) => {}
    }
}

/// What nobody waits for any more arrives, or never does.
fn come_late(world: &mut World, mind: &Mind, driver: Driver, arrives: bool) {
    match world.stray.take().filter(|_| arrives) {
        Some(Stray::Call(_, known, effect)) => {
            world.land(driver, &known, effect);
        }
        Some(Stray::Write(_, known, to)) => {
            world.write(mind, driver, &known, to);
        }
        None => {}
    }
}

/// Time goes on. A pass ends after a minute, whatever it waits for.
pub(super) fn tick(world: &mut World) {
    world.left.ticks = world.left.ticks.saturating_sub(1);
    world.at += 1;
    if world.at > 2 {
        cut(world, 0);
        cut(world, 1);
    }
}

/// Ends all passes of `who`. What is on its way may still arrive.
fn cut(world: &mut World, who: u8) {
    for action in 0..u8::try_from(world.lives.len()).unwrap() {
        if world.stray.is_none() {
            stray(world, (who, action));
        }
        world.passes[usize::from(who)][usize::from(action)] = Pass::Idle;
    }
}

fn stray(world: &mut World, (who, action): (u8, u8)) {
    let (w, a) = place(who, action);
    match world.passes[w][a] {
        Pass::Calling(known, effect) => world.stray = Some(Stray::Call(who, known, effect)),
        Pass::Writing(known, to) => world.stray = Some(Stray::Write(who, known, to)),
        Pass::Idle
        | Pass::Read { .. }
        | Pass::Gathered(_)
        | Pass::Reserving(_)
        | Pass::Claimed(..)
        | Pass::Answered(..) => {}
    }
}

/// The sender hears nothing: a call may have been made, and a write is tried again by a new pass.
fn unanswered(world: &mut World, (who, action): (u8, u8)) {
    let (w, a) = place(who, action);
    world.passes[w][a] = match world.passes[w][a] {
        Pass::Calling(known, _) | Pass::Answered(known, _) => Pass::Answered(known, Answer::Lost),
        Pass::Idle
        | Pass::Read { .. }
        | Pass::Gathered(_)
        | Pass::Reserving(_)
        | Pass::Writing(..)
        | Pass::Claimed(..) => Pass::Idle,
    };
}

fn begin(world: &mut World, who: u8, action: u8) {
    let (w, a) = place(who, action);
    world.passes[w][a] = Pass::Read {
        status: world.lives[a].status,
        fresh: true,
        at: world.at,
    };
}

fn gather(world: &mut World, (who, action): (u8, u8), cache: Cache) {
    let (w, a) = place(who, action);
    let Pass::Read { status, fresh, at } = world.passes[w][a] else {
        return;
    };
    let life = world.lives[a];
    let other = world.lives.get(1 - a).map(|other| other.status);
    let question = Question {
        who,
        action,
        status,
        thing: life.thing,
        breaching: world.breaching,
        read: at,
        gathered: world.at,
        since: (world.holder == who).then_some(world.since),
        other: other.filter(|_| cache == Cache::Current),
    };
    world.passes[w][a] = Pass::Gathered(Known {
        question,
        fresh,
        same: true,
        done: life.effects > life.undone,
        late: false,
    });
}

fn act(world: &mut World, mind: &mut Mind, driver: Driver, (who, action): (u8, u8)) {
    let (w, a) = place(who, action);
    let pass = match world.passes[w][a] {
        Pass::Gathered(known) => match decide(mind, driver, &known) {
            Decision::Nothing => Pass::Idle,
            Decision::Record(to) => {
                world.write(mind, driver, &known, to);
                Pass::Idle
            }
            Decision::Begin(_) if driver.locks && world.is_locked(who) => return,
            Decision::Begin(_) => {
                let mut known = known;
                known.question.other = promised(world, mind, driver, 1 - a);
                known.question.read = world.at;
                Pass::Reserving(known)
            }
            Decision::Claim(to, effect) if driver.claims => {
                if world.write(mind, driver, &known, to) {
                    let mut known = known;
                    (known.question.status, known.fresh) = (to, true);
                    Pass::Claimed(known, to, effect)
                } else {
                    Pass::Idle
                }
            }
            Decision::Claim(_, effect) | Decision::Call(effect) => send(world, mind, known, effect),
        },
        Pass::Reserving(known) => reserve(world, mind, driver, known),
        Pass::Claimed(mut known, _, effect) => {
            // Without the version that the claim wrote, the newest one is taken.
            known.fresh |= !driver.own_claim;
            send(world, mind, known, effect)
        }
        Pass::Answered(known, answer) => {
            if let Some(to) = mind.answered(&known.question, answer, world.at) {
                world.write(mind, driver, &known, to);
            }
            Pass::Idle
        }
        pass @ (Pass::Idle | Pass::Read { .. } | Pass::Writing(..) | Pass::Calling(..)) => pass,
    };
    world.passes[w][a] = pass;
}

/// The other action as it is, or as the lease says that it is about to be.
fn promised(world: &World, mind: &Mind, driver: Driver, other: usize) -> Option<Id> {
    let status = world.lives.get(other)?.status;
    let is_begun = mind.status(status).started_at.is_some();
    let noted = world.notes[other].filter(|_| driver.notes && !is_begun);
    Some(noted.unwrap_or(status))
}

fn reserve(world: &mut World, mind: &mut Mind, driver: Driver, known: Known) -> Pass {
    let Question { who, action, .. } = known.question;
    match decide(mind, driver, &known) {
        Decision::Begin(to) if world.holder == who => {
            world.notes[usize::from(action)] = Some(to);
            Pass::Writing(known, to)
        }
        Decision::Record(to) if world.holder == who => Pass::Writing(known, to),
        Decision::Begin(_)
        | Decision::Record(_)
        | Decision::Nothing
        | Decision::Claim(..)
        | Decision::Call(_) => Pass::Idle,
    }
}

fn send(world: &mut World, mind: &Mind, known: Known, effect: Effect) -> Pass {
    if world.holder == known.question.who {
        world.send(mind, known, effect)
    } else {
        Pass::Idle
    }
}

fn arrive(world: &mut World, mind: &Mind, driver: Driver, (who, action): (u8, u8)) {
    let (w, a) = place(who, action);
    world.passes[w][a] = match world.passes[w][a] {
        Pass::Calling(known, effect) => {
            let answer = world.land(driver, &known, effect);
            Pass::Answered(known, answer)
        }
        Pass::Writing(known, to) => {
            world.write(mind, driver, &known, to);
            Pass::Idle
        }
        pass @ (Pass::Idle
        | Pass::Read { .. }
        | Pass::Gathered(_)
        | Pass::Reserving(_)
        | Pass::Claimed(..)
        | Pass::Answered(..)) => pass,
    };
}

/// Whether every action ends once nothing goes wrong any more: the holder makes
/// its passes, controllers do their work and time goes on. `known` do.
pub(super) fn ends(
    world: &World,
    mind: &mut Mind,
    driver: Driver,
    known: &mut HashSet<World>,
) -> bool {
    let mut world = world.clone();
    world.left = Left::default();
    world.since = 0;
    let mut way = Vec::new();
    for _ in 0..200 {
        world.stray = None;
        let other = usize::from(1 - world.holder);
        world.passes[other].fill(Pass::Idle);
        let mut lives = world.lives.iter();
        let is_over = lives.all(|life| mind.status(life.status).phase.is_final());
        if is_over || known.contains(&world) {
            known.extend(way);
            return true;
        }
        way.push(world.clone());
        for action in 0..u8::try_from(world.lives.len()).unwrap() {
            whole_pass(&mut world, mind, driver, action);
        }
        if way.last() == Some(&world) {
            tick(&mut world);
        }
    }
    false
}

fn whole_pass(world: &mut World, mind: &mut Mind, driver: Driver, action: u8) {
    if world.lives[usize::from(action)].thing.pod == Pod::Going {
        *world = after(world, mind, driver, Event::Replace(action));
    }
    for _ in 0..6 {
        let mut events = Vec::new();
        of_pass(world, mind, (world.holder, action), &mut events);
        let Some(event) = events.first() else {
            return;
        };
        *world = after(world, mind, driver, *event);
        if world.passes[usize::from(world.holder)][usize::from(action)] == Pass::Idle {
            return;
        }
    }
}
