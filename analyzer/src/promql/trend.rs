//! The line of least squares through the samples of series, and how far it can be trusted.
//!
//! A repeated reading is not another sample: the metrics API says the same for
//! as long as it has measured nothing newer, so points are told apart by when
//! they were measured, and lie there, not at the tick.
//!
//! Pure: no IO, no clock.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use polars::prelude::*;

use super::{
    Error, check,
    error::compute,
    plan::{Plan, Selector},
    select::{Chosen, Eval},
    vector::{Labels, Vector},
};
use crate::window::{self, Reading, SAMPLED_AT, SERIES, Span, VALUE, Window};

const FORECAST: &str = "forecast";
const CONFIDENCE: &str = "confidence";
const SAMPLES: &str = "samples";
const COVERED: &str = "covered";

/// A metric whose trend can be fitted.
#[derive(Clone, Debug)]
pub struct Trend {
    text: String,
    selector: Selector,
}

/// The stretch that a line is fitted to, and how far it is carried on.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// How far back the samples go.
    pub lookback: SignedDuration,
    /// How far ahead the line is read.
    pub horizon: SignedDuration,
}

/// One series and its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Whose line it is.
    pub labels: Labels,
    /// The newest value.
    pub value: f64,
    /// When that was measured.
    pub sampled_at: Timestamp,
    /// The line at the horizon.
    pub forecast: f64,
    /// R²: the share of the variance that the line explains. 0 where nothing varies.
    pub confidence: f64,
    /// How many measurements the line goes through.
    pub samples: u32,
    /// The span from the first of them to the last.
    pub covered: SignedDuration,
}

impl Trend {
    /// Reads a metric, or one of the short names of readings, with its matchers.
    ///
    /// # Errors
    /// When it is anything else: a function or an operator over a range would need a subquery.
    pub fn parse(text: &str) -> Result<Self, Error> {
        super::within_length(text)?;
        let parsed = promql_parser::parser::parse(text);
        let expr = parsed.map_err(|message| Error::Syntax { message })?;
        match check::plan(&expr, 0)? {
            Plan::Instant(selector) if selector.of_nodes => Err(Error::Unsupported {
                what: "a trend of a node".to_owned(),
                instead: "write a metric trigger over deriv or predict_linear, such as predict_linear(node_memory_usage_percent[10m], 600)",
            }),
            Plan::Instant(selector) if selector.offset == 0 => Ok(Self {
                text: text.to_owned(),
                selector,
            }),
            Plan::Instant(_) => Err(Error::Unsupported {
                what: "a trend with an offset".to_owned(),
                instead: "drop the offset: lookback says how far back the trend is fitted",
            }),
            Plan::Number(_)
            | Plan::Over(_)
            | Plan::ErrorRate(_)
            | Plan::Aggregate(_)
            | Plan::Binary(_)
            | Plan::Call(..) => Err(Error::Unsupported {
                what: "a trend of anything but a plain metric".to_owned(),
                instead: "write a metric's name, or memory_usage_percent, memory_usage_bytes, cpu_usage_percent or cpu_usage_cores, with matchers at most; functions, operators, aggregations and the names that look at 10 minutes already cannot be fitted",
            }),
        }
    }

    /// The metric as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A line per series that has a value now; one without samples in the stretch has none of them.
///
/// # Errors
/// When the frames cannot be computed.
pub fn fit(
    trend: &Trend,
    window: &Window,
    at: Timestamp,
    stretch: Stretch,
) -> Result<Vec<Fitted>, Error> {
    let eval = Eval::new(window, at.as_millisecond());
    let line = (window::before(at, stretch.lookback), stretch.horizon);
    let mut all = Vec::new();
    for &(reading, resource) in &trend.selector.readings {
        let chosen = eval
            .choose(&trend.selector, reading, resource, Some(eval.at))
            .map_err(compute)?;
        let lines = lines(&eval, reading, &chosen, line).map_err(compute)?;
        all.extend(lines);
    }
    Ok(all)
}

fn lines(
    eval: &Eval<'_>,
    reading: Reading,
    chosen: &Chosen,
    (after, horizon): (i64, SignedDuration),
) -> PolarsResult<Vec<Fitted>> {
    let span = |after: i64| Span {
        after,
        until: eval.at,
    };
    let fresh = span(eval.at.saturating_sub(eval.lookback()));
    let newest = eval.window.instant(reading, &chosen.series, fresh)?;
    let samples = eval.window.range(reading, &chosen.series, span(after))?;
    let lines = fitted(samples.lazy(), eval.at, horizon)?;
    let mut how = JoinArgs::new(JoinType::Left);
    how.maintain_order = MaintainOrderJoin::Left;
    let rows = newest
        .lazy()
        .join(lines, [col(SERIES)], [col(SERIES)], how)
        .with_columns([
            col(FORECAST).fill_null(lit(f64::NAN)),
            col(CONFIDENCE).fill_null(lit(0.0)).fill_nan(lit(0.0)),
            col(SAMPLES).fill_null(lit(0_u32)),
            col(COVERED).fill_null(lit(0_i64)),
        ])
        .collect()?;
    let labelled = Vector::new(chosen.labelled(&rows)?, Arc::clone(&eval.texts));
    let columns = (
        rows.column(FORECAST)?.f64()?.into_no_null_iter(),
        rows.column(CONFIDENCE)?.f64()?.into_no_null_iter(),
        rows.column(SAMPLES)?.u32()?.into_no_null_iter(),
        rows.column(COVERED)?.i64()?.into_no_null_iter(),
    );
    let (forecasts, confidences, samples, covered) = columns;
    let lines = labelled.samples().into_iter().zip(forecasts);
    let lines = lines.zip(confidences).zip(samples).zip(covered);
    let line = lines.map(
        |((((newest, forecast), confidence), samples), covered)| Fitted {
            labels: newest.labels,
            value: newest.value,
            sampled_at: newest.sampled_at,
            forecast,
            confidence: confidence.clamp(0.0, 1.0),
            samples,
            covered: SignedDuration::from_millis(covered),
        },
    );
    Ok(line.collect())
}

/// The line through each series' measurements, in seconds from `at`. Sums are
/// of distances from the means, which keeps the digits of a small slope on a
/// large value.
fn fitted(samples: LazyFrame, at: i64, horizon: SignedDuration) -> PolarsResult<LazyFrame> {
    let next = || lit(-1);
    let repeats = (col(SERIES).eq(col(SERIES).shift(next())))
        .and(col(SAMPLED_AT).eq(col(SAMPLED_AT).shift(next())))
        .fill_null(lit(false));
    let points = samples
        .filter(repeats.not())
        .with_columns([
            ((col(SAMPLED_AT) - lit(at)).cast(DataType::Float64) / lit(1000.0)).alias("x"),
        ]);
    let centred = |name: &str| -> PolarsResult<Expr> {
        Ok(col(name) - col(name).mean().over([col(SERIES)])?)
    };
    let points = points.with_columns([centred("x")?.alias("dx"), centred(VALUE)?.alias("dy")]);
    let (dx, dy) = (|| col("dx"), || col("dy"));
    let groups = points.group_by_stable([col(SERIES)]).agg([
        (dx() * dy()).sum().alias("covariance"),
        (dx() * dx()).sum().alias("spread"),
        (dy() * dy()).sum().alias("variance"),
        col("x").mean().alias("middle"),
        col(VALUE).mean().alias("level"),
        len().cast(DataType::UInt32).alias(SAMPLES),
        (col(SAMPLED_AT).max() - col(SAMPLED_AT).min()).alias(COVERED),
    ]);
    let slope = || col("covariance") / col("spread");
    let ahead = lit(horizon.as_secs_f64());
    Ok(groups.select([
        col(SERIES),
        (col("level") + slope() * (ahead - col("middle"))).alias(FORECAST),
        (slope() * col("covariance") / col("variance")).alias(CONFIDENCE),
        col(SAMPLES),
        col(COVERED),
    ]))
}
