//! What a predictive trigger reads: the line where it is believed, the value now where not.
//!
//! In: the line of each series, and the trigger. Out: a value per pod, that of
//! its worst container. The value is the forecast at the horizon where the line
//! explains enough of what was seen; otherwise nothing says that it will change,
//! and it is the value now. So a value that breaches the threshold means
//! trouble, whichever of the two it is.
//!
//! Pure: no IO, no clock.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use jiff::SignedDuration;
use schemas::operator::Operator;

use crate::{
    accepted::{Source, Watched},
    measure::{Measured, Value},
    promql::{Fitted, Stretch},
};

/// The fewest measurements that make a trend. Of series that are nothing but
/// noise, a rising line explains 80 % of the variance by chance of one in 800
/// with 8, and of one in 50 with 5; and 8 fit into a lookback of 10 minutes
/// even where the metrics API measures once a minute.
pub const LEAST_SAMPLES: u32 = 8;

/// What kind of value a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basis {
    /// It was measured.
    Measured,
    /// It lies on the line, at the horizon.
    Forecast {
        /// The share of the variance that the line explains.
        confidence: f64,
    },
    /// It was measured, and is beyond the threshold already.
    Already,
    /// It was measured; the line explains too little to be carried on.
    NoTrend {
        /// The share of the variance that the line explains.
        confidence: f64,
    },
    /// It was measured; less than half of the lookback is known.
    TooYoung {
        /// How much is known.
        covered: SignedDuration,
    },
}

/// The value of each pod, by UID: its worst container speaks for it.
pub fn per_pod(watched: &Watched, lines: Vec<Fitted>) -> BTreeMap<Arc<str>, Value> {
    let mut pods = BTreeMap::new();
    for line in lines {
        let uid = Arc::clone(&line.labels.pod_uid);
        let value = read(watched, &line);
        match pods.entry(uid) {
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
            Entry::Occupied(mut entry) => {
                if is_worse(&value, entry.get(), watched.operator) {
                    *entry.get_mut() = value;
                }
            }
        }
    }
    pods
}

fn read(watched: &Watched, line: &Fitted) -> Value {
    let Source::Trend {
        stretch,
        confidence,
        ..
    } = &watched.source
    else {
        return Err("not a trend".to_owned());
    };
    let breaches = |value| watched.operator.breaches(value, watched.threshold);
    let half_covered = line.covered >= stretch.lookback / 2;
    let is_trend = half_covered && line.samples >= LEAST_SAMPLES;
    let believed = is_trend && line.confidence >= *confidence && line.forecast.is_finite();
    if believed && (breaches(line.forecast) || !breaches(line.value)) {
        let confidence = line.confidence;
        return Ok(speak(line, line.forecast, Basis::Forecast { confidence }));
    }
    let basis = if breaches(line.value) {
        Basis::Already
    } else if is_trend {
        Basis::NoTrend {
            confidence: line.confidence,
        }
    } else if half_covered {
        return Err(too_sparse(line, *stretch));
    } else {
        Basis::TooYoung {
            covered: line.covered,
        }
    };
    Ok(speak(line, line.value, basis))
}

fn speak(line: &Fitted, value: f64, basis: Basis) -> Measured {
    let container = line.labels.container.to_string();
    Measured {
        value,
        container: (!container.is_empty()).then_some(container),
        pod: None,
        sampled_at: line.sampled_at,
        basis,
    }
}

/// Waiting will not help here, so it is no data rather than no trend yet.
fn too_sparse(line: &Fitted, stretch: Stretch) -> String {
    format!(
        "{} measurements in {} s are no trend, which takes {LEAST_SAMPLES}: write a longer lookback",
        line.samples,
        stretch.lookback.as_secs()
    )
}

/// Whether `new` is worse than `old`; what is not known is not worse than anything, and of equals the first stands.
fn is_worse(new: &Value, old: &Value, operator: Operator) -> bool {
    match (new, old) {
        (Ok(new), Ok(old)) if operator.worse_is_larger() => new.value > old.value,
        (Ok(new), Ok(old)) => new.value < old.value,
        (Ok(_), Err(_)) => true,
        (Err(_), Ok(_) | Err(_)) => false,
    }
}

#[cfg(test)]
mod tests;
