//! `kubeskippy learned`: what verified outcomes and people's words taught.
//!
//! In: the journal, from the bus or from a file. Out: how well each remedy did against each cause,
//! what each advisor's confidence is worth, and which cases are recalled, computed by the
//! analyzer's own code. Nothing is written, and nothing is asked of the cluster.

use analyzer::learn::{self, Learned};
use clap::Args;
use jiff::Timestamp;
use runtime::clock;

use crate::{
    ask::Output,
    journal::{self, SourceArgs},
    print,
};

mod answer;

use answer::Answer;

/// Where to learn from, and how to say it.
#[derive(Debug, Args)]
pub struct LearnedArgs {
    /// Where the journal is.
    #[command(flatten)]
    pub source: SourceArgs,

    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be read.
    #[error("failed to learn from the journal")]
    Read(#[source] journal::Error),
    /// The answer cannot be written as JSON.
    #[error("failed to write the answer as JSON")]
    Json(#[source] serde_json::Error),
    /// Nobody reads what is printed.
    #[error("failed to print")]
    Print(#[source] std::io::Error),
}

/// Prints what was learned.
///
/// # Errors
/// When the journal cannot be read.
pub async fn learned(args: LearnedArgs) -> Result<(), Error> {
    let LearnedArgs { source, output } = args;
    let mut lines = journal::lines(&source).await.map_err(Error::Read)?;
    let mut heard = Heard::default();
    while let Some(line) = lines.next().await.map_err(Error::Read)? {
        heard.hear(&line);
    }
    let answer = heard.answer(clock::now());
    let text = match output {
        Output::Text => answer.text(),
        Output::Json => serde_json::to_string_pretty(&answer).map_err(Error::Json)?,
    };
    print::line(&text).map_err(Error::Print)
}

/// What was read so far.
#[derive(Default)]
struct Heard {
    learned: Learned,
    /// Lines that were not believed.
    refused: u64,
}

impl Heard {
    fn hear(&mut self, line: &[u8]) {
        match learn::read::lesson(line) {
            Ok(Some(lesson)) => self.learned.hear(lesson),
            Ok(None) => {}
            Err(_) => self.refused += 1,
        }
    }

    fn answer(mut self, now: Timestamp) -> Answer {
        self.learned.expire(now);
        Answer::of(&self.learned, self.refused)
    }
}

#[cfg(test)]
mod tests;
