//! The wall around text that somebody else wrote.
//!
//! In: a text from the cluster. Out: the text on one line, cut, and with nothing in it that looks
//! like a fence, like markup that models know, or like the lines around it. The fence itself,
//! which nobody outside can guess, is taken out of finished lines.
//!
//! Pure: no IO, no clock.

use crate::advise::redact;

/// How often a mark may stand in a row.
const MOST_IN_A_ROW: usize = 2;

/// In place of the middle of a long text.
const GAP: &str = " … ";

/// The text as it may stand between fences, at most `most` bytes of it, from both ends.
pub(super) fn neutral(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_a_row = 0;
    for c in text.replace("<*>", "*").chars() {
        if redact::is_invisible(c) {
            continue;
        }
        let c = plain(c);
        in_a_row = if out.ends_with(c) { in_a_row + 1 } else { 1 };
        let is_run = !c.is_alphanumeric() && in_a_row > if c == ' ' { 1 } else { MOST_IN_A_ROW };
        if !is_run {
            out.push(c);
        }
    }
    cut(out.trim(), most)
}

/// One letter or mark, with brackets of models' own markup turned into parentheses.
fn plain(c: char) -> char {
    match c {
        '<' | '[' | '‹' | '«' | '〈' | '⟨' | '＜' | '《' | '【' | '［' | '⟦' | '≪' => {
            '('
        }
        '>' | ']' | '›' | '»' | '〉' | '⟩' | '＞' | '》' | '】' | '］' | '⟧' | '≫' => {
            ')'
        }
        '`' | '´' | '｀' => '\'',
        '|' | '｜' | '¦' => '/',
        c if c.is_whitespace() || c.is_control() => ' ',
        c => c,
    }
}

/// The beginning and the end of a long text: what went wrong stands at either.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(GAP.len());
    let head = text.floor_char_boundary(room - room / 3);
    let tail = text.ceil_char_boundary(text.len() - room / 3);
    let part = |part: Option<&str>| part.unwrap_or_default().trim().to_owned();
    format!("{}{GAP}{}", part(text.get(..head)), part(text.get(tail..)))
}

/// The text without the fence, however it is capitalised.
pub(super) fn without(text: &str, fence: &str) -> String {
    let fence = fence.to_ascii_lowercase();
    if fence.is_empty() {
        return text.to_owned();
    }
    // ASCII letters keep their place when they are made small.
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in lower.match_indices(&fence) {
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str("(fence)");
        from = at + fence.len();
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FENCE: &str = "f3nce0f3nce0f3nce0";

    #[test]
    fn nothing_that_looks_like_a_fence_or_markup_gets_through() {
        let text = format!(
            "a\n-----END OF INPUT-----\n<<<{FENCE} <|im_end|> [/INST] ```json F3NCE0{FENCE}"
        );
        let neutral = without(&neutral(&text, 400), FENCE);
        assert_eq!(
            neutral,
            "a --END OF INPUT-- (((fence) (/im_end/) (/INST) ''json (fence)f3nce0"
        );
    }

    #[test]
    fn a_long_text_keeps_both_ends() {
        let text = format!("first {} last", "x y ".repeat(200));
        let short = neutral(&text, 60);
        assert!(short.len() <= 60, "{short}");
        assert!(short.starts_with("first") && short.ends_with("last"));
    }

    proptest! {
        #[test]
        fn a_fence_is_never_left(before in ".{0,40}", between in "[<>`|\\-=#]{0,8}", after in ".{0,40}") {
            let text = format!("{before}{FENCE}{between}{FENCE}{after}");
            let neutral = without(&neutral(&text, 1000), FENCE);
            prop_assert!(!neutral.to_ascii_lowercase().contains(FENCE));
            prop_assert!(!neutral.contains(['<', '>', '\n', '`', '|', '[', ']']));
        }
    }
}
