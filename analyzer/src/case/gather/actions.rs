//! What was done before to the same owner, or to pods of it.
//!
//! Pure: no IO, no clock.

use std::cmp::Reverse;

use jiff::Timestamp;
use schemas::{action::HealingAction, target::Target};

use super::{Draft, tick::Tick, view::View};
use crate::{
    actions::{ended_at, name_of, phase, targets},
    evidence::Fact,
};

/// Actions of an owner that are told, the newest.
const MOST: usize = 3;

/// Actions on an owner that were begun, and are no mere trials.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let all = tick
        .sources
        .actions
        .iter()
        .filter(|action| !action.spec.dry_run);
    let mut begun: Vec<(Timestamp, &HealingAction)> = all
        .filter_map(|action| Some((action.status.as_ref()?.started_at?, action)))
        .filter(|(_, action)| is_about(action, view))
        .collect();
    begun.sort_by_key(|(at, action)| Reverse((*at, name_of(action))));
    let drafts = begun.into_iter().take(MOST).map(|(at, action)| {
        let fact = Fact::PastAction {
            name: name_of(action).1,
            remedy: action.spec.action.kind,
            phase: phase(action).as_str().to_owned(),
            ended_at: ended_at(action),
        };
        Draft::new(79, view.target(), at, fact).later(view.place, 0)
    });
    drafts.collect()
}

/// Whether an action was about the owner, or one of its pods, which may be gone by now.
fn is_about(action: &HealingAction, view: &View<'_>) -> bool {
    let Target { uid, .. } = view.target();
    let status = action.status.as_ref();
    let owner = status.and_then(|status| status.owner_uid.as_ref());
    owner == Some(uid)
        || targets(action, uid)
        || view.pods.iter().any(|pod| targets(action, &pod.target.uid))
}
