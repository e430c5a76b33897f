use proptest::prelude::*;
use serde_json::json;

use super::*;

fn told(template: &Value) -> BTreeMap<String, String> {
    Template::from(template.clone()).told(&DigestKey::new("k"), "owner")
}

/// A template whose every place for a secret holds one.
fn template(image: &str, memory: &str, password: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web", "pod-template-hash": password}, "annotations": {"checksum/config": password}},
        "spec": {
            "containers": [{
                "name": "app", "image": image, "command": ["run", password], "args": [password], "imagePullPolicy": "Always",
                "env": [{"name": "PASSWORD", "value": password}, {"name": "TIER", "value": "web"}],
                "resources": {"limits": {"memory": memory}, "requests": {"cpu": "100m"}},
                "livenessProbe": {"httpGet": {"httpHeaders": [{"name": "Authorization", "value": password}]}},
            }],
            "initContainers": [{"name": "init", "image": "init:1"}],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "$patch": "replace",
        },
    })
}

#[test]
fn images_and_resources_are_told_as_they_are_and_all_else_as_digests() {
    let told = told(&template("web:1", "64Mi", "hush"));
    assert_eq!(told["containers[app].image"], "web:1");
    assert_eq!(told["initContainers[init].image"], "init:1");
    assert_eq!(told["containers[app].resources.limits.memory"], "64Mi");
    assert_eq!(told["containers[app].resources.requests.cpu"], "100m");
    for hidden in [
        "annotations[checksum/config]",
        "containers[app].args",
        "containers[app].command",
        "containers[app].env[PASSWORD]",
        "containers[app].livenessProbe",
        "labels[app]",
        "volumes[tmp]",
    ] {
        let value = &told[hidden];
        assert!(
            value.starts_with('#') && value.len() == 1 + DIGITS,
            "{hidden}: {value}"
        );
    }
    let all = format!("{told:?}");
    assert!(
        !all.contains("hush") && !all.contains("pod-template-hash") && !all.contains("$patch"),
        "{all}"
    );
}

#[test]
fn only_the_fields_that_changed_differ() {
    let before = told(&template("web:1", "64Mi", "hush"));
    let after = told(&template("web:2", "64Mi", "hush"));
    let differ: Vec<_> = after
        .iter()
        .filter(|(path, value)| before.get(*path) != Some(*value))
        .collect();
    assert_eq!(
        differ,
        [(&"containers[app].image".to_owned(), &"web:2".to_owned())]
    );
    let other = told(&template("web:1", "64Mi", "hash"));
    let differ: Vec<_> = other
        .keys()
        .filter(|path| before.get(*path) != other.get(*path))
        .map(String::as_str)
        .collect();
    assert_eq!(
        differ,
        [
            "annotations[checksum/config]",
            "containers[app].args",
            "containers[app].command",
            "containers[app].env[PASSWORD]",
            "containers[app].livenessProbe",
        ]
    );
}

#[test]
fn a_digest_says_nothing_to_another_key_or_of_another_owner() {
    let template = Template::from(template("web:1", "64Mi", "hush"));
    let of = |key: &str, owner: &str| {
        template.told(&DigestKey::new(key), owner)["containers[app].args"].clone()
    };
    assert_eq!(of("k", "a"), of("k", "a"));
    assert_ne!(of("k", "a"), of("l", "a"));
    assert_ne!(of("k", "a"), of("k", "b"));
    assert_eq!(format!("{:?}", DigestKey::new("k")), "DigestKey");
}

#[test]
fn a_change_beyond_the_bound_is_seen_all_the_same() {
    let many = |last: &str| {
        let mut env: Vec<_> = (0..MOST * 2)
            .map(|n| json!({"name": format!("V{n:04}"), "value": "x"}))
            .collect();
        env.push(json!({"name": "Z", "value": last}));
        told(&json!({"spec": {"containers": [{"name": "app", "env": env}]}}))
    };
    let (before, after) = (many("1"), many("2"));
    assert_eq!(before.len(), MOST + 1);
    assert_ne!(before[REST], after[REST]);
    assert_eq!(
        before
            .iter()
            .filter(|(path, value)| after.get(*path) != Some(*value))
            .count(),
        1
    );
}

/// Any JSON, five levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let key = prop_oneof![
            "metadata",
            "spec",
            "labels",
            "containers",
            "initContainers",
            "name",
            "env",
            "image",
            "resources",
            "volumes",
            ".{0,600}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_template_breaks_its_bounds(template in any_json()) {
        let told = told(&template);
        prop_assert!(told.len() <= MOST + 1);
        for (path, value) in &told {
            prop_assert!(path.len() <= LONGEST + 1 + DIGITS && value.len() <= LONGEST);
        }
    }

    #[test]
    fn no_environment_value_is_told(value in "[a-z]{12,40}", name in "[A-Z_]{1,12}") {
        let template = json!({"spec": {"containers": [{"name": "app", "env": [{"name": name, "value": value}], "args": [value]}]}});
        let told = format!("{:?}", told(&template));
        prop_assert!(!told.contains(&value), "{}", told);
    }
}
