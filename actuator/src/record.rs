//! Makes a transition known: first the status, which is what counts, then a
//! Kubernetes Event, an alert and a line in the journal.
//!
//! The status is written against the version that was read, so two writers
//! cannot both succeed. The rest is told afterwards and may be lost with the
//! process; ids are derived from the transition, so telling it twice is harmless.

use async_nats::HeaderMap;
use jiff::Timestamp;
use kube::{
    Api, Client, Resource as _,
    api::PostParams,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use runtime::{bus::Bus, chain};
use schemas::{
    action::{HealingAction, HealingActionStatus},
    digest, envelope,
    envelope::Envelope,
};

use crate::{
    execute::FIELD_MANAGER,
    report,
    snapshot::Snapshot,
    telemetry::{Answer, Channel, Step, Telemetry},
};

/// Who says so, on the bus.
const PROGRAM: &str = "actuator";

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

/// Writes down transitions.
#[derive(Clone)]
pub struct Records {
    client: Client,
    bus: Bus,
    events: Recorder,
    telemetry: Telemetry,
}

impl Records {
    /// Writes through `client` and tells through `bus`.
    pub fn new(client: Client, bus: Bus, telemetry: Telemetry) -> Self {
        let reporter = Reporter::from("kubeskippy-actuator");
        Self {
            events: Recorder::new(client.clone(), reporter),
            client,
            bus,
            telemetry,
        }
    }

    /// Writes `status` over the one that was read with `action`, unless nothing
    /// changed or somebody else wrote in between.
    ///
    /// # Errors
    /// When the status was not written.
    pub async fn write(
        &self,
        action: &HealingAction,
        status: &HealingActionStatus,
    ) -> Result<(), Error> {
        if action.status.as_ref() == Some(status) {
            return Ok(());
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
        })?;
        Ok(())
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
        // A wait that merely has another reason by now is no news to a pager.
        if snapshot.action.status.phase != status.phase
            && let Some(alert) = report::alert(snapshot, status, &self.bus.cluster)
            && let Err(error) = self.bus.publish_alert(alert, PROGRAM, now).await
        {
            self.lost("alert", &error);
        }
        self.tell_journal(snapshot, status, now).await;
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

    async fn tell_journal(
        &self,
        snapshot: &Snapshot,
        status: &HealingActionStatus,
        now: Timestamp,
    ) {
        let entry = report::entry(snapshot, status, &self.bus.cluster);
        let stamp = status.next_attempt_at.unwrap_or(now).to_string();
        let identity = [&entry.action_uid, &entry.phase, &entry.reason, &stamp];
        let id = digest::short(identity, 32);
        let source = format!("/kubeskippy/{}/{PROGRAM}", self.bus.cluster);
        let kind = "io.kubeskippy.journal.transition.v1".to_owned();
        let trace = envelope::traceparent(&report::episode(snapshot));
        let subject = &snapshot.action;
        let line = Envelope::new(id.clone(), source, kind, now, entry)
            .about(format!(
                "HealingAction {}/{}",
                subject.namespace, subject.name
            ))
            .traced(Some(trace));
        let payload = match serde_json::to_vec(&line) {
            Ok(payload) => payload,
            Err(error) => return self.lost("journal", &error),
        };
        let to = self.bus.subjects.journal(&subject.namespace, &subject.name);
        let headers = HeaderMap::new();
        let sent = self.bus.publish(&to, headers, payload.into(), Some(&id));
        if let Err(error) = sent.await {
            self.lost("journal", &error);
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
