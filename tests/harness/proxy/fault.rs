//! What goes wrong on the way, decided by a seed and a request's number.
//!
//! Pure: no IO, no clock.

use std::time::Duration;

use super::asked::{Asked, Class};

/// What can go wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is answered 429, with or without a time to wait, and never forwarded.
    TooMany {
        /// Whether the answer says when to come back.
        retry_after: bool,
    },
    /// It is answered 500, and never forwarded.
    ServerError,
    /// It is forwarded, and the connection closes before any byte of the answer.
    LoseAnswer,
    /// It is forwarded, and the connection closes in the middle of the answer.
    CutAnswer,
    /// It is forwarded late.
    Delay,
    /// It is forwarded twice; the first answer is passed on.
    Twice,
    /// It is answered as the same request was answered before. A list over all
    /// namespaces never is: that is the actuator's ledger of what was begun, and
    /// it counts on the API server's promise that a list without a version is
    /// the most recent one (a quorum read). With an old ledger it would begin
    /// more than a budget allows.
    Stale,
}

impl Fault {
    /// All that there is.
    pub const ALL: [Self; 8] = [
        Self::TooMany { retry_after: false },
        Self::TooMany { retry_after: true },
        Self::ServerError,
        Self::LoseAnswer,
        Self::CutAnswer,
        Self::Delay,
        Self::Twice,
        Self::Stale,
    ];

    /// How late a late request is: longer than a write takes, short against a lease.
    pub const LATE: Duration = Duration::from_millis(300);

    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooMany { retry_after: false } => "429",
            Self::TooMany { retry_after: true } => "429 with Retry-After",
            Self::ServerError => "500",
            Self::LoseAnswer => "answer lost",
            Self::CutAnswer => "answer cut",
            Self::Delay => "late",
            Self::Twice => "sent twice",
            Self::Stale => "stale read",
        }
    }

    fn fits(self, asked: &Asked) -> bool {
        match self {
            Self::Twice => asked.verb != "watch" && !asked.is_read(),
            Self::Stale => asked.is_read() && !asked.is_over_all(),
            Self::TooMany { .. }
            | Self::ServerError
            | Self::LoseAnswer
            | Self::CutAnswer
            | Self::Delay => true,
        }
    }
}

/// How often what goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The same seed and the same number give the same answer.
    pub seed: u64,
    /// Of a thousand requests, so many are troubled.
    pub permille: u16,
    /// With one of these, as far as it fits the request.
    pub among: Vec<Fault>,
    /// Only requests of these classes.
    pub on: Vec<Class>,
}

impl Faults {
    /// Every request of `on` meets `fault`.
    pub fn always(fault: Fault, on: &[Class]) -> Self {
        Self {
            seed: 0,
            permille: 1000,
            among: vec![fault],
            on: on.to_vec(),
        }
    }

    /// What happens to the request that is number `ordinal` of its class.
    pub fn at(&self, asked: &Asked, ordinal: u64) -> Option<Fault> {
        let class = asked.class();
        let place = u64::try_from(self.on.iter().position(|on| *on == class)?).ok()?;
        // Spread, so that neighbouring seeds and numbers have nothing to do with each other.
        let mixed = (self.seed ^ (place << 56)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut dice = fastrand::Rng::with_seed(mixed.wrapping_add(ordinal));
        let fitting: Vec<_> = self
            .among
            .iter()
            .filter(|fault| fault.fits(asked))
            .collect();
        if fitting.is_empty() || dice.u16(..1000) >= self.permille {
            return None;
        }
        fitting.get(dice.usize(..fitting.len())).copied().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> Asked {
        Asked::read("GET", "/api/v1/namespaces/shop/pods", "", b"")
    }

    #[test]
    fn the_same_seed_and_number_give_the_same_fault_and_the_share_is_kept() {
        let faults = |seed| Faults {
            seed,
            permille: 100,
            among: Fault::ALL.to_vec(),
            on: Class::ALL.to_vec(),
        };
        let all = |seed| -> Vec<_> { (0..5000).map(|n| faults(seed).at(&read(), n)).collect() };
        assert_eq!(all(7), all(7));
        assert_ne!(all(7), all(8));
        let troubled = all(7).into_iter().flatten().count();
        assert!((400..600).contains(&troubled), "{troubled}");
        assert!(
            !all(7).contains(&Some(Fault::Twice)),
            "a read is never sent twice"
        );
    }

    #[test]
    fn a_list_over_all_namespaces_is_never_stale() {
        let stale = Faults::always(Fault::Stale, &Class::ALL);
        assert_eq!(stale.at(&read(), 0), Some(Fault::Stale));
        let all = Asked::read(
            "GET",
            "/apis/kubeskippy.io/v1alpha1/healingactions",
            "",
            b"",
        );
        assert_eq!(stale.at(&all, 0), None);
    }

    #[test]
    fn always_is_always_and_only_where_it_is_asked_for() {
        let faults = Faults::always(Fault::ServerError, &[Class::Read]);
        assert!((0..50).all(|n| faults.at(&read(), n) == Some(Fault::ServerError)));
        assert_eq!(
            Faults::always(Fault::ServerError, &Class::WRITES).at(&read(), 0),
            None
        );
        assert_eq!(Faults::default().at(&read(), 0), None);
    }
}
