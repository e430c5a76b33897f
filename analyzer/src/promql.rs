//! A subset of PromQL over the window.
//!
//! A text becomes a [`Query`]: parsed, and checked to be something that can be
//! answered here; what cannot is refused by name, with what to write instead.
//! [`evaluate`] answers it at an instant of event time, with the meaning that
//! Prometheus gives it. `docs/metrics-and-queries.md` says which metrics there
//! are, which part of the language, and where the two differ.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use promql_parser::parser::Expr;
use schemas::policy::EventType;

pub use self::{
    error::Error,
    trend::{Fitted, Stretch, Trend, fit},
    vector::{Labels, Owner, Reading, Sample, Vector},
};
use crate::window::{self, Wanted, Window};

mod aggregate;
mod binary;
mod check;
mod error;
mod functions;
mod keys;
mod metric;
mod plan;
mod range;
mod select;
#[cfg(test)]
mod tests;
mod trend;
mod vector;
mod warnings;

use self::{
    binary::Side,
    error::compute,
    plan::Plan,
    select::{Eval, stacked},
};

/// The longest text of a query, as the schema of policies has it.
const MAX_LENGTH: usize = 2048;

/// A query that was parsed and found answerable.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    plan: Plan,
    of_nodes: bool,
}

impl Query {
    /// Reads PromQL, or one of the short names.
    pub fn parse(text: &str) -> Result<Self, Error> {
        within_length(text)?;
        let expr = expression(text)?;
        let plan = check::plan(&expr, 0)?;
        let of_nodes = plan.of_nodes()?.unwrap_or(false);
        Ok(Self {
            text: text.to_owned(),
            plan,
            of_nodes,
        })
    }

    /// How far back from the instant of evaluation samples are needed; the window adds its lookback.
    pub fn span(&self) -> SignedDuration {
        SignedDuration::from_millis(self.plan.span())
    }

    /// The query as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The expression that a text is.
///
/// The parser panics on a duration that is no number of seconds or too many of them, such as
/// `offset NaN`, and takes it for granted in more than one place: a panic is a syntax error here.
fn expression(text: &str) -> Result<Expr, Error> {
    let parsed = std::panic::catch_unwind(|| promql_parser::parser::parse(text));
    let parsed = parsed.unwrap_or_else(|_panic| {
        Err("a duration is out of range: write one such as 5m or 90s".to_owned())
    });
    parsed.map_err(|message| Error::Syntax { message })
}

fn within_length(text: &str) -> Result<(), Error> {
    if text.len() <= MAX_LENGTH {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: format!("a query of {} bytes", text.len()),
        instead: "write at most 2048",
    })
}

/// The answer at an instant.
pub fn evaluate(query: &Query, window: &Window, at: Timestamp) -> Result<Vector, Error> {
    let window = if query.of_nodes {
        window.nodes()
    } else {
        window
    };
    let mut eval = Eval::new(window, at.as_millisecond());
    let frame = match eval.plan(&query.plan)? {
        Side::Vector(frame) => frame,
        Side::Number(number) => select::constant(number, eval.at).map_err(compute)?,
    };
    Ok(Vector::new(frame, eval.texts))
}

impl Eval<'_> {
    fn plan(&mut self, plan: &Plan) -> Result<Side, Error> {
        let frame = match plan {
            Plan::Number(number) => return Ok(Side::Number(*number)),
            Plan::Instant(selector) => self.instant(selector),
            Plan::Over(over) => self.over(over),
            Plan::ErrorRate(selector) => self.error_rate(selector),
            Plan::Aggregate(aggregate) => {
                let Side::Vector(of) = self.plan(&aggregate.of)? else {
                    return stacked(Vec::new()).map(Side::Vector).map_err(compute);
                };
                let fresh = self.at.saturating_sub(self.lookback());
                aggregate::aggregate(aggregate.function, &aggregate.by, of, fresh)
            }
            Plan::Binary(binary) => {
                let (left, right) = (self.plan(&binary.left)?, self.plan(&binary.right)?);
                return binary::apply(binary, left, right);
            }
            Plan::Call(call, of) => match self.plan(of)? {
                Side::Vector(of) => functions::apply(*call, of),
                number @ Side::Number(_) => return Ok(number),
            },
        };
        frame.map(Side::Vector).map_err(compute)
    }
}

/// Occurrences of cluster events per UID of their target, in the `span` that
/// ends at `at`. The pattern must match all of the reason.
pub fn count_events(
    window: &Window,
    reason: &regex::Regex,
    kind: Option<EventType>,
    span: SignedDuration,
    at: Timestamp,
) -> BTreeMap<String, u64> {
    let whole = window::whole(reason);
    let wanted = Wanted {
        reason: Some(whole.as_ref().unwrap_or(reason)),
        kind,
        after: window::before(at, span),
        until: at.as_millisecond(),
    };
    let mut counts = BTreeMap::new();
    for (target, count) in window.event_counts(&wanted) {
        *counts.entry(target.uid.clone()).or_default() += count;
    }
    counts
}
