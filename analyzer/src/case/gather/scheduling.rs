//! Why a pod is not scheduled, as the scheduler counts nodes.
//!
//! The scheduler says it in a sentence: `0/6 nodes are available: 1 node(s)
//! had untolerated taint {gpu: }, 5 Insufficient memory. preemption: …`. What
//! users choose (taints, names of claims) stands in braces and quotes, and is
//! taken out before anything is counted. A sentence that is cut off, or of
//! another release, counts as far as it is understood.
//!
//! Pure: no IO, no clock.

use super::{Draft, tick::Tick, view::View};
use crate::evidence::{Fact, Scheduling};

/// Characters of the sentence that are looked at.
const MOST_READ: usize = 1024;

/// Counts for the pods that stand for an owner.
pub(super) fn of<'a>(view: &View<'a>, _: &Tick<'a>) -> Vec<Draft> {
    let counted = view.placed().filter_map(|(place, pod)| {
        let condition = pod.condition("PodScheduled")?;
        let waits = condition.status == "False";
        let counts = read(&condition.message).filter(|_| waits)?;
        let since = condition.since.unwrap_or(pod.observed_at);
        let draft = Draft::new(96, &pod.target, since, Fact::Scheduling(counts));
        Some(draft.later(view.place, place))
    });
    counted.collect()
}

/// What the scheduler counts; none where nothing of the sentence is understood.
pub(super) fn read(message: &str) -> Option<Scheduling> {
    let short: String = message.chars().take(MOST_READ).collect();
    let plain = without_names(&short).to_lowercase();
    let (before, _) = plain.split_once("preemption:").unwrap_or((&plain, ""));
    let (head, reasons) = before.split_once(':').unwrap_or(("", before));
    let mut counts = Scheduling {
        nodes: nodes(head).unwrap_or_default(),
        unbound: is_unbound(before),
        ..Scheduling::default()
    };
    // One node may lack several resources, and is counted for each.
    let (mut lacking, mut most_lacking) = (0_u32, 0_u32);
    for reason in reasons.split(", ") {
        let Some((count, words)) = counted(reason) else {
            continue;
        };
        match kind(words) {
            Some(Kind::Insufficient) => {
                lacking = lacking.saturating_add(count);
                most_lacking = most_lacking.max(count);
            }
            Some(Kind::Tainted) => counts.tainted = counts.tainted.saturating_add(count),
            Some(Kind::Unmatched) => counts.unmatched = counts.unmatched.saturating_add(count),
            None => {}
        }
    }
    let others = counts.tainted.saturating_add(counts.unmatched);
    let room = counts.nodes.saturating_sub(others).max(most_lacking);
    counts.insufficient = lacking.min(room);
    let understood = counts.insufficient > 0 || others > 0 || counts.unbound;
    understood.then_some(counts)
}

/// What turned nodes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Insufficient,
    Tainted,
    Unmatched,
}

const INSUFFICIENT: [&str; 4] = [
    "insufficient ",
    "too many pods",
    "have free ports",
    "max volume count",
];
const TAINTED: [&str; 2] = ["taint", "unschedulable"];
const UNMATCHED: [&str; 5] = [
    "didn't match",
    "didn't satisfy",
    "affinity conflict",
    "node selector",
    "no available volume zone",
];
const UNBOUND: [&str; 4] = [
    "unbound immediate persistentvolumeclaim",
    "didn't find available persistent volumes",
    "waiting for ephemeral volume controller",
    "did not have enough free storage",
];

fn kind(words: &str) -> Option<Kind> {
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    if has(&TAINTED) {
        Some(Kind::Tainted)
    } else if has(&UNMATCHED) {
        Some(Kind::Unmatched)
    } else if has(&INSUFFICIENT) {
        Some(Kind::Insufficient)
    } else {
        None
    }
}

fn is_unbound(words: &str) -> bool {
    let missing = words.contains("persistentvolumeclaim") && words.contains("not found");
    missing || UNBOUND.iter().any(|phrase| words.contains(phrase))
}

/// The number of nodes of `0/6 nodes are available`.
fn nodes(head: &str) -> Option<u32> {
    let (_, rest) = head.split_once('/')?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A number, and what was counted.
fn counted(reason: &str) -> Option<(u32, &str)> {
    let (number, words) = reason.trim().split_once(' ')?;
    Some((number.parse().ok()?, words))
}

/// The sentence without what stands in braces or quotes; one that is left open hides the rest.
fn without_names(text: &str) -> String {
    let mut kept = String::new();
    let mut until: Option<char> = None;
    for char in text.chars() {
        match (until, char) {
            (Some(end), char) if char == end => until = None,
            (Some(_), _) => {}
            (None, '{') => until = Some('}'),
            (None, '"') => until = Some('"'),
            (None, char) => kept.push(char),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(nodes: u32, insufficient: u32, tainted: u32, unmatched: u32) -> Scheduling {
        Scheduling {
            nodes,
            insufficient,
            tainted,
            unmatched,
            unbound: false,
        }
    }

    #[test]
    fn what_the_scheduler_says_is_counted() {
        let said = [
            (
                "0/6 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 5 Insufficient memory. preemption: 0/6 nodes are available: 1 Preemption is not helpful for scheduling, 5 No preemption victims found for incoming pod.",
                counts(6, 5, 1, 0),
            ),
            (
                "0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient memory.",
                counts(3, 3, 0, 0),
            ),
            (
                "0/4 nodes are available: 1 Insufficient cpu, 2 Insufficient memory, 1 node(s) were unschedulable.",
                counts(4, 3, 1, 0),
            ),
            (
                "0/5 nodes are available: 2 node(s) had taint {dedicated: gpu}, that the pod didn't tolerate, 3 node(s) didn't match Pod's node affinity/selector.",
                counts(5, 0, 2, 3),
            ),
            (
                "0/9 nodes are available: 9 node(s) didn't match pod topology spread constraints.",
                counts(9, 0, 0, 9),
            ),
            (
                "0/2 nodes are available: 2 Too many pods.",
                counts(2, 2, 0, 0),
            ),
        ];
        for (message, expected) in said {
            assert_eq!(read(message), Some(expected), "{message}");
        }
    }

    #[test]
    fn a_claim_that_stands_in_the_way_is_seen() {
        for message in [
            "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
            "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.",
            "persistentvolumeclaim \"data\" not found",
        ] {
            assert!(read(message).unwrap().unbound, "{message}");
        }
    }

    #[test]
    fn names_that_users_choose_are_not_counted() {
        let message = "0/2 nodes are available: 2 node(s) had untolerated taint {x: 9 Insufficient cpu, 9 node(s) didn't match}.";
        assert_eq!(read(message), Some(counts(2, 0, 2, 0)));
        assert_eq!(
            read("persistentvolumeclaim \"0/9: 9 Insufficient cpu, x\" is being deleted"),
            None
        );
    }

    #[test]
    fn what_is_not_understood_says_nothing() {
        for message in [
            "",
            "Scheduling is blocked due to non-empty scheduling gates",
            "0/3",
            ":, , 4294967296 Insufficient cpu",
        ] {
            assert_eq!(read(message), None, "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm_and_no_more_nodes_lack_something_than_are_said(text in "\\PC*") {
            if let Some(counts) = read(&text) {
                prop_assert!(counts.unbound || counts.insufficient + counts.tainted.max(counts.unmatched) > 0);
            }
        }

        #[test]
        fn counts_are_read_wherever_the_sentence_is_cut(tainted in 1_u32..500, short in 1_u32..500, cut in 0_usize..200) {
            let nodes = tainted + short;
            let whole = format!("0/{nodes} nodes are available: {tainted} node(s) had untolerated taint {{a: b}}, {short} Insufficient cpu.");
            prop_assert_eq!(read(&whole), Some(counts(nodes, short, tainted, 0)));
            let part: String = whole.chars().take(cut).collect();
            if let Some(found) = read(&part) {
                prop_assert!(found.tainted <= tainted && found.insufficient <= short && found.nodes <= nodes);
            }
        }
    }
}
