//! Signs that more than one rule asks for.
//!
//! In: a member of a case. Out: whether it crashes, cannot start, is held
//! back, has recovered, or was rolled out just before its trouble began, with
//! the pieces that say so.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;
use schemas::policy::Remedy;

use super::{
    scene::{Subject, pieces},
    series,
};
use crate::evidence::{Fact, Measurement, Metric, Piece, Rollout, Termination};

/// Reasons for which a container waits because its image does not come.
pub(super) const IMAGE: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
];
/// Reasons for which a container waits because it ends as soon as it starts, or cannot be started.
const CRASH: [&str; 3] = [
    "CrashLoopBackOff",
    "RunContainerError",
    "CreateContainerError",
];
/// How long after a rollout trouble may begin and still be laid at its door; the actuator's
/// rollback asks for the same.
const ROLLOUT_REACH: SignedDuration = SignedDuration::from_hours(1);
/// How far the instants of two streams may be apart although one thing followed from the other.
pub(super) const SLACK: SignedDuration = SignedDuration::from_secs(30);

/// A rollout just before trouble began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recent<'a> {
    pub(super) piece: &'a Piece,
    pub(super) rollout: &'a Rollout,
    /// From the rollout to the trouble.
    pub(super) delay: SignedDuration,
}

impl Recent<'_> {
    /// Whether the image is another one.
    pub(super) fn changed_image(&self) -> bool {
        self.rollout
            .changes
            .keys()
            .any(|field| crate::evidence::is_image(field))
    }

    /// Whether limits or requests differ.
    pub(super) fn changed_resources(&self) -> bool {
        let is = |field: &String| field.to_lowercase().contains("resources");
        self.rollout.changes.keys().any(is)
    }

    /// Whether something is known to differ, and the image is not.
    pub(super) fn changed_only_configuration(&self) -> bool {
        !self.rollout.changes.is_empty() && !self.changed_image()
    }

    /// How much the time says: trouble that a rollout brings comes at once.
    pub(super) fn weight(&self) -> f64 {
        if self.delay <= SignedDuration::from_mins(10) {
            2.5
        } else {
            1.5
        }
    }
}

/// How long volumes and network of a pod may take before that is remarkable.
const HELD_UP: SignedDuration = SignedDuration::from_secs(10);

impl<'a> Subject<'a> {
    /// The container ends again and again, or cannot be started.
    pub(super) fn crashes(&self) -> Vec<&'a Piece> {
        let mut found = pieces(&self.waits(&CRASH));
        let ends = self.ends().into_iter();
        let again = ends.filter(|(_, end)| end.restarts >= 2 && end.reason != "OOMKilled");
        found.extend(again.map(|(piece, _)| piece));
        let mut restarts = self.measured(Metric::Restarts);
        restarts.retain(|(_, series)| series.shape.last - series.shape.min >= 2.0);
        found.extend(pieces(&restarts));
        found
    }

    /// How containers ended last, where that is part of this trouble and not an old story.
    pub(super) fn ends(&self) -> Vec<(&'a Piece, &'a Termination)> {
        let mut found = self.terminations();
        let began = self.member.since;
        found.retain(|(piece, _)| {
            let hour = SignedDuration::from_hours(1);
            piece.since >= began || self.ago(piece.since) <= hour
        });
        found
    }

    /// Containers that were killed for want of memory.
    pub(super) fn out_of_memory(&self) -> Vec<(&'a Piece, &'a Termination)> {
        let mut found = self.ends();
        found.retain(|(_, end)| end.reason == "OOMKilled");
        found
    }

    /// Containers that somebody killed, and not for want of memory: SIGKILL or SIGTERM.
    pub(super) fn killed(&self) -> Vec<(&'a Piece, &'a Termination)> {
        let mut found = self.ends();
        found.retain(|(_, end)| matches!(end.exit_code, 137 | 143) && end.reason != "OOMKilled");
        found
    }

    /// Its image does not come.
    pub(super) fn lacks_image(&self) -> Vec<&'a Piece> {
        pieces(&self.waits(&IMAGE))
    }

    /// A container cannot be made from its configuration.
    pub(super) fn lacks_reference(&self) -> Vec<&'a Piece> {
        pieces(&self.waits(&["CreateContainerConfigError"]))
    }

    /// It is on a node, and what its containers need to be made, volumes and a network, is not
    /// there after a while.
    pub(super) fn is_held_up(&self) -> Vec<&'a Piece> {
        let mut found = self.condition("PodReadyToStartContainers", "False");
        found.retain(|(piece, _)| self.ago(piece.since) >= HELD_UP);
        let waits = self.waits(&["ContainerCreating", "PodInitializing"]);
        found.retain(|(piece, _)| {
            let mut pods = waits.iter().map(|(wait, _)| &wait.about.uid);
            pods.any(|uid| *uid == piece.about.uid)
        });
        pieces(&found)
    }

    /// No node has it yet.
    pub(super) fn is_unscheduled(&self) -> Vec<&'a Piece> {
        let mut found = pieces(&self.condition("PodScheduled", "False"));
        found.extend(pieces(&self.schedulings()));
        found
    }

    /// Its pods cannot even be created.
    pub(super) fn is_refused(&self) -> Vec<&'a Piece> {
        pieces(&self.condition("ReplicaFailure", "True"))
    }

    /// A fault of its own, that no node and no other service explains.
    pub(super) fn own_fault(&self) -> Vec<&'a Piece> {
        let mut found = pieces(&self.out_of_memory());
        found.extend(self.lacks_image());
        found.extend(self.lacks_reference());
        found.extend(self.is_unscheduled());
        found.extend(self.is_refused());
        found
    }

    /// It cannot start, for a reason that has a rule of its own.
    pub(super) fn cannot_start(&self) -> Vec<&'a Piece> {
        let mut found = self.lacks_image();
        found.extend(self.lacks_reference());
        found.extend(self.is_unscheduled());
        found.extend(self.is_refused());
        found
    }

    /// CPU at nine tenths of the container's limit or more.
    pub(super) fn at_cpu_limit(&self) -> Vec<(&'a Piece, &'a Measurement)> {
        if self.is_without_limit(|limits| limits.cpu_limit_cores) {
            return Vec::new();
        }
        let mut found = self.measured(Metric::CpuCores);
        found.retain(|(_, series)| series::of_limit(series).is_some_and(|share| share >= 0.9));
        found
    }

    /// Whether the container is known to have no such limit: what is measured is then held
    /// against what the node can give.
    pub(super) fn is_without_limit(
        &self,
        limit: impl Fn(&schemas::object::Resources) -> Option<f64>,
    ) -> bool {
        let containers = self.containers();
        let unlimited =
            |container: &crate::evidence::Container| limit(&container.resources).is_none();
        !containers.is_empty() && containers.iter().all(|(_, container)| unlimited(container))
    }

    /// Pods that are not ready.
    pub(super) fn is_not_ready(&self) -> Vec<&'a Piece> {
        let mut found = pieces(&self.condition("Ready", "False"));
        let mut ready = self.measured(Metric::Ready);
        ready.retain(|(_, series)| series.shape.count > 0 && series.shape.last < 0.5);
        found.extend(pieces(&ready));
        found
    }

    /// Readiness that changed so often that it comes and goes.
    pub(super) fn flaps(&self) -> Vec<(&'a Piece, u32)> {
        let mut found = self.measured(Metric::Ready);
        found.retain(|(_, series)| series.shape.flips >= 3);
        let found = found.into_iter();
        found
            .map(|(piece, series)| (piece, series.shape.flips))
            .collect()
    }

    /// Nodes of its pods that are not ready.
    pub(super) fn lacks_node(&self) -> Vec<&'a Piece> {
        let mut found = self.nodes();
        found.retain(|(_, node)| node.ready != "True");
        pieces(&found)
    }

    /// The rollout just before its trouble began, if there was one.
    pub(super) fn rollout(&self) -> Option<Recent<'a>> {
        let newest = self
            .rollouts()
            .into_iter()
            .max_by_key(|(piece, _)| piece.since);
        let (piece, rollout) = newest?;
        let delay = self.member.since.duration_since(piece.since);
        let follows = delay >= -SLACK && delay <= ROLLOUT_REACH;
        follows.then_some(Recent {
            piece,
            rollout,
            delay,
        })
    }

    /// Whether an earlier revision was well, and is not the one that was just left: a rollback
    /// that was already made is not undone by another.
    pub(super) fn has_way_back(&self) -> bool {
        let went_back = self.read(|fact| {
            if let Fact::PastAction { remedy, .. } = fact {
                (*remedy == Remedy::Rollback).then_some(())
            } else {
                None
            }
        });
        let previous = |recent: Recent<'_>| recent.rollout.previous.is_some();
        went_back.is_empty() && self.rollout().is_some_and(previous)
    }

    /// Whether only pods of the newest revision are sick, and others are well.
    pub(super) fn only_newest_sick(&self) -> Vec<&'a Piece> {
        pieces(&self.read(|fact| {
            if let Fact::Siblings {
                pods,
                sick,
                sick_of_newest,
                of_newest,
            } = fact
            {
                let only = *sick > 0 && sick == sick_of_newest && of_newest < pods;
                only.then_some(())
            } else {
                None
            }
        }))
    }

    /// Whether pods of earlier revisions are sick as well.
    pub(super) fn older_sick(&self) -> Vec<&'a Piece> {
        pieces(&self.read(|fact| {
            if let Fact::Siblings {
                sick,
                sick_of_newest,
                ..
            } = fact
            {
                (sick > sick_of_newest).then_some(())
            } else {
                None
            }
        }))
    }
}
