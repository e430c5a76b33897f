//! Why a query cannot be answered.
//!
//! Pure: no IO, no clock.

use polars::error::PolarsError;

/// Why a query cannot be parsed or answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not PromQL.
    #[error("not a PromQL query: {message}")]
    Syntax {
        /// What the parser said.
        message: String,
    },

    /// It is PromQL, but not of the part that is answered here.
    #[error("{what} is not supported: {instead}")]
    Unsupported {
        /// What it is.
        what: String,
        /// What to write instead, or what there is.
        instead: &'static str,
    },

    /// The collector has no such metric.
    #[error("there is no metric {name}{}; there are: {known}", did_you_mean(.nearest.as_deref()))]
    UnknownMetric {
        /// The name that was asked for.
        name: String,
        /// The known name that is most like it.
        nearest: Option<String>,
        /// All known names.
        known: String,
    },

    /// The series have no such label.
    #[error("there is no label {name}{}; there are: {known}", did_you_mean(.nearest.as_deref()))]
    UnknownLabel {
        /// The name that was asked for.
        name: String,
        /// The known name that is most like it.
        nearest: Option<String>,
        /// All known names.
        known: String,
    },

    /// Several series of one side match the same series of the other.
    #[error(
        "{operator} found several series with the same labels on its {side} side: aggregate that side first, or match on more labels"
    )]
    ManyToMany {
        /// The operator.
        operator: &'static str,
        /// Left or right.
        side: &'static str,
    },

    /// The frame could not be computed.
    #[error("failed to compute the query over the window")]
    Compute {
        /// What polars said.
        source: PolarsError,
    },
}

impl Error {
    /// A short, bounded label for metrics and conditions.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "InvalidQuery",
            Self::Unsupported { .. } => "UnsupportedQuery",
            Self::UnknownMetric { .. } => "UnknownMetric",
            Self::UnknownLabel { .. } => "UnknownLabel",
            Self::ManyToMany { .. } => "AmbiguousMatch",
            Self::Compute { .. } => "QueryFailed",
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(", did you mean {nearest}?"))
}

pub(super) fn compute(source: PolarsError) -> Error {
    Error::Compute { source }
}
