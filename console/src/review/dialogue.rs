//! Asks a person what is to become of one action, on the terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use schemas::action::Opinion;

use super::card::Card;
use crate::{
    decide::Error,
    feedback::{self, Thought},
};

const QUESTION: &str = "[a]pprove  [r]eject  [c]hoose another  [s]kip  [q]uit; \
    the diagnosis is [u]seful  [w]rong: ";

/// What a person answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Approve,
    Reject(String),
    Choose(String),
    Think(Thought),
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
        let line = prompt(QUESTION)?;
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
            "u" | "useful" => {
                return Ok(Answer::Think(Thought {
                    opinion: Opinion::Useful,
                    cause: None,
                    comment: None,
                }));
            }
            "w" | "wrong" => {
                if let Some(thought) = wrong()? {
                    return Ok(Answer::Think(thought));
                }
            }
            // The end of input is no decision.
            "" | "s" | "skip" => return Ok(Answer::Skip),
            "q" | "quit" => return Ok(Answer::Quit),
            _ => {}
        }
    }
}

/// Asks what the cause is instead, as far as the person knows it.
fn wrong() -> Result<Option<Thought>, Error> {
    let cause = prompt("What is the cause instead (a failure mode; empty: not known)? ")?;
    let cause = match cause.as_str() {
        "" => None,
        text => match feedback::cause(text) {
            Ok(mode) => Some(mode),
            Err(why) => {
                show(&format!("{why}\n"))?;
                return Ok(None);
            }
        },
    };
    let comment = prompt("Why? ")?;
    Ok(Some(Thought {
        opinion: Opinion::Wrong,
        cause,
        comment: Some(comment).filter(|comment| !comment.is_empty()),
    }))
}

fn show(text: &str) -> Result<(), Error> {
    let mut out = anstream::stderr().lock();
    write!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(Error::Print)
}

fn prompt(question: &str) -> Result<String, Error> {
    show(question)?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(Error::Answer)?;
    Ok(answer.trim().to_owned())
}
