//! The production functions, asked about small worlds.
//!
//! What the model knows is a few facts; they are made into the snapshot that
//! gathering would read, and each question is asked once. A status is kept
//! without what no later pass reads: sentences, conditions and verdicts.

use std::{collections::HashMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    ACTED_BY,
    action::{HealingActionStatus, Phase, Verification},
    policy::{Remedy, ScaleAction},
    step::{Step, Verb},
    target::Target,
};
use serde_json::json;

use crate::{
    judge::Permit,
    life::{Next, Outcome, answered, next},
    plan::replicas,
    progress::Seen,
    reason::Reason,
    snapshot::{Past, Snapshot},
    testing::{NOW, acting, named_action, pod, snapshot, workload},
};

/// A status, by its place among all that were met.
pub(super) type Id = u16;

/// The pod that an action evicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pod {
    Old,
    Going,
    /// Another of the same name, and the instant at which it was created.
    New(u8),
}

/// What an action acts on: a pod, or a Deployment's stamp and count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Thing {
    pub(super) pod: Pod,
    pub(super) stamp: bool,
    pub(super) replicas: i32,
}

/// What kind of action lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Remedied {
    Evict,
    Scale,
    Hook,
}

/// All on which a decision depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) who: u8,
    pub(super) action: u8,
    pub(super) status: Id,
    pub(super) thing: Thing,
    pub(super) breaching: bool,
    /// The instants at which the action was read, and the rest was.
    pub(super) read: u8,
    pub(super) gathered: u8,
    /// Since when the lease is held.
    pub(super) since: Option<u8>,
    /// The status of the other action, as far as it is known.
    pub(super) other: Option<Id>,
}

/// A call on the API server, or out of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    Evict,
    Stamp,
    Scale(i32, i32),
    Hook,
}

/// What a pass is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Decision {
    Nothing,
    Record(Id),
    Begin(Id),
    Claim(Id, Effect),
    Call(Effect),
}

/// How a call was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Made,
    Overtaken,
    Lost,
    Blocked,
    Forbidden,
}

/// Everything asked so far, and the answers.
pub(super) struct Mind {
    remedy: Remedied,
    warmup: SignedDuration,
    statuses: Vec<HealingActionStatus>,
    ids: HashMap<String, Id>,
    decisions: HashMap<Question, Decision>,
    answers: HashMap<(Question, Answer, u8), Option<Id>>,
}

/// The instants of the model: within a pass, after a warm-up, after a health
/// check, after the time to make a change; then on and on.
pub(super) fn instant(at: u8) -> Timestamp {
    let seconds = match at {
        0 => 0,
        1 => 20,
        2 => 40,
        3 => 400,
        more => 1000 + 500 * (i64::from(more) - 4),
    };
    NOW + SignedDuration::from_secs(seconds)
}

/// The second actuator's clock is ahead.
fn clock(who: u8, at: u8) -> Timestamp {
    instant(at) + SignedDuration::from_secs(10 * i64::from(who))
}

impl Mind {
    pub(super) fn new(remedy: Remedied, warmup: i64) -> Self {
        let mut mind = Self {
            remedy,
            warmup: SignedDuration::from_secs(warmup),
            statuses: Vec::new(),
            ids: HashMap::new(),
            decisions: HashMap::new(),
            answers: HashMap::new(),
        };
        mind.id(HealingActionStatus::default());
        mind
    }

    pub(super) fn status(&self, id: Id) -> &HealingActionStatus {
        &self.statuses[usize::from(id)]
    }

    /// Whether a call that was refused lately rests.
    pub(super) fn rests(&self, id: Id, who: u8, at: u8) -> bool {
        let status = self.status(id);
        let later = status
            .next_attempt_at
            .is_some_and(|until| clock(who, at) < until);
        later && status.phase == Phase::InProgress
    }

    /// The intent to call a webhook, on record.
    pub(super) fn hooked(&mut self) -> Id {
        let mut snapshot = self.snapshot(&first());
        let step = crate::plan::plan(&snapshot).unwrap().steps.remove(0);
        let step = Step {
            call: "call the webhook".to_owned(),
            verb: Verb::Call,
            object: Target {
                uid: String::new(),
                ..step.object.clone()
            },
            ..step
        };
        let status = &mut snapshot.action.status;
        status.phase = Phase::InProgress;
        status.target_uid = Some("uid-1".to_owned());
        status.started_at = Some(NOW);
        status.plan = vec![step];
        self.id(snapshot.action.status)
    }

    pub(super) fn decide(&mut self, question: &Question) -> Decision {
        if let Some(known) = self.decisions.get(question) {
            return *known;
        }
        let snapshot = self.snapshot(question);
        let before = snapshot.action.status.clone();
        let decision = match next(&snapshot, clock(question.who, question.read)) {
            Next::Nothing => Decision::Nothing,
            Next::Record(outcome) => self.recorded(&before, *outcome),
            Next::Claim(outcome, permit) => {
                Decision::Claim(self.id(outcome.status), effect(&permit))
            }
            Next::Call(permit) => Decision::Call(effect(&permit)),
        };
        self.decisions.insert(*question, decision);
        decision
    }

    fn recorded(&mut self, before: &HealingActionStatus, outcome: Outcome) -> Decision {
        if !is_news(before, &outcome.status) {
            return Decision::Nothing;
        }
        let begins = before.started_at.is_none() && outcome.status.phase == Phase::InProgress;
        let id = self.id(outcome.status);
        if begins {
            Decision::Begin(id)
        } else {
            Decision::Record(id)
        }
    }

    pub(super) fn answered(&mut self, question: &Question, answer: Answer, at: u8) -> Option<Id> {
        let key = (*question, answer, at);
        if let Some(known) = self.answers.get(&key) {
            return *known;
        }
        let snapshot = self.snapshot(question);
        let why = || String::from("the answer");
        let seen = match answer {
            Answer::Made => Seen::Made,
            Answer::Overtaken => Seen::Overtaken(why()),
            // What cannot be read back is not waited for.
            Answer::Lost if self.remedy == Remedied::Hook => {
                Seen::Refused(Reason::AnswerLost, why())
            }
            Answer::Lost => Seen::Held(Reason::Retrying, why()),
            Answer::Blocked => Seen::Held(Reason::DisruptionBudget, why()),
            Answer::Forbidden => Seen::Refused(Reason::Forbidden, why()),
        };
        let outcome = answered(&snapshot, &seen, clock(question.who, at));
        let before = snapshot.action.status;
        let news = outcome.filter(|outcome| is_news(&before, &outcome.status));
        let id = news.map(|outcome| self.id(outcome.status));
        self.answers.insert(key, id);
        id
    }

    /// The place of a status, without what no later pass reads.
    fn id(&mut self, mut status: HealingActionStatus) -> Id {
        status.message = None;
        status.judged_at = None;
        status.verdicts.clear();
        status.conditions.clear();
        status.verification = status.verification.map(|seen| Verification {
            settled_at: seen.settled_at,
            ..Verification::default()
        });
        let text = serde_json::to_string(&status).unwrap();
        let fresh = Id::try_from(self.statuses.len()).unwrap();
        let id = *self.ids.entry(text).or_insert(fresh);
        if id == fresh {
            self.statuses.push(status);
        }
        id
    }

    fn snapshot(&self, question: &Question) -> Snapshot {
        let mut snapshot = match self.remedy {
            Remedied::Evict | Remedied::Hook => evicting(question),
            Remedied::Scale => scaling(question),
        };
        let at = instant(question.gathered);
        let report = snapshot.observation.as_mut().unwrap();
        report.evaluated_at = at;
        for reading in &mut report.readings {
            reading.value = Some(if question.breaching { 90.0 } else { 20.0 });
            (reading.sampled_at, reading.breaching) = (Some(at), question.breaching);
        }
        let rules = &mut snapshot.policy.as_mut().unwrap().spec.safety_rules;
        rules.max_actions_per_hour = 1;
        snapshot.limits.warmup = self.warmup;
        snapshot.acting_since = question.since.map(|since| clock(question.who, since));
        snapshot.history = question.other.iter().map(|id| self.past(*id)).collect();
        snapshot.action.status = self.status(question.status).clone();
        snapshot
    }

    fn past(&self, id: Id) -> Past {
        let status = self.status(id).clone();
        Past {
            phase: status.phase,
            started_at: status.started_at,
            finished_at: status.finished_at,
            target_uid: status.target_uid,
            owner_uid: Some("another-uid".to_owned()),
            offender_uid: None,
            ..crate::testing::past("other", NOW)
        }
    }
}

/// Whether the driver writes a status: a moving "look again at" alone it does not.
fn is_news(before: &HealingActionStatus, after: &HealingActionStatus) -> bool {
    let settled = |status: &HealingActionStatus| status.verification.as_ref()?.settled_at;
    before.phase != after.phase
        || before.reason != after.reason
        || before.attempts != after.attempts
        || before.digest != after.digest
        || before.plan != after.plan
        || before.undo != after.undo
        || before.target_uid != after.target_uid
        || settled(before) != settled(after)
}

/// The case in which everything is well, at the beginning.
fn first() -> Question {
    let thing = Thing {
        pod: Pod::Old,
        stamp: false,
        replicas: 2,
    };
    Question {
        who: 0,
        action: 0,
        status: 0,
        thing,
        breaching: true,
        read: 0,
        gathered: 0,
        since: Some(0),
        other: None,
    }
}

fn evicting(question: &Question) -> Snapshot {
    let mut snapshot = snapshot();
    let action = question.action;
    snapshot.action.uid = format!("action-{action}");
    let mut target = pod("web-1", "uid-1");
    match question.thing.pod {
        Pod::Old => {}
        Pod::Going => target.terminating = true,
        Pod::New(born) => {
            target.target.uid = "uid-9".to_owned();
            target.created_at = Some(instant(born));
        }
    }
    let going = i32::from(target.terminating);
    for owner in &mut snapshot.owners {
        owner.workload.as_mut().unwrap().ready = 2 - going;
    }
    let report = snapshot.observation.as_mut().unwrap();
    report.readings[0].target = target.target.clone();
    snapshot.pods[0] = target.clone();
    snapshot.target = Some(target);
    snapshot
}

fn scaling(question: &Question) -> Snapshot {
    let Thing {
        stamp, replicas, ..
    } = question.thing;
    let mut web = workload("Deployment", "web", "web-uid");
    web.labels = pod("web-1", "uid-1").labels;
    let counts = web.workload.as_mut().unwrap();
    (counts.desired, counts.ready) = (replicas, replicas);
    let mut content = json!({"metadata": {}, "spec": {"replicas": replicas}});
    if stamp {
        content["metadata"]["annotations"] = json!({ ACTED_BY: "action-uid" });
    }
    web.content = Arc::new(content);
    let mut action = named_action("scale-up", Remedy::Scale);
    action.scale_action = Some(ScaleAction::default());
    let mut snapshot = acting(action.clone(), web.clone());
    snapshot.policy.as_mut().unwrap().spec.actions = vec![action];
    snapshot.owners = Vec::new();
    let report = snapshot.observation.as_mut().unwrap();
    report.readings[0].target = web.target;
    snapshot
}

/// The one call of a permit, which must name what was judged.
fn effect(permit: &Permit) -> Effect {
    let [call] = permit.calls() else {
        panic!("a permit for one call");
    };
    let step = &call.step;
    match step.verb {
        Verb::Evict => {
            assert_eq!(step.object.uid, "uid-1", "the pod that was judged");
            Effect::Evict
        }
        Verb::Change => {
            assert_eq!(call.patch["metadata"]["uid"], "web-uid");
            assert_eq!(call.patch["metadata"]["resourceVersion"], "7");
            Effect::Stamp
        }
        Verb::Scale => {
            let (from, to) = replicas(step).unwrap();
            Effect::Scale(from, to)
        }
        Verb::Call => Effect::Hook,
        Verb::Delete | Verb::Release | Verb::Create | Verb::Resize => {
            panic!("not a call of this model")
        }
    }
}
