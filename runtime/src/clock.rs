//! The one place that reads the wall clock.
//!
//! Decisions take `now` as an argument; drivers get it here.

use jiff::Timestamp;

/// The present instant by the wall clock.
#[expect(clippy::disallowed_methods, reason = "the drivers' one source of now")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
