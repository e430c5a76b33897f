//! A query once it was found answerable.
//!
//! Pure: no IO, no clock.

use promql_parser::label::Matcher;

use super::error::Error;
use crate::window::Reading;

/// One step of a query.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// A number.
    Number(f64),
    /// The newest samples of series.
    Instant(Selector),
    /// Something of all samples in a range.
    Over(Over),
    /// Warning events per minute.
    ErrorRate(Selector),
    /// Several series made one.
    Aggregate(Box<Aggregate>),
    /// An operator between two sides.
    Binary(Box<Binary>),
    /// A function of each value.
    Call(Call, Box<Plan>),
}

/// Which series, and how long ago.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    /// What is read, with the value of the label `resource`.
    pub(super) readings: Vec<(Reading, u32)>,
    /// What the labels must match.
    pub(super) matchers: Vec<Matcher>,
    /// How long ago, milliseconds.
    pub(super) offset: i64,
    /// Whether the series are of nodes, which are kept apart from those of containers.
    pub(super) of_nodes: bool,
}

/// A function of the samples in a range.
#[derive(Clone, Debug)]
pub(super) struct Over {
    /// The function.
    pub(super) function: RangeFunction,
    /// The series.
    pub(super) selector: Selector,
    /// The range, milliseconds.
    pub(super) range: i64,
}

/// What is made of the samples in a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RangeFunction {
    Rate,
    Increase,
    Delta,
    /// The increase that was seen, without extrapolation to the ends of the range.
    SeenIncrease,
    Deriv,
    /// The value so many seconds from now.
    PredictLinear(f64),
    Avg,
    Min,
    Max,
    Sum,
    Count,
    Stddev,
    Stdvar,
    Quantile(f64),
    Last,
    Present,
    Changes,
    Resets,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    /// What is made of each group.
    pub(super) function: AggregateFunction,
    /// The labels that make the groups.
    pub(super) by: Keys,
    /// What is aggregated.
    pub(super) of: Plan,
}

/// What is made of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AggregateFunction {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Quantile(f64),
    /// The so many largest values.
    Top(u32),
    /// The so many smallest values.
    Bottom(u32),
}

/// The labels that series are told apart by, hidden ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys(pub(super) Vec<&'static str>);

/// An operator between two sides.
#[derive(Clone, Debug)]
pub(super) struct Binary {
    /// The operator.
    pub(super) operator: Operator,
    /// Whether a comparison answers 0 or 1 where it would drop.
    pub(super) returns_bool: bool,
    /// The labels that must be equal on both sides.
    pub(super) on: Keys,
    /// The left side.
    pub(super) left: Plan,
    /// The right side.
    pub(super) right: Plan,
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Equal,
    NotEqual,
    Above,
    Below,
    AtLeast,
    AtMost,
    And,
    Or,
    Unless,
}

impl Operator {
    /// The operator as it is written.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "^",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Above => ">",
            Self::Below => "<",
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it compares.
    pub(super) const fn compares(self) -> bool {
        matches!(
            self,
            Self::Equal | Self::NotEqual | Self::Above | Self::Below | Self::AtLeast | Self::AtMost
        )
    }
}

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Call {
    Negate,
    Abs,
    Ceil,
    Floor,
    /// To the nearest multiple.
    Round(f64),
    /// Between two bounds.
    Clamp(f64, f64),
}

impl Plan {
    /// How far back samples are needed, milliseconds.
    pub(super) fn span(&self) -> i64 {
        match self {
            Self::Number(_) => 0,
            Self::Instant(selector) => selector.offset,
            Self::Over(over) => over.range.saturating_add(over.selector.offset),
            Self::ErrorRate(selector) => RECORDED_WINDOW.saturating_add(selector.offset),
            Self::Aggregate(aggregate) => aggregate.of.span(),
            Self::Binary(binary) => binary.left.span().max(binary.right.span()),
            Self::Call(_, of) => of.span(),
        }
    }
}

impl Plan {
    /// Whether its series are of nodes; `None` where it names none.
    ///
    /// # Errors
    /// When it names series of nodes and of containers: they have no label in common by which they could be matched.
    pub(super) fn of_nodes(&self) -> Result<Option<bool>, Error> {
        match self {
            Self::Number(_) => Ok(None),
            Self::Instant(selector) | Self::ErrorRate(selector) => Ok(Some(selector.of_nodes)),
            Self::Over(over) => Ok(Some(over.selector.of_nodes)),
            Self::Aggregate(aggregate) => aggregate.of.of_nodes(),
            Self::Call(_, of) => of.of_nodes(),
            Self::Binary(binary) => match (binary.left.of_nodes()?, binary.right.of_nodes()?) {
                (Some(left), Some(right)) if left != right => Err(Error::Unsupported {
                    what: "a query over nodes and containers at once".to_owned(),
                    instead: "write a policy about nodes and another one about pods",
                }),
                (left, right) => Ok(left.or(right)),
            },
        }
    }
}

/// The window of the short names that look at one, milliseconds: 10 minutes.
pub(super) const RECORDED_WINDOW: i64 = 600_000;
