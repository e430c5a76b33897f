//! A histogram with exponential buckets in which what is older weighs less.
//!
//! In: values with the instant they were seen at. Out: percentiles. This is the
//! histogram of the Vertical Pod Autoscaler's recommender
//! (`kubernetes/autoscaler`, `vertical-pod-autoscaler/pkg/recommender/util`,
//! `histogram_options.go` and `decaying_histogram.go`): each bucket is 5 % wider
//! than the one before it, a sample weighs half as much after one half-life, and
//! a percentile is the upper end of its bucket, so it is never too low.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// How much wider each bucket is than the one before: the error of a percentile
/// is at most this share of it. As in the recommender (`HistogramBucketSizeGrowth`).
const GROWTH: f64 = 1.05;

/// Seconds after which a sample weighs half as much: a day, as in the
/// recommender (`--cpu-histogram-decay-half-life`).
pub(super) const HALF_LIFE: i64 = 24 * 60 * 60;

/// Half-lives after which the weights are scaled down, long before doubles overflow at 2¹⁰²⁴.
const MOST_HALVINGS: f64 = 100.0;

/// How far a sum of weights may be off by rounding, as a share of it: sums of
/// the same weights in another order must not lie in another bucket.
const ROUNDING: f64 = 1e-9;

/// Where the buckets begin.
#[derive(Clone, Debug)]
pub(super) struct Scale(Vec<f64>);

impl Scale {
    /// Buckets from 0 to `last`; the first of them is `first` wide.
    pub(super) fn new(first: f64, last: f64) -> Self {
        let mut starts = Vec::new();
        let (mut start, mut width) = (0.0, first);
        while start <= last {
            starts.push(start);
            start += width;
            width *= GROWTH;
        }
        Self(starts)
    }

    /// The bucket that a value lies in; the last one takes all that is more.
    fn bucket(&self, value: f64) -> u16 {
        let after = self.0.partition_point(|start| *start <= value);
        u16::try_from(after.saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// The upper end of a bucket; of the last one, where it begins.
    fn end(&self, bucket: u16) -> f64 {
        let next = self.0.get(usize::from(bucket) + 1);
        next.or(self.0.last()).copied().unwrap_or_default()
    }
}

/// The weights of the buckets that have any.
#[derive(Clone, Debug, Default)]
pub(super) struct Decaying {
    weights: BTreeMap<u16, f64>,
    /// The whole half-life, in seconds, at which a sample weighs 1.
    reference: Option<i64>,
}

impl Decaying {
    /// Takes a value in.
    pub(super) fn add(&mut self, scale: &Scale, at: Timestamp, value: f64) {
        let weight = self.weight(at);
        *self.weights.entry(scale.bucket(value)).or_default() += weight;
    }

    /// Takes back a value that was taken in with the same instant.
    pub(super) fn subtract(&mut self, scale: &Scale, at: Timestamp, value: f64) {
        let weight = self.weight(at);
        let bucket = scale.bucket(value);
        if let Some(held) = self.weights.get_mut(&bucket) {
            *held -= weight;
            if *held <= weight * ROUNDING {
                self.weights.remove(&bucket);
            }
        }
    }

    /// The value that this share of the weight does not exceed; none without a sample.
    pub(super) fn percentile(&self, scale: &Scale, share: f64) -> Option<f64> {
        let total: f64 = self.weights.values().sum();
        let wanted = total * share * (1.0 - ROUNDING);
        let mut sum = 0.0;
        let found = self.weights.iter().find(|(_, weight)| {
            sum += **weight;
            sum >= wanted
        });
        found.map(|(bucket, _)| scale.end(*bucket))
    }

    /// What a sample of that instant weighs.
    fn weight(&mut self, at: Timestamp) -> f64 {
        let second = at.as_second();
        let whole = second.div_euclid(HALF_LIFE);
        let reference = *self.reference.get_or_insert(whole);
        let halvings = halvings(at, reference);
        if halvings <= MOST_HALVINGS {
            return halvings.exp2();
        }
        // A power of two: scaling by it is exact.
        let down = i32::try_from(reference - whole).unwrap_or(i32::MIN);
        self.weights.retain(|_, weight| {
            *weight *= 2f64.powi(down);
            *weight > 0.0
        });
        self.reference = Some(whole);
        self::halvings(at, whole).exp2()
    }
}

/// How many half-lives an instant is after the whole half-life `reference`.
fn halvings(at: Timestamp, reference: i64) -> f64 {
    let start = Timestamp::from_second(reference * HALF_LIFE).unwrap_or(at);
    let half_life = jiff::SignedDuration::from_secs(HALF_LIFE);
    at.duration_since(start).as_secs_f64() / half_life.as_secs_f64()
}
