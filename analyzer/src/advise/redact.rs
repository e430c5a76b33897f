//! What a model must not see: secrets, and names where a policy asks for that.
//!
//! In: every text that is about to be shown. Out: the same texts with a mark such as
//! `(masked:jwt)` in place of each secret, and how many were masked by kind. A [`Redactor`] first
//! learns from all texts, then masks each: a secret that one text gives away, such as
//! `password=…`, is masked in all of them, as it is and in base64.
//!
//! It fails closed: a text that is not valid, that is too long to go through, or that does not
//! come to rest is withheld as a whole, and so is every text if a pattern cannot be evaluated.
//!
//! What it cannot catch: a secret that nothing marks as one and that is short, of one kind of
//! letter, or in words (`hunter2` in the middle of a sentence, a lower-case hex key, a passphrase
//! after its first word); one that is split over two texts or by other characters; and one in an
//! encoding other than base64.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

pub mod names;

mod encoded;
mod learned;
mod mask;
mod patterns;
#[cfg(test)]
pub(super) mod tests;

use learned::Learned;
use patterns::Patterns;

/// In place of a text that could not be gone through.
pub const WITHHELD: &str = "(masked:withheld)";

/// Longest text that is gone through, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Masks secrets in the texts of one prompt.
#[derive(Clone, Debug)]
pub struct Redactor {
    /// None: they could not be compiled, so nothing can be told apart.
    patterns: Option<Patterns>,
    learned: Learned,
    masked: BTreeMap<String, u32>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self {
            patterns: Patterns::built_in(),
            learned: Learned::default(),
            masked: BTreeMap::new(),
        }
    }
}

impl Redactor {
    /// Takes in a text that will be shown, for the secrets that it gives away.
    pub fn learn(&mut self, text: &str) {
        if let Some(patterns) = &self.patterns {
            let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
            self.learned.learn(patterns, &visible);
        }
    }

    /// The text without secrets. Line breaks stay, characters that cannot be seen do not.
    pub fn mask(&mut self, text: &str) -> String {
        let Some((masked, kinds)) = self.masked_text(text) else {
            *self.masked.entry("withheld".to_owned()).or_default() += 1;
            return WITHHELD.to_owned();
        };
        for kind in kinds {
            *self.masked.entry(kind.to_owned()).or_default() += 1;
        }
        masked
    }

    /// How many secrets were masked, by kind.
    pub fn into_counts(self) -> BTreeMap<String, u32> {
        self.masked
    }

    fn masked_text(&self, text: &str) -> Option<(String, Vec<&'static str>)> {
        let patterns = self.patterns.as_ref()?;
        // A replacement character says that the text was no valid UTF-8: what stood there is not known.
        let is_sound = text.len() <= MOST_BYTES && !text.contains(['\u{fffd}', '\0']);
        is_sound
            .then(|| text.chars().filter(|c| !is_invisible(*c)).collect())
            .and_then(|visible: String| mask::mask(patterns, &self.learned, &visible))
    }
}

/// Whether a character is not seen, or turns the order of others round: it could hide a secret
/// from the patterns, or an order from the reader.
pub fn is_invisible(c: char) -> bool {
    let format = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    format || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}
