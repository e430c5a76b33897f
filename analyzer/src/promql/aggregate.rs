//! Several series made one, as polars expressions.
//!
//! Pure: no IO, no clock.

use polars::prelude::*;

use super::{
    plan::{AggregateFunction, Keys},
    range::quantile,
    vector::LABELS,
};
use crate::window::{EMPTY, SAMPLED_AT, VALUE};

/// A column that is the same everywhere: what groups are made by when there is no label to make them by.
const ALL: &str = "all";

/// One value per group; of the so many largest or smallest, the values themselves.
///
/// The instant of a group is its oldest that is after `fresh`: a pod that is
/// gone does not hold back what the others say.
pub(super) fn aggregate(
    function: AggregateFunction,
    by: &Keys,
    of: DataFrame,
    fresh: i64,
) -> PolarsResult<DataFrame> {
    let value = || col(VALUE);
    let count = || len().cast(DataType::Float64);
    let aggregated = match function {
        AggregateFunction::Sum => value().sum(),
        AggregateFunction::Avg => value().mean(),
        AggregateFunction::Min => value().min(),
        AggregateFunction::Max => value().max(),
        AggregateFunction::Count => count(),
        AggregateFunction::Group => count() * lit(0.0) + lit(1.0),
        AggregateFunction::Stddev => value().std(0),
        AggregateFunction::Stdvar => value().var(0),
        AggregateFunction::Quantile(share) => quantile(share),
        AggregateFunction::Top(count) => return ranked(by, of, count, true),
        AggregateFunction::Bottom(count) => return ranked(by, of, count, false),
    };
    let is_fresh = col(SAMPLED_AT).gt(lit(fresh));
    let sampled_at = when(is_fresh.clone().any(true))
        .then(col(SAMPLED_AT).filter(is_fresh).min())
        .otherwise(col(SAMPLED_AT).max());
    let groups = of
        .lazy()
        .with_columns([lit(0_u32).alias(ALL)])
        .group_by_stable(keys(by))
        .agg([aggregated.alias(VALUE), sampled_at.alias(SAMPLED_AT)]);
    groups.select(all_columns(by)).collect()
}

fn keys(by: &Keys) -> Vec<Expr> {
    let labels = by.0.iter().map(|label| col(*label));
    std::iter::once(col(ALL)).chain(labels).collect()
}

/// All columns of a vector; labels other than these are empty.
pub(super) fn all_columns(kept: &Keys) -> Vec<Expr> {
    let label = |label: &&'static str| {
        if kept.0.contains(label) {
            col(*label)
        } else {
            // Without the cast, polars takes the smallest type that holds the literal.
            lit(EMPTY).cast(DataType::UInt32).alias(*label)
        }
    };
    let values = [col(VALUE), col(SAMPLED_AT)];
    LABELS.iter().map(label).chain(values).collect()
}

fn ranked(by: &Keys, of: DataFrame, count: u32, descending: bool) -> PolarsResult<DataFrame> {
    let options = RankOptions {
        method: RankMethod::Ordinal,
        descending,
    };
    // What is no number is neither large nor small: it goes last.
    let last = if descending {
        f64::NEG_INFINITY
    } else {
        f64::INFINITY
    };
    let value = when(col(VALUE).is_nan())
        .then(lit(last))
        .otherwise(col(VALUE));
    let place = value.rank(options, None).over(keys(by))?;
    of.lazy()
        .with_columns([lit(0_u32).alias(ALL)])
        .filter(place.lt_eq(lit(count)))
        .select(all_columns(&Keys(LABELS.to_vec())))
        .collect()
}
