//! Whether a larger model is worth asking after a small one has answered.
//!
//! ```text
//! ask when   doubt × RESOLVED × worth  >  cost
//! ```
//! *doubt* is the probability that what is held to be the cause is wrong. With `p` the score of the
//! first rule's hypothesis and `r` = `RELIABLE`, how often a small model names the right cause:
//!
//! | the small model | doubt |
//! | --- | --- |
//! | gave no usable proposal | `1 − p` |
//! | agrees with the rule | `(1 − p) (1 − r)`: both must be wrong |
//! | names another cause | `1 − p (1 − r) / (p (1 − r) + 1 − p)`: Bayes, as a wrong model differs from a right rule with `1 − r`, and any model from a wrong rule |
//!
//! *RESOLVED* is the share of such doubts that a large model settles, *worth* what a right cause is
//! worth (`worth` in the models file, in the currency of the prices), and *cost* the most that the
//! call can take. What the small model says of its own confidence counts for nothing.
//!
//! Pure: no IO, no clock.

/// How often a small model names the right cause. Published figures of real Kubernetes incidents
/// are below one half for the best models; a small one is not taken for better than a coin's toss.
const RELIABLE: f64 = 0.5;
/// The share of doubts that a large model settles: below one half, as published.
const RESOLVED: f64 = 0.4;

/// What the small model said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing that passed review.
    Nothing,
    /// The same cause as the rules.
    Same,
    /// Another cause than the rules, or a cause where the rules have none.
    Other,
}

/// How likely what is held to be the cause is wrong: `rules` is the score of the first
/// hypothesis, from 0 to 1; 0 where there is none.
pub fn doubt(rules: f64, said: Said) -> f64 {
    let p = if rules.is_finite() {
        rules.clamp(0.0, 1.0)
    } else {
        0.0
    };
    match said {
        Said::Nothing => 1.0 - p,
        Said::Same => (1.0 - p) * (1.0 - RELIABLE),
        Said::Other => {
            let differs = p * (1.0 - RELIABLE);
            1.0 - differs / (differs + 1.0 - p)
        }
    }
}

/// Whether asking is expected to be worth more than it costs.
pub fn is_worth_it(doubt: f64, worth: f64, cost: f64) -> bool {
    doubt * RESOLVED * worth > cost
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sure_rule_that_the_model_shares_is_not_worth_a_cent() {
        let sure = doubt(0.95, Said::Same);
        assert!(!is_worth_it(sure, 0.5, 0.01));
        assert!(is_worth_it(doubt(0.4, Said::Other), 0.5, 0.01));
    }

    proptest! {
        #[test]
        fn doubt_is_a_probability_and_orders_as_it_should(p in -1.0_f64..2.0, q in 0.0_f64..1.0) {
            for said in [Said::Nothing, Said::Same, Said::Other] {
                prop_assert!((0.0..=1.0).contains(&doubt(p, said)));
            }
            prop_assert!(doubt(q, Said::Same) <= doubt(q, Said::Nothing) + 1e-12);
            prop_assert!(doubt(q, Said::Nothing) <= doubt(q, Said::Other) + 1e-12);
            prop_assert!(doubt(q, Said::Other) + 1e-12 >= doubt((q + 0.01).min(1.0), Said::Other));
        }

        #[test]
        fn nothing_is_asked_that_costs_more_than_it_can_be_worth(
            p in 0.0_f64..1.0, worth in 0.0_f64..100.0, cost in 0.0_f64..100.0,
        ) {
            let asked = is_worth_it(doubt(p, Said::Other), worth, cost);
            prop_assert!(!asked || cost < worth);
        }
    }
}
