//! Histograms out of what a program serves at `/metrics`.
//!
//! In: the text. Out: each histogram, summed over its labels. Whatever is not a
//! histogram of seconds is passed over.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

/// Histograms by name.
pub(crate) type Histograms = BTreeMap<String, Histogram>;

/// How many values were at or below each bound, their number and their sum.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Upper bounds in ascending order, as served, with cumulative counts.
    buckets: Vec<(f64, f64)>,
    /// How many values.
    pub(crate) count: f64,
    /// Their sum.
    pub(crate) sum: f64,
}

impl Histogram {
    /// The mean, if there was any value.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// The bound of the bucket that holds the quantile `q`; infinite when it is beyond the last.
    pub(crate) fn at_most(&self, q: f64) -> Option<f64> {
        let wanted = self.count * q;
        let bucket = self.buckets.iter().find(|(_, below)| *below >= wanted);
        (self.count > 0.0).then(|| bucket.map_or(f64::INFINITY, |(bound, _)| *bound))
    }

    fn add(&mut self, bound: f64, below: f64) {
        let same = |(known, _): &&mut (f64, f64)| known.total_cmp(&bound).is_eq();
        if let Some((_, sum)) = self.buckets.iter_mut().find(same) {
            *sum += below;
        } else {
            self.buckets.push((bound, below));
            self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
    }

    /// What was added since `before`.
    fn since(mut self, before: &Self) -> Self {
        self.count -= before.count;
        self.sum -= before.sum;
        for ((_, below), (_, then)) in self.buckets.iter_mut().zip(&before.buckets) {
            *below -= then;
        }
        self
    }
}

/// Reads every histogram whose name ends in `_seconds`.
pub(crate) fn histograms(text: &str) -> Histograms {
    let mut all = Histograms::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = sample(line) {
            read(&mut all, name, value);
        }
    }
    // a counter of seconds has a sum as well, but no buckets
    all.retain(|_, histogram| !histogram.buckets.is_empty());
    all
}

/// What was added between two looks at the same program.
pub(crate) fn since(now: Histograms, before: &Histograms) -> Histograms {
    now.into_iter()
        .map(|(name, histogram)| {
            let then = before.get(&name).cloned().unwrap_or_default();
            (name, histogram.since(&then))
        })
        .collect()
}

/// Name with labels, and value. A value with a timestamp or an exemplar after it keeps only the value.
fn sample(line: &str) -> Option<(&str, f64)> {
    let end = line.find('}').map(|at| at + 1).or_else(|| line.find(' '))?;
    let (name, rest) = line.split_at(end);
    let value = rest.split_ascii_whitespace().next()?;
    Some((name, value.parse().ok()?))
}

fn read(all: &mut Histograms, series: &str, value: f64) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let part = |suffix: &str| {
        name.strip_suffix(suffix)
            .filter(|n| n.ends_with("_seconds"))
    };
    if let Some(name) = part("_bucket")
        && let Some(bound) = bound(labels)
    {
        all.entry(name.to_owned()).or_default().add(bound, value);
    } else if let Some(name) = part("_sum") {
        all.entry(name.to_owned()).or_default().sum += value;
    } else if let Some(name) = part("_count") {
        all.entry(name.to_owned()).or_default().count += value;
    }
}

/// The label `le`; `+Inf` reads as infinity.
fn bound(labels: &str) -> Option<f64> {
    let (_, rest) = labels.split_once("le=\"")?;
    let (text, _) = rest.split_once('"')?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
# TYPE a_seconds histogram
a_seconds_sum 1.0
a_seconds_count 2
a_seconds_bucket{le=\"0.1\"} 1
a_seconds_bucket{le=\"+Inf\"} 2
a_busy_seconds_count 3
a_rows_bucket{le=\"1\"} 3
# EOF
";
    const NOW: &str = "\
a_seconds_sum{phase=\"x\"} 1.5
a_seconds_count{phase=\"x\"} 4
a_seconds_bucket{le=\"0.1\",phase=\"x\"} 3
a_seconds_bucket{le=\"+Inf\",phase=\"x\"} 4 # {trace=\"1\"} 9
a_seconds_sum{phase=\"y\"} 0.7
a_seconds_count{phase=\"y\"} 2
a_seconds_bucket{le=\"0.1\",phase=\"y\"} 0
a_seconds_bucket{le=\"+Inf\",phase=\"y\"} 2
";

    #[test]
    fn labels_are_summed_and_what_was_before_is_taken_away() {
        let all = since(histograms(NOW), &histograms(BEFORE));
        assert_eq!(all.len(), 1, "{all:?}");
        let histogram = &all["a_seconds"];
        assert!((histogram.count - 4.0).abs() < 1e-9, "{histogram:?}");
        assert!((histogram.mean().unwrap() - 0.3).abs() < 1e-9);
        assert_eq!(histogram.at_most(0.5), Some(0.1));
        assert_eq!(histogram.at_most(0.99), Some(f64::INFINITY));
    }

    #[test]
    fn a_histogram_without_values_has_no_mean() {
        assert_eq!(Histogram::default().mean(), None);
        assert_eq!(Histogram::default().at_most(0.5), None);
    }
}
