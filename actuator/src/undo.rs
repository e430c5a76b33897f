//! Taking a change back.
//!
//! What is restored is exactly what the action changed, field by field, and
//! only while every one of these fields still has the value that the action
//! gave it: what somebody else has changed since is theirs. A restart, an
//! eviction or a deletion cannot be taken back.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::step::{Step, Verb};

use crate::{
    change::{self, State},
    snapshot::Snapshot,
};

/// What can be taken back.
#[derive(Clone, Debug, PartialEq)]
pub enum Undo {
    /// Nothing: no call was made, or none that can be taken back.
    Nothing,
    /// These calls take the change back.
    Steps(Vec<Step>),
    /// Somebody else has changed these fields, or objects, since.
    Drift(Vec<String>),
}

/// What takes back the calls that the action of `snapshot` has made.
pub fn undo(snapshot: &Snapshot, now: Timestamp) -> Undo {
    let status = &snapshot.action.status;
    if !snapshot.action.spec.action.kind.is_reversible() || !status.undo.is_empty() {
        return Undo::Nothing;
    }
    let (mut steps, mut drift) = (Vec::new(), Vec::new());
    let made = status.plan.iter().filter(|step| step.called_at.is_some());
    for step in made.rev().filter(|step| restores(step)) {
        match changed_since(snapshot, step) {
            fields if fields.is_empty() => steps.push(back(step, now)),
            fields => drift.extend(fields),
        }
    }
    match (steps.is_empty(), drift.is_empty()) {
        (_, false) => Undo::Drift(drift),
        (true, true) => Undo::Nothing,
        (false, true) => Undo::Steps(steps),
    }
}

/// The fields of `step` that are not as it left them.
pub fn changed_since(snapshot: &Snapshot, step: &Step) -> Vec<String> {
    let Some(object) = snapshot.same(&step.object) else {
        return vec![step.object.to_string()];
    };
    match change::state(&object.content, &step.changes) {
        Ok(State::After) => Vec::new(),
        Ok(State::Before) => step.changes.iter().map(|c| c.path.clone()).collect(),
        Ok(State::Other(fields)) => fields,
        Err(error) => vec![error.to_string()],
    }
}

/// Whether a call changed more than the action's own stamp.
pub fn restores(step: &Step) -> bool {
    match step.verb {
        Verb::Scale | Verb::Resize => true,
        Verb::Change => step.changes.len() > 1,
        Verb::Evict | Verb::Delete | Verb::Release | Verb::Create | Verb::Call => false,
    }
}

/// The call that takes `step` back, begun at `now`.
fn back(step: &Step, now: Timestamp) -> Step {
    Step {
        call: format!("take back: {}", step.call),
        changes: change::inverse(&step.changes),
        wait: None,
        completes: true,
        began_at: Some(now),
        called_at: None,
        done_at: None,
        ..step.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{NOW, acting, named_action, workload},
    };
    use schemas::policy::{Remedy, ScaleAction};
    use serde_json::json;
    use std::sync::Arc;

    fn scaled_to(count: i32) -> Snapshot {
        let mut web = workload("Deployment", "web", "d");
        let mut action = named_action("x", Remedy::Scale);
        action.scale_action = Some(ScaleAction::default());
        let mut steps = plan(&acting(action.clone(), web.clone())).unwrap().steps;
        for step in &mut steps {
            step.called_at = Some(NOW);
        }
        let stamp = steps[0].changes[0].to.clone().unwrap();
        let stamp: serde_json::Value = serde_json::from_str(&stamp).unwrap();
        let annotations = json!({ schemas::ACTED_BY: stamp });
        let content =
            json!({"metadata": {"annotations": annotations}, "spec": {"replicas": count}});
        web.content = Arc::new(content);
        let mut snapshot = acting(action, web);
        snapshot.action.status.plan = steps;
        snapshot
    }

    #[test]
    fn a_scaling_is_taken_back_as_it_was_made() {
        let Undo::Steps(steps) = undo(&scaled_to(3), NOW) else {
            panic!("not to be taken back");
        };
        assert_eq!(steps.len(), 1);
        assert_eq!(crate::plan::replicas(&steps[0]), Some((3, 2)));
    }

    #[test]
    fn what_a_person_scaled_since_is_theirs() {
        let theirs = Undo::Drift(vec!["spec.replicas".to_owned()]);
        assert_eq!(undo(&scaled_to(5), NOW), theirs);
        assert_eq!(undo(&scaled_to(2), NOW), theirs);
    }

    #[test]
    fn a_change_is_taken_back_once() {
        let mut snapshot = scaled_to(3);
        let Undo::Steps(steps) = undo(&snapshot, NOW) else {
            panic!("not to be taken back");
        };
        snapshot.action.status.undo = steps;
        assert_eq!(undo(&snapshot, NOW), Undo::Nothing);
    }
}
