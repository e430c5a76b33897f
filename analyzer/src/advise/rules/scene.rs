//! A case as rules read it: each owner in trouble with the evidence that concerns it.
//!
//! In: a case. Out: its members, the earliest first, each with its pieces in
//! the order of their identifiers, so that no rule depends on the order in
//! which evidence was gathered. Text is kept apart: what rules read by type is
//! never text.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::{object::Replicas, target::Target};

use super::claim::is_text;
use crate::{
    case::{Case, Member},
    evidence::{
        Autoscaler, Condition, Container, Fact, Finding, Measurement, Metric, Node, Piece, Rollout,
        Scheduling, Termination, Waiting,
    },
};

/// A case, sorted out.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    /// The owners in trouble, the earliest first.
    pub(super) subjects: Vec<Subject<'a>>,
    /// All that is no text.
    pub(super) firm: Vec<&'a Piece>,
}

/// An owner in trouble, and what is known of it.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) member: &'a Member,
    /// Event time of the view.
    pub(super) at: Timestamp,
    firm: Vec<&'a Piece>,
    text: Vec<&'a Piece>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(case: &'a Case) -> Self {
        let mut pieces: Vec<&Piece> = case.evidence.iter().collect();
        pieces.sort_by(|a, b| (a.id, &a.about, a.since).cmp(&(b.id, &b.about, b.since)));
        let mut members: Vec<&Member> = case.owners.iter().collect();
        members.sort_by(|a, b| (a.since, &a.owner).cmp(&(b.since, &b.owner)));
        let subject = |member: &'a Member| {
            let concerns = |piece: &&Piece| concerns(piece, member, &members);
            let of_it = pieces.iter().copied().filter(concerns);
            let (text, firm) = of_it.partition(|piece| is_text(piece));
            Subject {
                member,
                at: case.at,
                firm,
                text,
            }
        };
        let subjects = members.iter().copied().map(subject).collect();
        pieces.retain(|piece| !is_text(piece));
        Self {
            subjects,
            firm: pieces,
        }
    }
}

/// Whether a piece is about the member's own objects.
pub(super) fn is_own(piece: &Piece, member: &Member) -> bool {
    is_of(&piece.about, member)
}

fn is_of(about: &Target, member: &Member) -> bool {
    is_same(about, &member.owner) || member.sick.iter().any(|sick| is_same(about, sick))
}

/// Whether two targets are one object. Where a UID is not known, the name tells.
pub(super) fn is_same(a: &Target, b: &Target) -> bool {
    if a.uid.is_empty() || b.uid.is_empty() {
        (&a.kind, &a.namespace, &a.name) == (&b.kind, &b.namespace, &b.name)
    } else {
        a.uid == b.uid
    }
}

/// Whether a piece concerns a member: it is about its objects, or about what it shares with
/// others of its namespace, or with all.
fn concerns(piece: &Piece, member: &Member, members: &[&Member]) -> bool {
    let about = &piece.about;
    if is_of(about, member) {
        return true;
    }
    if members.iter().any(|other| is_of(about, other)) {
        return false;
    }
    // A pod or revision that is not in trouble itself is its owner's by name.
    let named = |member: &&&Member| is_named_after(about, &member.owner);
    if let Some(owner) = members
        .iter()
        .filter(named)
        .max_by_key(|member| member.owner.name.len())
    {
        return is_same(&owner.owner, &member.owner);
    }
    about.namespace.is_empty() || about.namespace == member.owner.namespace
}

fn is_named_after(about: &Target, owner: &Target) -> bool {
    let rest = about.name.strip_prefix(owner.name.as_str());
    about.namespace == owner.namespace
        && matches!(
            about.kind.as_str(),
            "Pod" | "ReplicaSet" | "ControllerRevision"
        )
        && rest.is_some_and(|rest| rest.starts_with('-'))
}

macro_rules! facts {
    ($($(#[doc = $doc:literal])+ $name:ident: $variant:ident($kind:ty);)+) => {
        impl<'a> Subject<'a> {
            $($(#[doc = $doc])+
            pub(super) fn $name(&self) -> Vec<(&'a Piece, &'a $kind)> {
                self.read(|fact| if let Fact::$variant(found) = fact { Some(found) } else { None })
            })+
        }
    };
}

facts! {
    /// Triggers that hold.
    findings: Finding(Finding);
    /// Measurements.
    series: Series(Measurement);
    /// Conditions.
    conditions: Condition(Condition);
    /// How containers ended last.
    terminations: Termination(Termination);
    /// Containers that wait.
    waiting: Waiting(Waiting);
    /// Limits and probes.
    containers: Container(Container);
    /// The newest rollouts.
    rollouts: Rollout(Rollout);
    /// Replica counts.
    replicas: Replicas(Replicas);
    /// Autoscalers.
    autoscalers: Autoscaler(Autoscaler);
    /// Nodes.
    nodes: Node(Node);
    /// Why pods are not scheduled.
    schedulings: Scheduling(Scheduling);
    /// Jobs.
    jobs: Job(schemas::object::JobState);
}

impl<'a> Subject<'a> {
    /// The owner in trouble.
    pub(super) const fn owner(&self) -> &'a Target {
        &self.member.owner
    }

    /// What `pick` makes of the pieces that are no text.
    pub(super) fn read<T>(&self, pick: impl Fn(&'a Fact) -> Option<T>) -> Vec<(&'a Piece, T)> {
        let firm = self.firm.iter().copied();
        firm.filter_map(|piece| Some((piece, pick(&piece.fact)?)))
            .collect()
    }

    /// Measurements of one metric.
    pub(super) fn measured(&self, metric: Metric) -> Vec<(&'a Piece, &'a Measurement)> {
        let mut found = self.series();
        found.retain(|(_, series)| series.metric == metric);
        found
    }

    /// Conditions of one type and status.
    pub(super) fn condition(&self, kind: &str, status: &str) -> Vec<(&'a Piece, &'a Condition)> {
        let mut found = self.conditions();
        found.retain(|(_, condition)| condition.kind == kind && condition.status == status);
        found
    }

    /// Containers that wait for one of these reasons.
    pub(super) fn waits(&self, reasons: &[&str]) -> Vec<(&'a Piece, &'a Waiting)> {
        let mut found = self.waiting();
        found.retain(|(_, waiting)| reasons.contains(&waiting.reason.as_str()));
        found
    }

    /// Events with one of these reasons whose note has one of these words; no words: any note.
    /// Anybody may have written them.
    pub(super) fn told(&self, reasons: &[&str], words: &[&str]) -> Vec<&'a Piece> {
        let tells = |piece: &&Piece| {
            let Fact::Events(shape) = &piece.fact else {
                return false;
            };
            let note = shape.template.to_lowercase();
            let speaks = words.is_empty() || words.iter().any(|word| note.contains(word));
            reasons.contains(&shape.reason.as_str()) && speaks
        };
        self.text.iter().copied().filter(tells).collect()
    }

    /// Logs in which one of these words stands.
    pub(super) fn logged(&self, words: &[&str]) -> Vec<&'a Piece> {
        let tells = |piece: &&Piece| {
            let Fact::Log { shapes, .. } = &piece.fact else {
                return false;
            };
            let mut lines = shapes.iter().map(|(line, _)| line.to_lowercase());
            lines.any(|line| words.iter().any(|word| line.contains(word)))
        };
        self.text.iter().copied().filter(tells).collect()
    }

    /// How long ago something was, at the time of the view.
    pub(super) fn ago(&self, then: Timestamp) -> SignedDuration {
        self.at.duration_since(then)
    }
}

/// The pieces of what was read.
pub(super) fn pieces<'a, T>(seen: &[(&'a Piece, T)]) -> Vec<&'a Piece> {
    seen.iter().map(|(piece, _)| *piece).collect()
}
