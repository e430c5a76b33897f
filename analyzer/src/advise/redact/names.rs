//! Pseudonyms for the names of objects.
//!
//! In: the names that a question knows. Out: texts in which each stands as `deployment-1`,
//! `namespace-2` and so on, the same name always under the same pseudonym. Names that begin with a
//! known one, as those of its pods do, and addresses get their own. A reply names targets by
//! `T1`, so nothing has to be translated back.
//!
//! It cannot catch names that the question does not know, and those that are written in another
//! way, such as an environment variable made of one.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, net::IpAddr};

/// Names and their pseudonyms, for one prompt.
#[derive(Clone, Debug, Default)]
pub struct Pseudonyms {
    known: BTreeMap<String, String>,
    used: BTreeMap<String, u32>,
}

impl Pseudonyms {
    /// Gives a name of this kind its pseudonym, where it has none yet.
    pub fn add(&mut self, kind: &str, name: &str) {
        if !name.is_empty() && !self.known.contains_key(name) {
            let pseudonym = self.next(kind);
            self.known.insert(name.to_owned(), pseudonym);
        }
    }

    /// The text with pseudonyms in place of names.
    pub fn replace(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut word = String::new();
        for c in text.chars() {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') {
                word.push(c);
            } else {
                self.close(&mut word, &mut out);
                out.push(c);
            }
        }
        self.close(&mut word, &mut out);
        out
    }

    fn close(&mut self, word: &mut String, out: &mut String) {
        // A dot or dash at the end belongs to the sentence.
        let bare = word.trim_end_matches(['.', '-', '_']);
        out.push_str(&self.word(bare));
        out.push_str(word.get(bare.len()..).unwrap_or_default());
        word.clear();
    }

    /// A word: a name, or names joined by dots and underscores.
    fn word(&mut self, word: &str) -> String {
        if let Some(found) = self.known.get(word) {
            return found.clone();
        }
        if word.parse::<IpAddr>().is_ok() {
            return self.of("address", word);
        }
        let mut out = String::new();
        for part in word.split_inclusive(['.', '_']) {
            let bare = part.trim_end_matches(['.', '_']);
            out.push_str(&self.part(bare));
            out.push_str(part.get(bare.len()..).unwrap_or_default());
        }
        out
    }

    fn part(&mut self, part: &str) -> String {
        if let Some(found) = self.known.get(part) {
            return found.clone();
        }
        let holds = |name: &str| {
            let found = part.match_indices(name);
            found.into_iter().any(|(at, _)| {
                let before = part
                    .get(..at)
                    .is_some_and(|it| it.is_empty() || it.ends_with('-'));
                let rest = part.get(at + name.len()..);
                before && rest.is_some_and(|it| it.is_empty() || it.starts_with('-'))
            })
        };
        if self.known.keys().any(|name| holds(name)) {
            return self.of("name", part);
        }
        part.to_owned()
    }

    fn of(&mut self, kind: &str, name: &str) -> String {
        self.add(kind, name);
        self.known.get(name).cloned().unwrap_or_default()
    }

    fn next(&mut self, kind: &str) -> String {
        let kind = kind.to_ascii_lowercase();
        let number = self.used.entry(kind.clone()).or_default();
        *number += 1;
        format!("{kind}-{number}")
    }
}
