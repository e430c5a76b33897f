//! Beta calibration: a curve of three parameters for small samples.
//!
//! `logit(right) = a ln(s) - b ln(1 - s) + c` with a, b ≥ 0, which contains the
//! identity (a = b = 1, c = 0), the sigmoid and the inverse sigmoid (Kull,
//! Silva Filho and Flach 2017, "Beta calibration", AISTATS). Fitted by Newton's method on the
//! likelihood with a normal prior of variance 1 on a and b, so that a small sample stays near its base
//! rate, and on Platt's targets (1999) instead of 0 and 1, so that no sample is believed
//! without a doubt.
//!
//! Pure: no IO, no clock.

use super::Point;

/// Steps of Newton's method; it converges in less than ten.
const STEPS: u32 = 50;
/// Where it has converged.
const PRECISION: f64 = 1e-10;
/// Stated confidence is taken as at least this far from 0 and 1, whose logarithms have no end.
const EDGE: f64 = 1e-3;

/// Three numbers, of which the first two may be held at 0.
type Three = [f64; 3];

/// A curve from 0..1 to 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Curve {
    parameters: Three,
}

impl Curve {
    pub(super) fn fit(points: &[Point]) -> Self {
        let rows = rows(points);
        let mut free = [true, true, true];
        let mut parameters = newton(&rows, free);
        // A curve that falls is none: what would be negative is held at 0, the worst first.
        for _ in 0..2 {
            let [a, b, _] = parameters;
            if a >= 0.0 && b >= 0.0 {
                break;
            }
            let held = if a < b {
                [false, free[1], true]
            } else {
                [free[0], false, true]
            };
            free = held;
            parameters = newton(&rows, free);
        }
        let [a, b, c] = parameters;
        Self {
            parameters: [a.max(0.0), b.max(0.0), c],
        }
    }

    pub(super) fn at(self, stated: f64) -> f64 {
        sigmoid(dot(self.parameters, features(stated)))
    }
}

/// What is known of one point: its features, its target, its weight.
struct Row {
    features: Three,
    target: f64,
    weight: f64,
}

fn rows(points: &[Point]) -> Vec<Row> {
    let sum = |of: &dyn Fn(&Point) -> f64| points.iter().map(of).sum::<f64>();
    let right = sum(&|point| point.weight * point.right);
    let wrong = sum(&|point| point.weight * (1.0 - point.right));
    let (high, low) = ((right + 1.0) / (right + 2.0), 1.0 / (wrong + 2.0));
    let row = |point: &Point| Row {
        features: features(point.stated),
        target: point.right * high + (1.0 - point.right) * low,
        weight: point.weight,
    };
    points.iter().map(row).collect()
}

fn features(stated: f64) -> Three {
    let stated = stated.clamp(EDGE, 1.0 - EDGE);
    [stated.ln(), -(1.0 - stated).ln(), 1.0]
}

fn dot(a: Three, b: Three) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The likeliest parameters, of which those that are not free are 0.
fn newton(rows: &[Row], free: [bool; 3]) -> Three {
    let mut parameters = [0.0; 3];
    let mut best = loss(rows, parameters);
    for _ in 0..STEPS {
        let (gradient, curvature) = slopes(rows, parameters, free);
        let step = solve(curvature, gradient);
        // Halved until it gains: far from the minimum, a whole step may overshoot.
        let mut length = 1.0;
        let mut next = moved(parameters, step, length);
        while loss(rows, next) > best && length > PRECISION {
            length /= 2.0;
            next = moved(parameters, step, length);
        }
        let gain = best - loss(rows, next);
        if gain <= PRECISION {
            break;
        }
        parameters = next;
        best -= gain;
    }
    parameters
}

fn moved(from: Three, step: Three, length: f64) -> Three {
    let [a, b, c] = from;
    let [da, db, dc] = step;
    [a - length * da, b - length * db, c - length * dc]
}

/// What is made small: the negative logarithm of likelihood and prior.
fn loss(rows: &[Row], parameters: Three) -> f64 {
    let [a, b, _] = parameters;
    let prior = f64::midpoint(a * a, b * b);
    let terms = rows.iter().map(|row| {
        let x = dot(parameters, row.features);
        // ln(1 + e^x) without overflow.
        let soft = x.max(0.0) + (-x.abs()).exp().ln_1p();
        row.weight * (soft - row.target * x)
    });
    prior + terms.sum::<f64>()
}

/// First and second derivatives of the loss.
fn slopes(rows: &[Row], parameters: Three, free: [bool; 3]) -> (Three, [Three; 3]) {
    let [a, b, _] = parameters;
    let mut gradient = [a, b, 0.0];
    let mut curvature = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1e-9]];
    for row in rows {
        let p = sigmoid(dot(parameters, row.features));
        let (slope, bend) = (row.weight * (p - row.target), row.weight * p * (1.0 - p));
        for ((g, line), x) in gradient.iter_mut().zip(&mut curvature).zip(row.features) {
            *g += slope * x;
            for (entry, y) in line.iter_mut().zip(row.features) {
                *entry += bend * x * y;
            }
        }
    }
    for (at, is_free) in free.into_iter().enumerate() {
        if is_free {
            continue;
        }
        for (place, line) in curvature.iter_mut().enumerate() {
            for (column, entry) in line.iter_mut().enumerate() {
                if place == at || column == at {
                    *entry = f64::from(u8::from(place == column));
                }
            }
        }
        if let Some(entry) = gradient.get_mut(at) {
            *entry = 0.0;
        }
    }
    (gradient, curvature)
}

/// Solves three linear equations with a symmetric positive matrix, by Cramer's rule.
#[expect(clippy::many_single_char_names, reason = "the entries of a matrix")]
fn solve(m: [Three; 3], v: Three) -> Three {
    let [[a, b, c], [_, d, e], [_, _, f]] = m;
    let (aa, bb, cc) = (d * f - e * e, c * e - b * f, b * e - c * d);
    let (dd, ee, ff) = (a * f - c * c, b * c - a * e, a * d - b * b);
    let det = a * aa + b * bb + c * cc;
    if det.abs() < f64::MIN_POSITIVE {
        return [0.0; 3];
    }
    [[aa, bb, cc], [bb, dd, ee], [cc, ee, ff]].map(|line| dot(line, v) / det)
}
