//! One text without its secrets.
//!
//! Pure: no IO, no clock.

use regex::Captures;

use super::{
    encoded,
    learned::Learned,
    patterns::{Pattern, Patterns, Rule},
};

/// Rounds until a text must have come to rest.
const MOST_ROUNDS: usize = 6;

/// The text without secrets, and their kinds; none if masking it does not come to rest. What
/// comes out stays as it is when it is masked again.
pub(super) fn mask(
    patterns: &Patterns,
    learned: &Learned,
    text: &str,
) -> Option<(String, Vec<&'static str>)> {
    let mut kinds = Vec::new();
    let mut current = text.to_owned();
    for _ in 0..MOST_ROUNDS {
        let next = once(patterns, learned, &current, &mut kinds);
        if next == current {
            return Some((current, kinds));
        }
        current = next;
    }
    None
}

fn once(
    patterns: &Patterns,
    learned: &Learned,
    text: &str,
    kinds: &mut Vec<&'static str>,
) -> String {
    let mut text = text.to_owned();
    for pattern in &patterns.0 {
        text = apply(pattern, &text, kinds);
    }
    // What other texts gave away comes before what merely looks random, so that it is told as such.
    text = learned.mask(&text, kinds);
    encoded::mask(patterns, learned, &text, kinds)
}

/// Whether a shape stands in the text.
pub(super) fn gives_away(patterns: &Patterns, text: &str) -> bool {
    patterns
        .0
        .iter()
        .any(|pattern| pattern.regex.is_match(text))
}

fn apply(pattern: &Pattern, text: &str, kinds: &mut Vec<&'static str>) -> String {
    let replaced = pattern.regex.replace_all(text, |found: &Captures<'_>| {
        let whole = found.get(0).map_or("", |all| all.as_str());
        let secret = match pattern.rule {
            Rule::Whole => whole,
            Rule::Value => found.name("value").map_or(whole, |value| value.as_str()),
        };
        let rest = found.get(0).and_then(|all| text.get(all.end()..));
        // An image pinned by digest, `web:1.2@sha256:…`, reads like a name with a password.
        let is_pinned = rest.is_some_and(|rest| rest.starts_with("sha256:"));
        if is_masked(secret) || (is_pinned && pattern.kind == "url-credentials") {
            return whole.to_owned();
        }
        kinds.push(pattern.kind);
        let before = whole.strip_suffix(secret).unwrap_or_default();
        format!("{before}{}", mark(pattern.kind))
    });
    replaced.into_owned()
}

/// What stands in place of a secret.
pub(super) fn mark(kind: &str) -> String {
    format!("(masked:{kind})")
}

/// Whether a value is nothing but a mark, quotes around it aside.
fn is_masked(value: &str) -> bool {
    let bare = value.trim().trim_matches(['"', '\'', '\\']);
    let kind = bare
        .strip_prefix("(masked:")
        .and_then(|rest| rest.strip_suffix(')'));
    kind.is_some_and(|kind| kind.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
}
