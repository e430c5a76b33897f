//! A parsed text → a plan, or why it cannot be answered.
//!
//! Pure: no IO, no clock.

use std::time::Duration;

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{
        AggregateExpr, BinModifier, BinaryExpr, Call as CallExpr, Expr, LabelModifier,
        MatrixSelector, Offset, VectorMatchCardinality, VectorSelector, token,
    },
};

use super::{
    error::Error,
    keys::{checked_keys_by, keys_by, keys_without},
    metric,
    plan::{
        Aggregate, AggregateFunction, Binary, Call, Keys, Operator, Over, Plan, RECORDED_WINDOW,
        RangeFunction, Selector,
    },
    vector::LABELS,
};
use crate::window::{EMPTY, Reading};

/// The deepest nesting of a query. People's queries stay below 10; what is
/// deeper is meant to exhaust the stack.
const MAX_DEPTH: usize = 48;

const FUNCTIONS: &str = "there are rate, increase, delta, deriv, predict_linear, avg_over_time, min_over_time, max_over_time, sum_over_time, count_over_time, stddev_over_time, stdvar_over_time, quantile_over_time, last_over_time, present_over_time, changes, resets, abs, ceil, floor, round, clamp, clamp_min, clamp_max";
const AGGREGATIONS: &str = "there are sum, avg, min, max, count, group, stddev, stdvar, quantile, topk and bottomk, with by or without";

fn unsupported(what: impl Into<String>, instead: &'static str) -> Error {
    Error::Unsupported {
        what: what.into(),
        instead,
    }
}

/// Checks an expression.
pub(super) fn plan(expr: &Expr, depth: usize) -> Result<Plan, Error> {
    if depth > MAX_DEPTH {
        return Err(unsupported(
            "a query this deeply nested",
            "split it into several triggers",
        ));
    }
    let inner = |expr: &Expr| plan(expr, depth + 1);
    match expr {
        Expr::NumberLiteral(number) => Ok(Plan::Number(number.val)),
        Expr::Paren(paren) => inner(&paren.expr),
        Expr::Unary(unary) => Ok(match inner(&unary.expr)? {
            Plan::Number(number) => Plan::Number(-number),
            of @ (Plan::Instant(_)
            | Plan::Over(_)
            | Plan::ErrorRate(_)
            | Plan::Aggregate(_)
            | Plan::Binary(_)
            | Plan::Call(..)) => Plan::Call(Call::Negate, Box::new(of)),
        }),
        Expr::Binary(binary) => self::binary(binary, inner),
        Expr::Aggregate(aggregate) => self::aggregate(aggregate, inner),
        Expr::Call(call) => self::call(call, inner),
        Expr::VectorSelector(vector) => instant(vector),
        Expr::MatrixSelector(_) => Err(unsupported(
            "a range of samples as an answer",
            "put it into a function such as avg_over_time or increase",
        )),
        Expr::Subquery(_) => Err(unsupported(
            "a subquery",
            "write a range directly behind a metric, such as max_over_time(memory_usage_percent[5m])",
        )),
        Expr::StringLiteral(_) => Err(unsupported("a text as an answer", "a query gives numbers")),
        Expr::Extension(_) => Err(unsupported("this expression", "a query gives numbers")),
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn instant(vector: &VectorSelector) -> Result<Plan, Error> {
    let (name, mut selector) = name_and_selector(vector)?;
    let by_owner = || keys_by(&["namespace", "owner_kind", "owner_name"]);
    Ok(match name.as_str() {
        "error_rate" => Plan::ErrorRate(selector),
        "restart_count" => {
            selector.readings = vec![(Reading::Restarts, EMPTY)];
            let increase = over(RangeFunction::SeenIncrease, selector.clone());
            binary_plan(Operator::And, increase, Plan::Instant(selector))
        }
        "availability" => {
            selector.readings = vec![(Reading::PodReady, EMPTY)];
            selector
                .matchers
                .push(Matcher::new(MatchOp::NotEqual, "owner_name", ""));
            let total = |function| {
                Plan::Aggregate(Box::new(Aggregate {
                    function: AggregateFunction::Sum,
                    by: by_owner(),
                    of: over(function, selector.clone()),
                }))
            };
            let (ready, all) = (total(RangeFunction::Sum), total(RangeFunction::Count));
            let share = binary_plan(Operator::Divide, ready, all);
            binary_plan(Operator::Multiply, share, Plan::Number(100.0))
        }
        _metric => Plan::Instant(selector),
    })
}

fn over(function: RangeFunction, selector: Selector) -> Plan {
    Plan::Over(Over {
        function,
        selector,
        range: RECORDED_WINDOW,
    })
}

fn binary_plan(operator: Operator, left: Plan, right: Plan) -> Plan {
    Plan::Binary(Box::new(Binary {
        operator,
        returns_bool: false,
        on: Keys(LABELS.to_vec()),
        left,
        right,
    }))
}

fn name_and_selector(vector: &VectorSelector) -> Result<(String, Selector), Error> {
    let mut name = vector.name.clone();
    let mut matchers = Vec::new();
    if !vector.matchers.or_matchers.is_empty() {
        return Err(unsupported(
            "or between matchers",
            "write =~ with a|b, or use the operator or",
        ));
    }
    for matcher in &vector.matchers.matchers {
        if matcher.name == "__name__" {
            match matcher.op {
                MatchOp::Equal => name = Some(matcher.value.clone()),
                MatchOp::NotEqual | MatchOp::Re(_) | MatchOp::NotRe(_) => {
                    return Err(unsupported(
                        "a pattern for the metric's name",
                        "write the name of one metric",
                    ));
                }
            }
        } else {
            metric::label(&matcher.name)?;
            matchers.push(matcher.clone());
        }
    }
    let Some(name) = name else {
        return Err(unsupported(
            "a selector without a metric",
            "write the metric's name before the braces",
        ));
    };
    if vector.at.is_some() {
        return Err(unsupported(
            "@",
            "a query is answered at the tick; look back with offset",
        ));
    }
    let offset = match &vector.offset {
        None => 0,
        Some(Offset::Pos(offset)) => milliseconds(*offset),
        Some(Offset::Neg(_)) => {
            return Err(unsupported(
                "an offset into the future",
                "predict_linear looks ahead",
            ));
        }
    };
    let recorded = metric::RECORDED.contains(&name.as_str());
    let readings = if recorded {
        Vec::new()
    } else {
        metric::readings(&name)?.to_vec()
    };
    let selector = Selector {
        readings,
        matchers,
        offset,
        of_nodes: metric::is_of_nodes(&name),
    };
    Ok((name, selector))
}

fn call(call: &CallExpr, inner: impl Fn(&Expr) -> Result<Plan, Error>) -> Result<Plan, Error> {
    let name = call.func.name;
    let args: Vec<&Expr> = call.args.args.iter().map(AsRef::as_ref).collect();
    let number = |position: usize| match args.get(position).map(|arg| inner(arg)) {
        Some(Ok(Plan::Number(number))) => Ok(number),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Err(unsupported(
            format!("a parameter of {name} that is not a number"),
            "write a number",
        )),
    };
    let ranged = |function, position: usize| ranged(name, function, args.get(position).copied());
    let each = |function| {
        let of = args
            .first()
            .map_or_else(|| Err(no_argument(name)), |arg| inner(arg))?;
        Ok(Plan::Call(function, Box::new(of)))
    };
    match name {
        "abs" => each(Call::Abs),
        "ceil" => each(Call::Ceil),
        "floor" => each(Call::Floor),
        "round" if args.len() < 2 => each(Call::Round(1.0)),
        "round" => each(Call::Round(number(1)?)),
        "clamp" => each(Call::Clamp(number(1)?, number(2)?)),
        "clamp_min" => each(Call::Clamp(number(1)?, f64::INFINITY)),
        "clamp_max" => each(Call::Clamp(f64::NEG_INFINITY, number(1)?)),
        "quantile_over_time" => ranged(RangeFunction::Quantile(number(0)?), 1),
        "predict_linear" => ranged(RangeFunction::PredictLinear(number(1)?), 0),
        _other => ranged(range_function(name)?, 0),
    }
}

fn range_function(name: &str) -> Result<RangeFunction, Error> {
    Ok(match name {
        "rate" => RangeFunction::Rate,
        "increase" => RangeFunction::Increase,
        "delta" => RangeFunction::Delta,
        "deriv" => RangeFunction::Deriv,
        "avg_over_time" => RangeFunction::Avg,
        "min_over_time" => RangeFunction::Min,
        "max_over_time" => RangeFunction::Max,
        "sum_over_time" => RangeFunction::Sum,
        "count_over_time" => RangeFunction::Count,
        "stddev_over_time" => RangeFunction::Stddev,
        "stdvar_over_time" => RangeFunction::Stdvar,
        "last_over_time" => RangeFunction::Last,
        "present_over_time" => RangeFunction::Present,
        "changes" => RangeFunction::Changes,
        "resets" => RangeFunction::Resets,
        _other => return Err(unsupported(format!("the function {name}"), FUNCTIONS)),
    })
}

fn no_argument(name: &str) -> Error {
    unsupported(
        format!("{name} without an argument"),
        "write what it is about between its parentheses",
    )
}

fn ranged(name: &str, function: RangeFunction, arg: Option<&Expr>) -> Result<Plan, Error> {
    let mut arg = arg.ok_or_else(|| no_argument(name))?;
    while let Expr::Paren(paren) = arg {
        arg = &paren.expr;
    }
    let Expr::MatrixSelector(MatrixSelector { vs, range }) = arg else {
        return Err(unsupported(
            format!("{name} of anything but a metric with a range"),
            "write a range directly behind a metric, such as memory_usage_percent[5m]",
        ));
    };
    let (metric, selector) = name_and_selector(vs)?;
    if selector.readings.is_empty() {
        return Err(unsupported(
            format!("a range of {metric}"),
            "it looks at 10 minutes already; write a range of the metric that it is made of",
        ));
    }
    let range = milliseconds(*range);
    Ok(Plan::Over(Over {
        function,
        selector,
        range,
    }))
}

fn aggregate(
    expr: &AggregateExpr,
    inner: impl Fn(&Expr) -> Result<Plan, Error>,
) -> Result<Plan, Error> {
    let parameter = || match expr.param.as_deref().map(&inner) {
        Some(Ok(Plan::Number(number))) => Ok(number),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Err(unsupported(
            "a parameter that is not a number",
            "write a number",
        )),
    };
    let function = match expr.op.id() {
        token::T_SUM => AggregateFunction::Sum,
        token::T_AVG => AggregateFunction::Avg,
        token::T_MIN => AggregateFunction::Min,
        token::T_MAX => AggregateFunction::Max,
        token::T_COUNT => AggregateFunction::Count,
        token::T_GROUP => AggregateFunction::Group,
        token::T_STDDEV => AggregateFunction::Stddev,
        token::T_STDVAR => AggregateFunction::Stdvar,
        token::T_QUANTILE => AggregateFunction::Quantile(parameter()?),
        token::T_TOPK => AggregateFunction::Top(whole(parameter()?)),
        token::T_BOTTOMK => AggregateFunction::Bottom(whole(parameter()?)),
        _other => {
            return Err(unsupported(
                format!("the aggregation {}", expr.op),
                AGGREGATIONS,
            ));
        }
    };
    let by = match &expr.modifier {
        None => Keys(Vec::new()),
        Some(LabelModifier::Include(labels)) => checked_keys_by(&labels.labels)?,
        Some(LabelModifier::Exclude(labels)) => keys_without(&labels.labels),
    };
    let of = inner(&expr.expr)?;
    Ok(Plan::Aggregate(Box::new(Aggregate { function, by, of })))
}

/// How many of the largest: nothing below one, and no more than there can be.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is wanted"
)]
fn whole(number: f64) -> u32 {
    number as u32
}

fn binary(expr: &BinaryExpr, inner: impl Fn(&Expr) -> Result<Plan, Error>) -> Result<Plan, Error> {
    let operator = operator(expr)?;
    let modifier = expr.modifier.as_ref();
    let on = modifier.map_or_else(|| Ok(Keys(LABELS.to_vec())), matching)?;
    let returns_bool = expr.return_bool();
    let (left, right) = (inner(&expr.lhs)?, inner(&expr.rhs)?);
    if let (Plan::Number(left), Plan::Number(right)) = (&left, &right) {
        return Ok(Plan::Number(super::binary::of_numbers(
            operator, *left, *right,
        )));
    }
    Ok(Plan::Binary(Box::new(Binary {
        operator,
        returns_bool,
        on,
        left,
        right,
    })))
}

fn matching(modifier: &BinModifier) -> Result<Keys, Error> {
    match &modifier.card {
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {}
        VectorMatchCardinality::ManyToOne(_) | VectorMatchCardinality::OneToMany(_) => {
            return Err(unsupported(
                "group_left or group_right",
                "aggregate the larger side to the labels of the smaller one",
            ));
        }
    }
    if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
        return Err(unsupported("fill", "write `or` with the other value"));
    }
    match &modifier.matching {
        None => Ok(Keys(LABELS.to_vec())),
        Some(LabelModifier::Include(labels)) => checked_keys_by(&labels.labels),
        Some(LabelModifier::Exclude(labels)) => Ok(keys_without(&labels.labels)),
    }
}

fn operator(expr: &BinaryExpr) -> Result<Operator, Error> {
    Ok(match expr.op.id() {
        token::T_ADD => Operator::Add,
        token::T_SUB => Operator::Subtract,
        token::T_MUL => Operator::Multiply,
        token::T_DIV => Operator::Divide,
        token::T_MOD => Operator::Modulo,
        token::T_POW => Operator::Power,
        token::T_EQLC => Operator::Equal,
        token::T_NEQ => Operator::NotEqual,
        token::T_GTR => Operator::Above,
        token::T_LSS => Operator::Below,
        token::T_GTE => Operator::AtLeast,
        token::T_LTE => Operator::AtMost,
        token::T_LAND => Operator::And,
        token::T_LOR => Operator::Or,
        token::T_LUNLESS => Operator::Unless,
        _other => {
            return Err(unsupported(
                format!("the operator {}", expr.op),
                "there are + - * / % ^ == != > < >= <= and or unless",
            ));
        }
    })
}
