//! Functions of one value, as polars expressions.
//!
//! Pure: no IO, no clock.

use polars::prelude::*;

use super::plan::Call;
use crate::window::VALUE;

/// Applies the function to every value.
pub(super) fn apply(call: Call, of: DataFrame) -> PolarsResult<DataFrame> {
    let value = || col(VALUE);
    let result = match call {
        Call::Negate => lit(-1.0) * value(),
        Call::Abs => value().abs(),
        Call::Ceil => value().ceil(),
        Call::Floor => value().floor(),
        Call::Round(nearest) => {
            // As Prometheus does it: halves go up, and the reciprocal keeps tenths exact.
            let inverse = 1.0 / nearest;
            (value() * lit(inverse) + lit(0.5)).floor() / lit(inverse)
        }
        Call::Clamp(least, most) => return clamped(of, least, most),
    };
    of.lazy().with_columns([result.alias(VALUE)]).collect()
}

fn clamped(of: DataFrame, least: f64, most: f64) -> PolarsResult<DataFrame> {
    let value = || col(VALUE);
    let of = of.lazy();
    if least > most {
        return of.filter(lit(false)).collect();
    }
    let result = if least.is_nan() || most.is_nan() {
        value() * lit(f64::NAN)
    } else {
        let low = value().lt(lit(least));
        let high = value().gt(lit(most)).and(value().is_not_nan());
        when(low)
            .then(lit(least))
            .when(high)
            .then(lit(most))
            .otherwise(value())
    };
    of.with_columns([result.alias(VALUE)]).collect()
}
