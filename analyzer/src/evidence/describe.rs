//! A piece of evidence in words, for people.
//!
//! In: a piece. Out: a sentence with its numbers and units, where it comes
//! from, the object it is about, and the values of a series at equal steps.
//! Everything is bounded as the schema asks. Messages of the control plane and
//! texts that somebody wrote are quoted, without controls and invisible
//! characters, so that what is quoted cannot pass for what is said here.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::diagnosis::{self, Evidence};

use super::{Fact, Measurement, Piece, shape::MOST_POINTS};
use crate::explain::cut;

mod fact;
mod number;
mod other;
mod series;

/// Characters of a sentence.
const LONGEST: usize = 512;
/// Characters of `Kind/name`.
const LONGEST_NAME: usize = 320;

/// A piece as a diagnosis carries it.
pub fn describe(piece: &Piece) -> Evidence {
    let about = &piece.about;
    let name = format!(
        "{}/{}",
        number::quoted(&about.kind),
        number::quoted(&about.name)
    );
    let sentence = fact::sentence(&piece.fact, piece.since);
    let series = if let Fact::Series(series) = &piece.fact {
        sparkline(series)
    } else {
        None
    };
    Evidence {
        id: piece.id.to_string(),
        provenance: piece.provenance.as_str().to_owned(),
        about: Some(cut(name, LONGEST_NAME)),
        statement: cut(sentence, LONGEST),
        series,
    }
}

/// The values at equal steps: of those that fall into one step the newest, none where none does.
fn sparkline(series: &Measurement) -> Option<diagnosis::Series> {
    let (from, _) = *series.points.first()?;
    let (to, _) = *series.points.last()?;
    let seconds = |at: Timestamp| u64::try_from(at.duration_since(from).as_secs()).unwrap_or(0);
    let most = series.points.len().min(MOST_POINTS);
    let gaps = u64::try_from(most.saturating_sub(1)).unwrap_or(1).max(1);
    let step = seconds(to).div_ceil(gaps).max(1);
    let places = usize::try_from(seconds(to) / step).ok()? + 1;
    let mut values = vec![None; places.min(MOST_POINTS)];
    for (at, value) in &series.points {
        let place = usize::try_from(seconds(*at) / step).ok();
        let value = value.filter(|value| value.is_finite());
        if let (Some(slot), Some(value)) = (place.and_then(|place| values.get_mut(place)), value) {
            *slot = Some(value);
        }
    }
    Some(diagnosis::Series {
        unit: series.metric.unit().to_owned(),
        from,
        step_seconds: u32::try_from(step).unwrap_or(u32::MAX),
        values,
        threshold: series.limit.filter(|limit| limit.is_finite()),
    })
}

#[cfg(test)]
mod tests;
