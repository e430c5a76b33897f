//! The cases of a tick, what the advisors make of them, and what people are told of it.
//!
//! In: every trigger that is pending or has fired, of all policies. Out: alerts
//! about cases that were opened, diagnosed or are over, an opinion for each
//! object that fired, and what the policies' statuses say is wrong.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    advice::Advice,
    alert::{Alert, AlertKind},
    diagnosis::{Consulted, Diagnosis},
    outcome::Lesson,
    policy::{AiMode, CaseSummary, Severity},
    target::Target,
};

use super::{
    Output,
    evaluate::{Active, Around, Evaluated},
    inquiry::{Considered, Inquiries, Inquiry, ModelName, Reviewed},
    recollect,
};
use crate::{
    accepted::Accepted,
    actions::Actions,
    advise::{
        Hypothesis,
        combine::{self, Claim},
        opinion::{self, Opinion},
        outlook, rules,
    },
    case::{Case, Cases, Found, Sources},
    evidence::{Fact, describe},
    learn::Learned,
    recommend::Held,
};

/// Cases that a policy's status lists, at most: it is read by people.
const MOST_CASES: usize = 20;

/// How long a model's reply answers the same question.
const REPLIES_LAST: SignedDuration = SignedDuration::from_hours(24 * 7);

/// A case, and what the rules make of it.
#[derive(Clone, Debug)]
struct Diagnosed {
    case: Case,
    hypotheses: Vec<Hypothesis>,
    diagnosis: Diagnosis,
}

/// What people were told of a case.
#[derive(Clone, Debug)]
struct ToldCase {
    alert: Alert,
    /// The cause that was told last; empty: none yet.
    cause: String,
}

/// Cases and causes, from tick to tick.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    cases: Cases,
    diagnosed: Vec<Diagnosed>,
    /// By UID of an object in trouble: which of `diagnosed`.
    by_object: BTreeMap<String, usize>,
    /// By UID of an object in trouble: why no action follows.
    held: BTreeMap<String, String>,
    told: BTreeMap<String, ToldCase>,
    /// Whether what an analyzer before this one had told is continued.
    is_begun: bool,
    inquiries: Inquiries,
    learned: Learned,
}

impl Diagnostics {
    /// Knows no case yet, and which models there are.
    pub(super) fn new(models: Vec<ModelName>) -> Self {
        Self {
            inquiries: Inquiries::new(models),
            ..Self::default()
        }
    }

    /// Takes in a model's reply.
    pub(super) fn hear(&mut self, advice: Advice) {
        self.inquiries.hear(advice);
    }

    /// Takes in what a finished action teaches.
    pub(super) fn learn(&mut self, lesson: Lesson) {
        self.learned.hear(lesson);
    }

    /// The questions that are to be sent to models.
    pub(super) fn questions(&mut self) -> impl Iterator<Item = Output> {
        let asked = self.inquiries.take_questions().into_iter();
        asked.map(|asked| Output::Ask(Box::new(asked)))
    }

    /// Puts the findings of a tick together and asks the rules about each case.
    pub(super) fn update(
        &mut self,
        around: &Around<'_>,
        evaluated: &[Evaluated<'_>],
        actions: &Actions,
    ) -> Vec<Output> {
        self.adopt(around);
        let found: Vec<Found<'_>> = evaluated.iter().flat_map(found_by).collect();
        let sources = Sources {
            inventory: around.inventory,
            window: around.window,
            actions,
            at: around.at,
        };
        let cases = self.cases.update(&found, &sources);
        self.held.clear();
        self.diagnosed = cases.into_iter().map(diagnose).collect();
        self.by_object = BTreeMap::new();
        for (index, diagnosed) in self.diagnosed.iter().enumerate() {
            let sick = diagnosed.case.owners.iter().flat_map(|member| &member.sick);
            self.by_object
                .extend(sick.map(|target| (target.uid.clone(), index)));
        }
        let open = self.diagnosed.iter().map(|it| it.case.id.clone()).collect();
        self.inquiries.forget(&open, around.at, REPLIES_LAST);
        self.learned.expire(around.at);
        self.tell(around, evaluated)
    }

    /// Continues, at the first tick, the cases that an analyzer before this one had told of.
    fn adopt(&mut self, around: &Around<'_>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        for (id, open) in around.view.told.open_cases(around.at) {
            self.cases.adopt(open.owner.uid, id.clone(), open.since);
            let told = ToldCase {
                cause: open.last.reason.clone(),
                alert: open.last,
            };
            self.told.insert(id, told);
        }
    }

    /// What the advisors make of an object on which a trigger fired.
    pub(super) fn opinion(
        &mut self,
        accepted: &Accepted,
        active: &Active<'_>,
        at: Timestamp,
    ) -> Option<Opinion> {
        let uid = active.offender.target.uid.as_str();
        let diagnosed = self.diagnosed.get(*self.by_object.get(uid)?)?;
        let member = diagnosed.member(uid)?;
        let case = &diagnosed.case;
        let ranked = rules::concerning(case, &diagnosed.hypotheses, member);
        let first = ranked.first();
        let mut opinion = Opinion {
            diagnosis: diagnosis_of(case, &ranked, member),
            ..Opinion::default()
        };
        let Some(ai) = &accepted.ai else {
            return Some(opinion);
        };
        let rungs: Vec<_> = accepted.rungs(&active.watched.name).collect();
        let subject = recollect::Subject {
            mode: first.map(|first| first.mode),
            owner_kind: &member.kind,
            episode: format!("{}/{uid}/{}", accepted.uid, active.episode.since),
        };
        recollect::recollect(&self.learned, &subject, (&rungs, ai), &mut opinion);
        if ai.mode == AiMode::Choose {
            opinion.cause = first.cloned().zip(Some(member.clone()));
        }
        if ai.mode != AiMode::Off {
            let recalled = recollect::recall(&self.learned, case, first, (ai, &mut opinion));
            let inquiry = Inquiry {
                case,
                hypotheses: &ranked,
                ai,
                policy_uid: &accepted.uid,
                choices: rungs.iter().map(|action| opinion::choice(action)).collect(),
                at,
            };
            if !recalled {
                let considered = self.inquiries.consider(&inquiry);
                consult(&inquiry, considered, &self.learned, &mut opinion);
            }
        }
        Some(opinion)
    }

    /// Notes why no action follows on an object.
    pub(super) fn hold(&mut self, uid: &str, held: &Held) {
        self.held.insert(uid.to_owned(), held.to_string());
    }

    /// What is wrong, as the status of a policy says it: the worst first.
    pub(super) fn summaries(&self, accepted: &Accepted) -> Vec<CaseSummary> {
        let of_policy = |diagnosed: &&Diagnosed| {
            policies(&diagnosed.case)
                .any(|(namespace, name)| namespace == accepted.namespace && name == accepted.name)
        };
        let mut found: Vec<(Severity, CaseSummary)> = self
            .diagnosed
            .iter()
            .filter(of_policy)
            .map(|diagnosed| (diagnosed.severity(), self.summary(diagnosed)))
            .collect();
        found.sort_by(|(one, first), (other, second)| {
            (other.cmp(one))
                .then(first.since.cmp(&second.since))
                .then_with(|| first.id.cmp(&second.id))
        });
        let summaries = found.into_iter().map(|(_, summary)| summary);
        summaries.take(MOST_CASES).collect()
    }

    fn summary(&self, diagnosed: &Diagnosed) -> CaseSummary {
        let Diagnosed {
            case, diagnosis, ..
        } = diagnosed;
        let sick = || case.owners.iter().flat_map(|member| &member.sick);
        CaseSummary {
            id: case.id.clone(),
            since: case.opened_at,
            owner: owner_of(diagnosed),
            affected: u32::try_from(case.owners.len().saturating_sub(1)).unwrap_or(u32::MAX),
            failure_mode: diagnosis.failure_mode.clone(),
            cause: diagnosis.cause.clone(),
            confidence: diagnosis.confidence,
            source: diagnosis.source.clone(),
            held: sick().find_map(|target| self.held.get(&target.uid).cloned()),
        }
    }

    /// Tells people of cases that are new, diagnosed anew, or over.
    fn tell(&mut self, around: &Around<'_>, evaluated: &[Evaluated<'_>]) -> Vec<Output> {
        let mut outputs = Vec::new();
        let mut open = BTreeSet::new();
        for diagnosed in &self.diagnosed {
            open.insert(diagnosed.case.id.clone());
            let Some(alert) = alert_of(diagnosed, around, evaluated) else {
                continue;
            };
            let id = diagnosed.case.id.clone();
            let known = self.told.entry(id).or_insert_with(|| {
                let opened = opened(&alert, &diagnosed.case);
                outputs.push(Output::Alert(Box::new(opened)));
                ToldCase {
                    alert: alert.clone(),
                    cause: String::new(),
                }
            });
            if !diagnosed.hypotheses.is_empty() && alert.reason != known.cause {
                known.cause.clone_from(&alert.reason);
                outputs.push(Output::Alert(Box::new(alert.clone())));
            }
            known.alert = alert;
        }
        self.told.retain(|id, told| {
            let stays = open.contains(id);
            if !stays {
                outputs.push(Output::Alert(Box::new(resolved(&told.alert, around.at))));
            }
            stays
        });
        outputs
    }
}

impl Diagnosed {
    /// The owner in trouble that an object belongs to.
    fn member(&self, uid: &str) -> Option<&Target> {
        let mut owners = self.case.owners.iter();
        let of = owners.find(|member| member.sick.iter().any(|target| target.uid == uid));
        of.map(|member| &member.owner)
    }

    fn severity(&self) -> Severity {
        let owners = self.case.owners.iter();
        owners
            .map(|member| member.severity)
            .max()
            .unwrap_or_default()
    }

    /// The object that the cause lies with.
    fn root(&self) -> Option<&Target> {
        let about = self.hypotheses.first().map(|first| &first.about);
        about.or_else(|| self.case.owners.first().map(|member| &member.owner))
    }
}

fn found_by<'a>(evaluated: &'a Evaluated<'_>) -> impl Iterator<Item = Found<'a>> {
    let Accepted {
        namespace, name, ..
    } = evaluated.accepted;
    evaluated.active.iter().map(move |active| Found {
        policy: (namespace, name),
        watched: active.watched,
        offender: active.offender,
        episode: active.episode,
        measured: active.measured.as_ref(),
    })
}

fn diagnose(case: Case) -> Diagnosed {
    let hypotheses = rules::diagnose(&case);
    let root = hypotheses.first().map(|first| &first.about);
    let owner = root.or_else(|| case.owners.first().map(|member| &member.owner));
    let diagnosis = owner.map(|owner| diagnosis_of(&case, &hypotheses, owner));
    Diagnosed {
        diagnosis: diagnosis.unwrap_or_default(),
        case,
        hypotheses,
    }
}

/// What the rules say of an owner; where they are silent, what was found.
fn diagnosis_of(case: &Case, ranked: &[Hypothesis], member: &Target) -> Diagnosis {
    let verdict = rules::verdict(case, ranked, member, describe::describe);
    let spoke = verdict.is_some();
    let mut diagnosis = verdict.unwrap_or_else(|| undecided(case));
    diagnosis.case = Some(case.id.clone());
    diagnosis.fingerprint = Some(case.fingerprint.clone());
    diagnosis.if_nothing_is_done = outlook::if_nothing_is_done(case, member);
    diagnosis.consulted.push(Consulted {
        source: "rules".to_owned(),
        outcome: if spoke { "Named" } else { "NoOpinion" }.to_owned(),
        said: spoke.then(|| diagnosis.cause.clone()),
        ..Consulted::default()
    });
    diagnosis
}

/// No rule has an opinion: the findings speak for themselves.
fn undecided(case: &Case) -> Diagnosis {
    let found = case.evidence.iter().find_map(|piece| {
        let Fact::Finding(finding) = &piece.fact else {
            return None;
        };
        Some(format!("trigger {}: {}", finding.trigger, finding.subject))
    });
    let evidence = case.evidence.iter().take(32);
    Diagnosis {
        cause: found.unwrap_or_default().chars().take(256).collect(),
        source: "policy".to_owned(),
        evidence: evidence.map(describe::describe).collect(),
        ..Diagnosis::default()
    }
}

/// Takes what came of asking models into an opinion.
fn consult(
    inquiry: &Inquiry<'_>,
    considered: Considered,
    learned: &Learned,
    opinion: &mut Opinion,
) {
    let Considered {
        consulted,
        awaits,
        proposal,
    } = considered;
    opinion.diagnosis.consulted.extend(consulted);
    opinion.awaits = awaits;
    let Some(Reviewed {
        source,
        proposal,
        tainted,
    }) = proposal
    else {
        return;
    };
    let calibrated = learned.calibrated(&source, proposal.stated_confidence);
    let claim = Claim {
        source: &source,
        calibrated: calibrated.map(|it| (it.confidence, it.on)),
        tainted,
        proposal: &proposal,
    };
    opinion.picked = combine::picked(inquiry.ai, &claim);
    let diagnosis = std::mem::take(&mut opinion.diagnosis);
    opinion.diagnosis = combine::combine(diagnosis, inquiry.hypotheses.first(), &claim);
    // What is done on a model's word alone is as trustworthy as what the word rests on.
    if claim.tainted && opinion.picked.is_some() && opinion.cause.is_none() {
        opinion.diagnosis.tainted = true;
    }
}

fn owner_of(diagnosed: &Diagnosed) -> String {
    diagnosed
        .root()
        .map(|target| format!("{}/{}", target.kind, target.name))
        .unwrap_or_default()
}

/// What a case is told as, once it is diagnosed: under the policy whose trigger found it first.
fn alert_of(
    diagnosed: &Diagnosed,
    around: &Around<'_>,
    evaluated: &[Evaluated<'_>],
) -> Option<Alert> {
    let Diagnosed {
        case, diagnosis, ..
    } = diagnosed;
    let (namespace, name) = policies(case).next()?;
    let policy = evaluated
        .iter()
        .map(|evaluated| evaluated.accepted)
        .find(|accepted| accepted.namespace == namespace && accepted.name == name)?;
    let target = diagnosed.root()?.clone();
    let others = case.owners.len().saturating_sub(1);
    let also = match others {
        0 => String::new(),
        1 => ", one other owner is affected".to_owned(),
        _ => format!(", {others} other owners are affected"),
    };
    Some(Alert {
        kind: AlertKind::CaseDiagnosed,
        cluster: around.settings.cluster.clone(),
        fingerprint: case.id.clone(),
        namespace: namespace.to_owned(),
        policy: name.to_owned(),
        policy_uid: policy.uid.clone(),
        trigger: String::new(),
        severity: diagnosed.severity(),
        message: format!("{target}: {}{also}", diagnosis.cause),
        target,
        value: None,
        threshold: None,
        operator: None,
        starts_at: Some(case.opened_at),
        fired_at: None,
        ends_at: None,
        action: String::new(),
        reason: camel(diagnosis.failure_mode.as_deref().unwrap_or("unknown")),
    })
}

fn opened(alert: &Alert, case: &Case) -> Alert {
    let owners = case.owners.len();
    let first = case.owners.first().map(|member| member.owner.clone());
    let target = first.unwrap_or_else(|| alert.target.clone());
    Alert {
        kind: AlertKind::CaseOpened,
        reason: String::new(),
        message: format!(
            "something is wrong with {target}: {owners} owner{} in trouble",
            if owners == 1 { "" } else { "s" }
        ),
        target,
        ..alert.clone()
    }
}

fn resolved(alert: &Alert, at: Timestamp) -> Alert {
    Alert {
        kind: AlertKind::CaseResolved,
        ends_at: Some(at),
        reason: String::new(),
        message: format!(
            "{} is over: none of its triggers holds any more",
            alert.target
        ),
        ..alert.clone()
    }
}

/// `memory-leak` as `MemoryLeak`.
fn camel(kebab: &str) -> String {
    kebab
        .split('-')
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters)
        })
        .collect()
}

/// Namespace and name of the policies whose triggers found a case, the first to find standing first.
fn policies(case: &Case) -> impl Iterator<Item = (&str, &str)> {
    case.evidence.iter().filter_map(|piece| {
        let Fact::Finding(finding) = &piece.fact else {
            return None;
        };
        Some((finding.policy.0.as_str(), finding.policy.1.as_str()))
    })
}
