//! Which owner's trouble came first, and who depends on whom.
//!
//! In: the members of a case with the instants at which their trouble began,
//! and the Services that their pods call. Out: for each member the owner at the
//! end of the chain of calls whose trouble began before. What has a fault of
//! its own depends on nobody here.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::{diagnosis::FailureMode, target::Target};

use super::{
    claim::Claim,
    scene::{Scene, Subject, is_same},
    symptoms::SLACK,
};
use crate::evidence::{Fact, Piece};

/// Where a member's trouble comes from.
#[derive(Clone, Debug)]
pub(super) struct Root<'a> {
    /// The owner that failed first.
    pub(super) target: &'a Target,
    /// The calls that lead there.
    pub(super) calls: Vec<&'a Piece>,
    /// By how much its trouble is older.
    pub(super) lead: SignedDuration,
}

/// A call to an owner in trouble.
#[derive(Clone, Copy, Debug)]
struct Call<'a> {
    piece: &'a Piece,
    on: &'a Target,
    failed_at: Timestamp,
}

/// The owner that failed first of those on which a member depends, if any failed before it.
pub(super) fn root<'a>(scene: &Scene<'a>, of: &Subject<'a>) -> Option<Root<'a>> {
    if !of.own_fault().is_empty() {
        return None;
    }
    let mut calls: Vec<&Piece> = Vec::new();
    let mut seen: Vec<&Target> = vec![of.owner()];
    let mut here: Option<&Subject<'_>> = Some(of);
    let mut began = of.member.since;
    while let Some(subject) = here {
        let Some(call) = first_to_fail(scene, subject, &seen) else {
            break;
        };
        calls.push(call.piece);
        seen.push(call.on);
        began = call.failed_at;
        let next = member(scene, call.on);
        here = next.filter(|next| next.own_fault().is_empty());
    }
    let target = (seen.len() > 1).then(|| seen.pop()).flatten()?;
    Some(Root {
        target,
        calls,
        lead: of.member.since.duration_since(began),
    })
}

fn member<'s, 'a>(scene: &'s Scene<'a>, target: &Target) -> Option<&'s Subject<'a>> {
    let mut subjects = scene.subjects.iter();
    subjects.find(|subject| is_same(subject.owner(), target))
}

/// The calls of a member, with the instant at which the other side failed, if it did.
fn calls<'a>(
    scene: &Scene<'a>,
    of: &Subject<'a>,
) -> Vec<(&'a Piece, &'a Target, Option<Timestamp>)> {
    let found = of.read(|fact| {
        if let Fact::Dependency { on, failed_at } = fact {
            Some((on, *failed_at))
        } else {
            None
        }
    });
    let found = found.into_iter();
    found
        .map(|(piece, (on, failed_at))| {
            let since = member(scene, on).map(|other| other.member.since);
            (piece, on, since.or(failed_at))
        })
        .collect()
}

/// Of what a member calls: what failed first, before it did. What failed at about the same time
/// counts if it does not call back: then the direction of the calls tells which came first.
fn first_to_fail<'a>(scene: &Scene<'a>, of: &Subject<'a>, seen: &[&Target]) -> Option<Call<'a>> {
    let began = of.member.since;
    let failed = calls(scene, of)
        .into_iter()
        .filter_map(|(piece, on, failed_at)| {
            let failed_at = failed_at?;
            let before = failed_at < began;
            let about_then =
                failed_at.duration_since(began) <= SLACK && !reaches(scene, on, of.owner());
            let fresh = !seen.iter().any(|known| is_same(known, on));
            (fresh && (before || about_then)).then_some(Call {
                piece,
                on,
                failed_at,
            })
        });
    failed.min_by(|a, b| (a.failed_at, a.on).cmp(&(b.failed_at, b.on)))
}

/// Whether calls lead from one owner to another.
fn reaches(scene: &Scene<'_>, from: &Target, to: &Target) -> bool {
    let mut open = vec![from];
    let mut seen: Vec<&Target> = Vec::new();
    while let Some(here) = open.pop() {
        if is_same(here, to) {
            return true;
        }
        if seen.iter().any(|known| is_same(known, here)) {
            continue;
        }
        seen.push(here);
        if let Some(subject) = member(scene, here) {
            open.extend(calls(scene, subject).into_iter().map(|(_, on, _)| on));
        }
    }
    false
}

/// What it depends on has failed first: one claim for each owner that others follow.
pub(super) fn failure(scene: &Scene<'_>) -> Vec<Claim> {
    let mut followers: BTreeMap<&Target, Vec<(&Subject<'_>, Root<'_>)>> = BTreeMap::new();
    for subject in &scene.subjects {
        if let Some(root) = root(scene, subject) {
            followers
                .entry(root.target)
                .or_default()
                .push((subject, root));
        }
    }
    let made = followers
        .into_iter()
        .map(|(target, followers)| made(target, &followers));
    made.collect()
}

fn made(target: &Target, followers: &[(&Subject<'_>, Root<'_>)]) -> Claim {
    let mut claim = Claim::new(FailureMode::DependencyFailure, target);
    let on: Vec<&Piece> = followers
        .iter()
        .flat_map(|(_, root)| root.calls.clone())
        .collect();
    let names = followers
        .iter()
        .map(|(subject, _)| subject.owner().to_string());
    let names: Vec<String> = names.take(3).collect();
    let text = format!("{} depends on it, and is in trouble", names.join(", "));
    claim.ground(3.5, &on, text);
    let lead = followers.iter().map(|(_, root)| root.lead).max();
    let lead = lead.unwrap_or_default();
    if lead > SignedDuration::ZERO {
        let text = format!("its own trouble began {} s before", lead.as_secs());
        claim.ground(1.5, &on, text);
    } else {
        claim.ground(0.5, &on, "its own trouble began at about the same time");
    }
    if followers.len() > 1 {
        claim.ground(1.0, &on, format!("{} owners follow it", followers.len()));
    }
    let rollouts = followers
        .iter()
        .filter_map(|(subject, _)| subject.rollout());
    let rollouts: Vec<_> = rollouts
        .filter(|recent| recent.rollout.previous.is_some())
        .map(|recent| recent.piece)
        .collect();
    if rollouts.len() == followers.len() {
        claim.ground(
            -2.0,
            &rollouts,
            "a rollout of what follows came just before as well",
        );
    }
    let told = followers.iter().flat_map(|(subject, _)| {
        subject.logged(&[
            "connection refused",
            "no such host",
            "timeout",
            "unavailable",
        ])
    });
    let told: Vec<&Piece> = told.collect();
    claim.hint(0.5, &told, "logs tell of calls that fail");
    claim
}
