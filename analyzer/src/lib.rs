//! From the bus to findings, diagnoses and healing actions.

pub mod promql;
pub mod window;
