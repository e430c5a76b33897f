//! What of a case is shown, when not all of it fits.
//!
//! In: a question, and the tokens that are left for it. Out: lines. Texts and series get shorter
//! first; then pieces of evidence are left out, the least useful ones first. The first twelve
//! findings are never left out: a case has eight at most.
//!
//! Pure: no IO, no clock.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    figures::{age, number},
    known, may_be_shown,
    scrub::Scrubber,
    statement::Writer,
    tokens,
};
use crate::{
    advise::{Ground, Hypothesis, Question, question},
    evidence::{Fact, Id, Piece},
};

/// Pieces of a case that are looked at: as many as a diagnosis can carry.
const MOST_PIECES: usize = 32;
/// Findings that are never left out.
const MOST_FINDINGS: usize = 12;
/// Reasons for, and against, a cause that are told.
const MOST_GROUNDS: usize = 3;

/// How much is told of each piece.
#[derive(Clone, Copy, Debug)]
struct Detail {
    /// Bytes of a text, at most.
    most: usize,
    /// Whether values of series are shown.
    points: bool,
    /// Causes of the rules that are told.
    causes: usize,
    /// Whether pieces may be left out.
    leaves_out: bool,
}

/// The levels, the fullest first. At the last one, what must be shown always fits.
const DETAILS: [Detail; 3] = [
    Detail {
        most: 240,
        points: true,
        causes: 4,
        leaves_out: false,
    },
    Detail {
        most: 120,
        points: false,
        causes: 3,
        leaves_out: true,
    },
    Detail {
        most: 24,
        points: false,
        causes: 1,
        leaves_out: true,
    },
];

/// A case in lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Digested {
    pub(super) targets: Vec<String>,
    pub(super) causes: Vec<String>,
    pub(super) evidence: Vec<String>,
    /// Which pieces the lines of `evidence` are.
    pub(super) shown: Vec<Id>,
    /// Pieces that did not fit.
    pub(super) left_out: usize,
    /// What was masked, by kind of secret.
    pub(super) masked: BTreeMap<String, u32>,
}

impl Digested {
    fn tokens(&self) -> usize {
        let lines = self.targets.iter().chain(&self.causes);
        lines.chain(&self.evidence).map(|line| cost(line)).sum()
    }

    /// Leaves pieces out, in this order, until the rest fits.
    fn leave_out(&mut self, order: &[Id], most: usize) {
        let mut tokens = self.tokens();
        let mut gone = BTreeSet::new();
        for id in order {
            if tokens <= most {
                break;
            }
            let lines = self.shown.iter().zip(&self.evidence);
            let line = lines.into_iter().find(|(shown, _)| *shown == id);
            tokens -= line.map_or(0, |(_, line)| cost(line));
            gone.insert(*id);
        }
        let lines = std::mem::take(&mut self.evidence).into_iter();
        let kept = self.shown.iter().zip(lines);
        self.evidence = kept
            .filter(|(id, _)| !gone.contains(id))
            .map(|(_, line)| line)
            .collect();
        self.shown.retain(|id| !gone.contains(id));
        self.left_out += gone.len();
    }
}

/// What a line takes, with its line break and a dash.
fn cost(line: &str) -> usize {
    tokens::estimate(line) + 2
}

/// The case in at most `most` tokens.
pub(super) fn compress(question: &Question, scrubber: &Scrubber, most: usize) -> Digested {
    let pieces = pieces(question);
    let order = least_useful_first(question, &pieces);
    let mut digested = Digested::default();
    for detail in DETAILS {
        digested = told(question, scrubber, &pieces, detail);
        if detail.leaves_out {
            digested.leave_out(&order, most);
        }
        if digested.tokens() <= most {
            break;
        }
    }
    digested
}

/// A scrubber that has learned from every text which may be shown.
pub(super) fn learned(question: &Question) -> Scrubber {
    let names = question.redact_names.then(|| known::names(question));
    let mut writer = Writer {
        question,
        scrub: Scrubber::learning(names),
        points: false,
    };
    for piece in pieces(question) {
        writer.line(piece);
    }
    frame(&mut writer, usize::MAX);
    for choice in &question.choices {
        let says = choice.description.as_deref();
        writer.scrub.text(says.unwrap_or_default());
    }
    writer.scrub
}

/// The pieces that are looked at.
fn pieces(question: &Question) -> Vec<&Piece> {
    let pieces = question.case.evidence.iter();
    let pieces = pieces.filter(|piece| may_be_shown(question, piece));
    pieces.take(MOST_PIECES).collect()
}

fn told(question: &Question, scrubber: &Scrubber, pieces: &[&Piece], detail: Detail) -> Digested {
    let mut writer = Writer {
        question,
        scrub: scrubber.cleaning(detail.most),
        points: detail.points,
    };
    let (targets, causes) = frame(&mut writer, detail.causes);
    let evidence = pieces.iter().map(|piece| writer.line(piece)).collect();
    let all = question.case.evidence.iter();
    let all = all.filter(|piece| may_be_shown(question, piece)).count();
    Digested {
        targets,
        causes,
        evidence,
        shown: pieces.iter().map(|piece| piece.id).collect(),
        left_out: all - pieces.len(),
        masked: writer.scrub.into_counts(),
    }
}

/// The targets, and the causes that the rules think possible.
fn frame(writer: &mut Writer<'_>, causes: usize) -> (Vec<String>, Vec<String>) {
    let question = writer.question;
    let mut targets = Vec::new();
    for (number, target) in (1..).zip(&question.targets) {
        let label = question::target_label(number);
        let members = question.case.owners.iter();
        let member = members
            .into_iter()
            .find(|member| member.owner.uid == target.uid);
        let trouble = member.map(|member| {
            let age = age(member.since, question.case.at);
            let severity = member.severity;
            format!(
                ", in trouble for {age}, {} objects, {severity:?}",
                member.sick.len()
            )
        });
        let named = writer.named(target);
        targets.push(format!("{label}: {named}{}", trouble.unwrap_or_default()));
    }
    let told = question.hypotheses.iter().take(causes);
    let causes = told.map(|hypothesis| cause(writer, hypothesis)).collect();
    (targets, causes)
}

fn cause(writer: &mut Writer<'_>, hypothesis: &Hypothesis) -> String {
    let Hypothesis {
        rule: _,
        mode,
        about,
        score,
        support,
        against,
        fits: _,
        leave_alone,
    } = hypothesis;
    let about = writer.about(about);
    let leave = if *leave_alone {
        ", nothing is to be done"
    } else {
        ""
    };
    let mut says = format!("{mode} with {about}, score {}{leave}", number(*score));
    for (word, grounds) in [("for", support), ("against", against)] {
        let grounds = grounds.iter().take(MOST_GROUNDS);
        let told: Vec<String> = grounds.map(|ground| reason(writer, ground)).collect();
        if !told.is_empty() {
            says = format!("{says}; {word} it: {}", told.join(", "));
        }
    }
    says
}

fn reason(writer: &mut Writer<'_>, ground: &Ground) -> String {
    let ids: Vec<String> = ground.evidence.iter().take(4).map(Id::to_string).collect();
    let text = writer.scrub.text(&ground.text);
    format!("{text} ({})", ids.join(" "))
}

/// The pieces that may be left out, the least useful first.
fn least_useful_first(question: &Question, pieces: &[&Piece]) -> Vec<Id> {
    let is_finding = |piece: &&&Piece| matches!(piece.fact, Fact::Finding(_));
    let findings = pieces.iter().filter(is_finding).take(MOST_FINDINGS);
    let kept: BTreeSet<Id> = findings.map(|piece| piece.id).collect();
    let rest = pieces.iter().filter(|piece| !kept.contains(&piece.id));
    let mut order: Vec<(f64, Id)> = rest
        .map(|piece| (usefulness(question, piece), piece.id))
        .collect();
    order.sort_by(|(one, first), (other, second)| {
        let by_use = one.partial_cmp(other).unwrap_or(Ordering::Equal);
        // A case has its most useful pieces first.
        by_use.then(second.cmp(first))
    });
    order.into_iter().map(|(_, id)| id).collect()
}

/// How much a piece tells: what its kind usually tells, and how much the rules' causes rest on it.
fn usefulness(question: &Question, piece: &Piece) -> f64 {
    let grounds = question.hypotheses.iter().flat_map(|hypothesis| {
        let all = hypothesis.support.iter().chain(&hypothesis.against);
        all.map(|ground| (hypothesis.score, ground))
    });
    let cited = grounds.filter(|(_, ground)| ground.evidence.contains(&piece.id));
    let rests: f64 = cited
        .map(|(score, ground)| score.abs() * ground.weight.abs())
        .sum();
    let kind = match piece.fact {
        Fact::Finding(_) => 4.0,
        Fact::Termination(_) | Fact::Waiting(_) | Fact::Rollout(_) | Fact::Scheduling(_) => 3.0,
        Fact::Series(_)
        | Fact::Node(_)
        | Fact::Container(_)
        | Fact::Quota { .. }
        | Fact::Claim { .. }
        | Fact::Dependency { .. } => 2.0,
        Fact::Condition(_)
        | Fact::Replicas(_)
        | Fact::Autoscaler(_)
        | Fact::Budget { .. }
        | Fact::Service { .. }
        | Fact::Job(_)
        | Fact::Siblings { .. } => 1.5,
        Fact::Events(_) | Fact::Log { .. } | Fact::Neighbour { .. } => 1.0,
        Fact::PastAction { .. } => 0.5,
    };
    if rests.is_finite() {
        kind + rests
    } else {
        kind
    }
}
