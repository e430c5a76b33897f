//! The answer for people.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;

use super::{acted::Acted, answer::Answer, policy::Watching};
use crate::{
    print::{plain, table},
    span,
};

/// The answer, a line each, safe to show.
pub(super) fn text(answer: &Answer, now: Timestamp) -> String {
    let place = if answer.namespace.is_empty() {
        String::new()
    } else {
        format!(" in {}", answer.namespace)
    };
    let owners: Vec<_> = answer
        .owners
        .iter()
        .map(|owner| format!(" of {owner}"))
        .collect();
    let mut lines = vec![
        format!("{}{}{place}", answer.object, owners.concat()),
        format!("  {}", answer.because),
    ];
    let watching = answer
        .policies
        .iter()
        .filter(|policy| !policy.through.is_empty());
    let passing = answer
        .policies
        .iter()
        .filter(|policy| policy.through.is_empty());
    let parts = [
        ("Paused", answer.paused.iter().cloned().collect()),
        ("Protected", answer.protected.iter().cloned().collect()),
        (
            "Policies that select it",
            watching.flat_map(|one| told(one, now)).collect(),
        ),
        ("Policies that do not", passing.map(missed).collect()),
        ("Actions about it", actions(&answer.actions, now)),
        ("What would have to be true", answer.would_need.clone()),
        ("What is not known", answer.unknown.clone()),
    ];
    for (title, part) in parts {
        let part: Vec<String> = part;
        if !part.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(part.iter().map(|line| format!("  {line}")));
        }
    }
    let lines = lines.iter().map(|line| plain(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn told(policy: &Watching, now: Timestamp) -> Vec<String> {
    let age = policy
        .evaluated_at
        .map(|at| span::words(now.duration_since(at)));
    let age = age.map_or_else(
        || "never evaluated".to_owned(),
        |age| format!("evaluated {age} ago"),
    );
    let mut lines = vec![format!(
        "{} (mode {}, {age}), through {}",
        policy.name,
        policy.mode,
        policy.through.join(", ")
    )];
    lines.extend(
        policy
            .obstacle
            .iter()
            .map(|obstacle| format!("  {obstacle}")),
    );
    let triggers = policy.triggers.iter();
    lines.extend(triggers.map(|one| format!("  {}: {} ({})", one.name, one.told, one.asks)));
    lines
}

fn missed(policy: &Watching) -> String {
    let why = if policy.misses.is_empty() {
        "not known, as the object cannot be read".to_owned()
    } else {
        policy.misses.join("; ")
    };
    format!("{}: {why}", policy.name)
}

fn actions(actions: &[Acted], now: Timestamp) -> Vec<String> {
    if actions.is_empty() {
        return Vec::new();
    }
    let none = || "-".to_owned();
    let rows: Vec<_> = actions
        .iter()
        .map(|action| {
            let age = action
                .created_at
                .map(|at| span::words(now.duration_since(at)));
            let guard = action.guard.as_ref();
            vec![
                action.name.clone(),
                action.target.clone(),
                action.phase.to_string(),
                action.reason.clone().unwrap_or_else(none),
                guard.map_or_else(none, |verdict| verdict.guard.clone()),
                age.unwrap_or_else(none),
            ]
        })
        .collect();
    table(
        &["ACTION", "TARGET", "PHASE", "REASON", "GUARD", "AGE"],
        &rows,
    )
}
