//! Who else writes the fields that would be written.
//!
//! Pure: no IO, no clock.

use serde_json::Value;

use super::Verdict;
use crate::{
    change::{Path, Segment},
    object::{Manager, Object},
    plan::Plan,
    reason::Reason,
    snapshot::Snapshot,
};

/// Field managers that set a field again whenever it differs from what they
/// keep elsewhere. An HPA is not among them: its own object names what it scales, and the planner asks for it.
const CONTROLLERS: [(&str, &str); 6] = [
    ("argocd-controller", "Argo CD"),
    ("argocd-application-controller", "Argo CD"),
    ("kustomize-controller", "Flux"),
    ("helm-controller", "Flux"),
    ("keda-operator", "KEDA"),
    ("keda", "KEDA"),
];

/// Marks that controllers that follow a Git repository leave on what they manage.
const MARKS: [(&str, &str); 3] = [
    ("argocd.argoproj.io/", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/", "Flux"),
    ("helm.toolkit.fluxcd.io/", "Flux"),
];

/// Managers that own a field without keeping it: ourselves, and the tools by which people change one.
const BY_HAND: [&str; 5] = [
    crate::execute::FIELD_MANAGER,
    "kubectl",
    "kubectl-scale",
    "kubectl-rollout",
    "kube-controller-manager",
];

/// Turns down a change of a field that a controller that follows Git, or KEDA, owns: it
/// would be changed back, or the two would fight. Of an object that carries a
/// such a controller's mark, any manager that is not known to be a person's
/// tool counts as that controller, whose name in `managedFields` can be configured.
pub(super) fn ownership(snapshot: &Snapshot, plan: Option<&Plan>) -> Verdict {
    let steps = plan.map(|plan| plan.steps.as_slice()).unwrap_or_default();
    let written = steps
        .iter()
        .filter_map(|step| Some((snapshot.same(&step.object)?, step)));
    let fields = written.flat_map(|(object, step)| {
        let changes = step.changes.iter();
        changes.map(move |change| (object, change.path.as_str()))
    });
    for (object, field) in fields {
        if let Some((manager, who)) = owner(object, field) {
            let (name, title) = (&manager.name, object.title());
            let message = format!(
                "{field} of {title} belongs to {who} (field manager {name}): change it there"
            );
            return Verdict::deny(Reason::FieldOwned, message);
        }
    }
    Verdict::Allow
}

/// Who keeps a field of an object as it is, if somebody does.
fn owner<'a>(object: &'a Object, field: &str) -> Option<(&'a Manager, &'static str)> {
    let path = Path::parse(field).ok()?;
    let mark = mark(object);
    let mut owners = object.managers.iter().filter(|m| owns(m, &path));
    owners.find_map(|manager| Some((manager, keeper(manager, mark)?)))
}

fn owns(manager: &Manager, path: &Path) -> bool {
    let mut node = Some(&manager.fields);
    for segment in path.segments() {
        node = node.and_then(|node| match segment {
            Segment::Field(name) => node.get(format!("f:{name}")),
            Segment::Item { key, value } => item(node, key, value),
        });
    }
    node.is_some()
}

/// The entry of a list's item: `k:{"name":"app"}`, or with more keys beside that one.
fn item<'a>(node: &'a Value, key: &str, value: &str) -> Option<&'a Value> {
    let mut entries = node.as_object()?.iter();
    let found = entries.find(|(name, _)| {
        let keys = name
            .strip_prefix("k:")
            .and_then(|text| serde_json::from_str(text).ok());
        let keys: Option<Value> = keys;
        let held = keys.as_ref().and_then(|keys| keys.get(key));
        held.is_some_and(|held| match held.as_str() {
            Some(text) => text == value,
            None => held
                .as_u64()
                .is_some_and(|number| number.to_string() == value),
        })
    });
    found.map(|(_, entry)| entry)
}

/// Which controller a manager is.
fn keeper(manager: &Manager, mark: Option<&'static str>) -> Option<&'static str> {
    let known = CONTROLLERS.iter().find(|(name, _)| *name == manager.name);
    let by_hand = BY_HAND.contains(&manager.name.as_str());
    known.map(|(_, who)| *who).or(mark.filter(|_| !by_hand))
}

fn mark(target: &Object) -> Option<&'static str> {
    let keys = || target.labels.keys().chain(target.annotations.keys());
    let found = MARKS
        .iter()
        .find(|(prefix, _)| keys().any(|key| key.starts_with(prefix)));
    found.map(|(_, who)| *who)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{named_action, snapshot, workload},
    };
    use proptest::prelude::*;
    use schemas::policy::{Remedy, ScaleAction};
    use serde_json::json;

    fn scaling(manager: &str, fields: Value) -> Snapshot {
        let mut snapshot = snapshot();
        let mut web = workload("Deployment", "web", "web-uid");
        let name = manager.to_owned();
        web.managers = vec![Manager { name, fields }];
        snapshot.target = Some(web);
        snapshot.action.spec.action = named_action("more", Remedy::Scale);
        snapshot.action.spec.action.scale_action = Some(ScaleAction::default());
        snapshot
    }

    fn replicas() -> Value {
        json!({"f:spec": {"f:replicas": {}}})
    }

    fn is_denied(snapshot: &Snapshot) -> bool {
        let verdict = ownership(snapshot, plan(snapshot).ok().as_ref());
        matches!(
            verdict,
            Verdict::Deny {
                reason: Reason::FieldOwned,
                ..
            }
        )
    }

    #[test]
    fn replicas_that_argo_cd_owns_are_left_to_it() {
        let snapshot = scaling("argocd-controller", replicas());
        assert!(is_denied(&snapshot));
        let Verdict::Deny { message, .. } = ownership(&snapshot, plan(&snapshot).ok().as_ref())
        else {
            panic!("not denied");
        };
        assert!(message.contains("spec.replicas") && message.contains("Argo CD"));
    }

    #[test]
    fn a_controller_that_does_not_own_the_field_is_no_obstacle() {
        let image = json!({"f:spec": {"f:template": {"f:spec": {}}}});
        assert!(!is_denied(&scaling("argocd-controller", image)));
        let mut restart = scaling("argocd-controller", replicas());
        restart.action.spec.action = named_action("again", Remedy::Restart);
        assert!(!is_denied(&restart));
    }

    #[test]
    fn a_mark_tells_what_an_unknown_manager_is() {
        let mut snapshot = scaling("our-gitops", replicas());
        assert!(!is_denied(&snapshot));
        let target = snapshot.target.as_mut().unwrap();
        let mark = "kustomize.toolkit.fluxcd.io/name".to_owned();
        target.labels.insert(mark, "shop".to_owned());
        assert!(is_denied(&snapshot));
        let target = snapshot.target.as_mut().unwrap();
        target.managers[0].name = "kubectl-scale".to_owned();
        assert!(!is_denied(&snapshot));
    }

    proptest! {
        #[test]
        fn without_a_mark_only_known_controllers_own(name in "[a-z-]{0,20}") {
            let known = CONTROLLERS.iter().any(|(known, _)| *known == name);
            prop_assert_eq!(is_denied(&scaling(&name, replicas())), known);
        }
    }
}
