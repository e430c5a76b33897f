//! Makes a transition known: first the status, which is what counts, then a
//! Kubernetes Event, an alert and a line in the journal.
//!
//! The status is written against the version that was read, so two writers
//! cannot both succeed. The rest is told afterwards. What a process that dies leaves
//! untold is told by the next one, as far as the status still says it.

use jiff::Timestamp;
use kube::{
    Api, Client, Resource as _,
    api::PostParams,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use runtime::{bus, chain};
use schemas::{
    action::{HealingAction, HealingActionStatus},
    envelope,
};

use crate::{
    execute::FIELD_MANAGER,
    journal::{Journal, Told, Untold},
    report,
    snapshot::Snapshot,
    telemetry::{Answer, Channel, Step, Telemetry},
};

/// Why a transition is not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The status was not written; somebody else may have written it first.
    #[error("failed to write the status of {action}")]
    Status {
        /// The action.
        action: String,
        /// What went wrong.
        source: kube::Error,
    },
}

/// More waits for the bus than is kept.
#[derive(Debug, thiserror::Error)]
#[error("too many transitions wait for the bus")]
struct Full;

/// Writes down transitions.
#[derive(Clone)]
pub struct Records {
    client: Client,
    cluster: String,
    journal: Journal,
    events: Recorder,
    telemetry: Telemetry,
}

impl Records {
    /// Writes through `client` and tells `journal`.
    pub fn new(client: Client, journal: Journal, telemetry: Telemetry) -> Self {
        let reporter = Reporter::from("kubeskippy-actuator");
        Self {
            events: Recorder::new(client.clone(), reporter),
            client,
            cluster: journal.cluster().to_owned(),
            journal,
            telemetry,
        }
    }

    /// Writes `status` over the one that was read with `action`, unless nothing
    /// changed or somebody else wrote in between. Returns the action as it is then.
    ///
    /// # Errors
    /// When the status was not written.
    pub async fn write(
        &self,
        action: &HealingAction,
        status: &HealingActionStatus,
    ) -> Result<HealingAction, Error> {
        if action.status.as_ref() == Some(status) {
            return Ok(action.clone());
        }
        let meta = action.meta();
        let name = meta.name.clone().unwrap_or_default();
        let namespace = meta.namespace.clone().unwrap_or_default();
        let api: Api<HealingAction> = Api::namespaced(self.client.clone(), &namespace);
        let how = PostParams {
            dry_run: false,
            field_manager: Some(FIELD_MANAGER.to_owned()),
        };
        let mut next = action.clone();
        next.status = Some(status.clone());
        let written = api.replace_status(&name, &how, &next).await;
        written.map_err(|source| Error::Status {
            action: format!("{namespace}/{name}"),
            source,
        })
    }

    /// Tells people and other systems that the action of `snapshot` reached `status`.
    /// What cannot be delivered is counted and logged.
    pub async fn tell(
        &self,
        action: &HealingAction,
        snapshot: &Snapshot,
        status: &HealingActionStatus,
        now: Timestamp,
    ) {
        let reason = status.reason.clone().unwrap_or_default();
        tracing::info!(
            namespace = snapshot.action.namespace,
            action = snapshot.action.name,
            target = status.target,
            phase = status.phase.as_str(),
            reason,
            why = status.message,
            "action moved on"
        );
        self.tell_event(action, status, &reason).await;
        let told = self.told(snapshot, status, now);
        self.hand_over(told);
    }

    /// What was not told of `action` yet; `None` when all was.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn untold(
        &self,
        action: &HealingAction,
        tenure: Option<Timestamp>,
    ) -> Result<Option<Untold>, bus::Error> {
        self.journal.untold(action, tenure).await
    }

    /// As [`Self::untold`], however long ago the action ended.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn ever_untold(
        &self,
        action: &HealingAction,
        tenure: Option<Timestamp>,
    ) -> Result<Option<Untold>, bus::Error> {
        self.journal.ever_untold(action, tenure).await
    }

    /// Tells the journal alone what `snapshot` says: it is too old to be news to anybody.
    pub fn put_on_record(&self, mut snapshot: Snapshot, untold: Untold, now: Timestamp) {
        let status = snapshot.action.status.clone();
        snapshot.action.status.phase = untold.from;
        let mut told = self.told(&snapshot, &status, now);
        told.alert = None;
        // What is read now is not what was decided on then.
        told.entry.evidence = None;
        self.hand_over(told);
    }

    /// Tells what the status of `snapshot` says and was not told when it was written. What people
    /// think of an action is for the journal alone: it is no transition.
    pub async fn catch_up(
        &self,
        action: &HealingAction,
        mut snapshot: Snapshot,
        untold: Untold,
        now: Timestamp,
    ) {
        let status = snapshot.action.status.clone();
        let reason = status.reason.clone().unwrap_or_default();
        let what = if untold.is_feedback_alone {
            "feedback heard"
        } else {
            "told late, after somebody died before telling"
        };
        tracing::info!(
            namespace = snapshot.action.namespace,
            action = snapshot.action.name,
            phase = status.phase.as_str(),
            reason,
            what,
            "written into the journal"
        );
        snapshot.action.status.phase = untold.from;
        if !untold.is_feedback_alone {
            self.tell_event(action, &status, &reason).await;
        }
        let mut told = self.told(&snapshot, &status, now);
        // What is read now is not what was decided on then.
        told.entry.evidence = None;
        self.hand_over(told);
    }

    fn told(&self, snapshot: &Snapshot, status: &HealingActionStatus, now: Timestamp) -> Told {
        // A wait that merely has another reason by now is no news to a pager.
        let is_news = snapshot.action.status.phase != status.phase;
        let alert = report::alert(snapshot, status, &self.cluster);
        Told {
            alert: alert.filter(|_| is_news),
            entry: report::entry(snapshot, status, &self.cluster),
            trace: envelope::traceparent(&report::episode(snapshot)),
            time: now,
        }
    }

    fn hand_over(&self, told: Told) {
        if !self.journal.tell(told) {
            self.lost("journal", &Full);
        }
    }

    /// Counts a transition and the guards' answers.
    pub fn count(&self, status: &HealingActionStatus, reason: &'static str) {
        let phase = status.phase.as_str();
        self.telemetry
            .transitions
            .get_or_create(&Step { phase, reason })
            .inc();
        for answer in status.verdicts.iter().filter(|a| a.verdict != "Allow") {
            let label = Answer {
                guard: answer.guard.clone(),
                verdict: answer.verdict.clone(),
            };
            self.telemetry.verdicts.get_or_create(&label).inc();
        }
    }

    async fn tell_event(&self, action: &HealingAction, status: &HealingActionStatus, reason: &str) {
        let event = Event {
            type_: if report::is_bad(status.phase) {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: reason.to_owned(),
            note: status.message.as_deref().map(report::note),
            action: status.phase.as_str().to_owned(),
            secondary: None,
        };
        let about = action.object_ref(&());
        let published = self.events.publish(&event, &about);
        if let Err(error) = published.await {
            self.lost("event", &error);
        }
    }

    fn lost(&self, channel: &'static str, error: &(dyn std::error::Error + 'static)) {
        self.telemetry
            .undelivered
            .get_or_create(&Channel { channel })
            .inc();
        tracing::warn!(channel, error = chain(error), "not delivered");
    }
}
