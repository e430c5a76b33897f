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
    gather::{self, Gatherer, past},
    judge::{Judgement, Permit, judge},
    landed::{Landed, landed},
    progress::{Seen, Transition, settle, step},
    reason::Reason,
    record::{self, Records},
    snapshot::Snapshot,
    telemetry::{Failure, Telemetry, Write},
    tenure::Tenure,
    verify::verify,
};

mod pace;

use pace::{next_look, rest, wait};

/// How soon a pass that failed is tried again, and how soon a replica that does
/// not hold the lease looks again. A lease change wakes every action anyway.
const RETRY: Duration = Duration::from_secs(5);

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
    /// The servers took too long.
    #[error("the pass took longer than {} s", PASS_LIMIT.as_secs())]
    TimedOut,
}

impl Error {
    /// A short, bounded label for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "ReadFailed",
            Self::Gather(_) => "GatherFailed",
            Self::Record(_) => "RecordFailed",
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

/// What a pass found out, and what is to be recorded.
struct Finding {
    status: HealingActionStatus,
    transition: Transition,
    written: bool,
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
        if is_over(cached) || !self.common.works_in(&namespace) {
            return Ok(Requeue::await_change());
        }
        if !self.lease.holds() {
            return Ok(Requeue::requeue(RETRY));
        }
        let api: Api<HealingAction> = Api::namespaced(self.client.clone(), &namespace);
        let found = api.get_opt(&cached.name_any()).await.map_err(Error::Read)?;
        let Some(action) = found.filter(|found| !is_over(found)) else {
            return Ok(Requeue::await_change());
        };
        let now = clock::now();
        if let Some(wait) = rest(&action, now) {
            return Ok(Requeue::requeue(wait));
        }
        let mut snapshot = self.gatherer.gather(&action).await.map_err(Error::Gather)?;
        snapshot.acting_since = self.tenure.note(self.lease.holds(), clock::now());
        let finding = match snapshot.action.status.phase {
            Phase::Pending | Phase::AwaitingApproval | Phase::Approved => {
                self.decide(&action, &snapshot, now).await?
            }
            Phase::InProgress => self.act(&action, &snapshot, now).await,
            Phase::Verifying => {
                let check = verify(&snapshot, now);
                finding(&action, &snapshot, &Seen::Checked(&check), now)
            }
            Phase::Succeeded
            | Phase::Failed
            | Phase::RolledBack
            | Phase::Denied
            | Phase::Cancelled => None,
        };
        match finding {
            Some(finding) => self.conclude(&action, &snapshot, finding, now).await,
            None => Ok(Requeue::requeue(RETRY)),
        }
    }

    /// Judges with the history as last seen and, when that lets the action
    /// pass, again with the history as it is, reserving its place in the same breath.
    async fn decide(
        &self,
        action: &HealingAction,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<Finding>, Error> {
        let mut snapshot = snapshot.clone();
        let own = snapshot.action.uid.clone();
        let seen = self.actions.state();
        let others = seen
            .iter()
            .filter(|other| other.uid().as_ref() != Some(&own));
        snapshot.history = others.map(|other| past(other)).collect();
        let judgement = judge(&snapshot, now);
        if !judgement.is_allowed() {
            return Ok(finding(action, &snapshot, &Seen::Judged(&judgement), now));
        }
        let _one_at_a_time = self.reserving.lock().await;
        snapshot.history = self.gatherer.history(&own).await.map_err(Error::Gather)?;
        let now = clock::now();
        let judgement = judge(&snapshot, now);
        if judgement.is_allowed() && snapshot.is_dry_run() {
            return Ok(self.try_out(action, &snapshot, judgement, now).await);
        }
        let Some(mut finding) = finding(action, &snapshot, &Seen::Judged(&judgement), now) else {
            return Ok(None);
        };
        if finding.status.phase == Phase::InProgress {
            if !self.lease.holds() {
                return Ok(None);
            }
            let reserved = self.records.write(action, &finding.status).await;
            reserved.map_err(Error::Record)?;
            finding.written = true;
        }
        Ok(Some(finding))
    }

    /// Tries the change on the API server without making it.
    async fn try_out(
        &self,
        action: &HealingAction,
        snapshot: &Snapshot,
        judgement: Judgement,
        now: Timestamp,
    ) -> Option<Finding> {
        // The guards' answers and the plan belong to what is recorded.
        let judged = Seen::Judged(&judgement);
        let transition = step(&snapshot.action.status, &judged, now)?;
        let mut tried = snapshot.clone();
        let before = snapshot.action.status.clone();
        let status = settle(
            snapshot,
            &judged,
            &transition,
            action.metadata.generation,
            now,
        );
        tried.action.status = HealingActionStatus {
            phase: before.phase,
            started_at: before.started_at,
            ..status
        };
        let permit = judgement.into_permit()?;
        let seen = self.call(&permit, snapshot, now).await;
        let seen = match seen {
            Seen::Made => Seen::Tried,
            Seen::Held(reason, why) | Seen::Refused(reason, why) => Seen::Refused(reason, why),
            Seen::Overtaken => {
                let why = "the target changed in the meantime".to_owned();
                Seen::Refused(Reason::Overtaken, why)
            }
            Seen::Judged(_) | Seen::Tried | Seen::Found | Seen::Checked(_) => return None,
        };
        finding(action, &tried, &seen, now)
    }

    /// Makes the change, unless reading back shows it made, or a guard objects by now.
    async fn act(
        &self,
        action: &HealingAction,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<Finding> {
        match landed(snapshot) {
            Landed::Yes => return finding(action, snapshot, &Seen::Found, now),
            Landed::Overtaken => return finding(action, snapshot, &Seen::Overtaken, now),
            Landed::No => {}
        }
        let judgement = judge(snapshot, now);
        let digest = judgement.plan.as_ref().map(|plan| plan.digest.as_str());
        if digest.is_some() && digest != snapshot.action.status.digest.as_deref() {
            return finding(action, snapshot, &Seen::Overtaken, now);
        }
        if !judgement.is_allowed() {
            return finding(action, snapshot, &Seen::Judged(&judgement), now);
        }
        let permit = judgement.into_permit()?;
        if !self.lease.holds() {
            return None;
        }
        let seen = self.call(&permit, snapshot, now).await;
        finding(action, snapshot, &seen, clock::now())
    }

    async fn call(&self, permit: &Permit, snapshot: &Snapshot, now: Timestamp) -> Seen<'static> {
        let (seen, outcome) = match execute(&self.client, permit, now).await {
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
                    execute::Error::Overtaken { .. } | execute::Error::Changed { .. } => {
                        (Seen::Overtaken, "overtaken")
                    }
                    execute::Error::Forbidden { .. } => {
                        (Seen::Refused(Reason::Forbidden, text), "refused")
                    }
                    execute::Error::Refused { .. } | execute::Error::UnknownKind { .. } => {
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
        finding: Finding,
        now: Timestamp,
    ) -> Result<Requeue, Error> {
        let Finding {
            status,
            transition,
            written,
        } = finding;
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

/// What follows from what was seen, as a status to be recorded.
fn finding(
    action: &HealingAction,
    snapshot: &Snapshot,
    seen: &Seen<'_>,
    now: Timestamp,
) -> Option<Finding> {
    let transition = step(&snapshot.action.status, seen, now)?;
    let status = settle(snapshot, seen, &transition, action.metadata.generation, now);
    Some(Finding {
        status,
        transition,
        written: false,
    })
}

/// Whether a status that tells nothing new still has to be written: a back-off
/// that counts attempts must survive a restart, a moving "look again at" need not.
fn is_worth_writing(before: &HealingActionStatus, after: &HealingActionStatus) -> bool {
    before.attempts != after.attempts
        || before.digest != after.digest
        || before.target_uid != after.target_uid
}

fn is_over(action: &HealingAction) -> bool {
    let status = action.status.as_ref();
    status.is_some_and(|status| status.phase.is_final())
}
