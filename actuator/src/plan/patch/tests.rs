use super::*;
use crate::{
    plan::plan,
    testing::{acting, named_action, workload},
};
use proptest::prelude::*;
use schemas::policy::Remedy;
use serde_json::json;
use std::sync::Arc;

fn web() -> Object {
    let mut web = workload("Deployment", "web", "d");
    web.content = Arc::new(json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [
            {"name": "app", "image": "app:1", "env": [{"name": "A", "value": "1"}], "args": ["x"]},
            {"name": "proxy", "image": "proxy:1"},
        ]}}},
    }));
    web
}

fn snapshot_of(settings: PatchAction) -> Snapshot {
    let mut action = named_action("x", Remedy::Patch);
    action.patch_action = Some(settings);
    acting(action, web())
}

fn text(kind: PatchType, patch: &str, fields: &[&str]) -> PatchAction {
    PatchAction {
        kind,
        patch: Some(patch.to_owned()),
        fields: fields.iter().map(ToString::to_string).collect(),
        ..PatchAction::default()
    }
}

fn set(path: &str, value: &str) -> PatchAction {
    PatchAction {
        patches: vec![PatchChange {
            path: path.to_owned(),
            op: PatchOperation::Set,
            value: Some(value.to_owned()),
        }],
        ..PatchAction::default()
    }
}

/// The fields that would change, but for the stamp.
fn changed(settings: PatchAction) -> Result<Vec<String>, Reason> {
    let planned = plan(&snapshot_of(settings)).map_err(|refusal| refusal.reason)?;
    let lines = planned.steps.iter().flat_map(Step::lines).skip(1);
    Ok(lines.map(|line| line.trim().to_owned()).collect())
}

const CONTAINERS: &str = "spec.template.spec.containers";
const IMAGE: &str = r#"spec.template.spec.containers[name=proxy].image: "proxy:1" -> "proxy:2""#;

#[test]
fn every_way_of_writing_it_plans_the_same_change() {
    let strategic = "
        spec: {template: {spec: {containers: [{name: proxy, image: 'proxy:2'}]}}}";
    let json = r#"[{"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "proxy:2"}]"#;
    let merge = r#"{"spec": {"template": {"spec": {"containers": [
        {"name": "app", "image": "app:1", "env": [{"name": "A", "value": "1"}], "args": ["x"]},
        {"name": "proxy", "image": "proxy:2"}]}}}}"#;
    for (kind, patch) in [
        (PatchType::Strategic, strategic),
        (PatchType::Json, json),
        (PatchType::Merge, merge),
    ] {
        assert_eq!(
            changed(text(kind, patch, &[CONTAINERS])),
            Ok(vec![IMAGE.to_owned()])
        );
    }
    let path = "spec.template.spec.containers[name=proxy].image";
    assert_eq!(changed(set(path, "proxy:2")), Ok(vec![IMAGE.to_owned()]));
}

#[test]
fn strategic_directives_are_followed_or_refused() {
    let containers = |items: &str| {
        let patch = format!("spec: {{template: {{spec: {{containers: {items}}}}}}}");
        changed(text(PatchType::Strategic, &patch, &[CONTAINERS]))
    };
    let gone = containers("[{name: proxy, $patch: delete}]").unwrap();
    assert_eq!(gone.len(), 1);
    assert!(gone[0].ends_with("-> nothing"), "{gone:?}");
    let env = containers("[{name: app, env: [{name: B, value: '2'}]}]").unwrap();
    assert!(env[0].contains("env[name=B]: nothing ->"), "{env:?}");
    let list = containers("[{name: app, args: [y]}]").unwrap();
    assert_eq!(
        list,
        [r#"spec.template.spec.containers[name=app].args: ["x"] -> ["y"]"#]
    );
    let unknown = containers("[{name: app, $unheard: 1}]");
    assert_eq!(unknown, Err(Reason::PatchInvalid));
    assert_eq!(containers("[{image: x}]"), Err(Reason::PatchInvalid));
}

#[test]
fn only_fields_that_the_action_names_may_change() {
    let more = "spec: {replicas: 9, template: {spec: {containers: [{name: app, image: b}]}}}";
    let refused = changed(text(PatchType::Strategic, more, &[CONTAINERS]));
    assert_eq!(refused, Err(Reason::FieldNotAllowed));
    let unnamed = changed(text(PatchType::Merge, "spec: {replicas: 9}", &[]));
    assert_eq!(unnamed, Err(Reason::PatchInvalid));
    for path in [
        "metadata.finalizers",
        "metadata.ownerReferences",
        "status.replicas",
        r#"metadata.labels["kubeskippy.io/protected"]"#,
        r#"metadata.annotations["kubeskippy.io/acted-by"]"#,
    ] {
        assert_eq!(
            changed(set(path, "[]")),
            Err(Reason::FieldNotAllowed),
            "{path}"
        );
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for settings in [
        text(PatchType::Merge, "{", &["spec"]),
        text(PatchType::Merge, "{a: 1, a: 2}", &["a"]),
        text(PatchType::Json, "[{op: fly, path: /spec}]", &["spec"]),
        text(
            PatchType::Json,
            "[{op: test, path: /spec/replicas, value: 3}]",
            &["spec"],
        ),
        set("spec.template.spec.containers[name=none].image", "x"),
        set("spec..replicas", "3"),
        set("spec.replicas", "{{ nobody }}"),
        set("spec.replicas", "{{ target.name"),
    ] {
        assert_eq!(
            changed(settings.clone()),
            Err(Reason::PatchInvalid),
            "{settings:?}"
        );
    }
    let same = set("spec.replicas", "2");
    assert_eq!(changed(same), Err(Reason::NothingToDo));
}

proptest! {
    /// Whatever the target is called, the value is that one string.
    #[test]
    fn a_hostile_name_stays_within_its_string(name in ".{1,40}") {
        let mut snapshot = snapshot_of(set(
            r#"metadata.annotations["example.com/healed"]"#,
            "{{ target.name }}!",
        ));
        snapshot.target.as_mut().unwrap().target.name.clone_from(&name);
        let planned = plan(&snapshot).unwrap();
        let written = planned.steps[0].changes[0].to.clone().unwrap();
        prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), format!("{name}!"));
        prop_assert_eq!(planned.steps[0].changes.len(), 2);
    }

    #[test]
    fn no_patch_breaks_the_planner(
        patch in ".{0,60}", path in ".{0,20}",
        kind in prop_oneof![Just(PatchType::Merge), Just(PatchType::Json), Just(PatchType::Strategic)],
    ) {
        let _planned = changed(text(kind, &patch, &[&path]));
        let _set = changed(set(&path, &patch));
    }

    /// A strategic patch of scalars and maps is a merge patch.
    #[test]
    fn without_lists_strategic_is_merge(values in proptest::collection::btree_map("[a-c]", proptest::option::of(0i64..9), 0..4)) {
        let patch = json!({"spec": values});
        prop_assert_eq!(
            strategic::merged(&web().content, &patch).unwrap(),
            merge::merged(&web().content, &patch)
        );
    }
}
