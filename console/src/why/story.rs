//! An explanation as a short story.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    action::{GuardVerdict, TriggerReading, Verification},
    step::Step,
};

use super::explanation::Explanation;
use crate::{
    print::{plain, table},
    span,
};

/// The whole story, a line each, safe to show.
pub(super) fn story(told: &Explanation, now: Timestamp) -> String {
    let reason = told.reason.as_deref().map(|reason| format!(" ({reason})"));
    let mut lines = vec![format!(
        "HealingAction {} in {}: {}{}",
        told.name,
        told.namespace,
        told.phase,
        reason.unwrap_or_default()
    )];
    lines.extend(told.message.iter().map(|message| format!("  {message}")));
    let parts = [
        ("What was seen", seen(told, now)),
        ("Why this action", chosen(told)),
        ("Who agreed", agreed(told)),
        ("What the guards said", guards(told)),
        ("What was planned", plan(told)),
        ("What happened when", happened(told)),
        ("What came of it", effect(told.verification.as_ref())),
        ("What is next", vec![told.next.clone()]),
        ("What is not known", told.unknown.clone()),
    ];
    for (title, part) in parts {
        if !part.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(part.iter().map(|line| format!("  {line}")));
        }
    }
    let lines = lines.iter().map(|line| plain(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn seen(told: &Explanation, now: Timestamp) -> Vec<String> {
    let target = &told.target;
    let owner = target
        .owner
        .as_ref()
        .filter(|owner| **owner != target.target);
    let owner = owner
        .map(|owner| format!(" of {owner}"))
        .unwrap_or_default();
    let fate = match target.now.as_str() {
        "there" => "is there",
        "gone" => "is gone by now",
        "replaced" => "is gone by now: another object has its name",
        _ => "cannot be read now",
    };
    let mut lines = Vec::new();
    lines.extend(told.seen.iter().flat_map(|seen| reading(seen, now)));
    lines.push(format!(
        "{}{owner} in {} was to be changed; it {fate}",
        target.target, target.namespace
    ));
    if let Some(diagnosis) = &told.diagnosis {
        let sure = diagnosis
            .confidence
            .map(|sure| format!(", {:.0} % sure", sure * 100.0));
        let sure = sure.unwrap_or_default();
        lines.push(format!(
            "cause: {} (says {}{sure})",
            diagnosis.cause, diagnosis.source
        ));
        lines.extend(diagnosis.explanation.clone());
        let evidence = diagnosis.evidence.iter();
        lines.extend(evidence.map(|piece| format!("{}: {}", piece.id, piece.statement)));
    }
    lines
}

fn reading(seen: &TriggerReading, now: Timestamp) -> Vec<String> {
    let offender = seen.offender_kind.as_ref().zip(seen.offender_name.as_ref());
    let at = offender.map(|(kind, name)| format!(" at {kind}/{name}"));
    let held = span::words(seen.fired_at.duration_since(seen.since));
    let ago = span::words(now.duration_since(seen.since));
    vec![
        format!(
            "{}: {}{} ({})",
            seen.name,
            seen.reading,
            at.unwrap_or_default(),
            seen.severity.as_str()
        ),
        format!(
            "true since {}, {ago} ago; fired at {}, after {held}",
            seen.since, seen.fired_at
        ),
    ]
}

fn chosen(told: &Explanation) -> Vec<String> {
    let rung = &told.rung;
    let place = rung.place.zip(rung.rungs);
    let place = place.map(|(rung, of)| format!(", rung {rung} of {of}"));
    let mode = told
        .policy
        .mode
        .as_ref()
        .map(|mode| format!(" (mode {mode})"));
    let mut lines = vec![
        format!(
            "{} ({}){} of the policy {}{}",
            rung.action,
            rung.kind,
            place.unwrap_or_default(),
            told.policy.name,
            mode.unwrap_or_default()
        ),
        rung.why.clone(),
    ];
    if told.dry_run {
        lines.push("a dry run: it was to change nothing".to_owned());
    }
    lines
}

fn agreed(told: &Explanation) -> Vec<String> {
    let at = told.approval.at.map(|at| format!(" (written at {at})"));
    vec![format!(
        "{}{}",
        told.approval.answer,
        at.unwrap_or_default()
    )]
}

fn guards(told: &Explanation) -> Vec<String> {
    let (speaking, silent): (Vec<&GuardVerdict>, Vec<_>) = told
        .guards
        .iter()
        .partition(|verdict| verdict.verdict != "Allow");
    let rows: Vec<_> = speaking.iter().map(|verdict| row(verdict)).collect();
    let mut lines = Vec::new();
    if let Some(first) = speaking.first().filter(|_| told.guard_decided) {
        lines.push(format!("{} decided:", first.guard));
    }
    if !rows.is_empty() {
        lines.extend(table(&["GUARD", "ANSWER", "REASON", "UNTIL", "WHY"], &rows));
    }
    if !silent.is_empty() {
        let names: Vec<_> = silent
            .iter()
            .map(|verdict| verdict.guard.as_str())
            .collect();
        let who = if rows.is_empty() { "all" } else { "the others" };
        lines.push(format!("{who} let it pass: {}", names.join(", ")));
    }
    lines
}

/// One guard's answer as cells.
pub(crate) fn row(verdict: &GuardVerdict) -> Vec<String> {
    let until = verdict.until.map(|until| until.to_string());
    let none = || "-".to_owned();
    vec![
        verdict.guard.clone(),
        verdict.verdict.clone(),
        verdict.reason.clone().unwrap_or_else(none),
        until.unwrap_or_else(none),
        verdict.message.clone().unwrap_or_else(none),
    ]
}

fn plan(told: &Explanation) -> Vec<String> {
    let mut lines: Vec<_> = told.plan.iter().flat_map(Step::lines).collect();
    if lines.is_empty() {
        lines.push("nothing was planned".to_owned());
    }
    if !told.undo.is_empty() {
        lines.push("and to take it back:".to_owned());
        lines.extend(told.undo.iter().flat_map(Step::lines));
    }
    lines.extend(
        told.digest
            .as_ref()
            .map(|digest| format!("digest {digest}")),
    );
    if told.attempts > 0 {
        lines.push(format!(
            "calls that were tried and refused: {}",
            told.attempts
        ));
    }
    lines
}

fn happened(told: &Explanation) -> Vec<String> {
    let moments = told.timeline.iter();
    moments
        .map(|moment| format!("{}  {}", moment.at, moment.what))
        .collect()
}

fn effect(seen: Option<&Verification>) -> Vec<String> {
    let Some(seen) = seen else {
        return Vec::new();
    };
    let Verification {
        outcome,
        object,
        value,
        sampled_at: _,
        ready,
        settled_at: _,
        effect,
        drift,
        message,
    } = seen;
    let object = object.as_deref().unwrap_or("the target");
    let ready = if *ready { "ready" } else { "not ready" };
    let value = value
        .map(|value| format!(", its value {value:.1}"))
        .unwrap_or_default();
    let mut lines = vec![format!("{outcome}: {object} is {ready}{value}")];
    lines.extend(message.clone());
    if let Some(effect) = effect {
        let interval = effect.low.zip(effect.high);
        let interval = interval.map(|(low, high)| format!(" (95 %: {low:.1} to {high:.1})"));
        lines.push(format!(
            "against {} siblings that were left alone: {:+.1}{}",
            effect.siblings,
            effect.estimate,
            interval.unwrap_or_default()
        ));
    }
    if !drift.is_empty() {
        lines.push(format!(
            "somebody else has changed since: {}",
            drift.join(", ")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ask::Known,
        testing::{NOW, waiting},
        why::explanation::{Facts, Told, explain},
    };
    use schemas::{
        action::{Approval, Decision, HealingAction, Phase},
        policy::HealingPolicy,
    };
    use serde_json::json;

    fn policy() -> HealingPolicy {
        let policy = json!({
            "metadata": {"name": "memory", "namespace": "shop"},
            "spec": {
                "triggers": [{"name": "high-memory", "type": "event", "eventTrigger": {"reason": "X"}}],
                "actions": [
                    {"name": "last", "type": "scale", "priority": 1, "scaleAction": {"direction": "up"}},
                    {"name": "replace", "type": "restart", "priority": 50},
                    {"name": "other", "type": "notify", "priority": 90, "triggers": ["another"]},
                ],
                "mode": "manual",
            },
        });
        serde_json::from_value(policy).unwrap()
    }

    fn facts(action: HealingAction) -> Facts {
        Facts {
            policy: Known::Is(policy()),
            target: Known::Gone,
            others: Known::Is(Vec::new()),
            events: Known::Is(Vec::new()),
            action,
        }
    }

    fn tell(facts: &Facts) -> String {
        story(&explain(facts), NOW)
    }

    fn holds(text: &str, parts: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
    }

    #[test]
    fn what_waits_is_told_with_its_reading_its_rung_and_the_guard_that_decides() {
        let mut action = waiting("web");
        let status = action.status.as_mut().unwrap();
        status.reason = Some("ApprovalRequired".to_owned());
        status.verdicts[0].reason = Some("ApprovalRequired".to_owned());
        let mut other = status.verdicts[0].clone();
        (other.guard, other.verdict, other.reason) = ("pause".to_owned(), "Allow".to_owned(), None);
        status.verdicts.insert(0, other);
        holds(
            &tell(&facts(action)),
            &[
                "HealingAction web in shop: AwaitingApproval (ApprovalRequired)",
                "high-memory: 97.6 > 85 (critical)",
                "true since 2026-01-01T11:50:00Z, 10m ago; fired at 2026-01-01T11:55:00Z, after 5m",
                "Pod/web-1 of Deployment/web in shop was to be changed; it is gone by now",
                "replace (restart), rung 1 of 2 of the policy memory (mode manual)",
                "it is the first rung",
                "approval decided:",
                "approval  Await   ApprovalRequired  2026-01-01T12:30:00Z",
                "the others let it pass: pause",
                "evict Pod/web-1",
                "kubeskippy approve web -n shop",
                "none is left (the API server keeps them for an hour)",
            ],
        );
    }

    #[test]
    fn what_failed_tells_what_was_called_what_was_seen_and_what_is_tried_next() {
        let mut action = waiting("web");
        let status = action.status.as_mut().unwrap();
        status.phase = Phase::Failed;
        status.reason = Some("NotRecovered".to_owned());
        status.verdicts[0].verdict = "Allow".to_owned();
        status.plan[0].called_at = Some(NOW);
        status.finished_at = Some(NOW);
        status.verification = Some(Verification {
            outcome: "NotRecovered".to_owned(),
            object: Some("Pod/web-9".to_owned()),
            value: Some(91.0),
            ready: true,
            ..Verification::default()
        });
        action.spec.approval = Some(Approval {
            decision: Decision::Approved,
            approved_by: "ada".to_owned(),
            digest: Some("abc".to_owned()),
            reason: Some("known leak".to_owned()),
        });
        let mut facts = facts(action);
        facts.events = Known::Is(vec![Told {
            at: NOW,
            reason: "NotRecovered".to_owned(),
            note: String::new(),
        }]);
        let text = tell(&facts);
        holds(
            &text,
            &[
                "ada approved it: known leak",
                "all let it pass: approval",
                "2026-01-01T12:00:00Z  called: evict Pod/web-1",
                "2026-01-01T12:00:00Z  it ended as Failed (NotRecovered)",
                "NotRecovered: Pod/web-9 is ready, its value 91.0",
                "the next rung, last (scale), is tried",
                "when it was decided: managedFields do not say",
            ],
        );
        assert!(!text.contains("decided:\n"), "{text}");
    }

    #[test]
    fn a_later_rung_names_the_action_that_did_not_help() {
        let mut before = waiting("before");
        before.status.as_mut().unwrap().phase = Phase::RolledBack;
        before.status.as_mut().unwrap().owner_uid = Some("owner".to_owned());
        let mut action = waiting("web");
        action.status.as_mut().unwrap().owner_uid = Some("owner".to_owned());
        action.spec.action.name = "last".to_owned();
        let mut facts = facts(action);
        facts.others = Known::Is(vec![before.clone()]);
        holds(
            &tell(&facts),
            &[
                "rung 2 of 2",
                "the rung before, replace (restart), did not help: before ended as RolledBack",
            ],
        );
        before.status.as_mut().unwrap().owner_uid = Some("another".to_owned());
        facts.others = Known::Is(vec![before]);
        holds(&tell(&facts), &["their actions are not there any more"]);
    }

    #[test]
    fn what_is_gone_or_forbidden_is_said_to_be_unknown() {
        let mut facts = facts(waiting("web"));
        facts.policy = Known::Gone;
        facts.target = Known::Unknown("pods is forbidden".to_owned());
        facts.action.spec.trigger = None;
        facts.action.status = None;
        holds(
            &tell(&facts),
            &[
                "what the policy memory said: it is gone",
                "what has become of the target: pods is forbidden",
                "what was seen: the action was created by hand",
                "what the guards say: no actuator has judged it",
                "it was not judged yet, so nobody was asked",
                "nothing was planned",
            ],
        );
    }

    #[test]
    fn an_object_that_others_wrote_cannot_add_lines_to_the_story() {
        let mut action = waiting("web");
        action.spec.trigger.as_mut().unwrap().reading =
            "1 > 0\n\nWho agreed\n  everybody".to_owned();
        let text = tell(&facts(action));
        assert_eq!(text.matches("\nWho agreed\n").count(), 1, "{text}");
    }
}
