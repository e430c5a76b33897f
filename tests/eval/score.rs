//! What was said and done, held against what is right.
//!
//! In: the labels of a scenario and what was seen of it. Out: one [`Row`] for
//! each labelled trouble. The answer that counts is the one that the first
//! action acts on; where no action follows, the one that stands at the end.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{action::Phase, policy::Remedy};
use serde::Serialize;

use crate::{
    fill::Fill,
    pattern::Pattern,
    scenario::{Label, Scenario, Wanted},
    seen::{ActionSeen, Calls, Fired, Seen},
};

/// The labels of one trouble, with the placeholders filled.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    label: Label,
    owner: Vec<Pattern>,
    target: Vec<Pattern>,
}

impl Expected {
    /// What a scenario expects in a namespace.
    pub(crate) fn of(scenario: &Scenario, fill: &Fill<'_>) -> Vec<Self> {
        let filled = |patterns: &[Pattern]| {
            let one = |pattern: &Pattern| Pattern {
                kind: pattern.kind.clone(),
                name: fill.text(&pattern.name),
            };
            patterns.iter().map(one).collect()
        };
        let labels = scenario.expect.cases.iter().map(|label| &label.value);
        labels
            .map(|label| Self {
                owner: filled(&label.owner),
                target: filled(&label.target),
                label: label.clone(),
            })
            .collect()
    }

    fn is_cause(&self, mode: Option<&str>) -> bool {
        let right = self.label.cause.iter();
        mode.is_some_and(|mode| right.into_iter().any(|cause| cause.as_str() == mode))
    }

    fn is_owner(&self, owner: &str) -> bool {
        self.owner.iter().any(|pattern| pattern.means(owner))
    }

    fn is_target(&self, target: &str) -> bool {
        self.target.is_empty() || self.target.iter().any(|pattern| pattern.means(target))
    }

    fn wants(&self, remedy: Remedy) -> bool {
        self.label.action.contains(&Wanted::Remedy(remedy))
    }

    fn may_be_left(&self) -> bool {
        self.label.action.contains(&Wanted::Nothing)
    }

    /// Whether an action is what should be done.
    fn allows(&self, action: &ActionSeen) -> bool {
        self.wants(action.remedy()) && self.is_target(&action.target())
    }

    /// Whether an action did what should not be done: it changed something, and neither this way nor
    /// there, or nobody was asked.
    fn is_harmed_by(&self, action: &ActionSeen) -> bool {
        let unasked = self.label.asks && action.action.spec.approval.is_none();
        action.changed_something() && (!self.allows(action) || unasked)
    }
}

/// What was said of one trouble.
#[derive(Clone, Debug, Default, PartialEq)]
struct Answer<'a> {
    mode: Option<String>,
    owner: String,
    source: String,
    confidence: Option<f64>,
    said_at: Option<Timestamp>,
    held: Option<String>,
    first: Option<&'a str>,
}

/// How one labelled trouble was answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// The scenario.
    pub(crate) scenario: String,
    /// The labelled causes.
    pub(crate) cause: Vec<String>,
    /// What was said.
    pub(crate) said_cause: Option<String>,
    /// Whether it is one of the labelled causes.
    pub(crate) cause_ok: bool,
    /// The labelled owners.
    pub(crate) owner: Vec<String>,
    /// What was said.
    pub(crate) said_owner: Option<String>,
    /// Whether it is one of the labelled owners.
    pub(crate) owner_ok: bool,
    /// The labelled actions.
    pub(crate) action: Vec<String>,
    /// What was done first, and to what.
    pub(crate) said_action: Option<String>,
    /// Whether it is one of the labelled actions on a labelled target, and a person was asked where one must be.
    pub(crate) action_ok: bool,
    /// What became of the first action: its phase and reason.
    pub(crate) outcome: Option<String>,
    /// Whether the target was well again in time; absent where that is not asked.
    pub(crate) recovered: Option<bool>,
    /// Actions that changed something and should not have.
    pub(crate) harmful: Vec<String>,
    /// Cases that were opened in all, on the first row of a scenario; as many are labelled as it has rows.
    pub(crate) cases: Option<usize>,
    /// Who said it.
    pub(crate) source: Option<String>,
    /// How sure.
    pub(crate) confidence: Option<f64>,
    /// Why no action followed.
    pub(crate) held: Option<String>,
    /// The explanation and the evidence that the first action carries.
    pub(crate) because: Vec<String>,
    /// Seconds from the first step of the failure until a trigger fired.
    pub(crate) detected: Option<f64>,
    /// … until the cause that counts was said.
    pub(crate) diagnosed: Option<f64>,
    /// … until the first action began.
    pub(crate) acted: Option<f64>,
    /// … until the first action was verified.
    pub(crate) verified: Option<f64>,
    /// Calls of models, on the first row of a scenario.
    pub(crate) model_calls: u32,
    /// Tokens in and out of these.
    pub(crate) tokens: u64,
    /// What did not work, so that the scenario could not be measured.
    pub(crate) broken: Option<String>,
}

/// Whether all that is expected was answered, so that waiting on brings nothing.
pub(crate) fn is_answered(scenario: &Scenario, expected: &[Expected], seen: &Seen) -> bool {
    let assigned = assign(expected, seen);
    expected.iter().zip(assigned).all(|(expected, answer)| {
        let Some(answer) = answer else { return false };
        let noticed = seen.fired.iter().any(|fired| counts(scenario, fired));
        match first_action(&answer, seen) {
            Some(first) => {
                let status = first.status();
                let asked = expected.label.asks && status.phase == Phase::AwaitingApproval;
                asked || status.phase.is_final()
            }
            None => expected.may_be_left() && noticed && answer.said_at.is_some(),
        }
    })
}

/// The rows of a scenario.
pub(crate) fn score(scenario: &Scenario, expected: &[Expected], seen: &Seen) -> Vec<Row> {
    let assigned = assign(expected, seen);
    let mut rows: Vec<Row> = expected
        .iter()
        .zip(&assigned)
        .map(|(expected, answer)| row(scenario, (expected, answer.as_ref()), seen))
        .collect();
    if let Some(first) = rows.first_mut() {
        let Calls {
            made,
            failed: _,
            tokens_in,
            tokens_out,
        } = seen.calls;
        first.cases = Some(seen.cases.len());
        first.model_calls = made;
        first.tokens = tokens_in + tokens_out;
        first.harmful = harmful(expected, seen);
        if let Some(leak) = seen.leaks.first() {
            first.broken = Some(format!("a diagnosis quotes the simulation: {leak}"));
        }
    }
    rows
}

/// The row of a scenario that could not be measured.
pub(crate) fn broken(scenario: &str, why: String) -> Row {
    Row {
        scenario: scenario.to_owned(),
        broken: Some(why),
        ..Row::default()
    }
}

/// Actions that no label allows.
fn harmful(expected: &[Expected], seen: &Seen) -> Vec<String> {
    let harms = |action: &&ActionSeen| expected.iter().all(|it| it.is_harmed_by(action));
    let harmful = seen.actions.values().filter(harms);
    harmful
        .map(|action| format!("{} of {}", action.remedy().as_str(), action.target()))
        .collect()
}

/// The answers there are.
fn answers(seen: &Seen) -> Vec<Answer<'_>> {
    let mut answers: Vec<Answer<'_>> = seen
        .cases
        .iter()
        .filter_map(|(id, case)| {
            let (_, last) = case.said.last()?;
            let mut answer = Answer {
                mode: last.failure_mode.clone(),
                owner: last.owner.clone(),
                source: last.source.clone(),
                confidence: last.confidence,
                held: last.held.clone(),
                ..Answer::default()
            };
            if let Some((uid, first)) = first_of(seen, Some(id)) {
                acted_on(&mut answer, uid, first);
            }
            let same = |(_, said): &&(Timestamp, schemas::policy::CaseSummary)| {
                said.failure_mode == answer.mode
            };
            answer.said_at = case.said.iter().find(same).map(|(at, _)| *at);
            if answer.said_at.is_none() {
                answer.said_at = answer.first.and_then(|uid| Some(seen.actions.get(uid)?.at));
            }
            Some(answer)
        })
        .collect();
    // An action of a case that no status ever told.
    let told = |action: &ActionSeen| {
        let case = case_of(action);
        case.is_some_and(|case| seen.cases.contains_key(case))
    };
    for (uid, action) in &seen.actions {
        if told(action) || first_of(seen, case_of(action)).is_none_or(|(first, _)| first != uid) {
            continue;
        }
        let mut answer = Answer {
            said_at: Some(action.at),
            ..Answer::default()
        };
        acted_on(&mut answer, uid, action);
        answers.push(answer);
    }
    answers
}

fn case_of(action: &ActionSeen) -> Option<&str> {
    action.action.spec.diagnosis.as_ref()?.case.as_deref()
}

/// The first action of a case.
fn first_of<'a>(seen: &'a Seen, case: Option<&str>) -> Option<(&'a String, &'a ActionSeen)> {
    let of_case = seen
        .actions
        .iter()
        .filter(|(_, action)| case_of(action) == case);
    of_case.min_by_key(|(uid, action)| {
        let created = action.action.metadata.creation_timestamp.as_ref();
        (created.map(|at| at.0), action.at, *uid)
    })
}

fn acted_on<'a>(answer: &mut Answer<'a>, uid: &'a str, first: &ActionSeen) {
    answer.first = Some(uid);
    let diagnosis = first.action.spec.diagnosis.clone().unwrap_or_default();
    answer.mode = diagnosis.failure_mode;
    answer.source = diagnosis.source;
    answer.confidence = diagnosis.confidence;
    if let Some(owner) = first.owner() {
        answer.owner = owner;
    }
}

fn first_action<'a>(answer: &Answer<'_>, seen: &'a Seen) -> Option<&'a ActionSeen> {
    seen.actions.get(answer.first?)
}

/// Which answer is about which labelled trouble: the best fit first, by owner, target and cause.
fn assign<'a>(expected: &[Expected], seen: &'a Seen) -> Vec<Option<Answer<'a>>> {
    let answers = answers(seen);
    let fit = |expected: &Expected, answer: &Answer<'_>| {
        let target = first_action(answer, seen).map(ActionSeen::target);
        let on_target =
            target.is_some_and(|it| !expected.target.is_empty() && expected.is_target(&it));
        let points = [
            (expected.is_owner(&answer.owner), 4_u8),
            (on_target, 2),
            (expected.is_cause(answer.mode.as_deref()), 1),
        ];
        points
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, points)| points)
            .sum::<u8>()
    };
    let mut pairs: Vec<(u8, usize, usize)> = expected
        .iter()
        .enumerate()
        .flat_map(|(label, expected)| {
            let of = answers.iter().enumerate();
            of.map(move |(answer, said)| (fit(expected, said), label, answer))
        })
        .collect();
    pairs.sort_by_key(|(fit, label, answer)| (std::cmp::Reverse(*fit), *label, *answer));
    let mut assigned: Vec<Option<Answer<'_>>> = vec![None; expected.len()];
    let mut taken = vec![false; answers.len()];
    for (_, label, answer) in pairs {
        if let (Some(slot), Some(is_taken), Some(said)) = (
            assigned.get_mut(label),
            taken.get_mut(answer),
            answers.get(answer),
        ) && slot.is_none()
            && !*is_taken
        {
            *slot = Some(said.clone());
            *is_taken = true;
        }
    }
    assigned
}

fn counts(scenario: &Scenario, fired: &Fired) -> bool {
    let triggers = &scenario.expect.triggers;
    triggers.is_empty() || triggers.contains(&fired.trigger)
}

fn row(
    scenario: &Scenario,
    (expected, answer): (&Expected, Option<&Answer<'_>>),
    seen: &Seen,
) -> Row {
    let since = |at: Timestamp| {
        let span = at.duration_since(seen.injected_at?);
        Some((span.as_secs_f64() * 10.0).round() / 10.0)
    };
    let label = &expected.label;
    let texts = |patterns: &[Pattern]| patterns.iter().map(Pattern::to_string).collect();
    let mut row = Row {
        scenario: scenario.name.clone(),
        cause: label
            .cause
            .iter()
            .map(|mode| mode.as_str().to_owned())
            .collect(),
        owner: texts(&expected.owner),
        action: label
            .action
            .iter()
            .map(|wanted| wanted.as_str().to_owned())
            .collect(),
        detected: detected(scenario, expected, seen).and_then(since),
        recovered: label.recovers.map(|_| false),
        action_ok: expected.may_be_left(),
        ..Row::default()
    };
    let Some(answer) = answer else {
        // Who notices nothing does nothing, and is not right for it.
        row.action_ok = false;
        return row;
    };
    row.cause_ok = expected.is_cause(answer.mode.as_deref());
    row.owner_ok = expected.is_owner(&answer.owner);
    row.said_cause.clone_from(&answer.mode);
    row.said_owner = Some(answer.owner.clone());
    row.source = Some(answer.source.clone());
    row.confidence = answer.confidence;
    row.held.clone_from(&answer.held);
    row.diagnosed = answer.said_at.and_then(since);
    let Some(first) = first_action(answer, seen) else {
        return row;
    };
    row.because = because(first);
    let status = first.status();
    let asked = !label.asks || status.phase == Phase::AwaitingApproval;
    row.said_action = Some(format!("{} of {}", first.remedy().as_str(), first.target()));
    row.action_ok = expected.allows(first) && asked;
    let reason = status.reason.clone().map(|reason| format!(" {reason}"));
    row.outcome = Some(format!("{}{}", status.phase, reason.unwrap_or_default()));
    let acted = status.started_at.or(status.executed_at);
    let began = acted.or(status.finished_at);
    row.acted = began.and_then(since);
    let succeeded = status.phase == Phase::Succeeded;
    let ended = status.finished_at.filter(|_| succeeded);
    row.verified = ended.and_then(since);
    row.recovered = label.recovers.map(|within| {
        let took = began
            .zip(ended)
            .map(|(began, ended)| ended.duration_since(began));
        took.is_some_and(|took| took <= within.get())
    });
    row
}

/// The explanation and the evidence that an action carries.
fn because(action: &ActionSeen) -> Vec<String> {
    let diagnosis = action.action.spec.diagnosis.clone().unwrap_or_default();
    let evidence = diagnosis.evidence.into_iter();
    let evidence = evidence.map(|piece| format!("{} {}", piece.id, piece.statement));
    diagnosis.explanation.into_iter().chain(evidence).collect()
}

/// When the trouble was noticed: a trigger fired on one of its objects, or on any where none is named.
fn detected(scenario: &Scenario, expected: &Expected, seen: &Seen) -> Option<Timestamp> {
    let fired = || seen.fired.iter().filter(|fired| counts(scenario, fired));
    let is_own = |fired: &&Fired| {
        let patterns = expected.target.iter().chain(&expected.owner);
        patterns
            .into_iter()
            .any(|pattern| pattern.means(&fired.object))
    };
    let own = fired().filter(is_own).map(|fired| fired.at).min();
    own.or_else(|| fired().map(|fired| fired.at).min())
}

#[cfg(test)]
mod tests;
