//! A diagnosis as people and programs read it.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    action::{Feedback, HealingAction, HealingActionStatus, Opinion, TriggerReading},
    diagnosis::{Diagnosis, Evidence, Series},
};
use serde::Serialize;

use super::spark::{number, spark};
use crate::{print::plain, span};

/// What is on record of why.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explained {
    action: String,
    namespace: String,
    phase: String,
    target: String,
    remedy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<TriggerReading>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<Diagnosis>,
    feedback: Vec<Feedback>,
}

impl Explained {
    /// What an action has on record.
    pub(crate) fn of(action: &HealingAction) -> Self {
        let none = HealingActionStatus::default();
        let status = action.status.as_ref().unwrap_or(&none);
        let on = &action.spec.target_resource;
        Self {
            action: action.metadata.name.clone().unwrap_or_default(),
            namespace: action.metadata.namespace.clone().unwrap_or_default(),
            phase: status.phase.as_str().to_owned(),
            target: format!("{}/{}", on.kind, on.name),
            remedy: action.spec.action.kind.as_str().to_owned(),
            trigger: action.spec.trigger.clone(),
            diagnosis: action.spec.diagnosis.clone(),
            feedback: action.spec.feedback.clone(),
        }
    }

    /// It in words, lines and bars.
    pub(crate) fn text(&self, now: Timestamp) -> String {
        let mut lines = vec![format!(
            "{} in {}: {} of {}, {}",
            plain(&self.action),
            plain(&self.namespace),
            plain(&self.remedy),
            plain(&self.target),
            self.phase
        )];
        if let Some(trigger) = &self.trigger {
            let since = span::words(now.duration_since(trigger.since));
            let (name, reading) = (plain(&trigger.name), plain(&trigger.reading));
            lines.push(format!("Seen     {name}: {reading}, since {since}"));
        }
        match &self.diagnosis {
            Some(diagnosis) => lines.extend(diagnosed(diagnosis)),
            None => lines.push("Cause    nobody has said: a person created the action".to_owned()),
        }
        lines.extend(self.opinions());
        lines.join("\n")
    }

    fn opinions(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for feedback in &self.feedback {
            let opinion = match feedback.opinion {
                Opinion::Useful => "useful",
                Opinion::Wrong => "wrong",
            };
            let cause = feedback.cause.iter().map(|it| format!(", it was {it}"));
            let comment = feedback.comment.iter().map(|it| format!(": {it}"));
            let rest: String = cause.chain(comment).collect();
            lines.push(format!(
                "Feedback {}",
                plain(&format!("{} says {opinion}{rest}", feedback.by))
            ));
        }
        lines
    }
}

/// The cause, its evidence and its rivals, a line each.
pub(crate) fn diagnosed(diagnosis: &Diagnosis) -> Vec<String> {
    let mut lines = vec![format!("Cause    {}", plain(&diagnosis.cause))];
    let mode = diagnosis
        .failure_mode
        .as_deref()
        .unwrap_or("no known failure mode");
    let owner = diagnosis.owner.iter().map(|it| format!(", lies with {it}"));
    let about: String = owner.collect();
    lines.push(format!("         {}", plain(&format!("{mode}{about}"))));
    lines.push(format!("Says     {}", plain(&who(diagnosis))));
    if diagnosis.tainted {
        lines.push("Caution  it rests only on text that an attacker could have written".to_owned());
    }
    let outlook = [
        ("Effect ", &diagnosis.expected_effect),
        ("Nothing", &diagnosis.if_nothing_is_done),
    ];
    let outlook = outlook
        .into_iter()
        .filter_map(|(title, text)| Some((title, text.as_ref()?)));
    lines.extend(outlook.map(|(title, text)| format!("{title}  {}", plain(text))));
    if let Some(text) = &diagnosis.explanation {
        lines.push(String::new());
        lines.extend(text.lines().map(|line| format!("  {}", plain(line))));
    }
    if !diagnosis.evidence.is_empty() {
        lines.extend([String::new(), "Evidence".to_owned()]);
        lines.extend(diagnosis.evidence.iter().flat_map(evidence));
    }
    if !diagnosis.alternatives.is_empty() {
        lines.extend([String::new(), "What else it could be".to_owned()]);
        let others = diagnosis.alternatives.iter();
        lines.extend(others.map(|it| plain(&format!("  {}: {}", it.cause, it.why_not))));
    }
    if !diagnosis.consulted.is_empty() {
        lines.extend([String::new(), "Who was asked".to_owned()]);
        lines.extend(diagnosis.consulted.iter().map(|it| {
            let said = it.said.iter().map(|said| format!(": {said}"));
            let said: String = said.collect();
            plain(&format!("  {} {}{said}", it.source, it.outcome))
        }));
    }
    lines
}

/// Whose word it is, and what it is worth.
fn who(diagnosis: &Diagnosis) -> String {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let sure = match (diagnosis.confidence, diagnosis.calibrated_on) {
        (Some(sure), Some(outcomes)) => format!(
            ", {} sure, calibrated on {outcomes} verified outcomes",
            percent(sure)
        ),
        (Some(sure), None) => format!(", {} sure, not calibrated", percent(sure)),
        (None, _) => String::new(),
    };
    let stated = diagnosis.stated_confidence;
    let stated = stated.map(|it| format!(" (claims {}, which decides nothing)", percent(it)));
    let stated = stated.unwrap_or_default();
    format!("{}{sure}{stated}", diagnosis.source)
}

fn evidence(piece: &Evidence) -> Vec<String> {
    let about = piece.about.iter().map(|it| format!("{it}: "));
    let about: String = about.collect();
    let head = format!(
        "  {:<4} {about}{} [{}]",
        piece.id, piece.statement, piece.provenance
    );
    let mut lines = vec![plain(&head)];
    lines.extend(
        piece
            .series
            .as_ref()
            .map(|series| format!("       {}", drawn(series))),
    );
    lines
}

/// A series as bars, with its ends, its span and what it is held against.
fn drawn(series: &Series) -> String {
    let mut known = series.values.iter().flatten();
    let first = known.next();
    let last = known.next_back().or(first);
    let shown = |value: Option<&f64>| {
        let shown = value.map(|value| number(*value, &series.unit));
        shown.unwrap_or_else(|| "no data".to_owned())
    };
    let steps = i64::try_from(series.values.len().saturating_sub(1)).unwrap_or(i64::MAX);
    let seconds = steps.saturating_mul(i64::from(series.step_seconds));
    let span = span::words(jiff::SignedDuration::from_secs(seconds));
    let against = series
        .threshold
        .map(|it| format!(" (against {})", number(it, &series.unit)));
    plain(&format!(
        "{} {} {} over {span}{}",
        shown(first),
        spark(&series.values),
        shown(last),
        against.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, waiting};
    use schemas::diagnosis::{Alternative, Consulted};

    fn leak() -> Diagnosis {
        Diagnosis {
            cause: "memory grows without end".to_owned(),
            failure_mode: Some("memory-leak".to_owned()),
            source: "rule/memory-leak".to_owned(),
            confidence: Some(0.87),
            calibrated_on: Some(23),
            evidence: vec![Evidence {
                id: "E1".to_owned(),
                provenance: "metric".to_owned(),
                statement: "memory of app rises".to_owned(),
                series: Some(Series {
                    unit: "bytes".to_owned(),
                    from: NOW,
                    step_seconds: 60,
                    values: vec![Some(104_857_600.0), None, Some(209_715_200.0)],
                    threshold: Some(268_435_456.0),
                }),
                ..Evidence::default()
            }],
            alternatives: vec![Alternative {
                cause: "garbage".to_owned(),
                why_not: "it never falls".to_owned(),
                ..Alternative::default()
            }],
            consulted: vec![Consulted {
                source: "model/small".to_owned(),
                outcome: "TimedOut".to_owned(),
                ..Consulted::default()
            }],
            ..Diagnosis::default()
        }
    }

    #[test]
    fn a_person_sees_cause_confidence_evidence_and_what_else_it_could_be() {
        let mut action = waiting("web");
        action.spec.diagnosis = Some(leak());
        let text = Explained::of(&action).text(NOW);
        for part in [
            "web in shop: restart of Pod/web-1, AwaitingApproval",
            "Seen     high-memory: 97.6 > 85, since 10m",
            "Cause    memory grows without end",
            "87 % sure, calibrated on 23 verified outcomes",
            "E1   memory of app rises [metric]",
            "100 Mi ▁ █ 200 Mi over 2m (against 256 Mi)",
            "garbage: it never falls",
            "model/small TimedOut",
        ] {
            assert!(text.contains(part), "{part} is missing from\n{text}");
        }
    }

    #[test]
    fn what_a_diagnosis_says_cannot_play_with_the_terminal() {
        let mut action = waiting("web");
        action.spec.diagnosis = Some(Diagnosis {
            cause: "\u{1b}[2Jgone\nSays policy".to_owned(),
            explanation: Some("a\u{202e}b".to_owned()),
            source: "model/x".to_owned(),
            ..Diagnosis::default()
        });
        let text = Explained::of(&action).text(NOW);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert!(text.contains("\u{fffd}[2Jgone Says policy"), "{text}");
    }
}
