//! Deleting an object: a pod past its disruption budgets, or what holds pods; and
//! letting go one whose deletion hangs at a finalizer that nobody removes.
//!
//! Pure: no IO, no clock.

use schemas::{
    policy::DeleteAction,
    step::{Step, Verb},
};
use serde_json::Value;

use super::{Refusal, step};
use crate::{
    change::{self, Path},
    object::Object,
    reason::Reason,
    snapshot::Snapshot,
};

/// Kinds that may be deleted.
const KINDS: [&str; 6] = [
    "Pod",
    "ReplicaSet",
    "Job",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
];

/// Deletes a pod that its controller replaces, or an object that owns pods. It
/// cannot be undone, which is why a person is asked unless the policy's action
/// says otherwise; with `force` always.
pub(super) fn delete(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let settings = snapshot.action.spec.action.delete_action.clone();
    let settings = settings.unwrap_or_default();
    let kind = target.target.kind.as_str();
    if !KINDS.contains(&kind) {
        let message = format!("a {kind} is not deleted; one of {} is", KINDS.join(", "));
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    }
    if settings.strip_finalizers {
        return release(target, &settings);
    }
    if kind == "Pod" && target.controller.is_none() {
        let name = &target.target.name;
        let message = format!("nothing would replace the pod {name}: it has no controller");
        return Err(Refusal::new(Reason::BarePod, message));
    }
    let grace = if settings.force {
        Some(0)
    } else {
        settings.grace_period_seconds
    };
    let propagation = settings.propagation_policy;
    let with_grace =
        grace.map_or_else(String::new, |seconds| format!(" with {seconds} s of grace"));
    let call = format!("delete {} ({propagation:?}){with_grace}", target.target);
    Ok(vec![Step {
        grace_period_seconds: grace,
        propagation: Some(propagation),
        ..step(Verb::Delete, &target.target, call)
    }])
}

/// Removes those finalizers that the policy names, and no other. How long the
/// deletion has hung is asked by the guard that looks at the clock.
fn release(target: &Object, settings: &DeleteAction) -> Result<Vec<Step>, Refusal> {
    let title = target.title();
    let Some(due) = target.due_at else {
        let message = format!("{title} is not being deleted: its finalizers hold nothing up");
        return Err(Refusal::new(Reason::NotHanging, message));
    };
    let path = Path::default().field("metadata").field("finalizers");
    let held = change::at(&target.content, &path);
    let held = held.and_then(Value::as_array).cloned().unwrap_or_default();
    let is_named = |one: &Value| {
        let mut named = settings.finalizers.iter();
        named.any(|name| one.as_str() == Some(name))
    };
    let (gone, stay): (Vec<_>, Vec<_>) = held.iter().cloned().partition(is_named);
    let list = |names: &[Value]| {
        let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
        names.join(", ")
    };
    if gone.is_empty() {
        let (held, named) = (list(&held), settings.finalizers.join(", "));
        let message = format!("{title} is held by [{held}], and only [{named}] may be removed");
        return Err(Refusal::new(Reason::NoFinalizer, message));
    }
    let stays = if stay.is_empty() {
        String::new()
    } else {
        format!("; {} stays", list(&stay))
    };
    let call = format!(
        "remove the finalizer {} of {}, whose deletion was due at {due}{stays}",
        list(&gone),
        target.target
    );
    let (from, to) = (Value::Array(held), Value::Array(stay));
    let is_empty = to.as_array().is_some_and(Vec::is_empty);
    let change = change::field(&path, Some(&from), Some(&to).filter(|_| !is_empty));
    Ok(vec![Step {
        changes: vec![change],
        ..step(Verb::Release, &target.target, call)
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, acting, named_action, pod, workload};
    use proptest::prelude::*;
    use schemas::policy::{Action, Remedy};
    use serde_json::json;
    use std::sync::Arc;

    fn plan(settings: DeleteAction, object: &Object) -> Result<Vec<Step>, Refusal> {
        let action = Action {
            delete_action: Some(settings),
            ..named_action("x", Remedy::Delete)
        };
        delete(&acting(action, object.clone()), object)
    }

    #[test]
    fn force_leaves_no_grace_and_the_digest_tells() {
        let forced = DeleteAction {
            force: true,
            grace_period_seconds: Some(30),
            ..DeleteAction::default()
        };
        let forced = plan(forced, &pod("web-1", "u")).unwrap();
        assert_eq!(
            forced[0].call,
            "delete Pod shop/web-1 (Background) with 0 s of grace"
        );
    }

    #[test]
    fn no_node_and_no_pod_that_nothing_replaces() {
        let refused = |settings, object: &Object| plan(settings, object).unwrap_err();
        let plain = DeleteAction::default();
        let web = workload("Deployment", "web", "d");
        let steps = plan(plain.clone(), &web).unwrap();
        assert_eq!(steps[0].call, "delete Deployment shop/web (Background)");
        let refusal = refused(plain.clone(), &workload("Node", "n1", "n"));
        assert_eq!(refusal.reason, Reason::UnsupportedTarget);
        let mut bare = pod("web-1", "u");
        bare.controller = None;
        assert_eq!(refused(plain.clone(), &bare).reason, Reason::BarePod);
    }

    fn hanging(finalizers: &[&str]) -> Object {
        let mut pod = pod("web-1", "u");
        pod.terminating = true;
        pod.due_at = Some(NOW);
        pod.content = Arc::new(json!({"metadata": {"finalizers": finalizers}}));
        pod
    }

    fn stripping(names: &[&str]) -> DeleteAction {
        DeleteAction {
            strip_finalizers: true,
            finalizers: names.iter().map(|name| (*name).to_owned()).collect(),
            ..DeleteAction::default()
        }
    }

    #[test]
    fn only_named_finalizers_of_an_object_that_is_going_are_removed() {
        let both = hanging(&["a.io/x", "b.io/y"]);
        let steps = plan(stripping(&["a.io/x", "c.io/z"]), &both).unwrap();
        assert_eq!(steps[0].verb, Verb::Release);
        let change = &steps[0].changes[0];
        assert_eq!(change.path, "metadata.finalizers");
        assert_eq!(change.from.as_deref(), Some(r#"["a.io/x","b.io/y"]"#));
        assert_eq!(change.to.as_deref(), Some(r#"["b.io/y"]"#));
        assert!(steps[0].call.ends_with("b.io/y stays"), "{}", steps[0].call);
        let all = plan(stripping(&["a.io/x", "b.io/y"]), &both).unwrap();
        assert_eq!(all[0].changes[0].to, None);

        let refusal = plan(stripping(&["a.io"]), &both).unwrap_err();
        assert_eq!(refusal.reason, Reason::NoFinalizer);
        let mut here = both;
        (here.terminating, here.due_at) = (false, None);
        let refusal = plan(stripping(&["a.io/x"]), &here).unwrap_err();
        assert_eq!(refusal.reason, Reason::NotHanging);
    }

    proptest! {
        #[test]
        fn what_is_removed_is_what_is_named(
            held in proptest::collection::vec("[a-d]\\.io", 0..6),
            named in proptest::collection::vec("[a-d]\\.io", 0..6),
        ) {
            let object = hanging(&held.iter().map(String::as_str).collect::<Vec<_>>());
            let named: Vec<_> = named.iter().map(String::as_str).collect();
            let stay: Vec<_> = held.iter().filter(|name| !named.contains(&name.as_str())).collect();
            let Ok(steps) = plan(stripping(&named), &object) else {
                prop_assert_eq!(stay.len(), held.len());
                return Ok(());
            };
            let to = steps[0].changes[0].to.clone().unwrap_or_else(|| "[]".to_owned());
            prop_assert_eq!(to, serde_json::to_string(&stay).unwrap());
            prop_assert!(stay.len() < held.len());
        }
    }
}
