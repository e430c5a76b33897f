//! The journal: what is told of each transition, one after the other, and kept in a chain.
//!
//! Passes hand over what they have to tell and go on: neither a slow bus nor one that is away holds
//! healing up. One task delivers it in order, the alert first and the journal's line last, so that
//! a line in the journal means that all was told. What this process still holds when it dies is
//! found again by comparing each action's status with its last line ([`Journal::untold`]).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use runtime::{bus, bus::Bus, chain, clock, config::CommonArgs, shutdown::Shutdown};
use schemas::{
    action::{HealingAction, Phase},
    alert::Alert,
    subject::Stream,
};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{interval, timeout},
};

use crate::{
    report::Entry,
    snapshot::Past,
    telemetry::{Channel, Telemetry},
};

mod anchor;
mod line;

use anchor::Anchors;
use line::{Story, Writer};

/// Who says so, on the bus.
pub(crate) const PROGRAM: &str = "actuator";

/// How many transitions may wait for the bus. At the cluster's default budget of actions
/// an hour that is days; what does not fit is still found by the outbox while it is current.
const WAITING: usize = 4096;

/// How often the anchor is written, at most. What is cut off the end within this time after a
/// crash shows no more than what was never written.
const ANCHOR_EVERY: Duration = Duration::from_secs(2);

/// How long a process that ends tries to tell the rest; Kubernetes grants 30 s in all.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How much older than the journal's newest line an ended action may be and still be untold: the
/// passes that ran beside the one that wrote that line, and clocks that differ.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// How far back ended actions are told when the journal is empty, as after the loss of its store.
const EMPTY_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// One transition, and who is to know.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) alert: Option<Alert>,
    pub(crate) entry: Entry,
    pub(crate) trace: String,
    pub(crate) time: Timestamp,
}

/// What the status or the spec of an action says and the journal does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untold {
    /// The phase that was told last.
    pub from: Phase,
    /// Whether nothing is new but what people think of it.
    pub is_feedback_alone: bool,
}

/// What is known to be told, or about to be, so that the bus need not be asked.
#[derive(Debug, Default)]
struct Known {
    tenure: Option<Timestamp>,
    /// Older ends than this were told by whoever acted then.
    since: Option<Timestamp>,
    stories: HashMap<String, Story>,
}

/// Takes what is to be told.
#[derive(Clone)]
pub struct Journal {
    bus: Bus,
    queue: mpsc::Sender<Told>,
    known: Arc<Mutex<Known>>,
}

/// Delivers what was taken.
pub struct Delivery {
    queue: mpsc::Receiver<Told>,
    writer: Writer,
    telemetry: Telemetry,
}

impl Journal {
    /// A journal on `bus`, anchored through `client`, and the task that fills it.
    pub fn new(
        client: Client,
        bus: Bus,
        common: &CommonArgs,
        telemetry: Telemetry,
    ) -> (Self, Delivery) {
        let (sender, queue) = mpsc::channel(WAITING);
        let anchors = Anchors::new(client, &common.lease);
        let delivery = Delivery {
            queue,
            writer: Writer::new(bus.clone(), anchors),
            telemetry,
        };
        let journal = Self {
            bus,
            queue: sender,
            known: Arc::default(),
        };
        (journal, delivery)
    }

    /// The name of the cluster whose journal it is.
    pub(crate) fn cluster(&self) -> &str {
        &self.bus.cluster
    }

    /// Takes a transition; false when too many wait already.
    pub(crate) fn tell(&self, told: Told) -> bool {
        let uid = told.entry.action_uid.clone();
        let story = Story::of(&told.entry);
        let taken = self.queue.try_send(told).is_ok();
        if taken {
            self.known().stories.insert(uid, story);
        }
        taken
    }

    /// What was not told of `action` yet; `None` when all was. `tenure` is since when this replica
    /// acts. Feedback is told whenever it comes, however long ago the action ended.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn untold(
        &self,
        action: &HealingAction,
        tenure: Option<Timestamp>,
    ) -> Result<Option<Untold>, bus::Error> {
        let Some(now) = self.unknown(action, tenure)? else {
            return Ok(None);
        };
        if let Some(end) = ended(action)
            && now.feedback.is_empty()
            && end < self.since().await?
        {
            return Ok(None);
        }
        self.behind(action, now).await
    }

    /// As [`Journal::untold`], however long ago the action ended: `MARGIN` spares a start one
    /// question per ended action, and a few of them may have been told by nobody all the same.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn ever_untold(
        &self,
        action: &HealingAction,
        tenure: Option<Timestamp>,
    ) -> Result<Option<Untold>, bus::Error> {
        match self.unknown(action, tenure)? {
            Some(now) => self.behind(action, now).await,
            None => Ok(None),
        }
    }

    /// What the status of `action` tells, unless it is known here that this was told.
    fn unknown(
        &self,
        action: &HealingAction,
        tenure: Option<Timestamp>,
    ) -> Result<Option<Story>, bus::Error> {
        let Some(now) = Story::now(action) else {
            return Ok(None);
        };
        self.begin(tenure);
        if self.known().stories.get(&now.action_uid) == Some(&now) {
            return Ok(None);
        }
        // A pass must not wait for a bus that is away.
        if !self.bus.is_connected() {
            return Err(bus::Error::Away);
        }
        Ok(Some(now))
    }

    /// How far the journal's last line about `action` is behind `now`, when it is.
    async fn behind(
        &self,
        action: &HealingAction,
        now: Story,
    ) -> Result<Option<Untold>, bus::Error> {
        let meta = &action.metadata;
        let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
        let subjects = &self.bus.subjects;
        let subject = subjects.journal(namespace.unwrap_or_default(), name.unwrap_or_default());
        let last = self.bus.leader_last(Stream::Journal, &subject).await?;
        let last = last.and_then(|message| line::story(&message.payload));
        let last = last.filter(|last| last.action_uid == now.action_uid);
        if last.as_ref() == Some(&now) {
            let mut known = self.known();
            known.stories.insert(now.action_uid.clone(), now);
            return Ok(None);
        }
        let is_feedback_alone = last
            .as_ref()
            .is_some_and(|last| now.adds_feedback_alone(last));
        let phase = last.map(|last| Value::String(last.phase));
        let phase = phase.and_then(|phase| serde_json::from_value(phase).ok());
        Ok(Some(Untold {
            from: phase.unwrap_or_default(),
            is_feedback_alone,
        }))
    }

    /// What another replica told in between is not known here.
    fn begin(&self, tenure: Option<Timestamp>) {
        let mut known = self.known();
        if known.tenure != tenure {
            *known = Known {
                tenure,
                ..Known::default()
            };
        }
    }

    async fn since(&self) -> Result<Timestamp, bus::Error> {
        if let Some(since) = self.known().since {
            return Ok(since);
        }
        let tail = self.bus.tail(Stream::Journal).await?;
        let newest = tail.last.and_then(|message| line::time(&message.payload));
        let since = newest.map_or_else(|| clock::now() - EMPTY_MARGIN, |time| time - MARGIN);
        Ok(*self.known().since.get_or_insert(since))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a line of the journal tells the end that an action came to.
pub(crate) fn tells_the_end(line: &[u8], past: &Past) -> bool {
    line::story(line).is_some_and(|story| {
        story.action_uid == past.uid && story.phase == past.phase.as_str() && past.phase.is_final()
    })
}

fn ended(action: &HealingAction) -> Option<Timestamp> {
    let status = action.status.as_ref()?;
    status.finished_at.filter(|_| status.phase.is_final())
}

impl Delivery {
    /// Delivers until `ended` is requested, and then what is left, as long as that may take.
    pub async fn run(mut self, ended: Shutdown) {
        let mut anchoring = interval(ANCHOR_EVERY);
        loop {
            tokio::select! {
                () = ended.wait() => break,
                _ = anchoring.tick() => self.anchor().await,
                told = self.queue.recv() => match told {
                    Some(told) => {
                        let delivered = tokio::select! {
                            () = self.deliver(&told) => true,
                            () = ended.wait() => false,
                        };
                        if !delivered {
                            self.last_words(Some(told)).await;
                            return;
                        }
                    }
                    None => break,
                },
            }
        }
        self.last_words(None).await;
    }

    async fn last_words(&mut self, first: Option<Told>) {
        let all = timeout(LAST_WORDS, async {
            if let Some(told) = first {
                self.deliver(&told).await;
            }
            while let Ok(told) = self.queue.try_recv() {
                self.deliver(&told).await;
            }
        });
        if all.await.is_err() {
            tracing::warn!(
                left = self.queue.len(),
                "ended before all was told; the next actuator tells what is still current"
            );
        }
        if timeout(LAST_WORDS, self.anchor()).await.is_err() {
            tracing::warn!("ended before the journal was anchored");
        }
    }

    /// Delivers one transition, however long it takes.
    async fn deliver(&mut self, told: &Told) {
        let mut pause = Duration::from_millis(100);
        loop {
            match self.writer.deliver(told).await {
                Ok(()) => return,
                Err(error) => self.lost("journal", &error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(ANCHOR_EVERY);
        }
    }

    async fn anchor(&mut self) {
        if let Err(error) = self.writer.anchor().await {
            self.lost("anchor", &error);
        }
    }

    fn lost(&self, channel: &'static str, error: &(dyn std::error::Error + 'static)) {
        let undelivered = self
            .telemetry
            .undelivered
            .get_or_create(&Channel { channel });
        undelivered.inc();
        tracing::warn!(
            channel,
            error = chain(error),
            "not delivered, will be tried again"
        );
    }
}
