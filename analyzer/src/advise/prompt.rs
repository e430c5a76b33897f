//! stub
use std::collections::BTreeMap;

use super::Question;

/// stub
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// stub
    pub system: String,
    /// stub
    pub user: String,
    /// stub
    pub tokens: u32,
    /// stub
    pub redactions: BTreeMap<String, u32>,
}

/// stub
pub fn prompt(question: &Question, fence: &str) -> Prompt {
    Prompt {
        user: format!("{fence} {}", question.case.id),
        ..Prompt::default()
    }
}
