//! stub
use super::{Proposal, Question};
use crate::case::Case;
/// stub
#[derive(Debug)]
pub struct Rejection;
impl Rejection {
    /// stub
    pub const fn reason(&self) -> &'static str {
        "Stub"
    }
}
/// stub
pub fn review(_: &str, _: &Question) -> Result<Proposal, Rejection> {
    Err(Rejection)
}
/// stub
pub fn is_tainted(_: &Proposal, _: &Case) -> bool {
    true
}
