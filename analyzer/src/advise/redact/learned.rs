//! Secrets that one text gives away, for all others.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use super::{encoded, mask, patterns::Patterns};

/// Most secrets of one prompt that are looked for elsewhere.
const MOST: usize = 256;
/// Bytes of the shortest and the longest secret that is looked for elsewhere: a shorter one would mask half of the rest.
const SHORTEST: usize = 6;
const LONGEST: usize = 4096;

/// Secrets, as they are, in base64, and decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned(BTreeSet<String>);

impl Learned {
    /// Takes in what a text gives away: values of telling names, and the data of Secrets.
    pub(super) fn learn(&mut self, patterns: &Patterns, text: &str) {
        let mut found: Vec<&str> = patterns.values(text);
        if is_secret_data(text) {
            found.extend(words(text));
        }
        for value in found {
            self.add(value);
        }
    }

    /// Whether one of them stands in the text.
    pub(super) fn stands_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// The text without them: the longest first, as one may be a part of another.
    pub(super) fn mask(&self, text: &str, kinds: &mut Vec<&'static str>) -> String {
        let mut secrets: Vec<&String> = self.0.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut text = text.to_owned();
        for secret in secrets {
            if text.contains(secret.as_str()) {
                kinds.push("learned");
                text = text.replace(secret.as_str(), &mask::mark("learned"));
            }
        }
        text
    }

    fn add(&mut self, value: &str) {
        if self.0.len() >= MOST || !is_telling(value) {
            return;
        }
        self.0.insert(value.to_owned());
        self.0.extend(encoded::twins(value));
        if let Some(decoded) = encoded::decoded(value) {
            let decoded = decoded.trim();
            if is_telling(decoded) {
                self.0.insert(decoded.to_owned());
                self.0.extend(encoded::twins(decoded));
            }
        }
    }
}

/// Whether a value is worth looking for elsewhere: `true`, `default` and the like are not.
fn is_telling(value: &str) -> bool {
    let plain = value.chars().all(|c| c.is_ascii_lowercase());
    let long = if plain { SHORTEST * 2 } else { SHORTEST };
    (long..=LONGEST).contains(&value.len()) && !value.contains("masked")
}

fn is_secret_data(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains("stringdata")
        || (lower.contains("secret") && lower.contains("data") && lower.contains("kind"))
}

/// The values of a manifest, roughly: what stands between blanks, quotes and colons, and is long enough.
fn words(text: &str) -> impl Iterator<Item = &str> {
    const GRAMMAR: [&str; 6] = [
        "apiVersion",
        "metadata",
        "namespace",
        "stringData",
        "Opaque",
        "Secret",
    ];
    let words = text.split(|c: char| c.is_whitespace() || "\"',:{}[]\\".contains(c));
    words.filter(|word| word.len() >= 8 && !GRAMMAR.contains(word))
}
