//! Selectors → the newest samples of the series they choose.
//!
//! Pure: no IO, no clock.

use std::{collections::HashMap, sync::Arc};

use polars::prelude::*;
use promql_parser::label::Matcher;

use super::{plan::Selector, vector::LABELS};
use crate::window::{EMPTY, Reading, SAMPLED_AT, SERIES, Span, VALUE, Window, label};

/// What is known while a query is answered.
pub(super) struct Eval<'a> {
    /// The samples.
    pub(super) window: &'a Window,
    /// The instant, milliseconds.
    pub(super) at: i64,
    /// Texts by their number; those that the window does not know are added at the end.
    pub(super) texts: Arc<Vec<Arc<str>>>,
    added: HashMap<Arc<str>, u32>,
}

/// Chosen series of one reading.
pub(super) struct Chosen {
    /// Their numbers, in the catalog's order.
    pub(super) series: Vec<u32>,
    /// A row of labels each.
    labels: DataFrame,
}

/// The numbers of a row's labels.
pub(super) type Row = [u32; LABELS.len()];

impl<'a> Eval<'a> {
    pub(super) fn new(window: &'a Window, at: i64) -> Self {
        Self {
            window,
            at,
            texts: window.catalog().all_texts(),
            added: HashMap::new(),
        }
    }

    /// How old a sample may be to still stand for its series, milliseconds.
    pub(super) fn lookback(&self) -> i64 {
        i64::try_from(self.window.lookback().as_millis()).unwrap_or(i64::MAX)
    }

    /// The newest samples of the chosen series.
    pub(super) fn instant(&self, selector: &Selector) -> PolarsResult<DataFrame> {
        let until = self.at.saturating_sub(selector.offset);
        let after = until.saturating_sub(self.lookback());
        let frames = selector.readings.iter().map(|&(reading, resource)| {
            let chosen = self.choose(selector, reading, resource, Some(until))?;
            let frame = self
                .window
                .instant(reading, &chosen.series, Span { after, until })?;
            chosen.labelled(&frame)
        });
        stacked(frames.collect::<PolarsResult<_>>()?)
    }

    /// The series that a selector chooses, without those of pods that were gone by `living_at`.
    pub(super) fn choose(
        &self,
        selector: &Selector,
        reading: Reading,
        resource: u32,
        living_at: Option<i64>,
    ) -> PolarsResult<Chosen> {
        let catalog = self.window.catalog();
        let scope = reading.scope();
        let mut filter = Filter::new(&selector.matchers, &self.texts);
        let mut chosen = Vec::new();
        let mut rows = Vec::new();
        for &id in catalog.ordered(scope) {
            let Some(labels) = catalog.numbers(scope, id) else {
                continue;
            };
            let row = row(labels, resource);
            if filter.passes(&row) && !living_at.is_some_and(|at| self.is_gone(labels, at)) {
                chosen.push(id);
                rows.push(row);
            }
        }
        Ok(Chosen {
            series: chosen,
            labels: label_columns(&rows)?,
        })
    }

    fn is_gone(&self, labels: &[u32; label::COUNT], at: i64) -> bool {
        self.window.any_gone()
            && labels
                .get(label::POD_UID)
                .and_then(|uid| self.texts.get(*uid as usize))
                .and_then(|uid| self.window.gone_since(uid))
                .is_some_and(|since| since <= at)
    }

    /// The number of a text, which the window may not know.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.window.catalog().number(text) {
            return number;
        }
        if let Some(&number) = self.added.get(text) {
            return number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(EMPTY);
        let held: Arc<str> = Arc::from(text);
        Arc::make_mut(&mut self.texts).push(Arc::clone(&held));
        self.added.insert(held, number);
        number
    }
}

impl Chosen {
    /// Gives each row of a frame the labels of its series, in place of the series' number.
    pub(super) fn labelled(&self, frame: &DataFrame) -> PolarsResult<DataFrame> {
        let mut labelled = self.labels.take(frame.column(SERIES)?.u32()?)?;
        for column in [VALUE, SAMPLED_AT] {
            labelled.with_column(frame.column(column)?.clone())?;
        }
        Ok(labelled)
    }
}

fn row(labels: &[u32; label::COUNT], resource: u32) -> Row {
    let mut row = [resource; LABELS.len()];
    for (slot, label) in row.iter_mut().zip(labels) {
        *slot = *label;
    }
    row
}

pub(super) fn label_columns(rows: &[Row]) -> PolarsResult<DataFrame> {
    let column = |(position, name): (usize, &&str)| {
        let numbers: Vec<u32> = rows
            .iter()
            .map(|row| row.get(position).copied().unwrap_or(EMPTY))
            .collect();
        Column::new((*name).into(), numbers)
    };
    DataFrame::new_infer_height(LABELS.iter().enumerate().map(column).collect())
}

/// One value that is of no series.
pub(super) fn constant(value: f64, at: i64) -> PolarsResult<DataFrame> {
    let mut frame = label_columns(&[[EMPTY; LABELS.len()]])?;
    frame.with_column(Column::new(VALUE.into(), vec![value]))?;
    frame.with_column(Column::new(SAMPLED_AT.into(), vec![at]))?;
    Ok(frame)
}

/// Frames of the same columns, one below the other.
pub(super) fn stacked(frames: Vec<DataFrame>) -> PolarsResult<DataFrame> {
    let mut frames = frames.into_iter();
    let Some(mut all) = frames.next() else {
        let mut none = label_columns(&[])?;
        none.with_column(Column::new(VALUE.into(), Vec::<f64>::new()))?;
        none.with_column(Column::new(SAMPLED_AT.into(), Vec::<i64>::new()))?;
        return Ok(none);
    };
    for frame in frames {
        all.vstack_mut(&frame)?;
    }
    all.rechunk_mut();
    Ok(all)
}

/// Matchers, each of which is asked once about each text.
pub(super) struct Filter<'a> {
    matchers: Vec<(usize, &'a Matcher, HashMap<u32, bool>)>,
    texts: &'a [Arc<str>],
}

impl<'a> Filter<'a> {
    pub(super) fn new(matchers: &'a [Matcher], texts: &'a [Arc<str>]) -> Self {
        let place = |matcher: &Matcher| LABELS.iter().position(|label| *label == matcher.name);
        let placed = |matcher: &'a Matcher| Some((place(matcher)?, matcher, HashMap::new()));
        Self {
            matchers: matchers.iter().filter_map(placed).collect(),
            texts,
        }
    }

    pub(super) fn passes(&mut self, row: &Row) -> bool {
        let texts = self.texts;
        self.matchers.iter_mut().all(|(place, matcher, known)| {
            let number = row.get(*place).copied().unwrap_or(EMPTY);
            *known.entry(number).or_insert_with(|| {
                matcher.is_match(texts.get(number as usize).map_or("", AsRef::as_ref))
            })
        })
    }
}
