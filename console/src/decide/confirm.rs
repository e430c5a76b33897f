//! Asks a person once more, on the terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use schemas::action::Decision;

use super::Error;

/// Returns when `yes` was said, beforehand or now.
pub(super) fn confirm(decision: Decision, user: &str, yes: bool) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Error::NoTerminal);
    }
    let what = match decision {
        Decision::Approved => "Approve",
        Decision::Rejected => "Reject",
    };
    // Beside the view, so that the question is seen when the view is piped away.
    let mut out = anstream::stderr().lock();
    write!(out, "{what} this as {user}? [y/N] ")
        .and_then(|()| out.flush())
        .map_err(Error::Print)?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer).map_err(Error::Answer)?;
    if agrees(&answer) {
        Ok(())
    } else {
        Err(Error::Unconfirmed)
    }
}

/// Whether an answer is a yes; no answer is none.
fn agrees(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_a_yes() {
        assert!(["y", "Y\n", " yes "].into_iter().all(agrees));
        assert!(!["", "\n", "n", "yeah", "approve"].into_iter().any(agrees));
    }
}
