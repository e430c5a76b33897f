//! What a line of the journal teaches.
//!
//! In: the bytes of a line. Out: its lesson. Lines that were written before
//! lessons were, and those about actions that have not ended, teach nothing; a line
//! whose bytes are not those that were sealed is not believed.
//!
//! Pure: no IO, no clock.

use schemas::{envelope::Envelope, journal, outcome::Lesson};
use serde::Deserialize;

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no line of a journal.
    #[error("not a line of the journal")]
    NotALine,
    /// It was altered after it was sealed.
    #[error("altered: its bytes are not those that were sealed")]
    Altered,
}

impl Error {
    /// A short, bounded label for metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotALine => "NotALine",
            Self::Altered => "Altered",
        }
    }
}

/// The part of a line that teaches.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    lesson: Option<Lesson>,
}

/// What `line` teaches; none where it teaches nothing.
///
/// # Errors
/// When it is not one, or was altered.
pub fn lesson(line: &[u8]) -> Result<Option<Lesson>, Error> {
    let place = journal::link(line).ok_or(Error::NotALine)?;
    if !place.is_whole {
        return Err(Error::Altered);
    }
    let event: Envelope<Told> = serde_json::from_slice(line).map_err(|_error| Error::NotALine)?;
    Ok(event.data.lesson.filter(|lesson| !lesson.is_empty()))
}
