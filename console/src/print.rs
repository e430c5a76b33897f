//! What a person reads: standard output, and text that is safe to show there.

use std::io::{ErrorKind, Result, Write as _};

use comfy_table::{Table, presets};

/// Prints `text` and ends the line. That the reader has seen enough, as with
/// `| head`, is no failure.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// `text` on one line, without what could move the cursor, hide or turn around other
/// words: names and messages come from objects that others may have written.
pub(crate) fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = text.chars().map(|c| match c {
        '\n' | '\t' => ' ',
        other if other.is_control() || turns(other) => char::REPLACEMENT_CHARACTER,
        other => other,
    });
    shown.collect()
}

/// A table as lines, its cells safe to show.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_cannot_play_with_the_terminal() {
        let hostile = "evict web\u{1b}[2K\rscale web\u{202e}x\nok";
        assert_eq!(
            plain(hostile),
            "evict web\u{fffd}[2K\u{fffd}scale web\u{fffd}x ok"
        );
    }
}
