//! Functions of the samples in a range, as polars expressions.
//!
//! The samples come ordered by series and time, so the sample before is the row
//! before, if that is of the same series; and every sum is made in that order.
//!
//! Pure: no IO, no clock.

use polars::prelude::*;

use super::{
    plan::{Over, RangeFunction},
    select::{Eval, stacked},
};
use crate::window::{SAMPLED_AT, SERIES, Span, TIME, VALUE};

/// One range, and the instant of the question, in milliseconds: an offset puts the one before the other.
#[derive(Clone, Copy)]
struct Range {
    after: i64,
    until: i64,
    at: i64,
}

impl Eval<'_> {
    /// A value per series that has samples in the range.
    pub(super) fn over(&self, over: &Over) -> PolarsResult<DataFrame> {
        let until = self.at.saturating_sub(over.selector.offset);
        let after = until.saturating_sub(over.range);
        let frames = over.selector.readings.iter().map(|&(reading, resource)| {
            let chosen = self.choose(&over.selector, reading, resource, None)?;
            let samples = self
                .window
                .range(reading, &chosen.series, Span { after, until })?;
            let range = Range {
                after,
                until,
                at: self.at,
            };
            let reduced = reduce(over.function, samples.lazy(), range)?.collect()?;
            chosen.labelled(&reduced)
        });
        stacked(frames.collect::<PolarsResult<_>>()?)
    }
}

fn reduce(function: RangeFunction, samples: LazyFrame, range: Range) -> PolarsResult<LazyFrame> {
    let value = || col(VALUE);
    let plain = |value: Expr| grouped(samples.clone(), vec![value.alias(VALUE)]);
    Ok(match function {
        RangeFunction::Avg => plain(value().mean()),
        RangeFunction::Min => plain(value().min()),
        RangeFunction::Max => plain(value().max()),
        RangeFunction::Sum => plain(value().sum()),
        RangeFunction::Count => plain(len().cast(DataType::Float64)),
        RangeFunction::Stddev => plain(value().std(0)),
        RangeFunction::Stdvar => plain(value().var(0)),
        RangeFunction::Quantile(share) => plain(quantile(share)),
        RangeFunction::Last => plain(value().last()),
        RangeFunction::Present => plain(value().last() * lit(0.0) + lit(1.0)),
        RangeFunction::Changes => plain(flag(value().neq(before())).sum()),
        RangeFunction::Resets => plain(flag(value().lt(before())).sum()),
        RangeFunction::SeenIncrease => {
            grouped(with_drops(samples), vec![increase(true).alias(VALUE)])
        }
        RangeFunction::Rate | RangeFunction::Increase | RangeFunction::Delta => {
            extrapolated(function, samples, range)
        }
        RangeFunction::Deriv => fitted(samples, range.at, None)?,
        RangeFunction::PredictLinear(ahead) => fitted(samples, range.at, Some(ahead))?,
    })
}

/// A share of the values in order, interpolated; beyond 0 and 1 it is infinite, as in Prometheus.
pub(super) fn quantile(share: f64) -> Expr {
    let value = col(VALUE);
    if share.is_nan() {
        value.last() * lit(f64::NAN)
    } else if share < 0.0 {
        value.count().cast(DataType::Float64) * lit(f64::NEG_INFINITY)
    } else if share > 1.0 {
        value.count().cast(DataType::Float64) * lit(f64::INFINITY)
    } else {
        // What is no number stands before all others, where polars puts it behind them.
        let mirrored = (lit(-1.0) * col(VALUE)).quantile(lit(1.0 - share), QuantileMethod::Linear);
        when(value.clone().is_nan().any(true))
            .then(lit(-1.0) * mirrored)
            .otherwise(value.quantile(lit(share), QuantileMethod::Linear))
    }
}

fn grouped(samples: LazyFrame, mut values: Vec<Expr>) -> LazyFrame {
    values.push(col(SAMPLED_AT).max());
    let samples = samples.with_columns([
        col(SERIES)
            .eq(col(SERIES).shift(lit(1)))
            .fill_null(lit(false))
            .alias("follows"),
        col(VALUE).shift(lit(1)).alias("before"),
    ]);
    samples.group_by_stable([col(SERIES)]).agg(values)
}

/// The value of the row before; only meant together with [`flag`].
fn before() -> Expr {
    col("before")
}

/// 1 where the row before is of the same series and the condition holds.
fn flag(condition: Expr) -> Expr {
    when(col("follows").and(condition))
        .then(lit(1.0))
        .otherwise(lit(0.0))
}

/// Adds what a counter had reached where it starts again from zero.
fn with_drops(samples: LazyFrame) -> LazyFrame {
    let follows = col(SERIES).eq(col(SERIES).shift(lit(1)));
    let before = col(VALUE).shift(lit(1));
    let dropped = follows.and(col(VALUE).lt(before.clone()));
    samples.with_columns([when(dropped)
        .then(before)
        .otherwise(lit(0.0))
        .alias("dropped")])
}

fn increase(is_counter: bool) -> Expr {
    let difference = col(VALUE).last() - col(VALUE).first();
    if is_counter {
        difference + col("dropped").sum()
    } else {
        difference
    }
}

/// The change over the range, carried on to its ends as Prometheus does: up to
/// the ends when a sample is near, half a step otherwise, and never to below zero
/// for a counter.
fn extrapolated(function: RangeFunction, samples: LazyFrame, range: Range) -> LazyFrame {
    let is_counter = function != RangeFunction::Delta;
    let seconds = |milliseconds: Expr| milliseconds.cast(DataType::Float64) / lit(1000.0);
    let groups = grouped(
        with_drops(samples),
        vec![
            increase(is_counter).alias(VALUE),
            col(VALUE).first().alias("first"),
            seconds(col(TIME).first() - lit(range.after)).alias("to_start"),
            seconds(lit(range.until) - col(TIME).last()).alias("to_end"),
            seconds(col(TIME).last() - col(TIME).first()).alias("sampled"),
            len().cast(DataType::Float64).alias("samples"),
        ],
    );
    let step = col("sampled") / (col("samples") - lit(1.0));
    let bounded = |name: &str| {
        when(col(name).gt_eq(step.clone() * lit(1.1)))
            .then(step.clone() / lit(2.0))
            .otherwise(col(name))
    };
    let start = bounded("to_start");
    let start = if is_counter {
        // Where the counter, going on backwards at this pace, would be zero.
        let to_zero = col("sampled") * (col("first") / col(VALUE));
        let reaches_zero = col(VALUE)
            .gt(lit(0.0))
            .and(col("first").gt_eq(lit(0.0)))
            .and(to_zero.clone().lt(start.clone()));
        when(reaches_zero).then(to_zero).otherwise(start)
    } else {
        start
    };
    let mut factor = (col("sampled") + start + bounded("to_end")) / col("sampled");
    if function == RangeFunction::Rate {
        factor = factor / seconds(lit(range.until.saturating_sub(range.after)));
    }
    groups
        .filter(col("samples").gt_eq(lit(2.0)))
        .with_columns([(col(VALUE) * factor).alias(VALUE)])
}

/// The slope of the line of least squares, per second, or its value some seconds
/// after `at`. Values are taken relative to each series' first, which changes
/// neither and keeps the digits of a small slope on a large value.
fn fitted(samples: LazyFrame, at: i64, ahead: Option<f64>) -> PolarsResult<LazyFrame> {
    let (x, y) = (|| col("x"), || col("y"));
    let points = samples.with_columns([
        ((col(TIME) - lit(at)).cast(DataType::Float64) / lit(1000.0)).alias("x"),
        (col(VALUE) - col(VALUE).first().over([col(SERIES)])?).alias("y"),
    ]);
    let n = || len().cast(DataType::Float64);
    let covariance = (x() * y()).sum() - x().sum() * y().sum() / n();
    let variance = (x() * x()).sum() - x().sum() * x().sum() / n();
    let groups = grouped(
        points,
        vec![
            (covariance / variance).alias("slope"),
            x().mean().alias("middle"),
            (col(VALUE).first() + y().mean()).alias("level"),
            n().alias("samples"),
        ],
    );
    let value = match ahead {
        None => col("slope"),
        Some(ahead) => col("level") + col("slope") * (lit(ahead) - col("middle")),
    };
    Ok(groups
        .filter(col("samples").gt_eq(lit(2.0)))
        .with_columns([value.alias(VALUE)]))
}
