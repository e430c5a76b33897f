//! Going back to an earlier revision, as `kubectl rollout undo` does.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::step::{FieldChange, Step};
use serde_json::{Value, json};

use super::{Refusal, changing};
use crate::{
    change,
    object::Object,
    reason::Reason,
    snapshot::{Revision, Snapshot},
};

/// How long after a rollout trouble may begin and still be put down to it.
const BLAMED: SignedDuration = SignedDuration::from_hours(1);

/// A label that a Deployment's controller adds to the templates of its replica sets.
const HASH: &str = "pod-template-hash";

/// Plans the way back of `target`.
pub(super) fn rollback(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let title = target.title();
    if !matches!(
        target.target.kind.as_str(),
        "Deployment" | "StatefulSet" | "DaemonSet"
    ) {
        let message = format!("{title} has no revisions to go back to");
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    }
    if target.content.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        let message = format!("the rollout of {title} is paused: somebody is at work on it");
        return Err(Refusal::new(Reason::RolloutPaused, message));
    }
    let current = snapshot.revisions.iter().max_by_key(|known| known.number);
    let Some(current) = current else {
        let message = format!("{title} has no revision yet");
        return Err(Refusal::new(Reason::NoRevision, message));
    };
    began_with(snapshot, current)?;
    let wanted = chosen(snapshot, current)?;
    let changes = template_changes(target, wanted);
    if changes.is_empty() {
        let message = format!(
            "{title} has the template of revision {} already",
            wanted.number
        );
        return Err(Refusal::new(Reason::NothingToDo, message));
    }
    let (from, to) = (current.number, wanted.number);
    let call = format!("roll {} back from revision {from} to {to}", target.target);
    Ok(vec![changing(snapshot, target, call, changes)])
}

/// Turns down what a rollout did not begin. Who asks by hand knows why.
fn began_with(snapshot: &Snapshot, current: &Revision) -> Result<(), Refusal> {
    let Some(trigger) = &snapshot.action.spec.trigger else {
        return Ok(());
    };
    let age = current
        .created_at
        .map(|at: Timestamp| trigger.since.duration_since(at));
    if age.is_some_and(|age| age >= SignedDuration::ZERO && age <= BLAMED) {
        return Ok(());
    }
    let (number, since) = (current.number, trigger.since);
    let message = format!(
        "trouble began at {since}, and not within an hour after revision {number} was rolled out"
    );
    Err(Refusal::new(Reason::NotARollout, message))
}

/// The revision that is asked for; else the newest earlier one that still has
/// ready pods, which proves that it works; else the newest earlier one from
/// which nobody has gone back before.
fn chosen<'a>(snapshot: &'a Snapshot, current: &Revision) -> Result<&'a Revision, Refusal> {
    let settings = snapshot.action.spec.action.rollback_action.as_ref();
    let mut earlier: Vec<_> = snapshot
        .revisions
        .iter()
        .filter(|known| known.number < current.number)
        .collect();
    earlier.sort_by_key(|known| std::cmp::Reverse(known.number));
    if let Some(number) = settings.and_then(|settings| settings.to_revision) {
        let found = earlier.iter().find(|known| known.number == number);
        return found.copied().ok_or_else(|| {
            let message = format!("there is no earlier revision {number}");
            Refusal::new(Reason::NoRevision, message)
        });
    }
    let proven = earlier.iter().find(|known| known.ready > 0);
    // Going back gives the older revision the higher number, so what is younger than the current one was left.
    let was_left = |known: &Revision| known.created_at > current.created_at;
    let untried = || earlier.iter().find(|known| !was_left(known));
    proven.or_else(untried).copied().ok_or_else(|| {
        let message = "there is no earlier revision that is not known to have failed";
        Refusal::new(Reason::NoRevision, message)
    })
}

/// The fields of the template that differ. What the controller itself adds is not the revision's.
fn template_changes(target: &Object, wanted: &Revision) -> Vec<FieldChange> {
    let mut template = wanted.template.clone();
    if let Some(labels) = template
        .pointer_mut("/metadata/labels")
        .and_then(Value::as_object_mut)
    {
        labels.remove(HASH);
    }
    for part in [target.content.pointer("/spec/template"), Some(&template)] {
        if part.is_none() {
            return Vec::new();
        }
    }
    let now = target
        .content
        .pointer("/spec/template")
        .cloned()
        .unwrap_or_default();
    let before = json!({"spec": {"template": pruned(now)}});
    let after = json!({"spec": {"template": pruned(template)}});
    change::diff(&before, &after)
}

/// Without `creationTimestamp: null`, which old controllers wrote.
fn pruned(mut template: Value) -> Value {
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
    }
    template
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{NOW, acting, named_action, workload},
    };
    use schemas::policy::{Remedy, RollbackAction};
    use std::sync::Arc;

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": image}]}})
    }

    fn revision(number: i64, image: &str, ready: i32) -> Revision {
        let mut template = template(image);
        template["metadata"]["labels"][HASH] = json!("abc");
        Revision {
            number,
            created_at: Some(NOW - SignedDuration::from_mins(13 - number)),
            ready,
            template,
        }
    }

    fn broken() -> Snapshot {
        let mut web = workload("Deployment", "web", "web-uid");
        let spec = json!({"template": template("app:3")});
        web.content = Arc::new(json!({"metadata": {}, "spec": spec}));
        let mut snapshot = acting(named_action("x", Remedy::Rollback), web);
        snapshot.revisions = vec![
            revision(1, "app:1", 0),
            revision(2, "app:2", 0),
            revision(3, "app:3", 0),
        ];
        snapshot
    }

    fn to(snapshot: &Snapshot) -> Result<String, Reason> {
        let planned = plan(snapshot).map_err(|refusal| refusal.reason)?;
        let change = planned.steps[0].changes[0].to.clone();
        assert_eq!(planned.steps[0].changes.len(), 2, "{planned:?}");
        Ok(change.unwrap())
    }

    #[test]
    fn back_to_the_newest_revision_that_may_have_worked() {
        let mut snapshot = broken();
        assert_eq!(to(&snapshot).unwrap(), "\"app:2\"");
        let current = snapshot.revisions[2].created_at;
        snapshot.revisions[1].created_at = current.map(|at| at + SignedDuration::from_secs(60));
        assert_eq!(to(&snapshot).unwrap(), "\"app:1\"");
        snapshot.revisions[1].ready = 1;
        assert_eq!(to(&snapshot).unwrap(), "\"app:2\"");
        let first = RollbackAction {
            to_revision: Some(1),
        };
        snapshot.action.spec.action.rollback_action = Some(first);
        assert_eq!(to(&snapshot).unwrap(), "\"app:1\"");
    }

    #[test]
    fn what_no_rollout_began_is_not_rolled_back() {
        let mut snapshot = broken();
        snapshot.revisions[2].created_at = Some(NOW - SignedDuration::from_hours(3));
        assert_eq!(to(&snapshot), Err(Reason::NotARollout));
        snapshot.revisions[2].created_at = Some(NOW);
        assert_eq!(to(&snapshot), Err(Reason::NotARollout));
        snapshot.action.spec.trigger = None;
        assert_eq!(to(&snapshot).unwrap(), "\"app:2\"");
    }

    #[test]
    fn without_an_earlier_revision_there_is_nothing_to_go_back_to() {
        let mut snapshot = broken();
        snapshot.revisions.drain(..2);
        assert_eq!(to(&snapshot), Err(Reason::NoRevision));
        let mut snapshot = broken();
        let target = snapshot.target.as_mut().unwrap();
        target.content = Arc::new(json!({"spec": {"paused": true}}));
        assert_eq!(to(&snapshot), Err(Reason::RolloutPaused));
    }
}
