//! Isotonic regression: the non-decreasing function that fits best.
//!
//! By pooling adjacent violators (Ayer et al. 1955), as Zadrozny and Elkan
//! (2002) use it for calibration. Between the pools it goes on in straight lines.
//!
//! Pure: no IO, no clock.

use super::Point;

/// A non-decreasing function, by its pools in rising order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Isotonic {
    pools: Vec<Pool>,
}

/// A stretch on which the function is level.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pool {
    from: f64,
    to: f64,
    right: f64,
    weight: f64,
}

impl Pool {
    fn level(&self) -> f64 {
        self.right / self.weight
    }
}

/// What was stated alike has one value: it is put together before any violator is looked for, so
/// that a wrong statement is not pooled with lesser ones because it comes before a right one.
fn alike(points: &[Point]) -> impl Iterator<Item = Pool> {
    let levels = points.chunk_by(|a, b| a.stated.total_cmp(&b.stated).is_eq());
    levels.filter_map(|level| {
        let first = level.first()?;
        Some(Pool {
            from: first.stated,
            to: first.stated,
            right: level.iter().map(|point| point.right * point.weight).sum(),
            weight: level.iter().map(|point| point.weight).sum(),
        })
    })
}

impl Isotonic {
    /// Fits the points, which are sorted by what was stated.
    pub(super) fn fit(points: &[Point]) -> Self {
        let mut pools: Vec<Pool> = Vec::new();
        for level in alike(points) {
            pools.push(level);
            while let [.., before, last] = pools.as_mut_slice() {
                if before.level() < last.level() {
                    break;
                }
                before.to = last.to;
                before.right += last.right;
                before.weight += last.weight;
                pools.pop();
            }
        }
        Self { pools }
    }

    /// The value at `stated`; beyond the ends, that of the end.
    pub(super) fn at(&self, stated: f64) -> f64 {
        let next = self.pools.partition_point(|pool| pool.to < stated);
        let after = self.pools.get(next);
        let before = next.checked_sub(1).and_then(|at| self.pools.get(at));
        match (before, after) {
            (_, Some(pool)) if pool.from <= stated => pool.level(),
            (Some(before), Some(after)) => {
                let way = (stated - before.to) / (after.from - before.to);
                before.level() + way * (after.level() - before.level())
            }
            (Some(end), None) | (None, Some(end)) => end.level(),
            (None, None) => 0.5,
        }
    }
}
