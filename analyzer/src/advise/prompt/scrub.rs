//! The only way of a text from the cluster into a prompt.
//!
//! In: a text as it was read. Out: without secrets, with pseudonyms where they are asked for, on
//! one line, cut, and without anything that looks like a fence. What it is made of is learned
//! first from all texts, so that a secret which one of them gives away stands in none.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use super::fence;
use crate::advise::redact::{Redactor, names::Pseudonyms};

/// Cleans the texts of one prompt.
#[derive(Clone, Debug)]
pub(super) struct Scrubber {
    redactor: Redactor,
    names: Option<Pseudonyms>,
    /// Characters of a text, at most.
    most: usize,
    learns: bool,
}

impl Scrubber {
    /// Only learns; what it gives back is empty.
    pub(super) fn learning(names: Option<Pseudonyms>) -> Self {
        Self {
            redactor: Redactor::default(),
            names,
            most: 0,
            learns: true,
        }
    }

    /// Cleans, with what was learned, and leaves at most `most` characters of each text.
    pub(super) fn cleaning(&self, most: usize) -> Self {
        Self {
            most,
            learns: false,
            ..self.clone()
        }
    }

    /// One text.
    pub(super) fn text(&mut self, raw: &str) -> String {
        if self.learns {
            self.redactor.learn(raw);
            return String::new();
        }
        let masked = self.redactor.mask(raw);
        let named = match &mut self.names {
            Some(names) => names.replace(&masked),
            None => masked,
        };
        fence::neutral(&named, self.most)
    }

    /// The value of a field, masked where the field's name says that it is secret.
    pub(super) fn field(&mut self, name: &str, value: &str) -> String {
        let text = self.text(&format!("{name}={value}"));
        let value = text.split_once('=').map(|(_, value)| value.to_owned());
        value.unwrap_or(text)
    }

    /// How many secrets were masked, by kind.
    pub(super) fn into_counts(self) -> BTreeMap<String, u32> {
        self.redactor.into_counts()
    }
}
