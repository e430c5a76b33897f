use super::*;
use proptest::prelude::*;
use serde_json::json;

fn deployment() -> Value {
    json!({
        "metadata": {"annotations": {"a": "1"}},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [
            {"name": "app", "image": "app:1", "resources": {"limits": {"memory": "1Gi"}}},
            {"name": "proxy", "image": "proxy:1"},
        ]}}},
    })
}

#[test]
fn fields_are_named_by_key_and_not_by_place() {
    let before = deployment();
    let mut after = before.clone();
    after["spec"]["template"]["spec"]["containers"][1]["image"] = json!("proxy:2");
    after["metadata"]["annotations"]["kubeskippy.io/acted-by"] = json!("u");
    let changes = diff(&before, &after);
    let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            r#"metadata.annotations["kubeskippy.io/acted-by"]"#,
            "spec.template.spec.containers[name=proxy].image",
        ]
    );
    assert_eq!(changes[1].from.as_deref(), Some("\"proxy:1\""));
    assert_eq!(state(&before, &changes), Ok(State::Before));
    assert_eq!(state(&after, &changes), Ok(State::After));
    assert_eq!(apply(&before, &changes), Ok(after.clone()));
    assert_eq!(apply(&after, &inverse(&changes)), Ok(before));
}

#[test]
fn what_somebody_else_changed_since_is_neither_before_nor_after() {
    let before = deployment();
    let mut after = before.clone();
    after["spec"]["replicas"] = json!(4);
    let changes = diff(&before, &after);
    after["spec"]["replicas"] = json!(3);
    let other = State::Other(vec!["spec.replicas".to_owned()]);
    assert_eq!(state(&after, &changes), Ok(other));
}

#[test]
fn a_field_beside_ours_is_left_alone_when_the_change_is_taken_back() {
    let before = json!({"metadata": {}});
    let after = json!({"metadata": {"annotations": {"ours": "1"}}});
    let changes = diff(&before, &after);
    let theirs = json!({"metadata": {"annotations": {"ours": "1", "theirs": "2"}}});
    assert_eq!(state(&theirs, &changes), Ok(State::After));
    let restored = apply(&theirs, &inverse(&changes)).unwrap();
    assert_eq!(
        restored,
        json!({"metadata": {"annotations": {"theirs": "2"}}})
    );
}

#[test]
fn quantities_are_compared_by_what_they_mean() {
    let changes = [FieldChange {
        path: "limits.memory".to_owned(),
        from: Some("\"1Gi\"".to_owned()),
        to: Some("\"2048Mi\"".to_owned()),
    }];
    let grown = json!({"limits": {"memory": "2Gi"}});
    assert_eq!(state(&grown, &changes), Ok(State::After));
}

#[test]
fn a_list_whose_order_changed_is_one_value() {
    let before = json!({"initContainers": [{"name": "a"}, {"name": "b"}]});
    let after = json!({"initContainers": [{"name": "b"}, {"name": "a"}]});
    let changes = diff(&before, &after);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].path, "initContainers");
    assert_eq!(apply(&before, &changes), Ok(after));
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (0i64..5).prop_map(Value::from),
        "[a-c]{1,2}".prop_map(Value::from),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = leaf();
    leaf.prop_recursive(4, 40, 4, |inner| {
        let fields = proptest::collection::btree_map("[a-d./]{1,3}", inner.clone(), 1..4);
        let items = proptest::collection::btree_map("[a-c]", inner, 0..3);
        prop_oneof![
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
            items.prop_map(|items| {
                let item = |(name, inner)| json!({"name": name, "inner": inner});
                Value::Array(items.into_iter().map(item).collect())
            }),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-d]{1,2}", tree(), 0..5)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// RFC 7396, as its authors wrote it down.
fn merged(target: &Value, patch: &Value) -> Value {
    let Some(patch) = patch.as_object() else {
        return patch.clone();
    };
    let mut target = target.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            let old = target.get(key).cloned().unwrap_or(Value::Null);
            target.insert(key.clone(), merged(&old, value));
        }
    }
    Value::Object(target)
}

/// Maps that became empty count as absent, as they do for the API server.
fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields
                .iter()
                .map(|(name, inner)| (name.clone(), pruned(inner)));
            let kept = kept.filter(|(_, inner)| inner.as_object().is_none_or(|f| !f.is_empty()));
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(pruned).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

proptest! {
    #[test]
    fn a_change_is_made_found_and_taken_back(before in object(), after in object()) {
        let changes = diff(&before, &after);
        let made = apply(&before, &changes).unwrap();
        prop_assert_eq!(pruned(&made), pruned(&after));
        prop_assert_eq!(state(&made, &changes).unwrap(), State::After);
        // What differs by empty maps alone is the same to the API server.
        let is_told = pruned(&before) != pruned(&after);
        let expected = if is_told { State::Before } else { State::After };
        prop_assert_eq!(state(&before, &changes).unwrap(), expected);
        let back = apply(&made, &inverse(&changes)).unwrap();
        prop_assert_eq!(pruned(&back), pruned(&before));
    }

    #[test]
    fn a_merge_patch_does_what_the_change_does(before in object(), after in object()) {
        prop_assert_eq!(merged(&before, &merge_patch(&before, &after)), after);
    }

    #[test]
    fn hostile_changes_are_refused_and_break_nothing(
        path in ".{0,20}", from in proptest::option::of(".{0,8}"), to in proptest::option::of(".{0,8}"),
    ) {
        let change = [FieldChange { path, from, to }];
        let _state = state(&deployment(), &change);
        let _applied = apply(&deployment(), &change);
    }
}

#[test]
fn a_json_patch_tests_what_it_was_judged_by_before_it_changes_anything() {
    let list = Path::default().field("metadata").field("a/b");
    let changes = [field(&list, Some(&json!(["x", "y"])), Some(&json!(["y"])))];
    let patch = json_patch(&changes, "u", "7").unwrap();
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    let object = |uid: &str, version: &str, list: Value| json!({"metadata": {"uid": uid, "resourceVersion": version, "a/b": list}});
    let mut judged = object("u", "7", json!(["x", "y"]));
    json_patch::patch(&mut judged, &patch).unwrap();
    assert_eq!(judged, object("u", "7", json!(["y"])));
    for mut other in [
        object("v", "7", json!(["x", "y"])),
        object("u", "8", json!(["x", "y"])),
        object("u", "7", json!(["x", "y", "z"])),
    ] {
        assert!(json_patch::patch(&mut other, &patch).is_err(), "{other}");
    }
}
