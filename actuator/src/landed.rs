//! Reads back whether a call was made.
//!
//! A process may die, or an answer may be lost, between a write and the record
//! of it. Before anything is written again, the object itself is asked: the
//! fields with the action's stamp among them, the presence of what was to be
//! created, or the absence of what was to be removed, tell.
//!
//! Pure: no IO, no clock.

use schemas::{
    ACTED_BY,
    step::{Step, Verb, Wait},
};
use serde_json::Value;

use crate::{
    change::{self, State},
    object::Object,
    snapshot::Snapshot,
};

/// What the object says about a call whose intent was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landed {
    /// The change is there.
    Yes,
    /// It is not, and nothing stands against making it.
    No,
    /// The object is not as it was judged: somebody else changed it.
    Overtaken(String),
    /// It cannot be read back.
    Unknown,
}

/// Whether the change of `step` is found on its object.
pub fn landed(snapshot: &Snapshot, step: &Step) -> Landed {
    match step.verb {
        // What is gone was removed, by this action or otherwise.
        Verb::Evict | Verb::Delete => match snapshot.same(&step.object) {
            Some(object) if !object.terminating => Landed::No,
            Some(_) | None => Landed::Yes,
        },
        // Without its last finalizer the object goes at once.
        Verb::Release if snapshot.same(&step.object).is_none() => Landed::Yes,
        Verb::Create => created(snapshot, step),
        Verb::Release | Verb::Change | Verb::Scale | Verb::Resize => changed(snapshot, step),
        Verb::Call if step.began_at.is_some() => Landed::Unknown,
        Verb::Call => Landed::No,
    }
}

fn created(snapshot: &Snapshot, step: &Step) -> Landed {
    match snapshot.named(&step.object) {
        None => Landed::No,
        Some(object) if stamp(object) == Some(&snapshot.action.uid) => Landed::Yes,
        Some(object) => {
            let message = format!("{} was created by somebody else", object.target);
            Landed::Overtaken(message)
        }
    }
}

fn stamp(object: &Object) -> Option<&String> {
    object.annotations.get(ACTED_BY)
}

fn changed(snapshot: &Snapshot, step: &Step) -> Landed {
    let Some(object) = snapshot.same(&step.object) else {
        let message = format!("{} is gone, or was replaced", step.object);
        return Landed::Overtaken(message);
    };
    match change::state(&object.content, &step.changes) {
        Ok(State::After) => Landed::Yes,
        Ok(State::Before) => Landed::No,
        Ok(State::Other(fields)) => {
            let (fields, object) = (fields.join(", "), &object.target);
            Landed::Overtaken(format!("{fields} of {object} was changed by somebody else"))
        }
        Err(error) => Landed::Overtaken(error.to_string()),
    }
}

/// Whether what has to hold after a call does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// It does.
    Yes,
    /// Not yet, and why.
    No(String),
    /// It never will.
    Never(String),
}

/// Whether what `step` waits for is there.
pub fn arrived(snapshot: &Snapshot, step: &Step) -> Arrived {
    match step.wait {
        None => Arrived::Yes,
        Some(Wait::Settled) => settled(snapshot),
        Some(Wait::Empty) if snapshot.pods.is_empty() => Arrived::Yes,
        Some(Wait::Empty) => {
            let left = snapshot.pods.len();
            Arrived::No(format!("{left} pods of {} are left", step.object))
        }
        Some(Wait::Gone) => match snapshot.same(&step.object) {
            None => Arrived::Yes,
            Some(object) => Arrived::No(format!("{} is still going", object.target)),
        },
        Some(Wait::Finished) => finished(snapshot, step),
    }
}

fn settled(snapshot: &Snapshot) -> Arrived {
    let Some(owner) = snapshot.top_owner() else {
        return Arrived::Never("the owner is gone".to_owned());
    };
    let Some(workload) = &owner.workload else {
        return Arrived::Yes;
    };
    // The workload's own count lags behind its pods, so both have to be there.
    let going = snapshot.pods.iter().any(|pod| pod.terminating);
    let here = snapshot.pods.iter().filter(|pod| pod.ready).count();
    let here = i32::try_from(here).unwrap_or(i32::MAX);
    let (ready, desired) = (workload.ready.min(here), workload.desired);
    if workload.settled && ready >= desired && !going {
        return Arrived::Yes;
    }
    let title = owner.title();
    Arrived::No(format!(
        "{ready} of {desired} replicas of {title} are ready"
    ))
}

fn finished(snapshot: &Snapshot, step: &Step) -> Arrived {
    let Some(job) = snapshot.named(&step.object) else {
        return Arrived::Never(format!("{} is gone", step.object));
    };
    let conditions = job.content.pointer("/status/conditions");
    let conditions = conditions.and_then(Value::as_array);
    let text = |condition: &Value, name: &str| {
        let text = condition.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let mut held = conditions
        .into_iter()
        .flatten()
        .filter(|condition| text(condition, "status") == "True");
    match held.find(|c| matches!(text(c, "type").as_str(), "Complete" | "Failed")) {
        Some(end) if text(end, "type") == "Complete" => Arrived::Yes,
        Some(end) => {
            let why = text(end, "message");
            Arrived::Never(format!("{} failed: {why}", step.object))
        }
        None => Arrived::No(format!("{} has not come to its end", step.object)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{acting, named_action, snapshot, workload},
    };
    use schemas::policy::{Remedy, ScaleAction};
    use serde_json::json;
    use std::sync::Arc;

    fn scaling(desired: i32, stamp: Option<&str>) -> Vec<Landed> {
        let mut web = workload("Deployment", "web", "uid-1");
        let mut action = named_action("x", Remedy::Scale);
        action.scale_action = Some(ScaleAction::default());
        let planned = plan(&acting(action.clone(), web.clone())).unwrap();
        let mut content = json!({"metadata": {}, "spec": {"replicas": desired}});
        if let Some(stamp) = stamp {
            content["metadata"]["annotations"] = json!({ ACTED_BY: stamp });
        }
        web.content = Arc::new(content);
        let now = acting(action, web);
        planned
            .steps
            .iter()
            .map(|step| landed(&now, step))
            .collect()
    }

    #[test]
    fn an_evicted_pod_is_gone_going_or_replaced() {
        let mut snapshot = snapshot();
        let step = plan(&snapshot).unwrap().steps.remove(0);
        assert_eq!(landed(&snapshot, &step), Landed::No);
        snapshot.target.as_mut().unwrap().terminating = true;
        assert_eq!(landed(&snapshot, &step), Landed::Yes);
        snapshot.pods.clear();
        let target = snapshot.target.as_mut().unwrap();
        (target.terminating, target.target.uid) = (false, "another".to_owned());
        assert_eq!(landed(&snapshot, &step), Landed::Yes);
        snapshot.target = None;
        assert_eq!(landed(&snapshot, &step), Landed::Yes);
    }

    #[test]
    fn a_rollout_is_known_by_the_stamp_of_this_very_action() {
        let web = workload("Deployment", "web", "uid-1");
        let mut snapshot = acting(named_action("x", Remedy::Restart), web);
        let step = plan(&snapshot).unwrap().steps.remove(0);
        assert_eq!(landed(&snapshot, &step), Landed::No);
        let target = snapshot.target.as_mut().unwrap();
        let made = change::apply(&target.content, &step.changes).unwrap();
        target.content = Arc::new(made);
        assert_eq!(landed(&snapshot, &step), Landed::Yes);
        snapshot.action.uid = "another".to_owned();
        let step = plan(&snapshot).unwrap().steps.remove(0);
        assert_eq!(landed(&snapshot, &step), Landed::No);
    }

    #[test]
    fn a_scaling_needs_stamp_and_count() {
        use Landed::{No, Yes};
        assert_eq!(scaling(2, None), [No, No]);
        assert_eq!(scaling(2, Some("action-uid")), [Yes, No]);
        assert_eq!(scaling(3, Some("action-uid")), [Yes, Yes]);
        let by_others = scaling(7, Some("action-uid"));
        assert!(matches!(by_others[1], Landed::Overtaken(_)));
    }
}
