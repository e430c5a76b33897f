//! Which remedies can be expected to mend which cause.
//!
//! Whether a remedy helped says something about the diagnosis only where the
//! remedy was one for that cause: a restart that does not help against a wrong
//! image proves no diagnosis wrong.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, policy::Remedy};

/// Whether `remedy` can be expected to mend `mode`. What a `custom` remedy does is not known.
pub const fn mends(mode: FailureMode, remedy: Remedy) -> bool {
    use Remedy::{Cordon, Delete, Patch, Resize, Restart, Rollback, Scale};
    match mode {
        FailureMode::BadConfiguration | FailureMode::BadImage | FailureMode::StuckRollout => {
            matches!(remedy, Rollback | Patch)
        }
        FailureMode::BadRollout | FailureMode::MissingReference => matches!(remedy, Rollback),
        // A deleted pod is replaced as a restarted one is.
        FailureMode::CrashLoop => matches!(remedy, Restart | Delete | Rollback),
        FailureMode::MemoryLeak => matches!(remedy, Restart | Delete),
        FailureMode::ReadinessFlapping | FailureMode::ProbeFailing => {
            matches!(remedy, Restart | Delete | Patch)
        }
        FailureMode::OutOfMemory
        | FailureMode::CpuThrottling
        | FailureMode::UnschedulableResources => matches!(remedy, Resize | Patch | Scale),
        FailureMode::AutoscalerAtMaximum | FailureMode::DisruptionBudgetDeadlock => {
            matches!(remedy, Scale | Patch)
        }
        FailureMode::NodeNotReady | FailureMode::NodePressure => {
            matches!(remedy, Cordon | Restart | Delete)
        }
        FailureMode::NoisyNeighbour => matches!(remedy, Restart | Delete | Cordon | Resize),
        // Mended by a person, elsewhere, or not at all.
        FailureMode::ImagePullSecret
        | FailureMode::GarbageCollection
        | FailureMode::NodesNotReady
        | FailureMode::UnschedulableTaint
        | FailureMode::QuotaExceeded
        | FailureMode::UnboundVolume
        | FailureMode::JobBackoff
        | FailureMode::ServiceWithoutEndpoints
        | FailureMode::DependencyFailure
        | FailureMode::Transient => false,
    }
}
