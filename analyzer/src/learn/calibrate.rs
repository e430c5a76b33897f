//! What a stated confidence is worth on this cluster.
//!
//! In: how sure each source claimed to be, and whether its diagnosis turned out
//! right. Out: the share that turns out right among diagnoses stated so, with
//! the number of cases that it rests on. The method grows with the sample:
//!
//! | cases | method |
//! | --- | --- |
//! | fewer than [`LEAST`] | no calibration |
//! | fewer than [`FEW`] | the base rate of the source, after Laplace: what is stated does not count yet |
//! | fewer than [`MANY`] | beta calibration (Kull, Silva Filho and Flach 2017) |
//! | more | isotonic regression (Zadrozny and Elkan 2002), drawn towards the base rate by [`WEIGHT`] cases |
//!
//! Each is monotone: who claims to be surer is never believed less. All rules
//! share one scale, so a rule with few cases is calibrated with the others;
//! a model is calibrated by its own cases alone.
//!
//! A diagnosis counts as right when people say that it named the cause, wrong
//! when they say that it did not, even if the target recovered. Where they say
//! nothing, it is as right as its remedy helped, if that remedy is one for
//! the cause ([`super::mends`]); otherwise it is not counted. What others said who were
//! asked is compared with the cause that turned out so: a model is calibrated also where
//! the rules decide. Where all that is known is which cause it was not, only who named
//! that one was wrong. What one source said in one case counts as one.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use schemas::{diagnosis::FailureMode, outcome::Claim};

use super::{Said, Taught, mends};

mod curve;
mod isotonic;

use curve::Curve;
use isotonic::Isotonic;

/// Cases below which nothing is said: five that were all right are the fewest after which a share
/// above a half is sure at 95 % (the fifth root of 0.05 is 0.55, the fourth 0.47).
pub const LEAST: u32 = 5;

/// Cases below which the base rate alone is used. A curve of three parameters needs some twenty.
pub const FEW: u32 = 20;

/// Cases from which isotonic regression is used: with fewer it follows the noise
/// (Niculescu-Mizil and Caruana 2005 find it worse than a parametric curve below some hundreds).
pub const MANY: u32 = 200;

/// What the base rate is worth against isotonic regression, in cases.
pub const WEIGHT: f64 = 10.0;

/// The source that all rules share.
const RULE: &str = "rule";

/// A confidence that was calibrated.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrated {
    /// The share of diagnoses stated so that turn out right.
    pub confidence: f64,
    /// How many cases that rests on.
    pub on: u32,
    /// How it was found.
    pub method: Method,
}

/// How a confidence is calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Not at all: too few cases.
    TooFew,
    /// The base rate of the source.
    BaseRate,
    /// Beta calibration.
    Beta,
    /// Isotonic regression.
    Isotonic,
}

impl Method {
    /// The method in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooFew => "too-few",
            Self::BaseRate => "base-rate",
            Self::Beta => "beta",
            Self::Isotonic => "isotonic",
        }
    }
}

/// How reliable a source was.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// The source; `rule` stands for all rules together.
    pub source: String,
    /// How many cases are known.
    pub on: u32,
    /// The share of them in which it was right.
    pub right: f64,
    /// The mean of what it stated.
    pub stated: f64,
    /// How what it states is calibrated.
    pub method: Method,
    /// Mean squared error of what it stated (Brier 1950).
    pub brier_stated: f64,
    /// The same of what calibration makes of it, on the cases that it was fitted to.
    pub brier_calibrated: f64,
}

/// One diagnosis, and whether it was right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// How sure it was said.
    pub(super) stated: f64,
    /// 1 where it was right, 0 where it was not.
    pub(super) right: f64,
    /// What it counts: the diagnoses of one case count as one.
    pub(super) weight: f64,
}

/// Every source's calibration.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    sources: BTreeMap<String, Source>,
}

#[derive(Clone, Debug)]
struct Source {
    points: Vec<Point>,
    on: u32,
    base: f64,
    map: Map,
}

#[derive(Clone, Debug)]
enum Map {
    BaseRate,
    Beta(Curve),
    Isotonic(Isotonic),
}

impl Sources {
    pub(super) fn of(taught: &[Taught<'_>]) -> Self {
        let mut cases: BTreeMap<(String, &str), Vec<(f64, f64)>> = BTreeMap::new();
        for (source, case, point) in taught.iter().flat_map(statements) {
            if family(source) == RULE {
                cases
                    .entry((RULE.to_owned(), case))
                    .or_default()
                    .push(point);
            }
            cases
                .entry((source.to_owned(), case))
                .or_default()
                .push(point);
        }
        let mut points: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for ((source, _), of_case) in cases {
            let count = u32::try_from(of_case.len()).unwrap_or(u32::MAX);
            let weight = 1.0 / f64::from(count);
            let weighted = of_case.into_iter().map(|(stated, right)| Point {
                stated,
                right,
                weight,
            });
            points.entry(source).or_default().extend(weighted);
        }
        let sources = points.into_iter();
        Self {
            sources: sources.map(|(name, of)| (name, Source::of(of))).collect(),
        }
    }

    pub(super) fn calibrated(&self, source: &str, stated: f64) -> Option<Calibrated> {
        let own = self.sources.get(source);
        let enough = own.filter(|own| own.on >= FEW);
        let shared = || {
            self.sources
                .get(family(source))
                .filter(|_| family(source) == RULE)
        };
        let chosen = enough.or_else(shared).or(own)?;
        let counts = stated.is_finite() && chosen.on >= LEAST;
        counts.then(|| Calibrated {
            confidence: chosen.confidence(stated.clamp(0.0, 1.0)),
            on: chosen.on,
            method: chosen.method(),
        })
    }

    pub(super) fn reliabilities(&self) -> Vec<Reliability> {
        let all = self.sources.iter();
        all.map(|(name, source)| source.reliability(name)).collect()
    }
}

impl Source {
    fn of(mut points: Vec<Point>) -> Self {
        let order = |a: &Point, b: &Point| {
            let by_stated = a.stated.total_cmp(&b.stated);
            let by_right = || a.right.total_cmp(&b.right);
            by_stated
                .then_with(by_right)
                .then_with(|| a.weight.total_cmp(&b.weight))
        };
        points.sort_by(order);
        let weight: f64 = points.iter().map(|point| point.weight).sum();
        let right: f64 = points.iter().map(|point| point.weight * point.right).sum();
        let on = whole(weight);
        let map = if on < FEW {
            Map::BaseRate
        } else if on < MANY {
            Map::Beta(Curve::fit(&points))
        } else {
            Map::Isotonic(Isotonic::fit(&points))
        };
        Self {
            on,
            base: (right + 1.0) / (weight + 2.0),
            map,
            points,
        }
    }

    fn confidence(&self, stated: f64) -> f64 {
        match &self.map {
            Map::BaseRate => self.base,
            Map::Beta(curve) => curve.at(stated),
            Map::Isotonic(steps) => {
                let on = f64::from(self.on);
                (on * steps.at(stated) + WEIGHT * self.base) / (on + WEIGHT)
            }
        }
    }

    const fn method(&self) -> Method {
        match &self.map {
            Map::BaseRate if self.on < LEAST => Method::TooFew,
            Map::BaseRate => Method::BaseRate,
            Map::Beta(_) => Method::Beta,
            Map::Isotonic(_) => Method::Isotonic,
        }
    }

    fn reliability(&self, name: &str) -> Reliability {
        let weight: f64 = self.points.iter().map(|point| point.weight).sum();
        let mean = |of: &dyn Fn(&Point) -> f64| {
            let points = self.points.iter();
            points.map(|point| point.weight * of(point)).sum::<f64>() / weight
        };
        Reliability {
            source: name.to_owned(),
            on: self.on,
            right: mean(&|point| point.right),
            stated: mean(&|point| point.stated),
            method: self.method(),
            brier_stated: mean(&|point| (point.stated - point.right).powi(2)),
            brier_calibrated: mean(&|point| (self.confidence(point.stated) - point.right).powi(2)),
        }
    }
}

/// What is known of who said what.
struct About<'a> {
    source: &'a str,
    case: &'a str,
    mode: Option<FailureMode>,
    stated: Option<f64>,
    claims: &'a [Claim],
}

/// One statement: who made it, in which case, how sure, and whether it was right, 1 or 0.
type Statement<'a> = (&'a str, &'a str, (f64, f64));

/// Every statement that turned out right or wrong.
fn statements<'a>(taught: &Taught<'a>) -> Vec<Statement<'a>> {
    let Some(about) = about(taught) else {
        return Vec::new();
    };
    let right = right(taught);
    let own = about.stated.zip(right);
    let own = own.map(|point| (about.source, about.case, point));
    let claims = about.claims.iter().filter_map(|claim| {
        let mode = claim.mode.parse().ok()?;
        let right = claim_right(mode, about.mode, right, taught.said())?;
        Some((
            claim.source.as_str(),
            about.case,
            (claim.stated_confidence, right),
        ))
    });
    own.into_iter().chain(claims).collect()
}

fn about<'a>(taught: &Taught<'a>) -> Option<About<'a>> {
    let of_outcome = taught.outcome.map(|it| About {
        source: &it.source,
        case: it.case.as_ref().unwrap_or(&it.action_uid),
        mode: it.mode.as_deref().and_then(|mode| mode.parse().ok()),
        stated: it.stated_confidence,
        claims: &it.claims,
    });
    let of_opinions = || {
        taught.opinions.map(|it| About {
            source: &it.source,
            case: it.case.as_ref().unwrap_or(&it.action_uid),
            mode: it.mode.as_deref().and_then(|mode| mode.parse().ok()),
            stated: it.stated_confidence,
            claims: &it.claims,
        })
    };
    of_outcome.or_else(of_opinions)
}

/// Whether the diagnosis was right, 1 or 0; none where that is not known.
fn right(taught: &Taught<'_>) -> Option<f64> {
    match taught.said() {
        Said::Right => Some(1.0),
        Said::Wrong(_) => Some(0.0),
        Said::Nothing => {
            let outcome = taught.outcome?;
            let fits = taught
                .mode()
                .is_some_and(|mode| mends(mode, outcome.remedy));
            fits.then(|| f64::from(u8::from(outcome.result.helped())))
        }
    }
}

/// Whether a claim of `mode` was right beside a diagnosis of `diagnosed` that was `right`, 1 or 0.
fn claim_right(
    mode: FailureMode,
    diagnosed: Option<FailureMode>,
    right: Option<f64>,
    said: Said,
) -> Option<f64> {
    if let Said::Wrong(Some(cause)) = said {
        return Some(f64::from(u8::from(cause == mode)));
    }
    let same = diagnosed? == mode;
    match (right? > 0.5, same) {
        (true, same) => Some(f64::from(u8::from(same))),
        (false, true) => Some(0.0),
        // It was not what the diagnosis said; whether it was this one is not known.
        (false, false) => None,
    }
}

/// What comes before the name: `rule` of `rule/memory-leak`.
fn family(source: &str) -> &str {
    source.split('/').next().unwrap_or_default()
}

/// A weight that is a sum of whole cases but for rounding.
fn whole(weight: f64) -> u32 {
    let rounded = weight.round().clamp(0.0, f64::from(u32::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was rounded and clamped to what fits"
    )]
    let count = rounded as u32;
    count
}

#[cfg(test)]
mod tests;
