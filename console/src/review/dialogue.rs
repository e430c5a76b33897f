//! Asks a person what is to become of one action, on the terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::card::Card;
use crate::decide::Error;

/// What a person answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Approve,
    Reject(String),
    Choose(String),
    Skip,
    Quit,
}

/// Whether there is somebody to ask.
pub(super) fn is_possible() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks until the answer is understood.
///
/// # Errors
/// When the terminal cannot be read or written.
pub(super) fn ask(card: &Card) -> Result<Answer, Error> {
    loop {
        let line = prompt("[a]pprove  [r]eject  [c]hoose another  [s]kip  [q]uit: ")?;
        match line.as_str() {
            "a" | "approve" => return Ok(Answer::Approve),
            "r" | "reject" => {
                let reason = prompt("Why? ")?;
                if !reason.is_empty() {
                    return Ok(Answer::Reject(reason));
                }
            }
            "c" | "choose" => {
                let others: Vec<_> = card.others().iter().map(|it| it.name.clone()).collect();
                let wanted = prompt(&format!("Which ({})? ", others.join(", ")))?;
                if others.contains(&wanted) {
                    return Ok(Answer::Choose(wanted));
                }
            }
            // The end of input is no decision.
            "" | "s" | "skip" => return Ok(Answer::Skip),
            "q" | "quit" => return Ok(Answer::Quit),
            _ => {}
        }
    }
}

fn prompt(question: &str) -> Result<String, Error> {
    let mut out = anstream::stderr().lock();
    write!(out, "{question}")
        .and_then(|()| out.flush())
        .map_err(Error::Print)?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(Error::Answer)?;
    Ok(answer.trim().to_owned())
}
