//! The conditions that people name: those of an object's status, and
//! CrashLoopBackOff, OOMKilled, ImagePullBackOff, Unschedulable and `NotReady`.
//!
//! In: the last known state of an object and the event time. Out: whether the
//! condition is true, false or unknown.
//!
//! CrashLoopBackOff is derived, not read: a recent kubelet shows a looping
//! container as `terminated` for nearly the whole back-off and as `waiting`
//! with that reason for about a second, and between two crashes it is
//! `running`. What holds throughout is that it was restarted, that it ended
//! badly the last time, and that it has not stayed up since.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::{
    object::{ContainerState, ObjectState, Termination},
    policy::ConditionStatus,
};

/// How long a restarted container must stay up before it no longer counts as
/// looping. Long enough for start-up and a first crash of most programs, short
/// enough that a healed pod is seen as healed within a health check.
const STEADY: SignedDuration = SignedDuration::from_secs(60);

/// A kubelet's back-off before the second restart; it doubles with each further one.
const FIRST_BACKOFF: SignedDuration = SignedDuration::from_secs(10);

/// The longest back-off of a kubelet.
const LONGEST_BACKOFF: SignedDuration = SignedDuration::from_mins(5);

/// How long a kill for lack of memory is remembered: a kubelet, too, takes a
/// container for recovered when it has run for ten minutes.
const OOM_MEMORY: SignedDuration = SignedDuration::from_mins(10);

/// How long a `BackOff` event speaks for a loop: kubelets repeat it more often than this.
const BACKOFF_MEMORY: SignedDuration = SignedDuration::from_secs(60);

/// What a condition is known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its status.
    pub status: ConditionStatus,
    /// The container that shows it, for the derived conditions of a pod.
    pub container: Option<String>,
    /// Why, as far as the status says.
    pub reason: String,
}

/// The status of the condition `kind` of an object at `at`; `None` when the
/// object has no such condition. `backoff_at` is when the last `BackOff` event
/// about the object was seen.
pub fn condition(
    state: &ObjectState,
    kind: &str,
    backoff_at: Option<Timestamp>,
    at: Timestamp,
) -> Option<Known> {
    match kind {
        "CrashLoopBackOff" => {
            let backing_off =
                backoff_at.is_some_and(|seen| at.duration_since(seen) < BACKOFF_MEMORY);
            derived(state, |container| loops(container, backing_off, at))
        }
        "OOMKilled" => derived(state, |container| was_oom_killed(container, at)),
        "ImagePullBackOff" => derived(state, lacks_image),
        "Unschedulable" => unschedulable(state),
        "NotReady" => not_ready(state),
        _ => state.condition(kind).map(|condition| Known {
            status: match condition.status.as_str() {
                "True" => ConditionStatus::True,
                "False" => ConditionStatus::False,
                _ => ConditionStatus::Unknown,
            },
            container: None,
            reason: condition.reason.clone(),
        }),
    }
}

/// A condition that is true when it is so for any container of a pod.
fn derived(
    state: &ObjectState,
    mut holds: impl FnMut(&ContainerState) -> Option<String>,
) -> Option<Known> {
    let pod = state.pod.as_ref()?;
    let found = pod
        .containers
        .iter()
        .find_map(|container| Some((container.name.clone(), holds(container)?)));
    Some(match found {
        Some((container, reason)) => Known {
            status: ConditionStatus::True,
            container: Some(container),
            reason,
        },
        None => Known {
            status: ConditionStatus::False,
            container: None,
            reason: String::new(),
        },
    })
}

fn loops(container: &ContainerState, backing_off: bool, at: Timestamp) -> Option<String> {
    if container.state == "waiting" && container.reason == "CrashLoopBackOff" {
        return Some(container.reason.clone());
    }
    let last = container
        .last_termination
        .as_ref()
        .filter(|last| failed(last));
    let crashes = match container.state.as_str() {
        "terminated" => container.restarts >= 1 && container.reason != "Completed",
        "waiting" => container.restarts >= 1 && last.is_some(),
        // One restart may be bad luck; from the second on it is a loop.
        _ => {
            let again = container.restarts >= 2 || (container.restarts >= 1 && backing_off);
            again && last.is_some_and(|last| !has_stayed_up(last, container.restarts, at))
        }
    };
    let reason = || last.map_or_else(|| container.reason.clone(), |last| last.reason.clone());
    crashes.then(reason)
}

fn failed(termination: &Termination) -> bool {
    termination.exit_code != 0 || !matches!(termination.reason.as_str(), "Completed" | "")
}

/// Whether a container has run for [`STEADY`] since its last restart, which
/// came at the end of the back-off after its last termination.
fn has_stayed_up(last: &Termination, restarts: u32, at: Timestamp) -> bool {
    let Some(ended) = last.finished_at else {
        return false;
    };
    at.duration_since(ended) >= backoff(restarts) + STEADY
}

/// The back-off that a kubelet leaves before restart number `restarts`: none
/// before the first, 10 s before the second, then the double of the one before.
fn backoff(restarts: u32) -> SignedDuration {
    match restarts {
        0 | 1 => SignedDuration::ZERO,
        _ => FIRST_BACKOFF
            .checked_mul(1 << (restarts - 2).min(5))
            .unwrap_or(LONGEST_BACKOFF)
            .min(LONGEST_BACKOFF),
    }
}

fn was_oom_killed(container: &ContainerState, at: Timestamp) -> Option<String> {
    let now = container.state == "terminated" && container.reason == "OOMKilled";
    let before = container.last_termination.as_ref().is_some_and(|last| {
        let recent = last
            .finished_at
            .is_none_or(|ended| at.duration_since(ended) < OOM_MEMORY);
        last.reason == "OOMKilled" && recent
    });
    (now || before).then(|| "OOMKilled".to_owned())
}

/// A failed pull alternates between two reasons; both mean the same to people.
fn lacks_image(container: &ContainerState) -> Option<String> {
    let reasons = [
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
    ];
    (container.state == "waiting" && reasons.contains(&container.reason.as_str()))
        .then(|| container.reason.clone())
}

fn unschedulable(state: &ObjectState) -> Option<Known> {
    state.pod.as_ref()?;
    let scheduled = state.condition("PodScheduled");
    let holds = scheduled.is_some_and(|condition| {
        condition.status == "False" && condition.reason == "Unschedulable"
    });
    Some(Known {
        status: if holds {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        },
        container: None,
        reason: scheduled.map_or_else(String::new, |condition| condition.reason.clone()),
    })
}

/// Of a node, as `kubectl get nodes` has it: that it says it is not ready, and that it says nothing any more, are the same.
fn not_ready(state: &ObjectState) -> Option<Known> {
    let ready = state
        .condition("Ready")
        .filter(|_| state.target.kind == "Node")?;
    let status = if ready.status == "True" {
        ConditionStatus::False
    } else {
        ConditionStatus::True
    };
    Some(Known {
        status,
        container: None,
        reason: ready.reason.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, node, pod};

    fn container(state: &str, reason: &str, restarts: u32, ended: i64) -> ContainerState {
        ContainerState {
            name: "app".to_owned(),
            state: state.to_owned(),
            reason: reason.to_owned(),
            restarts,
            ready: state == "running",
            last_termination: (restarts > 0).then(|| Termination {
                reason: "Error".to_owned(),
                exit_code: 1,
                finished_at: Some(at(ended)),
            }),
            ..ContainerState::default()
        }
    }

    fn is(kind: &str, container: ContainerState, backoff_at: Option<i64>, now: i64) -> bool {
        let state = pod("web").with_container(container).state();
        let known = condition(&state, kind, backoff_at.map(at), at(now)).unwrap();
        known.status == ConditionStatus::True
    }

    #[test]
    fn a_recent_kubelets_loop_holds_through_every_stage_of_it() {
        let is = |container, now| is("CrashLoopBackOff", container, None, now);
        // It crashed at 100, waits out 20 s, shows `waiting` for a second, and runs.
        assert!(is(container("terminated", "Error", 2, 60), 105));
        assert!(is(container("waiting", "CrashLoopBackOff", 2, 100), 119));
        assert!(is(container("running", "", 3, 100), 121));
        assert!(is(container("terminated", "Error", 3, 100), 140));
    }

    #[test]
    fn a_container_that_stays_up_is_out_of_the_loop() {
        let is = |now| {
            is(
                "CrashLoopBackOff",
                container("running", "", 3, 100),
                None,
                now,
            )
        };
        assert!(is(100 + 20 + 59));
        assert!(!is(100 + 20 + 60));
    }

    #[test]
    fn one_restart_is_a_loop_only_with_a_backoff_event() {
        let once = || container("running", "", 1, 100);
        assert!(!is("CrashLoopBackOff", once(), None, 110));
        assert!(is("CrashLoopBackOff", once(), Some(105), 110));
        assert!(!is("CrashLoopBackOff", once(), Some(20), 110));
    }

    #[test]
    fn ending_well_is_no_crash() {
        let mut done = container("terminated", "Completed", 1, 100);
        done.last_termination = Some(Termination {
            reason: "Completed".to_owned(),
            exit_code: 0,
            finished_at: Some(at(100)),
        });
        assert!(!is("CrashLoopBackOff", done.clone(), Some(100), 110));
        done.state = "running".to_owned();
        assert!(!is("CrashLoopBackOff", done, Some(100), 110));
        assert!(!is(
            "CrashLoopBackOff",
            container("running", "", 0, 0),
            None,
            10
        ));
    }

    #[test]
    fn a_kill_for_lack_of_memory_is_remembered_for_ten_minutes() {
        let mut killed = container("running", "", 1, 100);
        if let Some(last) = &mut killed.last_termination {
            last.reason = "OOMKilled".to_owned();
        }
        assert!(is("OOMKilled", killed.clone(), None, 699));
        assert!(!is("OOMKilled", killed, None, 700));
        assert!(is(
            "OOMKilled",
            container("terminated", "OOMKilled", 0, 0),
            None,
            5
        ));
    }

    #[test]
    fn both_stages_of_a_failed_pull_count() {
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            assert!(is(
                "ImagePullBackOff",
                container("waiting", reason, 0, 0),
                None,
                5
            ));
        }
        assert!(!is(
            "ImagePullBackOff",
            container("running", "", 0, 0),
            None,
            5
        ));
    }

    #[test]
    fn a_condition_of_the_status_is_read_and_a_missing_one_is_not_known() {
        let state = pod("web").condition("Ready", "False").state();
        let ready = condition(&state, "Ready", None, at(0)).unwrap();
        assert_eq!(ready.status, ConditionStatus::False);
        assert_eq!(condition(&state, "Synced", None, at(0)), None);
    }

    #[test]
    fn a_node_that_says_no_and_one_that_says_nothing_are_not_ready() {
        let is = |status: &str| {
            let state = node("n1", status);
            condition(&state, "NotReady", None, at(0)).unwrap().status
        };
        assert_eq!(is("True"), ConditionStatus::False);
        assert_eq!(is("False"), ConditionStatus::True);
        assert_eq!(is("Unknown"), ConditionStatus::True);
        let pod = pod("web").condition("Ready", "False").state();
        assert_eq!(condition(&pod, "NotReady", None, at(0)), None);
    }

    #[test]
    fn the_backoff_doubles_up_to_five_minutes() {
        let seconds: Vec<_> = [0, 1, 2, 3, 4, 7, 8, u32::MAX]
            .map(|restarts| backoff(restarts).as_secs())
            .into();
        assert_eq!(seconds, [0, 0, 10, 20, 40, 300, 300, 300]);
    }
}
