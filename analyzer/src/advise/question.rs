//! stub
use super::Question;
/// stub
pub fn digest(_: &Question, model: &str) -> String {
    model.to_owned()
}
