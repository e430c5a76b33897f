//! Texts of events and logs, reduced to their shapes.
//!
//! In: lines that anybody may have written. Out: templates with counts, in
//! which `<*>` stands for what varies. A line is masked first: whatever has a
//! digit, is quoted, is a path or is very long is a variable part. Masked lines
//! are then put together as Drain does: among lines of as many words and the
//! same first word, one joins the template that it shares most words with, if
//! that is at least half, and words that differ become variable (P. He, J. Zhu,
//! Z. Zheng and M. R. Lyu, *Drain: an online log parsing approach with fixed
//! depth tree*, ICWS 2017). The tree of fixed depth is a map here.
//!
//! Everything is bounded: bytes looked at, words, templates. Nothing of a
//! text's controls, directions of writing or invisible characters is kept.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

/// What stands for a variable part.
pub const VARIABLE: &str = "<*>";

/// Characters of a text that are looked at.
const MOST_READ: usize = 1024;
/// Words of a template; what follows is one variable part.
const MOST_WORDS: usize = 32;
/// Characters of a word; a longer one is no word.
const LONGEST_WORD: usize = 40;
/// Characters of a template.
const MOST_CHARS: usize = 256;
/// Templates; what is unlike all of them is counted as [`VARIABLE`].
const MOST_TEMPLATES: usize = 64;

/// A text without what is not shown: controls, marks that turn the direction of writing, and
/// characters without width are spaces, and spaces are one. Cut to 256 characters.
pub fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut chars = 0;
    for char in text.chars().take(MOST_READ) {
        let char = if is_shown(char) { char } else { ' ' };
        if char == ' ' && (shown.is_empty() || shown.ends_with(' ')) {
            continue;
        }
        if chars == MOST_CHARS {
            break;
        }
        chars += 1;
        shown.push(char);
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// Whether a character is one that people see where it stands. Those that are not come from the
/// Unicode blocks of controls, of format characters and of tags.
fn is_shown(char: char) -> bool {
    let hidden = matches!(
        char,
        '\u{00ad}'
            | '\u{034f}'
            | '\u{061c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !hidden && !char.is_control() && !char.is_whitespace()
}

/// A text with its variable parts replaced. What is masked stays as it is when it is masked again.
pub fn mask(text: &str) -> String {
    let text = without_quoted(&plain_long(text));
    let mut words: Vec<&str> = Vec::new();
    let mut chars = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word = masked(word);
        if word == VARIABLE && words.last() == Some(&VARIABLE) {
            continue;
        }
        let long = word.chars().count() + 1;
        // Room for the part that stands for the rest.
        let full = words.len() + 1 >= MOST_WORDS || chars + long + VARIABLE.len() > MOST_CHARS;
        if full {
            if words.last() != Some(&VARIABLE) {
                words.push(VARIABLE);
            }
            break;
        }
        chars += long;
        words.push(word);
    }
    words.join(" ")
}

/// As [`plain`], not cut to what is shown.
fn plain_long(text: &str) -> String {
    let chars = text.chars().take(MOST_READ);
    chars
        .map(|char| if is_shown(char) { char } else { ' ' })
        .collect()
}

/// What stands between two quotes of a kind is variable. A quote that nothing closes is a character like others.
fn without_quoted(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, quote, after)) = opened(rest) {
        let Some((_, behind)) = after.split_once(quote) else {
            break;
        };
        kept.push_str(before);
        kept.push(' ');
        kept.push_str(VARIABLE);
        kept.push(' ');
        rest = behind;
    }
    kept.push_str(rest);
    kept
}

/// The text before the first quote that opens something, the quote, and the text behind it. An
/// apostrophe within a word opens nothing.
fn opened(text: &str) -> Option<(&str, char, &str)> {
    let mut previous = ' ';
    for (place, char) in text.char_indices() {
        let opens = matches!(char, '"' | '`') || (char == '\'' && !previous.is_alphanumeric());
        previous = char;
        if opens {
            let (before, from) = text.split_at_checked(place)?;
            let after = from.get(char.len_utf8()..)?;
            let closes = after.contains(char);
            if closes {
                return Some((before, char, after));
            }
        }
    }
    None
}

/// The word, or the variable part in its place. Punctuation at its end stays only with a word.
fn masked(word: &str) -> &str {
    let varies = |char: char| char.is_numeric() || matches!(char, '/' | '\\' | '@' | '=' | '<');
    let long = word.chars().count() > LONGEST_WORD;
    if long || word.chars().any(varies) || !word.chars().any(char::is_alphabetic) {
        // A lone sign such as a dash or a colon is part of the shape.
        let sign = word.len() <= 2 && word.chars().all(|char| char.is_ascii_punctuation());
        if sign && !word.contains(['/', '\\', '@', '=', '<']) {
            return word;
        }
        return VARIABLE;
    }
    word
}

/// Templates that grow as lines come in.
#[derive(Debug, Default)]
pub struct Miner {
    templates: Vec<Template>,
    /// By the number of words and the first word: which templates.
    tree: BTreeMap<(usize, String), Vec<usize>>,
}

#[derive(Debug)]
struct Template {
    words: Vec<String>,
    count: u64,
}

impl Miner {
    /// Takes in a masked line that came `count` times and returns the number of its template.
    pub fn add(&mut self, masked: &str, count: u64) -> usize {
        let words: Vec<&str> = masked.split(' ').collect();
        let place = self.place(&words);
        if let Some(template) = self.templates.get_mut(place) {
            template.count = template.count.saturating_add(count);
            for (known, word) in template.words.iter_mut().zip(&words) {
                if known != word {
                    VARIABLE.clone_into(known);
                }
            }
        }
        place
    }

    fn place(&mut self, words: &[&str]) -> usize {
        let leaf = (
            words.len(),
            words.first().copied().unwrap_or_default().to_owned(),
        );
        let known = self.tree.get(&leaf).into_iter().flatten().copied();
        let best = known
            .filter_map(|place| Some((place, alike(&self.templates.get(place)?.words, words))))
            .filter(|(_, alike)| 2 * alike >= words.len())
            .min_by_key(|(place, alike)| (std::cmp::Reverse(*alike), *place));
        if let Some((place, _)) = best {
            return place;
        }
        let full = self.templates.len() + 1 >= MOST_TEMPLATES;
        let (leaf, words) = if full {
            ((0, String::new()), vec![VARIABLE])
        } else {
            (leaf, words.to_vec())
        };
        let place = self.templates.len();
        let places = self.tree.entry(leaf).or_default();
        if full && let Some(rest) = places.first() {
            return *rest;
        }
        places.push(place);
        self.templates.push(Template {
            words: words.into_iter().map(str::to_owned).collect(),
            count: 0,
        });
        place
    }

    /// The template of a number.
    pub fn template(&self, number: usize) -> String {
        let words = self.templates.get(number).map(|template| &template.words);
        words.map_or_else(String::new, |words| words.join(" "))
    }

    /// Every template with its count, the most frequent first.
    pub fn into_shapes(self) -> Vec<(String, u64)> {
        let shape = |template: Template| (template.words.join(" "), template.count);
        let mut shapes: Vec<_> = self.templates.into_iter().map(shape).collect();
        shapes.sort_by(|(one, few), (other, many)| (many, one).cmp(&(few, other)));
        shapes
    }
}

/// How many words a line shares with a template, in their places.
fn alike(template: &[String], words: &[&str]) -> usize {
    let both = template.iter().zip(words);
    both.filter(|(known, word)| known == *word).count()
}

/// Templates of raw lines with counts, the most frequent first; the same in whatever order the lines came.
pub fn mine<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines {
        *counts.entry(mask(line)).or_default() += 1;
    }
    let mut miner = Miner::default();
    for (line, count) in &counts {
        miner.add(line, *count);
    }
    miner.into_shapes()
}

#[cfg(test)]
mod tests;
