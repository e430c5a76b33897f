//! Whether a lease may be taken.
//!
//! In: the lease as it stands, and when this replica last saw it change by its
//! own monotonic clock. Out: take it, or wait. The times written in the lease
//! are never compared with a local wall clock, so skewed clocks do no harm.
//!
//! Pure: no IO, no clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::Instant;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Take or renew it.
    Take,
    /// Leave it to its holder.
    Wait,
}

/// The last change of the lease that this replica saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    version: Option<String>,
    changed_at: Option<Instant>,
}

impl Observed {
    /// Remembers `lease` as seen at `at`.
    pub(super) fn see(&mut self, lease: &Lease, at: Instant) {
        let version = &lease.metadata.resource_version;
        if self.changed_at.is_none() || &self.version != version {
            self.version.clone_from(version);
            self.changed_at = Some(at);
        }
    }
}

/// Decides for `identity` at `at`.
pub(super) fn decide(lease: &Lease, observed: &Observed, identity: &str, at: Instant) -> Step {
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
    if holder.is_none_or(|holder| holder.is_empty() || holder == identity) {
        return Step::Take;
    }
    let seconds = spec
        .and_then(|spec| spec.lease_duration_seconds)
        .unwrap_or(0);
    let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    match observed.changed_at {
        Some(changed) if at.duration_since(changed) >= duration => Step::Take,
        Some(_) | None => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use kube::api::ObjectMeta;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta {
                resource_version: Some(version.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn another_holders_lease_is_taken_only_after_it_stood_still_for_its_duration() {
        let start = Instant::now();
        let mut observed = Observed::default();
        let theirs = lease("other", "1");
        observed.see(&theirs, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(decide(&theirs, &observed, "me", after(14)), Step::Wait);
        assert_eq!(decide(&theirs, &observed, "me", after(15)), Step::Take);
        let renewed = lease("other", "2");
        observed.see(&renewed, after(15));
        assert_eq!(decide(&renewed, &observed, "me", after(16)), Step::Wait);
    }

    #[test]
    fn a_lease_that_was_given_back_is_taken_at_once() {
        let start = Instant::now();
        let mut observed = Observed::default();
        let free = lease("", "1");
        observed.see(&free, start);
        assert_eq!(decide(&free, &observed, "me", start), Step::Take);
    }
}
