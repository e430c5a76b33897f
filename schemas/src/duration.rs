//! Durations as the custom resources spell them: "30s", "5m", "1h30m".
//!
//! In: Go's duration syntax, which is what Kubernetes objects use. Out: a
//! [`SignedDuration`]. Never negative, never without a unit (but for a bare 0).
//!
//! Pure: no IO, no clock.

use std::{borrow::Cow, fmt, str::FromStr};

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time written as "30s", "5m" or "1h30m".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(SignedDuration);

/// The form the API server enforces; it is the grammar [`Duration::from_str`] reads.
const PATTERN: &str = r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$";

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration (write \"30s\", \"5m\", \"1h30m\")")]
pub struct Error(String);

impl Duration {
    /// The duration of `seconds`.
    pub const fn from_secs(seconds: u32) -> Self {
        Self(SignedDuration::from_secs(seconds as i64))
    }

    /// The duration of `minutes`.
    pub const fn from_mins(minutes: u32) -> Self {
        Self(SignedDuration::from_secs(minutes as i64 * 60))
    }

    /// The span as jiff knows it.
    pub const fn get(self) -> SignedDuration {
        self.0
    }

    /// The span in whole milliseconds.
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl FromStr for Duration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let error = || Error(text.to_owned());
        if text == "0" {
            return Ok(Self::default());
        }
        let mut rest = text;
        let mut seconds = 0.0_f64;
        while !rest.is_empty() {
            let unit_at = rest
                .find(|c: char| !(c.is_ascii_digit() || c == '.'))
                .ok_or_else(error)?;
            let (number, tail) = rest.split_at_checked(unit_at).ok_or_else(error)?;
            let number: f64 = number.parse().map_err(|_| error())?;
            let (scale, tail) = unit(tail).ok_or_else(error)?;
            seconds += number * scale;
            rest = tail;
        }
        if text.is_empty() {
            return Err(error());
        }
        SignedDuration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| error())
    }
}

/// Splits a leading unit off `text`: its length in seconds, and what follows.
fn unit(text: &str) -> Option<(f64, &str)> {
    [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
        .into_iter()
        .find_map(|(unit, scale)| Some((scale, text.strip_prefix(unit)?)))
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            let above = match unit {
                "h" => i64::MAX,
                "m" => 3_600_000,
                "s" => 60_000,
                _ => 1000,
            };
            let count = millis % above / length;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "maxLength": 32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_spellings_are_read() {
        for (text, seconds) in [
            ("30s", 30.0),
            ("5m", 300.0),
            ("1h30m", 5400.0),
            ("1.5m", 90.0),
            ("250ms", 0.25),
            ("0", 0.0),
            ("0s", 0.0),
        ] {
            assert!(
                (text.parse::<Duration>().unwrap().get().as_secs_f64() - seconds).abs() < 1e-9,
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["", "5", "m", "-5m", "5 m", "5d", "1h2", "1..5s", "9e9h"] {
            assert!(text.parse::<Duration>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(millis in 0i64..10_000_000_000) {
            let duration = Duration(SignedDuration::from_millis(millis));
            let back: Duration = duration.to_string().parse().unwrap();
            prop_assert!((back.as_millis() - millis).abs() <= 1);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _result = text.parse::<Duration>();
        }
    }
}
