//! An action as a person sees it who is to decide about it.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    action::{HealingAction, HealingActionStatus, TriggerReading},
    diagnosis::Diagnosis,
    step::Step,
};

use super::standing::until;
use crate::{print::plain, span};

/// Everything a decision rests on, a line each.
pub(crate) fn view(action: &HealingAction, now: Timestamp) -> String {
    let none = HealingActionStatus::default();
    let status = action.status.as_ref().unwrap_or(&none);
    let spec = &action.spec;
    let mut rows = vec![
        ("target", vec![target(action, status)]),
        (
            "action",
            vec![format!(
                "{} ({})",
                spec.action.name,
                spec.action.kind.as_str()
            )],
        ),
        ("policy", vec![spec.policy_name.clone()]),
    ];
    rows.extend(spec.trigger.as_ref().map(|it| ("seen", seen(it, now))));
    rows.extend(spec.diagnosis.as_ref().map(|it| ("because", because(it))));
    let calls: Vec<_> = status.plan.iter().flat_map(Step::lines).collect();
    rows.push(("plan", or_none(&calls)));
    rows.push(("digest", or_none(status.digest.as_slice())));
    if spec.dry_run {
        rows.push((
            "note",
            vec!["a dry run: nothing will be changed".to_owned()],
        ));
    }
    if let Some(until) = until(status) {
        let left = span::words(until.duration_since(now));
        rows.push(("expires", vec![format!("{until}, {left} from now")]));
    }
    let name = action.metadata.name.as_deref().unwrap_or_default();
    let namespace = action.metadata.namespace.as_deref().unwrap_or_default();
    let lines = rows
        .into_iter()
        .flat_map(|(title, lines)| row(title, &lines));
    let head = std::iter::once(format!("HealingAction {name} in {namespace}"));
    head.chain(lines).collect::<Vec<_>>().join("\n")
}

/// A title and its lines, one below the other.
fn row(title: &str, lines: &[String]) -> Vec<String> {
    let titles = std::iter::once(title).chain(std::iter::repeat(""));
    let lines = titles.zip(lines);
    lines
        .map(|(title, line)| format!("  {title:<8} {}", plain(line)))
        .collect()
}

fn or_none(lines: &[String]) -> Vec<String> {
    if lines.is_empty() {
        vec!["not known yet".to_owned()]
    } else {
        lines.to_vec()
    }
}

fn target(action: &HealingAction, status: &HealingActionStatus) -> String {
    let spec = &action.spec.target_resource;
    let target = status
        .target
        .clone()
        .unwrap_or_else(|| format!("{}/{}", spec.kind, spec.name));
    let namespace = spec.namespace.as_ref().map(|it| format!(" in {it}"));
    let owner = status.owner.as_ref().filter(|owner| **owner != target);
    let owner = owner.map(|owner| format!(" of {owner}"));
    [Some(target), owner, namespace]
        .into_iter()
        .flatten()
        .collect()
}

fn seen(trigger: &TriggerReading, now: Timestamp) -> Vec<String> {
    let since = span::words(now.duration_since(trigger.since));
    let severity = trigger.severity.as_str();
    let mut lines = vec![format!(
        "{}: {} ({severity})",
        trigger.name, trigger.reading
    )];
    let offender = trigger
        .offender_kind
        .as_ref()
        .zip(trigger.offender_name.as_ref());
    lines.extend(offender.map(|(kind, name)| format!("at {kind}/{name}")));
    lines.push(format!("since {}, {since} ago", trigger.since));
    lines
}

fn because(diagnosis: &Diagnosis) -> Vec<String> {
    let sure = diagnosis
        .confidence
        .map(|sure| format!(", {:.0} % sure", sure * 100.0));
    let sure = sure.unwrap_or_default();
    let mut lines = vec![format!(
        "{} (says {}{sure})",
        diagnosis.cause, diagnosis.source
    )];
    lines.extend(diagnosis.explanation.clone());
    if diagnosis.tainted {
        lines.push("caution: it rests only on text that an attacker could have written".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, waiting};

    #[test]
    fn a_person_sees_target_reading_plan_digest_and_deadline() {
        let text = view(&waiting("web"), NOW);
        for part in [
            "HealingAction web in shop",
            "target   Pod/web-1 of Deployment/web",
            "seen     high-memory: 97.6 > 85 (critical)",
            "plan     evict Pod/web-1",
            "digest   abc",
            "expires  2026-01-01T12:30:00Z, 30m from now",
        ] {
            assert!(text.contains(part), "{part} is missing from\n{text}");
        }
    }

    #[test]
    fn a_plan_keeps_its_lines_and_cannot_add_rows() {
        let mut action = waiting("web");
        let status = action.status.as_mut().unwrap();
        let mut second = status.plan[0].clone();
        status.plan[0].call = "one\n  digest   forged".to_owned();
        second.call = "two".to_owned();
        status.plan.push(second);
        let text = view(&action, NOW);
        assert!(
            text.contains("  plan     one   digest   forged\n           two\n"),
            "{text}"
        );
    }
}
