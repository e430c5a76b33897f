//! Since when this replica acts.
//!
//! The lease tells whether it is held now; the guards also ask for how long.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

/// Since when the lease is held without a break, as far as was noted.
#[derive(Clone, Debug, Default)]
pub struct Tenure {
    since: Arc<Mutex<Option<Timestamp>>>,
}

impl Tenure {
    /// Notes whether the lease is held at `now`, and says since when it is.
    pub fn note(&self, holds: bool, now: Timestamp) -> Option<Timestamp> {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if holds {
            since.get_or_insert(now);
        } else {
            *since = None;
        }
        *since
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::NOW;
    use jiff::SignedDuration;

    #[test]
    fn it_begins_anew_after_a_break() {
        let tenure = Tenure::default();
        let later = NOW + SignedDuration::from_secs(9);
        assert_eq!(tenure.note(true, NOW), Some(NOW));
        assert_eq!(tenure.note(true, later), Some(NOW));
        assert_eq!(tenure.note(false, later), None);
        assert_eq!(tenure.note(true, later), Some(later));
    }
}
