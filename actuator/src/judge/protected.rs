//! What is never touched.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use schemas::{
    PROTECTED,
    policy::{CordonOperation, ProtectedResource},
};

use super::{Verdict, scope::matches};
use crate::{
    object::Object,
    plan::{evictable, operation},
    reason::Reason,
    snapshot::Snapshot,
};

/// The label of the control plane's nodes.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// Namespaces that hold the cluster itself. No configuration opens them; nor
/// the system namespace, where KubeSkippy and its bus live.
const NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// Turns down protected namespaces and objects. A mark on the target, on any
/// of its owners, on the offender or on the namespace protects alike.
pub(super) fn protected(snapshot: &Snapshot) -> Verdict {
    let spec = &snapshot.action.spec.target_resource;
    if spec.kind == "Node"
        && let Some(verdict) = node(snapshot)
    {
        return verdict;
    }
    let namespace = match spec.kind.as_str() {
        // A node lives in no namespace, and its policy in our own.
        "Node" => "",
        _ => spec
            .namespace
            .as_ref()
            .unwrap_or(&snapshot.action.namespace),
    };
    let nowhere = BTreeMap::new();
    let place = Place {
        namespace,
        marks: if namespace.is_empty() {
            &nowhere
        } else {
            &snapshot.namespace_marks
        },
        system: &snapshot.limits.system_namespace,
    };
    let objects = [&snapshot.target, &snapshot.offender];
    let objects = objects.into_iter().flatten().chain(&snapshot.owners);
    let policy = snapshot.policy.as_ref();
    let rules = policy.map(|policy| policy.spec.safety_rules.protected_resources.as_slice());
    protection(&place, objects, rules.unwrap_or_default())
        .map_or(Verdict::Allow, |(reason, message)| {
            Verdict::deny(reason, message)
        })
}

/// Turns down nodes of the control plane, and the drain of one that KubeSkippy or its bus runs on.
fn node(snapshot: &Snapshot) -> Option<Verdict> {
    let node = snapshot.target.as_ref()?;
    let title = node.title();
    if node.labels.contains_key(CONTROL_PLANE) {
        let message = format!("{title} runs the control plane");
        return Some(Verdict::deny(Reason::Protected, message));
    }
    let is_ours = |pod: &Object| pod.target.namespace == snapshot.limits.system_namespace;
    let drains = operation(snapshot) == CordonOperation::Drain;
    let ours = evictable(snapshot).find(|pod| drains && is_ours(pod))?;
    let message = format!("{title} runs {}, which is KubeSkippy's own", ours.title());
    Some(Verdict::deny(Reason::Protected, message))
}

/// Labels and annotations of a namespace as one. Of two answers to the same question, the one that protects counts.
pub fn marks(
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut marks = labels;
    for (key, value) in annotations {
        let slot = marks.entry(key).or_insert_with(|| value.clone());
        if slot == "false" {
            *slot = value;
        }
    }
    marks
}

/// Where objects live.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Their namespace.
    pub namespace: &'a str,
    /// Its labels and annotations.
    pub marks: &'a BTreeMap<String, String>,
    /// KubeSkippy's own namespace.
    pub system: &'a str,
}

/// What keeps objects in one place from ever being acted on, if something does; `rules` are a policy's.
pub fn protection<'a>(
    place: &Place<'_>,
    objects: impl IntoIterator<Item = &'a Object>,
    rules: &[ProtectedResource],
) -> Option<(Reason, String)> {
    let Place {
        namespace,
        marks,
        system,
    } = *place;
    if NAMESPACES.contains(&namespace) || namespace == system {
        let message = format!("nothing in the namespace {namespace} is ever acted on");
        return Some((Reason::ProtectedNamespace, message));
    }
    if is_marked(marks) {
        let message = format!("the namespace {namespace} is marked {PROTECTED}");
        return Some((Reason::Protected, message));
    }
    for object in objects {
        if is_marked(&object.labels) || is_marked(&object.annotations) {
            let message = format!("{} is marked {PROTECTED}", object.title());
            return Some((Reason::Protected, message));
        }
        if rules.iter().any(|rule| covers(rule, object)) {
            let message = format!("the policy protects {}", object.title());
            return Some((Reason::ProtectedResource, message));
        }
    }
    None
}

/// A mark protects unless it plainly says "false": a typo protects.
fn is_marked(marks: &BTreeMap<String, String>) -> bool {
    marks.get(PROTECTED).is_some_and(|value| value != "false")
}

fn covers(rule: &ProtectedResource, object: &Object) -> bool {
    let ProtectedResource {
        api_version,
        kind,
        namespace,
        name,
        label_selector,
    } = rule;
    let equal = |wanted: &Option<String>, found: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == found)
    };
    equal(api_version, &object.target.api_version)
        && equal(kind, &object.target.kind)
        && equal(namespace, &object.target.namespace)
        && equal(name, &object.target.name)
        && matches(label_selector.as_ref(), &object.labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::snapshot;

    type Spoil = fn(&mut Snapshot, BTreeMap<String, String>);

    fn is_denied(snapshot: &Snapshot) -> bool {
        matches!(protected(snapshot), Verdict::Deny { .. })
    }

    #[test]
    fn the_clusters_own_namespaces_are_never_touched() {
        for namespace in [
            "kube-system",
            "kube-public",
            "kube-node-lease",
            "kubeskippy-system",
        ] {
            let mut snapshot = snapshot();
            snapshot.action.namespace = namespace.to_owned();
            assert!(is_denied(&snapshot), "{namespace}");
        }
        assert!(!is_denied(&snapshot()));
    }

    #[test]
    fn a_mark_anywhere_on_the_way_up_protects() {
        let mark = || BTreeMap::from([(PROTECTED.to_owned(), "true".to_owned())]);
        let spoils: [Spoil; 4] = [
            |snapshot, mark| snapshot.namespace_marks = mark,
            |snapshot, mark| snapshot.target.as_mut().unwrap().labels.extend(mark),
            |snapshot, mark| snapshot.target.as_mut().unwrap().annotations = mark,
            |snapshot, mark| snapshot.owners.last_mut().unwrap().annotations = mark,
        ];
        for spoil in spoils {
            let mut snapshot = snapshot();
            spoil(&mut snapshot, mark());
            assert!(is_denied(&snapshot));
        }
    }

    #[test]
    fn a_namespace_that_is_marked_both_ways_is_protected() {
        let mark = |value: &str| BTreeMap::from([(PROTECTED.to_owned(), value.to_owned())]);
        assert!(is_marked(&marks(mark("false"), mark("true"))));
        assert!(is_marked(&marks(mark("true"), mark("false"))));
        assert!(!is_marked(&marks(mark("false"), BTreeMap::new())));
    }

    #[test]
    fn a_mark_that_says_false_does_not_protect() {
        let mut snapshot = snapshot();
        snapshot.namespace_marks = BTreeMap::from([(PROTECTED.to_owned(), "false".to_owned())]);
        assert!(!is_denied(&snapshot));
    }

    #[test]
    fn the_policy_can_protect_an_owner_by_name() {
        let mut snapshot = snapshot();
        let rules = &mut snapshot.policy.as_mut().unwrap().spec.safety_rules;
        rules.protected_resources = vec![ProtectedResource {
            kind: Some("Deployment".to_owned()),
            name: Some("web".to_owned()),
            ..ProtectedResource::default()
        }];
        assert!(is_denied(&snapshot));
    }
}
