//! How a value is compared with a threshold.
//!
//! Pure: no IO, no clock.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A comparison of a value with a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// Breached while the value is above the threshold.
    #[default]
    #[serde(rename = ">")]
    Above,
    /// Breached while the value is below the threshold.
    #[serde(rename = "<")]
    Below,
    /// Breached while the value is at or above the threshold.
    #[serde(rename = ">=")]
    AtLeast,
    /// Breached while the value is at or below the threshold.
    #[serde(rename = "<=")]
    AtMost,
    /// Breached while the value equals the threshold.
    #[serde(rename = "==")]
    Equal,
    /// Breached while the value differs from the threshold.
    #[serde(rename = "!=")]
    NotEqual,
}

impl Operator {
    /// Whether `value` breaches `threshold`. A value that is not a number breaches nothing.
    #[expect(clippy::float_cmp, reason = "equality is what the policy asked for")]
    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        if value.is_nan() || threshold.is_nan() {
            return false;
        }
        match self {
            Self::Above => value > threshold,
            Self::Below => value < threshold,
            Self::AtLeast => value >= threshold,
            Self::AtMost => value <= threshold,
            Self::Equal => value == threshold,
            Self::NotEqual => value != threshold,
        }
    }

    /// Whether larger values are the worse ones, so that of several series the largest speaks for the target.
    pub const fn worse_is_larger(self) -> bool {
        !matches!(self, Self::Below | Self::AtMost)
    }

    /// The operator as policies spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::Below => "<",
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_belongs_to_the_inclusive_operators() {
        let at = |operator: Operator| operator.breaches(85.0, 85.0);
        assert!(!at(Operator::Above) && !at(Operator::Below) && !at(Operator::NotEqual));
        assert!(at(Operator::AtLeast) && at(Operator::AtMost) && at(Operator::Equal));
    }

    #[test]
    fn no_number_breaches_nothing() {
        for operator in [Operator::Above, Operator::Below, Operator::NotEqual] {
            assert!(!operator.breaches(f64::NAN, 1.0));
            assert!(!operator.breaches(1.0, f64::NAN));
        }
    }
}
