//! Operators between two sides, as polars expressions.
//!
//! Pure: no IO, no clock.

use polars::prelude::*;

use super::{
    aggregate::all_columns,
    error::{Error, compute},
    plan::{Binary, Keys, Operator},
    vector::LABELS,
};
use crate::window::{SAMPLED_AT, VALUE};

const LEFT: &str = "left";
const RIGHT: &str = "right";

/// A side of an operator.
pub(super) enum Side {
    /// A number.
    Number(f64),
    /// A value per series.
    Vector(DataFrame),
}

/// Two numbers. A comparison answers 0 or 1.
pub(super) fn of_numbers(operator: Operator, left: f64, right: f64) -> f64 {
    let truth = |truth: bool| f64::from(u8::from(truth));
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        Operator::Power => left.powf(right),
        #[expect(clippy::float_cmp, reason = "equality is what the query asked for")]
        Operator::Equal => truth(left == right),
        #[expect(clippy::float_cmp, reason = "equality is what the query asked for")]
        Operator::NotEqual => truth(left != right),
        Operator::Above => truth(left > right),
        Operator::Below => truth(left < right),
        Operator::AtLeast => truth(left >= right),
        Operator::AtMost => truth(left <= right),
        // The parser refuses these between numbers.
        Operator::And | Operator::Or | Operator::Unless => f64::NAN,
    }
}

/// Applies the operator.
pub(super) fn apply(binary: &Binary, left: Side, right: Side) -> Result<Side, Error> {
    let kept = Keys(LABELS.to_vec());
    match (left, right) {
        (Side::Number(left), Side::Number(right)) => {
            Ok(Side::Number(of_numbers(binary.operator, left, right)))
        }
        (Side::Vector(frame), Side::Number(right)) => {
            let sides = [col(VALUE).alias(LEFT), lit(right).alias(RIGHT)];
            operate(binary, frame.lazy().with_columns(sides), &kept, LEFT)
        }
        (Side::Number(left), Side::Vector(frame)) => {
            let sides = [lit(left).alias(LEFT), col(VALUE).alias(RIGHT)];
            operate(binary, frame.lazy().with_columns(sides), &kept, RIGHT)
        }
        (Side::Vector(left), Side::Vector(right)) => match binary.operator {
            Operator::And => matched(left, right, &binary.on, JoinType::Semi),
            Operator::Unless => matched(left, right, &binary.on, JoinType::Anti),
            Operator::Or => {
                let more = matched(right, left.clone(), &binary.on, JoinType::Anti)?;
                let Side::Vector(more) = more else {
                    return Ok(more);
                };
                let both = left.vstack(&more).map_err(compute)?;
                Ok(Side::Vector(both))
            }
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Modulo
            | Operator::Power
            | Operator::Equal
            | Operator::NotEqual
            | Operator::Above
            | Operator::Below
            | Operator::AtLeast
            | Operator::AtMost => joined(binary, left, right),
        },
    }
}

fn columns(keys: &Keys) -> Vec<Expr> {
    keys.0.iter().map(|label| col(*label)).collect()
}

fn arguments(how: JoinType) -> JoinArgs {
    let mut arguments = JoinArgs::new(how);
    arguments.maintain_order = MaintainOrderJoin::Left;
    arguments
}

fn matched(left: DataFrame, right: DataFrame, on: &Keys, how: JoinType) -> Result<Side, Error> {
    // Without labels to match on, everything matches anything.
    let always = lit(0_u32).alias("always");
    let with = |frame: DataFrame| frame.lazy().with_columns([always.clone()]);
    let mut keys = columns(on);
    keys.push(col("always"));
    let joined = with(left).join(with(right), keys.clone(), keys, arguments(how));
    let all = joined.select(all_columns(&Keys(LABELS.to_vec())));
    Ok(Side::Vector(all.collect().map_err(compute)?))
}

fn joined(binary: &Binary, left: DataFrame, right: DataFrame) -> Result<Side, Error> {
    for (side, frame) in [(LEFT, &left), (RIGHT, &right)] {
        if has_duplicates(frame, &binary.on).map_err(compute)? {
            return Err(Error::ManyToMany {
                operator: binary.operator.as_str(),
                side,
            });
        }
    }
    let always = lit(0_u32).alias("always");
    let mut keys = columns(&binary.on);
    keys.push(col("always"));
    let mut of_right = keys.clone();
    of_right.extend([col(VALUE).alias(RIGHT), col(SAMPLED_AT).alias("right_at")]);
    let left = left
        .lazy()
        .with_columns([always.clone(), col(VALUE).alias(LEFT)]);
    let right = right.lazy().with_columns([always]).select(of_right);
    let older = col("right_at").lt(col(SAMPLED_AT));
    let rows = left
        .join(right, keys.clone(), keys, arguments(JoinType::Inner))
        .with_columns([when(older)
            .then(col("right_at"))
            .otherwise(col(SAMPLED_AT))
            .alias(SAMPLED_AT)]);
    operate(binary, rows, &binary.on, LEFT)
}

fn has_duplicates(frame: &DataFrame, on: &Keys) -> PolarsResult<bool> {
    if on.0.is_empty() {
        return Ok(frame.height() > 1);
    }
    let groups = frame.group_by_stable(on.0.iter().copied())?;
    Ok(groups.get_groups().len() < frame.height())
}

/// Computes `value` from the columns of both sides; a comparison keeps the value of `speaker`.
fn operate(binary: &Binary, rows: LazyFrame, kept: &Keys, speaker: &str) -> Result<Side, Error> {
    let rows = if binary.operator.compares() {
        let holds = comparison(binary.operator);
        if binary.returns_bool {
            rows.with_columns([holds.cast(DataType::Float64).alias(VALUE)])
        } else {
            rows.filter(holds).with_columns([col(speaker).alias(VALUE)])
        }
    } else if let Some(value) = arithmetic(binary.operator) {
        rows.with_columns([value.alias(VALUE)])
    } else {
        by_rows(binary.operator, rows).map_err(compute)?
    };
    let frame = rows.select(all_columns(kept)).collect();
    Ok(Side::Vector(frame.map_err(compute)?))
}

fn arithmetic(operator: Operator) -> Option<Expr> {
    let (left, right) = (col(LEFT), col(RIGHT));
    match operator {
        Operator::Add => Some(left + right),
        Operator::Subtract => Some(left - right),
        Operator::Multiply => Some(left * right),
        Operator::Divide => Some(left / right),
        Operator::Modulo
        | Operator::Power
        | Operator::Equal
        | Operator::NotEqual
        | Operator::Above
        | Operator::Below
        | Operator::AtLeast
        | Operator::AtMost
        | Operator::And
        | Operator::Or
        | Operator::Unless => None,
    }
}

/// polars's remainder takes the sign of the divisor, Prometheus's that of the dividend, as Rust's does.
fn by_rows(operator: Operator, rows: LazyFrame) -> PolarsResult<LazyFrame> {
    let mut frame = rows.collect()?;
    let left = frame.column(LEFT)?.f64()?.clone();
    let right = frame.column(RIGHT)?.f64()?.clone();
    let pairs = left.into_no_null_iter().zip(right.into_no_null_iter());
    let values: Vec<f64> = pairs
        .map(|(left, right)| of_numbers(operator, left, right))
        .collect();
    frame.with_column(Column::new(VALUE.into(), values))?;
    Ok(frame.lazy())
}

/// A comparison as IEEE 754 has it: to polars, what is no number equals itself and is larger than all.
fn comparison(operator: Operator) -> Expr {
    let (left, right) = (|| col(LEFT), || col(RIGHT));
    let numbers = left().is_not_nan().and(right().is_not_nan());
    match operator {
        Operator::NotEqual => left().neq(right()).or(numbers.not()),
        Operator::Above => left().gt(right()).and(numbers),
        Operator::Below => left().lt(right()).and(numbers),
        Operator::AtLeast => left().gt_eq(right()).and(numbers),
        Operator::AtMost => left().lt_eq(right()).and(numbers),
        Operator::Equal
        | Operator::Add
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide
        | Operator::Modulo
        | Operator::Power
        | Operator::And
        | Operator::Or
        | Operator::Unless => left().eq(right()).and(numbers),
    }
}
