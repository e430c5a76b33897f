//! Keeping pods off a node, draining it, and letting them on again.
//!
//! Pure: no IO, no clock.

use schemas::{
    policy::CordonOperation,
    step::{Step, Verb},
};
use serde_json::Value;

use super::{Refusal, changing, restart::evict};
use crate::{
    change::{self, Path},
    object::Object,
    reason::Reason,
    snapshot::Snapshot,
};

/// Most pods that one drain evicts: the plan is kept in the action's status, which etcd bounds.
const MOST_PODS: usize = 200;

/// The mark of a pod that the kubelet runs from a file; it cannot be evicted.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Plans what is done with the node `target`.
pub(super) fn cordon(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let title = target.title();
    if target.target.kind != "Node" {
        let message = format!("{title} is no node");
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    }
    let path = Path::default().field("spec").field("unschedulable");
    let before = change::at(&target.content, &path);
    let is_cordoned = before == Some(&Value::Bool(true));
    let set = |to: Option<&Value>, call: &str| {
        let call = format!("{call} {}", target.target);
        changing(
            snapshot,
            target,
            call,
            vec![change::field(&path, before, to)],
        )
    };
    let closed = Value::Bool(true);
    let cordon = || set(Some(&closed), "cordon");
    let steps = match operation(snapshot) {
        CordonOperation::Uncordon if is_cordoned => vec![set(None, "uncordon")],
        CordonOperation::Cordon if !is_cordoned => vec![cordon()],
        CordonOperation::Cordon | CordonOperation::Uncordon => Vec::new(),
        CordonOperation::Drain => {
            let pods: Vec<_> = evictable(snapshot).collect();
            if pods.len() > MOST_PODS {
                let count = pods.len();
                let message = format!(
                    "{title} holds {count} pods, and one action evicts {MOST_PODS} at most"
                );
                return Err(Refusal::new(Reason::UnsupportedTarget, message));
            }
            let first = (!is_cordoned).then(cordon);
            let evictions = pods.into_iter().map(|pod| evict(pod, None));
            first.into_iter().chain(evictions).collect()
        }
    };
    if steps.is_empty() {
        let message = format!("{title} is as it is wanted already");
        return Err(Refusal::new(Reason::NothingToDo, message));
    }
    debug_assert!(
        steps
            .iter()
            .all(|step| matches!(step.verb, Verb::Change | Verb::Evict))
    );
    Ok(steps)
}

/// What the action does with the node.
pub fn operation(snapshot: &Snapshot) -> CordonOperation {
    let settings = snapshot.action.spec.action.cordon_action.as_ref();
    settings
        .map(|settings| settings.operation)
        .unwrap_or_default()
}

/// The pods that a drain evicts: not those of a DaemonSet, which come back at
/// once, those that the kubelet runs from a file, or those that have ended.
pub fn evictable(snapshot: &Snapshot) -> impl Iterator<Item = &Object> {
    snapshot.node_pods.iter().filter(|pod| {
        let owner = pod.controller.as_ref().map(|owner| owner.kind.as_str());
        let phase = pod.content.pointer("/status/phase").and_then(Value::as_str);
        !pod.terminating
            && !matches!(owner, Some("DaemonSet" | "Node"))
            && !pod.annotations.contains_key(MIRROR)
            && !matches!(phase, Some("Succeeded" | "Failed"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{acting, named_action, pod, workload},
    };
    use schemas::policy::{CordonAction, Remedy};
    use serde_json::json;
    use std::sync::Arc;

    fn node(unschedulable: bool) -> Object {
        let mut node = workload("Node", "n1", "node-uid");
        (node.workload, node.target.namespace) = (None, String::new());
        node.content = Arc::new(if unschedulable {
            json!({"metadata": {}, "spec": {"unschedulable": true}})
        } else {
            json!({"metadata": {}, "spec": {}})
        });
        node
    }

    fn calls(operation: CordonOperation, node: Object) -> Result<Vec<String>, Reason> {
        let mut action = named_action("x", Remedy::Cordon);
        action.cordon_action = Some(CordonAction {
            operation,
            ..CordonAction::default()
        });
        let mut snapshot = acting(action, node);
        let mut agent = pod("agent", "1");
        agent.controller.as_mut().unwrap().kind = "DaemonSet".to_owned();
        let mut file = pod("file", "2");
        file.annotations.insert(MIRROR.to_owned(), "x".to_owned());
        let mut done = pod("done", "3");
        done.content = Arc::new(json!({"status": {"phase": "Succeeded"}}));
        let mut going = pod("going", "4");
        going.terminating = true;
        let mut bare = pod("bare", "5");
        bare.controller = None;
        snapshot.node_pods = vec![agent, file, done, going, bare, pod("web-1", "6")];
        let planned = plan(&snapshot).map_err(|refusal| refusal.reason)?;
        Ok(planned.calls().into_iter().map(ToOwned::to_owned).collect())
    }

    #[test]
    fn a_drain_keeps_pods_off_first_and_evicts_what_would_not_come_back_by_itself() {
        let drained = calls(CordonOperation::Drain, node(false)).unwrap();
        let expected = [
            "cordon Node/n1",
            "evict Pod shop/bare",
            "evict Pod shop/web-1",
        ];
        assert_eq!(drained, expected);
        let drained = calls(CordonOperation::Drain, node(true)).unwrap();
        assert_eq!(drained, expected[1..]);
    }

    #[test]
    fn what_is_as_it_is_wanted_is_nothing_to_do() {
        assert_eq!(
            calls(CordonOperation::Cordon, node(false)).unwrap(),
            ["cordon Node/n1"]
        );
        assert_eq!(
            calls(CordonOperation::Uncordon, node(true)).unwrap(),
            ["uncordon Node/n1"]
        );
        let done = Err(Reason::NothingToDo);
        assert_eq!(calls(CordonOperation::Cordon, node(true)), done);
        assert_eq!(calls(CordonOperation::Uncordon, node(false)), done);
    }
}
