//! The samples of chosen series as polars frames.
//!
//! A frame names a series by its place among the chosen ones, which are in the
//! catalog's order; so frames of the same samples are equal, whatever order the
//! samples came in, and every sum over them is made in the same order.
//!
//! Pure: no IO, no clock.

use polars::prelude::*;

use super::{
    Window,
    catalog::Scope,
    tick::{Reading, Tick},
};

/// Column: place of the series among the chosen ones (u32).
pub(crate) const SERIES: &str = "series";
/// Column: the instant of the sample, milliseconds (i64).
pub(crate) const TIME: &str = "time";
/// Column: the value (f64).
pub(crate) const VALUE: &str = "value";
/// Column: when what the value says was measured, milliseconds (i64).
pub(crate) const SAMPLED_AT: &str = "sampled_at";

/// A series that was not chosen.
pub(super) const NOT_CHOSEN: u32 = u32::MAX;

/// Which samples are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// After when, milliseconds.
    pub(crate) after: i64,
    /// Until when, inclusive, milliseconds.
    pub(crate) until: i64,
}

impl Reading {
    /// Whom the reading is about.
    pub(crate) const fn scope(self) -> Scope {
        match self {
            Self::PodReady => Scope::Pod,
            Self::Cpu
            | Self::Memory
            | Self::CpuLimit
            | Self::MemoryLimit
            | Self::CpuRequest
            | Self::MemoryRequest
            | Self::CpuPercent
            | Self::MemoryPercent
            | Self::Restarts
            | Self::Ready => Scope::Container,
        }
    }
}

/// Columns on their way into a frame.
#[derive(Default)]
struct Columns {
    series: Vec<u32>,
    time: Vec<i64>,
    value: Vec<f64>,
    sampled_at: Vec<i64>,
}

impl Columns {
    fn into_frame(self) -> PolarsResult<DataFrame> {
        DataFrame::new_infer_height(vec![
            Column::new(SERIES.into(), self.series),
            Column::new(TIME.into(), self.time),
            Column::new(VALUE.into(), self.value),
            Column::new(SAMPLED_AT.into(), self.sampled_at),
        ])
    }
}

impl Window {
    /// The newest sample in the span of each chosen series, ordered by series.
    /// A series whose newest row has no value has none: the value went away.
    pub(crate) fn instant(
        &self,
        reading: Reading,
        chosen: &[u32],
        span: Span,
    ) -> PolarsResult<DataFrame> {
        let places = self.places(reading, chosen);
        let mut newest: Vec<Option<(i64, Option<f64>, i32)>> = vec![None; chosen.len()];
        let mut missing = chosen.len();
        for (at, tick) in self.ticks_in(span).rev() {
            tick.each(reading, &self.specs, |id, value, behind| {
                if let Some(newest @ None) =
                    place(&places, id).and_then(|place| newest.get_mut(place))
                {
                    *newest = Some((at, value, behind));
                    missing -= 1;
                }
            });
            if missing == 0 {
                break;
            }
        }
        let mut columns = Columns::default();
        for (series, newest) in (0_u32..).zip(newest) {
            if let Some((at, Some(value), behind)) = newest {
                columns.series.push(series);
                columns.time.push(at);
                columns.value.push(value);
                columns
                    .sampled_at
                    .push(at.saturating_sub(i64::from(behind)));
            }
        }
        columns.into_frame()
    }

    /// Every sample in the span of the chosen series, ordered by series, then time.
    pub(crate) fn range(
        &self,
        reading: Reading,
        chosen: &[u32],
        span: Span,
    ) -> PolarsResult<DataFrame> {
        let places = self.places(reading, chosen);
        let mut next = vec![0_usize; chosen.len() + 1];
        for (_, tick) in self.ticks_in(span) {
            tick.each(reading, &self.specs, |id, value, _| {
                if let (Some(place), Some(_)) = (place(&places, id), value)
                    && let Some(count) = next.get_mut(place + 1)
                {
                    *count += 1;
                }
            });
        }
        let mut total = 0;
        for count in &mut next {
            total += *count;
            *count = total;
        }
        let mut columns = Columns {
            series: vec![0; total],
            time: vec![0; total],
            value: vec![0.0; total],
            sampled_at: vec![0; total],
        };
        for (at, tick) in self.ticks_in(span) {
            tick.each(reading, &self.specs, |id, value, behind| {
                if let (Some(place), Some(value)) = (place(&places, id), value) {
                    columns.put(&mut next, place, (at, value, behind));
                }
            });
        }
        columns.into_frame()
    }

    pub(super) fn ticks_in(&self, span: Span) -> impl DoubleEndedIterator<Item = (i64, &Tick)> {
        let after = span.after.saturating_add(1);
        let range = after..span.until.saturating_add(1).max(after);
        self.ticks.range(range).map(|(at, tick)| (*at, tick))
    }

    fn places(&self, reading: Reading, chosen: &[u32]) -> Vec<u32> {
        let mut places = vec![NOT_CHOSEN; self.catalog.slots(reading.scope())];
        for (place, &id) in (0_u32..).zip(chosen) {
            if let Some(slot) = places.get_mut(id as usize) {
                *slot = place;
            }
        }
        places
    }
}

impl Columns {
    fn put(&mut self, next: &mut [usize], place: usize, (at, value, behind): (i64, f64, i32)) {
        let Some(next) = next.get_mut(place) else {
            return;
        };
        let slots = (
            self.series.get_mut(*next),
            self.time.get_mut(*next),
            self.value.get_mut(*next),
            self.sampled_at.get_mut(*next),
        );
        if let (Some(series), Some(time), Some(slot), Some(sampled_at)) = slots {
            *series = u32::try_from(place).unwrap_or(NOT_CHOSEN);
            *time = at;
            *slot = value;
            *sampled_at = at.saturating_sub(i64::from(behind));
        }
        *next += 1;
    }
}

/// The place of a series among the chosen ones.
pub(super) fn place(places: &[u32], id: u32) -> Option<usize> {
    let place = places.get(id as usize).copied();
    place
        .filter(|place| *place != NOT_CHOSEN)
        .map(|place| place as usize)
}
