//! The driver: gather, judge, execute, verify, record; one transition a pass.
//!
//! A pass begins with the action as the API server has it now, and ends with at
//! most one write of its status. Effects come after their intent: budget and
//! start are on record before the first call, and a pass that finds them there
//! reads the object back before it calls again.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{controller::Action as Requeue, reflector::Store},
};
use runtime::{chain, clock, config::CommonArgs, lease::Lease};
use schemas::action::{HealingAction, HealingActionStatus, Phase};
use tokio::sync::Mutex;

use crate::{
    config::PASS_LIMIT,
    execute::{self, execute},
    gather::{self, Gatherer, changes, past},
    judge::Permit,
    ledger,
    life::{Next, Outcome, answered, next},
    progress::Seen,
    reason::Reason,
    record::{self, Records},
    snapshot::{Past, Snapshot},
    telemetry::{Failure, Telemetry, Write},
    tenure::Tenure,
    webhook::Webhooks,
};

mod pace;

use pace::{next_look, rest, wait};

/// How soon a pass that failed is tried again, and how soon a replica that does
/// not hold the lease looks again. A lease change wakes every action anyway.
const RETRY: Duration = Duration::from_secs(5);

/// How often a place is reserved anew when the lease was written in between, as its renewal does.
const RESERVE_TRIES: usize = 5;

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The action itself cannot be read.
    #[error("failed to read the action")]
    Read(#[source] kube::Error),
    /// The picture is incomplete.
    #[error("failed to gather")]
    Gather(#[source] gather::Error),
    /// The transition was not recorded.
    #[error("failed to record")]
    Record(#[source] record::Error),
    /// What was promised is not known, or not noted.
    #[error("failed to reserve a place")]
    Reserve(#[source] kube::Error),
    /// The servers took too long.
    #[error("the pass took longer than {} s", PASS_LIMIT.as_secs())]
    TimedOut,
}

/// Why the end of an action was not put on record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    /// What was told is not known.
    #[error("failed to read the journal")]
    Journal(#[source] runtime::bus::Error),
    /// What the journal says beside the status cannot be read.
    #[error("failed to gather")]
    Gather(#[source] gather::Error),
}

impl Error {
    /// A short, bounded label for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "ReadFailed",
            Self::Gather(_) => "GatherFailed",
            Self::Record(_) => "RecordFailed",
            Self::Reserve(_) => "ReserveFailed",
            Self::TimedOut => "TimedOut",
        }
    }

    /// Whether somebody else wrote first, so that looking again at once is right.
    fn is_conflict(&self) -> bool {
        let Self::Record(record::Error::Status { source, .. }) = self else {
            return false;
        };
        matches!(source, kube::Error::Api(status) if status.code == 409)
    }
}

/// What all passes share.
pub struct Driver {
    /// The API server; a client that sends each request once.
    pub client: Client,
    /// Calls out of the cluster.
    pub webhooks: Webhooks,
    /// Reads.
    pub gatherer: Gatherer,
    /// Writes and tells.
    pub records: Records,
    /// Counts.
    pub telemetry: Telemetry,
    /// Who acts.
    pub lease: Lease,
    /// Since when.
    pub tenure: Tenure,
    /// Which namespaces to work in.
    pub common: CommonArgs,
    /// Every action as last seen, for a first and cheap look at the history.
    pub actions: Store<HealingAction>,
    /// Judging and reserving are one step at a time: without it, two passes could each see the last free place.
    pub reserving: Mutex<()>,
}

/// Makes one pass over `action`.
///
/// # Errors
/// When a server did not answer; the pass is made again.
pub async fn reconcile(action: Arc<HealingAction>, driver: Arc<Driver>) -> Result<Requeue, Error> {
    let begun = tokio::time::Instant::now();
    let pass = Box::pin(driver.pass(&action));
    let pass = tokio::time::timeout(PASS_LIMIT, pass).await;
    let spent = begun.elapsed().as_secs_f64();
    driver.telemetry.pass_seconds.observe(spent);
    pass.unwrap_or(Err(Error::TimedOut))
}

/// What to do after a failed pass.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the controller hands them over"
)]
pub fn on_error(action: Arc<HealingAction>, error: &Error, driver: Arc<Driver>) -> Requeue {
    let reason = error.reason();
    driver
        .telemetry
        .failures
        .get_or_create(&Failure { reason })
        .inc();
    if error.is_conflict() {
        return Requeue::requeue(Duration::from_millis(200));
    }
    tracing::warn!(
        namespace = action.namespace(),
        action = action.name_any(),
        error = chain(error),
        "pass failed"
    );
    Requeue::requeue(RETRY)
}

impl Driver {
    async fn pass(&self, cached: &HealingAction) -> Result<Requeue, Error> {
        let namespace = cached.namespace().unwrap_or_default();
        if !self.common.works_in(&namespace) {
            return Ok(Requeue::await_change());
        }
        if !self.lease.holds() {
            return Ok(Requeue::requeue(RETRY));
        }
        if is_over(cached) {
            let told = self.catch_up(cached).await?;
            let again = if told { None } else { Some(RETRY) };
            return Ok(again.map_or_else(Requeue::await_change, Requeue::requeue));
        }
        let api: Api<HealingAction> = Api::namespaced(self.client.clone(), &namespace);
        let found = api.get_opt(&cached.name_any()).await.map_err(Error::Read)?;
        let Some(action) = found.filter(|found| !is_over(found)) else {
            return Ok(Requeue::await_change());
        };
        self.catch_up(&action).await?;
        let now = clock::now();
        if let Some(wait) = rest(&action, now) {
            return Ok(Requeue::requeue(wait));
        }
        let mut snapshot = self.gatherer.gather(&action).await.map_err(Error::Gather)?;
        snapshot.acting_since = self.tenure.note(self.lease.holds(), clock::now());
        snapshot.history = self.seen_history(&snapshot.action.uid);
        match next(&snapshot, now) {
            Next::Record(outcome) if is_beginning(&snapshot, &outcome) => {
                let now_known = self.reserve(&action, &snapshot).await?;
                match now_known {
                    Some((outcome, snapshot)) => {
                        let known = (outcome, true);
                        self.conclude(&action, &snapshot, known, clock::now()).await
                    }
                    None => Ok(Requeue::requeue(RETRY)),
                }
            }
            Next::Record(outcome) => {
                let known = (*outcome, false);
                self.conclude(&action, &snapshot, known, now).await
            }
            Next::Claim(outcome, permit) => {
                let claimed = self.records.write(&action, &outcome.status).await;
                // Not read again: a version that somebody else wrote since is not the claim's.
                let claimed = claimed.map_err(Error::Record)?;
                snapshot.action.status = outcome.status;
                self.make(&claimed, &snapshot, &permit).await
            }
            Next::Call(permit) => self.make(&action, &snapshot, &permit).await,
            Next::Nothing => Ok(Requeue::requeue(RETRY)),
        }
    }

    /// Tells what the status of `action` says and nobody told, because the one who wrote it died
    /// or had no bus. Says whether that is known; healing does not wait for it.
    async fn catch_up(&self, action: &HealingAction) -> Result<bool, Error> {
        let tenure = self.tenure.note(self.lease.holds(), clock::now());
        let untold = match self.records.untold(action, tenure).await {
            Ok(untold) => untold,
            Err(error) => {
                tracing::debug!(error = chain(&error), "not known what was told");
                return Ok(false);
            }
        };
        if let Some(untold) = untold {
            let snapshot = self.gatherer.gather(action).await.map_err(Error::Gather)?;
            self.records
                .catch_up(action, snapshot, untold, clock::now())
                .await;
        }
        Ok(true)
    }

    /// Puts the end of a finished action on record, however long ago it was, if nobody did.
    ///
    /// # Errors
    /// When a server did not answer.
    pub(crate) async fn put_on_record(&self, action: &HealingAction) -> Result<(), PutError> {
        let tenure = self.tenure.note(self.lease.holds(), clock::now());
        let untold = self.records.ever_untold(action, tenure).await;
        if let Some(untold) = untold.map_err(PutError::Journal)? {
            let snapshot = self.gatherer.gather(action).await;
            let snapshot = snapshot.map_err(PutError::Gather)?;
            self.records.put_on_record(snapshot, untold, clock::now());
        }
        Ok(())
    }

    /// The history as last seen: a first and cheap look.
    fn seen_history(&self, own: &str) -> Vec<Past> {
        let seen = self.actions.state();
        let others = seen
            .iter()
            .filter(|a| a.uid().as_deref() != Some(own) && changes(a));
        others.map(|other| past(other)).collect()
    }

    /// Judges again, with the history as the API server has it, and records the
    /// intent in the same breath. `None` when somebody else acts by now.
    async fn reserve(
        &self,
        action: &HealingAction,
        snapshot: &Snapshot,
    ) -> Result<Option<(Outcome, Snapshot)>, Error> {
        let mut snapshot = snapshot.clone();
        let own = snapshot.action.uid.clone();
        let _one_at_a_time = self.reserving.lock().await;
        for _ in 0..RESERVE_TRIES {
            let Some(notes) = self.lease.notes().await.map_err(Error::Reserve)? else {
                return Ok(None);
            };
            let entries = ledger::read(notes.text());
            let history = self.gatherer.history(&own).await;
            snapshot.history = history.map_err(Error::Gather)?;
            let now = clock::now();
            let mut entries = ledger::open(entries, &snapshot.history, now);
            ledger::count(&mut snapshot.history, &entries, &own);
            let Next::Record(outcome) = next(&snapshot, now) else {
                return Ok(None);
            };
            if is_beginning(&snapshot, &outcome) {
                entries.retain(|entry| entry.uid != own);
                entries.push(ledger::Entry::of(&snapshot, now));
                let entered = self.lease.note(notes, &ledger::write(&entries)).await;
                if !entered.map_err(Error::Reserve)? {
                    continue;
                }
            }
            if !self.lease.holds() {
                return Ok(None);
            }
            let reserved = self.records.write(action, &outcome.status).await;
            reserved.map_err(Error::Record)?;
            return Ok(Some((*outcome, snapshot)));
        }
        Ok(None)
    }

    /// Makes a permitted call, and records the answer.
    async fn make(
        &self,
        action: &HealingAction,
        snapshot: &Snapshot,
        permit: &Permit,
    ) -> Result<Requeue, Error> {
        if !self.lease.holds() {
            return Ok(Requeue::requeue(RETRY));
        }
        let seen = self.call(permit, snapshot).await;
        let now = clock::now();
        match answered(snapshot, &seen, now) {
            Some(outcome) => {
                let known = (outcome, false);
                self.conclude(action, snapshot, known, now).await
            }
            None => Ok(Requeue::requeue(RETRY)),
        }
    }

    async fn call(&self, permit: &Permit, snapshot: &Snapshot) -> Seen<'static> {
        let (seen, outcome) = match execute(&self.client, &self.webhooks, permit).await {
            Ok(()) => (Seen::Made, "made"),
            Err(error) => {
                let text = error.explain();
                tracing::warn!(
                    action = snapshot.action.name,
                    error = text,
                    "change not made"
                );
                match error {
                    execute::Error::Blocked { .. } => {
                        (Seen::Held(Reason::DisruptionBudget, text), "held")
                    }
                    execute::Error::Ambiguous { .. } => {
                        (Seen::Held(Reason::Retrying, text), "held")
                    }
                    execute::Error::Unanswered(_) => {
                        let why = format!("it is not known whether this was done: {text}");
                        (Seen::Refused(Reason::AnswerLost, why), "lost")
                    }
                    execute::Error::Overtaken { .. } | execute::Error::Changed { .. } => {
                        (Seen::Overtaken(text), "overtaken")
                    }
                    execute::Error::Forbidden { .. } => {
                        (Seen::Refused(Reason::Forbidden, text), "refused")
                    }
                    execute::Error::Refused { .. }
                    | execute::Error::Otherwise { .. }
                    | execute::Error::Manifest { .. }
                    | execute::Error::UnknownKind { .. }
                    | execute::Error::Webhook(_) => {
                        (Seen::Refused(Reason::ExecutionFailed, text), "refused")
                    }
                }
            }
        };
        if !permit.is_dry_run() {
            let remedy = snapshot.action.spec.action.kind.as_str();
            let label = Write { remedy, outcome };
            self.telemetry.writes.get_or_create(&label).inc();
        }
        seen
    }

    /// Records what was found, tells it when it is news, and says when to look again.
    async fn conclude(
        &self,
        action: &HealingAction,
        snapshot: &Snapshot,
        (outcome, written): (Outcome, bool),
        now: Timestamp,
    ) -> Result<Requeue, Error> {
        let Outcome { status, transition } = outcome;
        let before = &snapshot.action.status;
        let is_news = before.phase != status.phase || before.reason != status.reason;
        if !written && (is_news || is_worth_writing(before, &status)) {
            let write = self.records.write(action, &status).await;
            write.map_err(Error::Record)?;
        }
        if is_news {
            self.records.count(&status, transition.reason.as_str());
        }
        if is_news {
            self.records.tell(action, snapshot, &status, now).await;
        }
        if status.phase.is_final() {
            return Ok(Requeue::await_change());
        }
        let until = next_look(snapshot, transition.until.unwrap_or(now), now);
        Ok(Requeue::requeue(wait(until, clock::now())))
    }
}

/// Whether an outcome is the intent to begin, for which there must be room.
fn is_beginning(snapshot: &Snapshot, outcome: &Outcome) -> bool {
    let before = snapshot.action.status.phase;
    before != Phase::Verifying
        && before != Phase::InProgress
        && outcome.status.phase == Phase::InProgress
}

/// Whether a status that tells nothing new still has to be written: a back-off
/// that counts attempts must survive a restart, a moving "look again at" need not.
fn is_worth_writing(before: &HealingActionStatus, after: &HealingActionStatus) -> bool {
    before.attempts != after.attempts
        || before.digest != after.digest
        || before.plan != after.plan
        || before.undo != after.undo
        || settled_at(before) != settled_at(after)
        || before.target_uid != after.target_uid
}

fn settled_at(status: &HealingActionStatus) -> Option<Timestamp> {
    status.verification.as_ref()?.settled_at
}

fn is_over(action: &HealingAction) -> bool {
    let status = action.status.as_ref();
    status.is_some_and(|status| status.phase.is_final())
}
