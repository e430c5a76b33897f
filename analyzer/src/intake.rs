//! Feeds the analysis from the bus, in the order of the cut.
//!
//! A scrape says how far the objects and events streams had come when it was
//! taken; those messages, and only those, are applied before it is evaluated.
//! A start is a replay of the streams from far enough back, by the same code.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream;
use jiff::{SignedDuration, Timestamp};
use runtime::{bus::Bus, clock, health::Gate, lease::Lease, shutdown::Shutdown};
use schemas::{
    advice::Advice, alert::Alert, cluster_event::ClusterEvent, envelope::Envelope,
    object::ObjectState, outcome::Lesson, policy::HealingPolicy, subject::Stream,
};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use crate::{
    advise::consult::Consultants,
    analysis::{Analysis, Input, ModelName, View, span_of},
    config::{Options, Replay},
    emit::{Emission, SharedTold, lock},
    feed::{Feed, Item, Source},
    learn,
    policies::Policies,
    scrapes::{self, Message, Scrape, Scrapes},
    sizing,
    telemetry::{OfStream, Telemetry},
    told::Told,
};

/// Intervals without a scrape after which what is known counts as stale.
const STALE: i32 = 3;
/// How often staleness is looked for.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long episodes that have ended are remembered.
const TOLD_SPAN: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Where readiness is told.
#[derive(Clone, Debug)]
pub(crate) struct Gates {
    /// Each stream.
    pub(crate) samples: Gate,
    /// Each stream.
    pub(crate) objects: Gate,
    /// Each stream.
    pub(crate) events: Gate,
    /// Each stream.
    pub(crate) alerts: Gate,
    /// Each stream.
    pub(crate) advice: Gate,
    /// Each stream.
    pub(crate) journal: Gate,
    /// The last tick is fresh.
    pub(crate) ticks: Gate,
    /// Who holds the lease is known.
    pub(crate) lease: Gate,
}

/// What feeding the analysis takes.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The bus.
    pub(crate) bus: Bus,
    /// The options.
    pub(crate) options: Options,
    /// The models that may be asked.
    pub(crate) models: Vec<ModelName>,
    /// Where what models replied is heard as well.
    pub(crate) consultants: Consultants,
    /// What exists.
    pub(crate) policies: Policies,
    /// What was told before.
    pub(crate) told: SharedTold,
    /// Who acts.
    pub(crate) lease: Lease,
    /// Where readiness is told.
    pub(crate) gates: Gates,
    /// The instruments.
    pub(crate) telemetry: Telemetry,
    /// Where what follows goes.
    pub(crate) emissions: mpsc::Sender<Emission>,
}

/// How a run over the streams ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    ShutDown,
    /// A policy looks back further than the windows reach, or is the first to ask
    /// for recommended sizes: start over.
    TooShort,
}

/// Feeds the analysis until shutdown.
pub(crate) async fn run(parts: Parts, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.wait() => return,
        () = parts.policies.synced() => {}
    }
    loop {
        let policies = parts.policies.policies();
        let spans = span_of(&policies, &parts.options.bounds());
        let sizes = sizing::is_asked_for(&policies);
        let replay = parts.options.replay(spans, sizes);
        let session = shutdown.child();
        let ended = Intake::new(&parts, replay, &session).run(&shutdown).await;
        session.request();
        if ended == Ended::ShutDown {
            return;
        }
        tracing::info!("a policy looks back further than the windows reach; replaying");
    }
}

struct Intake<'a> {
    parts: &'a Parts,
    replay: Replay,
    analysis: Analysis,
    scrapes: Scrapes,
    samples: Feed<Message>,
    objects: Feed<(Box<ObjectState>, Timestamp)>,
    events: Feed<Box<ClusterEvent>>,
    alerts: Feed<Box<Envelope<Alert>>>,
    advice: Feed<Box<Advice>>,
    lessons: Feed<Box<Lesson>>,
    interval: SignedDuration,
    begun: Timestamp,
    caught_up: bool,
}

impl<'a> Intake<'a> {
    fn new(parts: &'a Parts, replay: Replay, shutdown: &Shutdown) -> Self {
        let now = clock::now();
        let back = |span: SignedDuration| Some(now.saturating_sub(span).unwrap_or(now));
        let source = |stream, from, gate: &Gate| Source {
            bus: parts.bus.clone(),
            stream,
            from,
            gate: gate.clone(),
            telemetry: parts.telemetry.clone(),
        };
        let gates = &parts.gates;
        let samples = source(Stream::Samples, back(replay.samples), &gates.samples);
        let objects = source(Stream::Objects, back(replay.objects), &gates.objects);
        let events = source(Stream::Events, back(replay.samples), &gates.events);
        let alerts = source(Stream::Alerts, None, &gates.alerts);
        let advice = source(Stream::Advice, None, &gates.advice);
        let lessons = source(Stream::Journal, back(learn::SPAN), &gates.journal);
        let settings = {
            let known = (parts.bus.cluster.as_str(), parts.models.clone());
            parts.options.settings(known, replay, now)
        };
        tracing::info!(
            samples_from = ?samples.from.map(|from| from.to_string()),
            evaluate_from = %settings.evaluate_from,
            "replaying"
        );
        Self {
            parts,
            replay,
            analysis: Analysis::new(settings),
            scrapes: Scrapes::default(),
            samples: Feed::follow(samples, read_shard, shutdown.clone()),
            objects: Feed::follow(objects, read_object, shutdown.clone()),
            events: Feed::follow(events, read_event, shutdown.clone()),
            alerts: Feed::follow(alerts, read_alert, shutdown.clone()),
            advice: Feed::follow(advice, read_advice, shutdown.clone()),
            lessons: Feed::follow(lessons, read_lesson, shutdown.clone()),
            interval: SignedDuration::from_secs(15),
            begun: now,
            caught_up: false,
        }
    }

    async fn run(mut self, shutdown: &Shutdown) -> Ended {
        tokio::select! {
            () = shutdown.wait() => return Ended::ShutDown,
            () = self.hear_all() => {}
        }
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.wait() => return Ended::ShutDown,
                item = self.samples.next() => self.take(item).await,
                _ = heartbeat.tick() => {
                    self.beat().await;
                    if self.is_too_short() {
                        return Ended::TooShort;
                    }
                }
            }
        }
    }

    /// Hears everything that was told before, to the end of the alerts stream.
    async fn hear_all(&mut self) {
        // Told anew: what another replica told since is heard again.
        *lock(&self.parts.told) = Told::default();
        loop {
            match self.alerts.next().await {
                Item::Message(_, event) => lock(&self.parts.told).hear(&event),
                Item::Reached(_) => break,
                Item::Skipped(_) | Item::Restarted => {}
            }
        }
        // What was replied, and what was learned, is known before the first decision as well.
        loop {
            match self.advice.next().await {
                Item::Message(_, advice) => self.take_advice(advice),
                Item::Reached(_) => break,
                Item::Skipped(_) | Item::Restarted => {}
            }
        }
        loop {
            match self.lessons.next().await {
                Item::Message(_, lesson) => self.take_in(Input::Lesson(lesson)),
                Item::Reached(_) => break,
                Item::Skipped(_) | Item::Restarted => {}
            }
        }
    }

    /// Hears what was told since the last time.
    fn hear(&mut self) {
        let mut told = lock(&self.parts.told);
        while let Some(item) = self.alerts.try_next() {
            if let Item::Message(_, event) = item {
                told.hear(&event);
            }
        }
        drop(told);
        while let Some(item) = self.advice.try_next() {
            if let Item::Message(_, advice) = item {
                self.take_advice(advice);
            }
        }
        while let Some(item) = self.lessons.try_next() {
            if let Item::Message(_, lesson) = item {
                self.take_in(Input::Lesson(lesson));
            }
        }
    }

    /// Takes in what a model replied, and what that took.
    fn take_advice(&mut self, advice: Box<Advice>) {
        self.parts.consultants.hear(&advice);
        self.take_in(Input::Advice(advice));
    }

    /// Takes in a message from which nothing follows before the next scrape.
    fn take_in(&mut self, input: Input) {
        let told = Told::default();
        let nothing = View {
            policies: &[],
            actions: &[],
            told: &told,
            live: false,
        };
        self.analysis.step(input, &nothing);
    }

    async fn take(&mut self, item: Item<Message>) {
        match item {
            Item::Message(_, Message::Nodes(nodes)) => self.apply(Input::Nodes(nodes)),
            Item::Message(_, Message::Containers(shard)) => {
                let taken = self.scrapes.take(shard);
                self.parts.telemetry.late.inc_by(u64::from(taken.late));
                for scrape in taken.scrapes {
                    self.evaluate(scrape).await;
                }
            }
            Item::Skipped(_) | Item::Reached(_) => {}
            Item::Restarted => self.scrapes.reset(),
        }
    }

    async fn evaluate(&mut self, scrape: Scrape) {
        self.apply_cut(&scrape).await;
        self.hear();
        let now = clock::now();
        self.interval = scrape.interval;
        let live = now.duration_since(scrape.at) <= self.interval * STALE;
        if live && !self.caught_up {
            self.caught_up = true;
            tracing::info!(tick = %scrape.at, "caught up");
        }
        let telemetry = &self.parts.telemetry;
        telemetry.gaps.inc_by(scrape.gap);
        let at = scrape.at;
        let policies = self.parts.policies.policies();
        let actions = self.parts.policies.actions();
        let begun = tokio::time::Instant::now();
        let outputs = {
            let mut told = lock(&self.parts.told);
            told.forget(at, TOLD_SPAN);
            let view = View {
                policies: &policies,
                actions: &actions,
                told: &told,
                live,
            };
            let analysis = &mut self.analysis;
            analysis.step(Input::Scrape(scrape), &view)
        };
        telemetry
            .evaluation_seconds
            .observe(begun.elapsed().as_secs_f64());
        self.count(at);
        self.send(at, outputs).await;
    }

    /// Takes in what leads to nothing before the next scrape.
    fn apply(&mut self, input: Input) {
        let told = Told::default();
        let nothing = View {
            policies: &[],
            actions: &[],
            told: &told,
            live: false,
        };
        self.analysis.step(input, &nothing);
    }

    /// Applies the objects and events that the collector had published before the scrape.
    async fn apply_cut(&mut self, scrape: &Scrape) {
        let Self {
            analysis,
            objects,
            events,
            parts,
            ..
        } = self;
        let told = Told::default();
        let nothing = View {
            policies: &[],
            actions: &[],
            told: &told,
            live: false,
        };
        let cut = scrape.cut;
        let objects_there = objects
            .up_to(cut.objects, |(state, told_at)| {
                analysis.step(Input::Object(state, told_at), &nothing);
            })
            .await;
        let events_there = events
            .up_to(cut.events, |event| {
                analysis.step(Input::Event(event), &nothing);
            })
            .await;
        for (there, stream) in [
            (objects_there, Stream::Objects),
            (events_there, Stream::Events),
        ] {
            if !there {
                let stream = stream.token();
                let labels = OfStream { stream };
                parts.telemetry.cut_timeouts.get_or_create(&labels).inc();
                tracing::warn!(stream, tick = %scrape.at, "messages of the cut did not come; passed over");
            }
        }
    }

    fn count(&self, at: Timestamp) {
        let telemetry = &self.parts.telemetry;
        let tally = self.analysis.tally();
        telemetry.rows.inc_by(tally.rows);
        telemetry.evicted.inc_by(tally.evicted);
        telemetry.late.inc_by(tally.late);
        telemetry.missing.inc_by(tally.missing);
        for reason in &tally.malformed {
            telemetry.count_malformed(Stream::Samples.token(), reason);
        }
        let (rows, objects) = self.analysis.held();
        telemetry
            .window_rows
            .set(i64::try_from(rows).unwrap_or(i64::MAX));
        telemetry
            .objects
            .set(i64::try_from(objects).unwrap_or(i64::MAX));
        if self.analysis.evaluated_at() == Some(at) {
            telemetry.ticks.inc();
            telemetry.last_tick.set(at.as_second());
        }
    }

    async fn send(&self, at: Timestamp, outputs: Vec<crate::analysis::Output>) {
        if outputs.is_empty() {
            return;
        }
        // An error means that the emitter has ended, which happens on shutdown alone.
        let _ended = self.parts.emissions.send(Emission { at, outputs }).await;
    }

    /// Tells whether what is known is fresh, and says so in the policies when it is not.
    async fn beat(&mut self) {
        let gates = &self.parts.gates;
        if self.parts.lease.is_known() {
            gates.lease.pass();
        }
        let now = clock::now();
        let last = self.analysis.evaluated_at();
        let patience = self.interval * STALE;
        let since = |at: Timestamp| now.duration_since(at);
        if last.is_some_and(|last| since(last) <= patience) {
            gates.ticks.pass();
            return;
        }
        gates.ticks.fail(&last.map_or_else(
            || "no scrape was evaluated yet".to_owned(),
            |last| format!("the last scrape that was evaluated is of {last}"),
        ));
        // While it replays, or has just begun, staleness says nothing.
        if since(self.begun) <= patience {
            return;
        }
        let policies: Vec<Arc<HealingPolicy>> = self.parts.policies.policies();
        let outputs = self.analysis.overdue(&policies, now);
        self.send(now, outputs).await;
    }

    fn is_too_short(&self) -> bool {
        let sizes = sizing::is_asked_for(&self.parts.policies.policies());
        let needed = self.parts.options.replay(self.analysis.span(), sizes);
        needed.period > self.replay.period || (needed.sizes && !self.replay.sizes)
    }
}

fn read_shard(message: &jetstream::Message, _: Timestamp) -> Result<Option<Message>, &'static str> {
    let headers = message.headers.as_ref();
    let header = |name: &'static str| headers?.get(name).map(async_nats::HeaderValue::as_str);
    let read = scrapes::read(header, message.payload.clone());
    read.map(Some).map_err(|error| error.reason())
}

fn read_object(
    message: &jetstream::Message,
    published: Timestamp,
) -> Result<Option<(Box<ObjectState>, Timestamp)>, &'static str> {
    let state: ObjectState = serde_json::from_slice(&message.payload).map_err(|_| "NotAnObject")?;
    if state.target.uid.is_empty() {
        return Err("NoUid");
    }
    Ok(Some((Box::new(state), published)))
}

fn read_event(
    message: &jetstream::Message,
    _: Timestamp,
) -> Result<Option<Box<ClusterEvent>>, &'static str> {
    serde_json::from_slice(&message.payload)
        .map(Some)
        .map_err(|_| "NotAnEvent")
}

fn read_advice(
    message: &jetstream::Message,
    _: Timestamp,
) -> Result<Option<Box<Advice>>, &'static str> {
    serde_json::from_slice(&message.payload)
        .map(Some)
        .map_err(|_| "NotAdvice")
}

fn read_lesson(
    message: &jetstream::Message,
    _: Timestamp,
) -> Result<Option<Box<Lesson>>, &'static str> {
    let lesson = learn::read::lesson(&message.payload);
    lesson
        .map(|lesson| lesson.map(Box::new))
        .map_err(learn::read::Error::reason)
}

fn read_alert(
    message: &jetstream::Message,
    _: Timestamp,
) -> Result<Option<Box<Envelope<Alert>>>, &'static str> {
    serde_json::from_slice(&message.payload)
        .map(Some)
        .map_err(|_| "NotAnAlert")
}
