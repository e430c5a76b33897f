//! How much better the treated object became than its untreated siblings.
//!
//! Difference in differences: the change of the trigger's value on the treated
//! object, less the mean change on the siblings over the same time. With one
//! treated object the interval is that of a prediction: Student's t with n − 1
//! degrees of freedom times s·√(1 + 1/n), where s is the standard deviation of
//! the siblings' changes (Conley and Taber, "Inference with Difference in
//! Differences with a Small Number of Policy Changes", 2011, for the setting;
//! the interval is the textbook one for a new draw of a normal sample).
//!
//! Pure: no IO, no clock.

use schemas::{
    action::{Baseline, Effect},
    observation::Observation,
    operator::Operator,
};

/// 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// The same for the normal distribution.
const NORMAL: f64 = 1.960;

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// The treated object became better than its siblings.
    Better,
    /// It became worse than they did.
    Worse,
    /// The siblings' own changes explain the difference, or there are too few of them to tell.
    Unclear,
}

/// The effect on an object whose value is `now`, against the siblings of `before` that are still observed.
pub(super) fn effect(before: &Baseline, now: f64, seen: &Observation) -> Option<Effect> {
    let changes: Vec<f64> = before
        .siblings
        .iter()
        .filter_map(|(uid, was)| {
            let mut readings = seen.readings.iter();
            let reading = readings.find(|reading| reading.target.uid == *uid)?;
            Some(reading.value? - was)
        })
        .filter(|change| change.is_finite())
        .collect();
    let count = u32::try_from(changes.len())
        .ok()
        .filter(|count| *count > 0)?;
    let n = f64::from(count);
    let mean = changes.iter().sum::<f64>() / n;
    let estimate = now - before.value? - mean;
    let margin = (count > 1).then(|| {
        let squares: f64 = changes.iter().map(|change| (change - mean).powi(2)).sum();
        let deviation = (squares / (n - 1.0)).sqrt();
        quantile(count - 1) * deviation * (1.0 + 1.0 / n).sqrt()
    });
    Some(Effect {
        estimate,
        low: margin.map(|margin| estimate - margin),
        high: margin.map(|margin| estimate + margin),
        siblings: count,
    })
}

fn quantile(freedom: u32) -> f64 {
    let index = usize::try_from(freedom.saturating_sub(1)).unwrap_or(usize::MAX);
    T.get(index).copied().unwrap_or(NORMAL)
}

/// What an effect means for a trigger that fires where `operator` holds.
pub(super) fn sense(effect: Effect, operator: Operator) -> Sense {
    let (Some(low), Some(high)) = (effect.low, effect.high) else {
        return Sense::Unclear;
    };
    let is_high_bad = match operator {
        Operator::Above | Operator::AtLeast => true,
        Operator::Below | Operator::AtMost => false,
        Operator::Equal | Operator::NotEqual => return Sense::Unclear,
    };
    match (high < 0.0, low > 0.0) {
        (true, _) if is_high_bad => Sense::Better,
        (_, true) if is_high_bad => Sense::Worse,
        (true, _) => Sense::Worse,
        (_, true) => Sense::Better,
        (false, false) => Sense::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::executed;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn seen(values: &[f64]) -> (Observation, Vec<String>) {
        let mut seen = executed().observation.unwrap();
        let first = seen.readings.remove(0);
        let uids: Vec<_> = (0..values.len()).map(|n| format!("s{n}")).collect();
        for (uid, value) in uids.iter().zip(values) {
            let mut reading = first.clone();
            reading.target.uid.clone_from(uid);
            reading.value = Some(*value);
            seen.readings.push(reading);
        }
        (seen, uids)
    }

    fn measured(target: (f64, f64), before: &[f64], after: &[f64]) -> Effect {
        let (seen, uids) = seen(after);
        let siblings: BTreeMap<_, _> = uids.into_iter().zip(before.iter().copied()).collect();
        let before = Baseline {
            value: Some(target.0),
            siblings,
            ..Baseline::default()
        };
        effect(&before, target.1, &seen).unwrap()
    }

    #[test]
    fn a_drop_that_the_siblings_do_not_share_is_the_changes_own() {
        let own = measured((90.0, 20.0), &[30.0, 32.0, 31.0], &[31.0, 32.0, 30.0]);
        assert!((own.estimate + 70.0).abs() < 1e-9);
        assert_eq!(sense(own, Operator::Above), Sense::Better);
        assert_eq!(sense(own, Operator::Below), Sense::Worse);
    }

    #[test]
    fn a_drop_that_all_share_is_not() {
        let shared = measured((90.0, 20.0), &[90.0, 85.0, 95.0], &[22.0, 14.0, 26.0]);
        assert_eq!(sense(shared, Operator::Above), Sense::Unclear);
    }

    #[test]
    fn one_sibling_gives_an_estimate_and_no_interval() {
        let one = measured((90.0, 20.0), &[30.0], &[35.0]);
        assert!((one.estimate + 75.0).abs() < 1e-9);
        assert_eq!((one.low, one.siblings), (None, 1));
        assert_eq!(sense(one, Operator::Above), Sense::Unclear);
    }

    /// Reference: the same numbers by hand, n = 3, changes 1, 0, -1: s = 1, t(2) = 4.303,
    /// margin = 4.303 · √(4/3) = 4.9687.
    #[test]
    fn the_interval_is_that_of_a_prediction() {
        let own = measured((90.0, 20.0), &[30.0, 32.0, 31.0], &[31.0, 32.0, 30.0]);
        assert!((own.high.unwrap() - (-70.0 + 4.9687)).abs() < 1e-3);
    }

    proptest! {
        #[test]
        fn what_happens_to_all_alike_is_no_effect(
            shift in -50.0f64..50.0, values in proptest::collection::vec(0.0f64..100.0, 2..20),
        ) {
            let after: Vec<_> = values.iter().map(|value| value + shift).collect();
            let effect = measured((90.0, 90.0 + shift), &values, &after);
            prop_assert!(effect.estimate.abs() < 1e-9);
            prop_assert!(effect.low.unwrap() <= effect.estimate && effect.estimate <= effect.high.unwrap());
        }
    }
}
