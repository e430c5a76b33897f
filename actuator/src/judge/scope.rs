//! Whether the policy allows this action on this target at all.
//!
//! The action is not believed: policy and target were read from the API server
//! again, and what counts is what they say now.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use schemas::policy::{self, Mode};

use super::Verdict;
use crate::{
    object::Object,
    reason::Reason,
    snapshot::{Policy, Snapshot},
};

/// Turns down what the policy does not select, or does not offer.
pub(super) fn scope(snapshot: &Snapshot) -> Verdict {
    let name = &snapshot.action.spec.policy_name;
    let Some(policy) = &snapshot.policy else {
        let message = format!("the policy {name} does not exist in this namespace");
        return Verdict::deny(Reason::PolicyNotFound, message);
    };
    if policy.deleting {
        let message = format!("the policy {name} is being deleted");
        return Verdict::deny(Reason::PolicyDeleting, message);
    }
    if policy.spec.mode == Mode::Monitor {
        let message = format!("the policy {name} only monitors");
        return Verdict::deny(Reason::PolicyMonitors, message);
    }
    let Some(rule) = snapshot.rule() else {
        let message =
            format!("the policy {name} has no action with this name, type and parameters");
        return Verdict::deny(Reason::ActionNotInPolicy, message);
    };
    if let Some(message) = foreign_trigger(snapshot, policy, rule) {
        return Verdict::deny(Reason::TriggerNotInPolicy, message);
    }
    match &snapshot.target {
        // Freshness speaks about a target that is gone.
        None => Verdict::Allow,
        Some(target) => selected(snapshot, policy, target),
    }
}

fn foreign_trigger(snapshot: &Snapshot, policy: &Policy, rule: &policy::Action) -> Option<String> {
    let wanted = &snapshot.action.spec.trigger.as_ref()?.name;
    let known = policy.spec.triggers.iter().any(|t| t.name == *wanted);
    let answered = rule.triggers.is_empty() || rule.triggers.contains(wanted);
    (!known || !answered)
        .then(|| format!("the policy does not answer the trigger {wanted} with this action"))
}

/// Allows a target that the selector selects, or through which a selected pod is healed.
fn selected(snapshot: &Snapshot, policy: &Policy, target: &Object) -> Verdict {
    if target.target.kind == "Node" {
        return selected_node(snapshot, policy, target);
    }
    if !is_namespace_selected(snapshot, policy, &target.target.namespace) {
        let message = format!(
            "the policy does not cover the namespace {}",
            target.target.namespace
        );
        return Verdict::deny(Reason::NotSelected, message);
    }
    let by_trigger = snapshot.action.spec.trigger.is_some();
    let through_pod = match (by_trigger, &snapshot.offender) {
        (true, Some(offender)) => {
            selects(policy, offender) && snapshot.pods.iter().any(|p| p.target == offender.target)
        }
        // By hand, or after the offender is gone: any pod of the workload will do.
        (false, _) | (true, None) => {
            target.workload.is_some() && snapshot.pods.iter().any(|pod| selects(policy, pod))
        }
    };
    if selects(policy, target) || through_pod {
        return Verdict::Allow;
    }
    let message = format!("the policy's selector does not select {}", target.title());
    Verdict::deny(Reason::NotSelected, message)
}

/// A node belongs to no namespace: only a policy of the system namespace that names the kind may act on one.
fn selected_node(snapshot: &Snapshot, policy: &Policy, node: &Object) -> Verdict {
    let system = &snapshot.limits.system_namespace;
    if policy.namespace == *system && selects(policy, node) {
        return Verdict::Allow;
    }
    let message = format!(
        "{} is acted on only by a policy in the namespace {system} whose selector names resources: [{{kind: Node}}]",
        node.title()
    );
    Verdict::deny(Reason::NotSelected, message)
}

/// A policy acts in its own namespace; one in the system namespace in those it names, too.
fn is_namespace_selected(snapshot: &Snapshot, policy: &Policy, namespace: &str) -> bool {
    let named = &policy.spec.selector.namespaces;
    let own = policy.namespace == namespace;
    if named.is_empty() {
        return own;
    }
    let may_name_others = policy.namespace == snapshot.limits.system_namespace;
    named.iter().any(|name| name == namespace) && (own || may_name_others)
}

/// Whether the policy's selector selects this very object.
fn selects(policy: &Policy, object: &Object) -> bool {
    let selector = &policy.spec.selector;
    let kind = &object.target.kind;
    let of_kind = if selector.resources.is_empty() {
        kind == "Pod"
    } else {
        selector.resources.iter().any(|filter| {
            let version = filter.api_version.as_deref();
            filter.kind == *kind
                && version.is_none_or(|version| version == object.target.api_version)
                && !filter.exclude_names.contains(&object.target.name)
        })
    };
    of_kind && matches(selector.label_selector.as_ref(), &object.labels)
}

/// Whether labels match a selector. A selector that cannot be understood matches nothing.
pub(super) fn matches(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    let Some(selector) = selector else {
        return true;
    };
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{named_action, pod, snapshot};
    use schemas::policy::{Remedy, ResourceFilter};

    fn reason(snapshot: &Snapshot) -> Option<Reason> {
        match scope(snapshot) {
            Verdict::Deny { reason, .. } => Some(reason),
            Verdict::Allow | Verdict::Defer { .. } | Verdict::Await { .. } => None,
        }
    }

    #[test]
    fn a_selected_pod_and_an_action_of_the_policy_pass() {
        assert_eq!(scope(&snapshot()), Verdict::Allow);
    }

    #[test]
    fn a_policy_that_is_gone_or_going_allows_nothing() {
        let mut snapshot = snapshot();
        snapshot.policy.as_mut().unwrap().deleting = true;
        assert_eq!(reason(&snapshot), Some(Reason::PolicyDeleting));
        snapshot.policy = None;
        assert_eq!(reason(&snapshot), Some(Reason::PolicyNotFound));
    }

    #[test]
    fn other_labels_are_out_of_scope() {
        let mut snapshot = snapshot();
        snapshot.target.as_mut().unwrap().labels.clear();
        assert_eq!(reason(&snapshot), Some(Reason::NotSelected));
    }

    #[test]
    fn numbers_stand_in_the_place_of_a_recommended_size_and_of_nothing_else() {
        use schemas::policy::{Recommended, ResizeAction};
        let mut snapshot = snapshot();
        let asked = ResizeAction {
            recommended: Some(Recommended::default()),
            maximum: [("memory".to_owned(), "1Gi".to_owned())].into(),
            ..ResizeAction::default()
        };
        let given = ResizeAction {
            container: Some("app".to_owned()),
            recommended: None,
            limits: [("memory".to_owned(), "300Mi".to_owned())].into(),
            ..asked.clone()
        };
        let mut action = named_action("fit", Remedy::Resize);
        action.resize_action = Some(asked.clone());
        snapshot.policy.as_mut().unwrap().spec.actions = vec![action.clone()];
        let mut judged = |change: &dyn Fn(&mut ResizeAction)| {
            let mut given = given.clone();
            change(&mut given);
            action.resize_action = Some(given);
            snapshot.action.spec.action = action.clone();
            snapshot.rule().is_some()
        };
        assert!(judged(&|_| {}));
        assert!(!judged(&|given| given.limits.clear()));
        assert!(!judged(&|given| given.maximum.clear()));
        assert!(!judged(&|given| given.allow_rollout = true));
        assert!(!judged(&|given| given.increase_percent = Some(50)));
        // by hand, nobody says the numbers in the analyzer's place
        snapshot.action.spec.trigger = None;
        assert!(snapshot.rule().is_none());
    }

    #[test]
    fn an_action_that_merely_borrows_a_name_is_turned_down() {
        let mut snapshot = snapshot();
        snapshot.action.spec.action = named_action("restart-pods", Remedy::Delete);
        assert_eq!(reason(&snapshot), Some(Reason::ActionNotInPolicy));
        snapshot.action.spec.action = named_action("", Remedy::Restart);
        assert_eq!(reason(&snapshot), None);
    }

    #[test]
    fn a_trigger_of_another_policy_is_turned_down() {
        let mut snapshot = snapshot();
        snapshot.action.spec.trigger.as_mut().unwrap().name = "other".to_owned();
        assert_eq!(reason(&snapshot), Some(Reason::TriggerNotInPolicy));
    }

    #[test]
    fn other_namespaces_are_open_to_the_system_namespace_alone() {
        let mut snapshot = snapshot();
        let policy = snapshot.policy.as_mut().unwrap();
        policy.spec.selector.namespaces = vec!["shop".to_owned()];
        assert_eq!(reason(&snapshot), None);
        let policy = snapshot.policy.as_mut().unwrap();
        policy.namespace = "elsewhere".to_owned();
        assert_eq!(reason(&snapshot), Some(Reason::NotSelected));
        let policy = snapshot.policy.as_mut().unwrap();
        policy.namespace = "kubeskippy-system".to_owned();
        assert_eq!(reason(&snapshot), None);
    }

    #[test]
    fn an_excluded_name_is_out_of_scope() {
        let mut snapshot = snapshot();
        let name = pod("web-1", "uid-1").target.name;
        let policy = snapshot.policy.as_mut().unwrap();
        policy.spec.selector.resources = vec![ResourceFilter {
            api_version: None,
            kind: "Pod".to_owned(),
            exclude_names: vec![name],
        }];
        assert_eq!(reason(&snapshot), Some(Reason::NotSelected));
    }
}
