use super::*;
use crate::{
    plan::plan,
    testing::{acting, named_action, pod, workload},
};
use proptest::prelude::*;
use schemas::policy::Remedy;
use serde_json::json;
use std::sync::Arc;

fn amounts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn of(resources: &Value) -> Object {
    let mut web = pod("web-1", "uid-1");
    let containers = json!([{"name": "app", "resources": resources}]);
    web.content = Arc::new(json!({"metadata": {}, "spec": {"containers": containers}}));
    web
}

fn planned(settings: ResizeAction, pod: Object) -> Result<Vec<Step>, Refusal> {
    let mut action = named_action("x", Remedy::Resize);
    action.resize_action = Some(settings);
    plan(&acting(action, pod)).map(|plan| plan.steps)
}

fn grow(percent: u32) -> ResizeAction {
    ResizeAction {
        increase_percent: Some(percent),
        ..ResizeAction::default()
    }
}

fn told(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .flat_map(Step::lines)
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn a_burstable_pod_grows_in_place() {
    let pod =
        of(&json!({"requests": {"memory": "128Mi", "cpu": "100m"}, "limits": {"memory": "256Mi"}}));
    let steps = planned(grow(50), pod).unwrap();
    assert_eq!(steps[0].verb, Verb::Resize);
    let lines = told(&steps);
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with(r#"limits.memory: "256Mi" -> "384Mi""#)),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with(r#"requests.cpu: "100m" -> "150m""#)),
        "{lines:?}"
    );
}

#[test]
fn the_maximum_holds_and_no_limit_falls_below_its_request() {
    let pod = || of(&json!({"requests": {"memory": "128Mi"}, "limits": {"memory": "256Mi"}}));
    let capped = ResizeAction {
        maximum: amounts(&[("memory", "300Mi")]),
        ..grow(400)
    };
    let lines = told(&planned(capped, pod()).unwrap());
    assert!(
        lines.iter().any(|line| line.ends_with(r#"-> "300Mi""#)),
        "{lines:?}"
    );
    let below = ResizeAction {
        limits: amounts(&[("memory", "64Mi")]),
        ..ResizeAction::default()
    };
    assert_eq!(
        planned(below, pod()).unwrap_err().reason,
        Reason::SizeNotAllowed
    );
}

#[test]
fn a_pod_that_is_guaranteed_stays_guaranteed() {
    let pod = || {
        let both = json!({"memory": "1Gi", "cpu": "1"});
        of(&json!({"requests": both, "limits": both}))
    };
    let half = ResizeAction {
        limits: amounts(&[("memory", "2Gi")]),
        ..ResizeAction::default()
    };
    assert_eq!(
        planned(half, pod()).unwrap_err().reason,
        Reason::SizeNotAllowed
    );
    assert!(planned(grow(10), pod()).is_ok());
}

#[test]
fn of_several_containers_one_has_to_be_named() {
    let mut pod = of(&json!({"limits": {"memory": "1Gi"}}));
    let resources = json!({"limits": {"memory": "1Gi"}});
    let containers =
        json!([{"name": "a", "resources": resources}, {"name": "b", "resources": resources}]);
    pod.content = Arc::new(json!({"metadata": {}, "spec": {"containers": containers}}));
    let refusal = planned(grow(10), pod.clone()).unwrap_err();
    assert!(
        refusal.message.contains("one of a, b"),
        "{}",
        refusal.message
    );
    let named = ResizeAction {
        container: Some("b".to_owned()),
        ..grow(10)
    };
    let lines = told(&planned(named, pod).unwrap());
    assert!(lines[1].contains("containers[name=b]"), "{lines:?}");
}

#[test]
fn the_template_follows_where_no_pod_is_replaced_or_a_rollout_is_allowed() {
    let resources = json!({"limits": {"memory": "1Gi"}});
    let containers = json!([{"name": "app", "resources": resources}]);
    let spec = json!({"template": {"spec": {"containers": containers}}});
    let mut web = workload("Deployment", "web", "web-uid");
    web.content = Arc::new(json!({"metadata": {}, "spec": spec}));
    let steps = |allow_rollout: bool| {
        let mut action = named_action("x", Remedy::Resize);
        action.resize_action = Some(ResizeAction {
            follow_template: true,
            allow_rollout,
            ..grow(10)
        });
        let mut snapshot = acting(action, web.clone());
        snapshot.owners.clear();
        snapshot.pods = vec![of(&resources)];
        plan(&snapshot).unwrap().steps
    };
    let stays = steps(false);
    assert_eq!(stays.len(), 1);
    assert!(stays[0].call.contains("old size"), "{}", stays[0].call);
    let follows = steps(true);
    assert_eq!((follows.len(), follows[1].verb), (2, Verb::Change));
}

#[test]
fn where_no_pod_can_be_resized_in_place_a_rollout_has_to_be_allowed() {
    let resources = json!({"limits": {"memory": "1Gi"}});
    let mut pod = of(&resources);
    let containers = json!([{"name": "app", "resources": resources}]);
    let statuses = json!([{"name": "app", "state": {"running": {}}}]);
    pod.content = Arc::new(json!({
        "metadata": {}, "spec": {"containers": containers}, "status": {"containerStatuses": statuses},
    }));
    let refusal = planned(grow(10), pod.clone()).unwrap_err();
    assert!(
        refusal.message.contains("allowRollout"),
        "{}",
        refusal.message
    );
    let mut web = workload("Deployment", "web", "web-uid");
    web.content = Arc::new(
        json!({"metadata": {}, "spec": {"template": {"spec": {"containers": containers}}}}),
    );
    let mut action = named_action("x", Remedy::Resize);
    action.resize_action = Some(ResizeAction {
        follow_template: true,
        allow_rollout: true,
        ..grow(10)
    });
    let mut snapshot = acting(action, pod);
    snapshot.owners = vec![web];
    let steps = plan(&snapshot).unwrap().steps;
    assert_eq!((steps.len(), steps[0].verb), (1, Verb::Change));
}

proptest! {
    #[test]
    fn growing_never_shrinks_and_never_passes_the_maximum(
        request in 1u32..4000, extra in 0u32..4000, percent in 1u32..400, most in 1u32..9000,
    ) {
        let limit = request + extra;
        let pod = of(&json!({
            "requests": {"memory": format!("{request}Mi")}, "limits": {"memory": format!("{limit}Mi")},
        }));
        let settings = ResizeAction { maximum: amounts(&[("memory", &format!("{most}Mi"))]), ..grow(percent) };
        if let Ok(steps) = planned(settings, pod) {
            for change in steps.iter().flat_map(|step| &step.changes) {
                let read = |text: &Option<String>| {
                    let text: String = serde_json::from_str(text.as_deref().unwrap()).unwrap();
                    quantity::parse(&text).unwrap()
                };
                let most = f64::from(most) * 1024.0 * 1024.0;
                prop_assert!(read(&change.to) <= most);
                prop_assert!(read(&change.to) >= read(&change.from).min(most));
            }
        }
    }
}
