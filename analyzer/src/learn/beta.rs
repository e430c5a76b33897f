//! The beta distribution: what is believed of a rate after some successes and failures.
//!
//! The distribution function is the regularised incomplete beta function by its
//! continued fraction (Lentz's method, DLMF 8.17.22), the logarithm of the gamma
//! function by Lanczos's approximation (g = 7, nine terms), quantiles by bisection.
//!
//! Pure: no IO, no clock.

use std::f64::consts::PI;

/// Terms of the continued fraction, at most; it converges in about the square root of the larger parameter.
const TERMS: u32 = 1000;
/// Where the continued fraction has converged.
const PRECISION: f64 = 1e-14;
/// Stands for zero where it would be divided by.
const TINY: f64 = 1e-300;
/// Halvings: more than a double has digits.
const HALVINGS: u32 = 60;

/// A beta distribution; both parameters are above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// Successes, with those of the prior.
    pub successes: f64,
    /// Failures, with those of the prior.
    pub failures: f64,
}

impl Beta {
    /// Jeffreys's prior: what is believed of a rate of which nothing is known
    /// (Jeffreys 1946). It is worth one observation, half of it a success.
    pub const JEFFREYS: Self = Self {
        successes: 0.5,
        failures: 0.5,
    };

    /// After further successes and failures.
    #[must_use]
    pub fn after(self, successes: f64, failures: f64) -> Self {
        Self {
            successes: self.successes + successes,
            failures: self.failures + failures,
        }
    }

    /// The expected rate.
    pub fn mean(self) -> f64 {
        self.successes / (self.successes + self.failures)
    }

    /// The rate that the true one exceeds with a probability of 90 %.
    pub fn lower(self) -> f64 {
        self.quantile(0.1)
    }

    /// The rate that the true one stays below with a probability of 90 %.
    pub fn upper(self) -> f64 {
        self.quantile(0.9)
    }

    /// The probability that the rate is at most `x`.
    pub fn below(self, x: f64) -> f64 {
        if x <= 0.0 {
            return 0.0;
        }
        if x >= 1.0 {
            return 1.0;
        }
        let (a, b) = (self.successes, self.failures);
        let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
        // The fraction converges fast on one side of the mean, and the other follows by symmetry.
        if x < (a + 1.0) / (a + b + 2.0) {
            front.exp() * fraction(a, b, x) / a
        } else {
            1.0 - front.exp() * fraction(b, a, 1.0 - x) / b
        }
    }

    /// The rate below which the true one lies with probability `p`.
    pub fn quantile(self, p: f64) -> f64 {
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.below(middle) < p {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }
}

#[expect(clippy::many_single_char_names, reason = "the letters of DLMF 8.17.22")]
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let guarded = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guarded(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for term in 1..=TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guarded(1.0 + even * d);
        c = guarded(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guarded(1.0 + odd * d);
        c = guarded(1.0 + odd / c);
        result *= d * c;
        if (d * c - 1.0).abs() < PRECISION {
            break;
        }
    }
    result
}

/// The logarithm of the gamma function above 0.
fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const FIRST: f64 = 0.999_999_999_999_809_9;
    const REST: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let terms = REST.iter().zip(1u32..);
    let sum = terms.fold(FIRST, |sum, (c, i)| sum + c / (x + f64::from(i)));
    let t = x + G + 0.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(successes: f64, failures: f64) -> Beta {
        Beta {
            successes,
            failures,
        }
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn quantiles_are_those_that_have_a_closed_form() {
        for p in [0.01, 0.1, 0.5, 0.9] {
            // Uniform, power functions, and the arc sine law.
            assert!(close(of(1.0, 1.0).quantile(p), p));
            assert!(close(of(3.0, 1.0).quantile(p), p.cbrt()));
            assert!(close(of(1.0, 4.0).quantile(p), 1.0 - (1.0 - p).powf(0.25)));
            let arc = (PI * p / 2.0).sin().powi(2);
            assert!(close(Beta::JEFFREYS.quantile(p), arc), "{p}");
        }
    }

    #[test]
    fn whole_parameters_agree_with_the_binomial_sum() {
        // P(X <= x) for Beta(a, b) is the chance of at least a successes in a + b - 1 trials.
        let binomial = |n: u32, k: u32, x: f64| {
            let choose = (0..k).fold(1.0, |c, i| c * f64::from(n - i) / f64::from(i + 1));
            choose
                * x.powi(i32::try_from(k).unwrap())
                * (1.0 - x).powi(i32::try_from(n - k).unwrap())
        };
        for (a, b, x) in [(5, 3, 0.4), (2, 9, 0.1), (40, 17, 0.7)] {
            let n = a + b - 1;
            let sum: f64 = (a..=n).map(|k| binomial(n, k, x)).sum();
            assert!(close(of(f64::from(a), f64::from(b)).below(x), sum));
        }
    }

    proptest! {
        #[test]
        fn a_success_raises_the_lower_bound_and_a_failure_lowers_it(s in 0u16..3000, f in 0u16..3000) {
            let before = Beta::JEFFREYS.after(f64::from(s), f64::from(f));
            let lower = before.lower();
            prop_assert!((0.0..=before.mean().max(0.5)).contains(&lower));
            prop_assert!(before.after(1.0, 0.0).lower() > lower);
            prop_assert!(before.after(0.0, 1.0).lower() < lower);
        }
    }
}
