//! The two sentences of a reply, which people will read.
//!
//! In: a text. Out: whether it is a plain sentence of English on one line that explains, and does
//! not order. Nothing acts on these texts; but a person who decides reads them, so a reply that
//! tries to talk somebody into something is not shown at all. Lists of phrases can be talked
//! around: the envelope does not rest on them.
//!
//! Pure: no IO, no clock.

use super::Rejection;
use crate::advise::redact::is_invisible;

/// Checks one text of at most `most` characters.
///
/// # Errors
/// The first rule that it breaks.
pub(super) fn check(text: &str, most: usize) -> Result<(), Rejection> {
    if text.chars().any(|c| is_invisible(c) || is_break(c)) {
        return Err(Rejection::HiddenCharacters);
    }
    if text.trim().is_empty() {
        return Err(Rejection::EmptyText);
    }
    if text.chars().count() > most {
        return Err(Rejection::TextTooLong);
    }
    if refuses(text) {
        return Err(Rejection::Refused);
    }
    let lower = text.to_lowercase();
    if MARKUP.iter().any(|mark| lower.contains(mark)) {
        return Err(Rejection::Markup);
    }
    let words = spaced(&lower);
    let commands = COMMANDS.iter().any(|command| lower.contains(command));
    if commands || NUDGES.iter().any(|nudge| words.contains(nudge)) {
        return Err(Rejection::AsksForMore);
    }
    if is_foreign(text, &words) {
        return Err(Rejection::OtherLanguage);
    }
    Ok(())
}

/// Whether a text refuses to answer.
pub(super) fn refuses(text: &str) -> bool {
    // UNSAFE is an answer of guard models; "unsafe" in a sentence is a word.
    let is_verdict = |word: &str| matches!(word, "UNSAFE" | "unsafe" | "Unsafe" | "REFUSED");
    let mut bare = text.split(|c: char| !c.is_alphanumeric());
    let verdict = bare.clone().any(|word| word == "UNSAFE")
        || bare.find(|word| !word.is_empty()).is_some_and(is_verdict);
    let words = spaced(&text.to_lowercase());
    verdict || REFUSALS.iter().any(|phrase| words.contains(phrase))
}

const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Words of letters and digits with one blank before and behind each.
fn spaced(lower: &str) -> String {
    let mut out = String::with_capacity(lower.len() + 2);
    out.push(' ');
    for c in lower.chars() {
        match c {
            '\'' | '’' => {}
            c if c.is_alphanumeric() => out.push(c),
            _ if out.ends_with(' ') => {}
            _ => out.push(' '),
        }
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

/// Whether a text is in a language that is not English, by its letters, or by its small words.
fn is_foreign(text: &str, words: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let latin = text.chars().filter(char::is_ascii_alphabetic).count();
    if letters == 0 || (letters - latin) * 10 > letters {
        return true;
    }
    let count = |small: &[&str]| words.split(' ').filter(|word| small.contains(word)).count();
    let foreign = count(&FOREIGN);
    foreign >= 2 && foreign > count(&ENGLISH)
}

/// How models refuse, or speak of themselves.
const REFUSALS: [&str; 26] = [
    " i cannot ",
    " i can not ",
    " i cant ",
    " im unable ",
    " i am unable ",
    " im not able ",
    " i am not able ",
    " im sorry ",
    " i am sorry ",
    " i apologize ",
    " i wont ",
    " i will not ",
    " i must decline ",
    " i decline ",
    " i refuse ",
    " as an ai ",
    " as a language model ",
    " as a large language model ",
    " cannot assist ",
    " cant assist ",
    " cannot help with ",
    " cant help with ",
    " content policy ",
    " content filter ",
    " against my ",
    " request denied ",
];

/// What is no sentence: code, links, markup of pages and of models, objects.
const MARKUP: [&str; 22] = [
    "```", "~~~", "://", "www.", "<|", "|>", "</", "/>", "<script", "<img", "<a ", "[inst",
    "[/inst", "<<sys", "{\"", "{'", "\":", "](", "$(", "${", "\\n", "\\u",
];

/// Commands that no sentence needs, also where they are stuck to another word.
const COMMANDS: [&str; 4] = ["kubectl", "clusterrolebinding", "cluster-admin", "rm -rf"];

/// Orders, further steps, and ways around a safeguard. A phrase matches whole words.
const NUDGES: [&str; 78] = [
    " helm ",
    " curl ",
    " wget ",
    " bash c ",
    " run the command ",
    " run the following ",
    " all other ",
    " sudo ",
    " sh c ",
    " chmod ",
    " exec into ",
    " force grace period ",
    " cluster admin ",
    " please ",
    " you must ",
    " you should ",
    " you need to ",
    " we should ",
    " we must ",
    " i will ",
    " i have ",
    " i suggest ",
    " i recommend ",
    " i approve ",
    " also delete ",
    " also scale ",
    " also restart ",
    " also drain ",
    " also remove ",
    " also patch ",
    " also disable ",
    " then delete ",
    " then scale ",
    " then restart ",
    " then drain ",
    " then remove ",
    " then patch ",
    " then run ",
    " then apply ",
    " then disable ",
    " then approve ",
    " next step ",
    " next steps ",
    " next run ",
    " step 1 ",
    " step 2 ",
    " step one ",
    " step two ",
    " first step ",
    " second step ",
    " follow up ",
    " apply the following ",
    " the following command ",
    " delete the namespace ",
    " delete all ",
    " delete every ",
    " all namespaces ",
    " scale to 0 ",
    " scale to zero ",
    " approved ",
    " approve this ",
    " approval ",
    " approver ",
    " auto approve ",
    " human review ",
    " without review ",
    " skip review ",
    " bypass ",
    " override ",
    " disable the ",
    " turn off ",
    " ignore previous ",
    " ignore all ",
    " ignore the ",
    " disregard ",
    " new task ",
    " system prompt ",
    " instructions ",
];

/// Small words of English.
const ENGLISH: [&str; 28] = [
    "the", "a", "an", "is", "are", "was", "were", "of", "to", "and", "in", "on", "its", "it",
    "has", "have", "by", "for", "with", "since", "because", "not", "no", "that", "this", "at",
    "from", "after",
];

/// Small words of other languages that English does not have.
const FOREIGN: [&str; 48] = [
    "der", "das", "und", "ist", "nicht", "ein", "eine", "wird", "wurde", "weil", "den", "dem",
    "le", "les", "des", "est", "et", "une", "dans", "pour", "parce", "el", "los", "las", "es",
    "una", "porque", "por", "del", "il", "perche", "che", "sono", "della", "o", "os", "uma", "nao",
    "foi", "het", "een", "van", "niet", "jest", "nie", "och", "att", "inte",
];
