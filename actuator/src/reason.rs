//! Every reason that the actuator gives, and where an action ends for it.
//!
//! The same words appear in conditions, verdicts, metrics, alerts and the
//! journal, so their set is bounded and they are spelt here once.
//!
//! Pure: no IO, no clock.

use std::fmt;

use schemas::action::Phase;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Why an action is where it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name),+
        }

        impl Reason {
            /// The reason in one CamelCase word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),+
                }
            }
        }
    };
}

reasons! {
    /// Every guard let the action pass.
    Allowed,
    /// The policy does not exist.
    PolicyNotFound,
    /// The policy is being deleted.
    PolicyDeleting,
    /// The policy's mode is `monitor`: it never acts.
    PolicyMonitors,
    /// The policy's selector does not select the target.
    NotSelected,
    /// The action is none of the policy's.
    ActionNotInPolicy,
    /// The trigger is none of the policy's, or not one that the action answers.
    TriggerNotInPolicy,
    /// The target lives in a namespace that is never touched.
    ProtectedNamespace,
    /// The target, its owner or its namespace is marked as protected.
    Protected,
    /// The policy lists the target among its protected resources.
    ProtectedResource,
    /// The target does not exist, or is going away already.
    TargetGone,
    /// The target's deletion does not hang, or not for long enough.
    NotHanging,
    /// Another object has the target's name now.
    TargetReplaced,
    /// Somebody else changed the target after it was judged.
    Overtaken,
    /// The trigger does not hold any more.
    NotNeededAnyMore,
    /// The analyzer has not reported on the target yet, or the bus does not answer.
    ObservationMissing,
    /// The analyzer's last report is too old to act on.
    ObservationStale,
    /// A person must agree first.
    ApprovalRequired,
    /// A person agreed.
    Approved,
    /// Nobody has to agree.
    NotRequired,
    /// The approval is about another change than the one that is planned now.
    DigestMismatch,
    /// A person said no.
    Rejected,
    /// Nobody decided in time.
    ApprovalTimeout,
    /// The target rests after its last action.
    Cooldown,
    /// Another action on the same target is under way.
    TargetBusy,
    /// The policy has used up its actions of this hour.
    PolicyBudget,
    /// The namespace has used up its actions of this hour.
    NamespaceBudget,
    /// The cluster has used up its actions of this hour.
    ClusterBudget,
    /// As many of the policy's actions as may be are under way.
    MaxConcurrent,
    /// So many of the policy's actions failed in a row that it rests.
    BreakerOpen,
    /// After its rest, the policy tries one action at a time.
    BreakerHalfOpen,
    /// The last actions on the target's owner all failed; a person should look at it.
    NeedsHuman,
    /// Too many of the owner's replicas would be away at once.
    BlastRadius,
    /// Another controller owns the field that would be written.
    FieldOwned,
    /// Too large a share of the pods is sick at once.
    Storm,
    /// The actuator has only just begun to act.
    WarmUp,
    /// The owner's rollout is not complete.
    RolloutInProgress,
    /// Outside the policy's maintenance windows.
    OutsideWindow,
    /// Within one of the policy's freezes.
    Freeze,
    /// The kill switch is on.
    Paused,
    /// The pod has no controller that would replace it.
    BarePod,
    /// An autoscaler owns the number of replicas.
    AutoscalerOwnsReplicas,
    /// The remedy cannot be applied to an object of this kind.
    UnsupportedTarget,
    /// The object has none of the finalizers that may be removed.
    NoFinalizer,
    /// The patch is not understood, or cannot be applied to the object.
    PatchInvalid,
    /// The patch would change a field that the action does not name, or that no patch may change.
    FieldNotAllowed,
    /// CPU and memory cannot be changed in that way while the pod runs.
    SizeNotAllowed,
    /// The policy's Job asks for more than a policy may give it.
    JobNotAllowed,
    /// The policy's webhook is none that may be called.
    WebhookNotAllowed,
    /// Too many nodes would be out of use at once.
    NodesAway,
    /// Trouble did not begin with a rollout.
    NotARollout,
    /// There is no earlier revision to go back to.
    NoRevision,
    /// The rollout is paused.
    RolloutPaused,
    /// The change would change nothing.
    NothingToDo,
    /// The change was planned and tried on the API server, and nothing was changed.
    DryRun,
    /// The intent was recorded; the change is being made.
    Executing,
    /// The API server accepted every call.
    Executed,
    /// The change was found made when the object was read back.
    EffectFound,
    /// A disruption budget refuses the eviction for now.
    DisruptionBudget,
    /// A call failed for a cause that may pass.
    Retrying,
    /// The actuator has no right to make the change.
    Forbidden,
    /// A call was refused for good.
    ExecutionFailed,
    /// The change could not be made in time.
    ExecutionTimeout,
    /// One of several calls was made.
    StepDone,
    /// What the next call needs is not there yet.
    AwaitingStep,
    /// Calls were left out, because a guard held them back after others had been made.
    Stopped,
    /// The answer of a call that cannot be read back was lost.
    AnswerLost,
    /// The change did not help, and is being taken back.
    Undoing,
    /// The change was taken back, and the target is as ready as it was before.
    Undone,
    /// The change was not taken back in time, or the target is less ready than it was before.
    UndoFailed,
    /// Somebody else has changed since what the action had changed.
    SpecDrift,
    /// The effect is awaited.
    AwaitingRecovery,
    /// The target was seen recovered.
    Recovered,
    /// The node is kept from harm's way as asked, and its trouble goes on.
    Contained,
    /// The target did not recover in time.
    NotRecovered,
    /// The target is worse than before the change.
    Harmed,
    /// There was no data that could tell whether the target recovered.
    Inconclusive,
}

impl Reason {
    /// The phase in which an action that is turned down for this reason ends.
    ///
    /// What a guard or a person forbids is `Denied`; what merely is not
    /// needed or not possible any more, or was never meant to run, is `Cancelled`.
    pub const fn ends_in(self) -> Phase {
        if matches!(
            self,
            Self::TargetGone
                | Self::TargetReplaced
                | Self::NotHanging
                | Self::Overtaken
                | Self::NotNeededAnyMore
                | Self::ApprovalTimeout
                | Self::NothingToDo
                | Self::DryRun
        ) {
            Phase::Cancelled
        } else {
            Phase::Denied
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
