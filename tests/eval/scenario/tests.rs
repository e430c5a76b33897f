use proptest::prelude::*;

use super::*;

const WHOLE: &str = r#"
name: leak
title: A leak
about: A pod leaks.
given:
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}
- apiVersion: kubeskippy.io/v1alpha1
  kind: HealingPolicy
  metadata: {name: memory}
  spec:
    triggers: [{name: high}]
    actions: [{name: replace, type: restart}]
inject:
- after: 5s
  annotate: {object: Pod/web-*, pick: 1, annotations: {a: "1", b: null}}
- scale: {object: Deployment/web, replicas: 3}
expect:
  triggers: [high]
  cases:
  - cause: [memory-leak, out-of-memory]
    owner: Deployment/web
    action: [restart, none]
    target: Pod/web-*
    recovers: 2m
timeout: 4m
"#;

/// What is said about [`WHOLE`] with one text replaced by another.
fn refusal(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    let text = WHOLE.replacen(from, to, 1);
    Scenario::read(&text, "leak").unwrap_err().to_string()
}

#[test]
fn a_whole_scenario_is_read() {
    let scenario = Scenario::read(WHOLE, "leak").unwrap();
    let label = &scenario.expect.cases[0].value;
    assert_eq!(
        label.cause,
        [FailureMode::MemoryLeak, FailureMode::OutOfMemory]
    );
    assert_eq!(
        label.action,
        [Wanted::Remedy(Remedy::Restart), Wanted::Nothing]
    );
    assert_eq!(label.target[0].to_string(), "Pod/web-*");
    assert_eq!(scenario.watch, Duration::from_secs(10));
    let annotate = scenario.inject[0].value.annotate.as_ref().unwrap();
    assert_eq!(annotate.annotations["a"].as_deref(), Some("1"));
    assert_eq!(annotate.annotations["b"], None);
}

#[test]
fn an_unknown_field_is_refused_with_its_line() {
    let said = refusal("pick: 1", "pik: 1");
    assert!(said.contains("pik") && said.contains("15"), "{said}");
    let said = refusal("timeout: 4m", "timeout: 4m\nretries: 3");
    assert!(said.contains("retries"), "{said}");
}

#[test]
fn a_text_of_the_wrong_form_is_refused_with_what_to_write() {
    let said = refusal("timeout: 4m", "timeout: 4 minutes");
    assert!(said.contains("is not a duration"), "{said}");
    let said = refusal("[memory-leak, out-of-memory]", "memory-loss");
    assert!(said.contains("memory-loss"), "{said}");
    let said = refusal("action: [restart, none]", "action: [reboot]");
    assert!(
        said.contains("reboot") && said.contains("rollback"),
        "{said}"
    );
    let said = refusal("target: Pod/web-*", "target: web-*");
    assert!(said.contains("names no object"), "{said}");
}

#[test]
fn what_one_part_names_another_has() {
    for (from, to, what) in [
        ("name: leak", "name: lake", "call both the same"),
        (
            "Deployment/web, replicas",
            "Deployment/wb, replicas",
            "line 16: Deployment/wb is neither",
        ),
        (
            "triggers: [high]",
            "triggers: [low]",
            "no policy has a trigger low",
        ),
        (
            "action: [restart, none]",
            "action: scale",
            "no policy has an action of type scale",
        ),
        (
            "kind: HealingPolicy",
            "kind: ConfigMap",
            "there is no HealingPolicy",
        ),
        (
            "{name: web}}",
            "{name: '${name}'}}",
            "${name} stands for nothing",
        ),
        ("{apiVersion: apps/v1, ", "{", "an object has no apiVersion"),
        (
            "after: 5s",
            "node: {name: a, state: silent}",
            "a step does one thing",
        ),
        ("action: [restart, none]", "action: []", "action is empty"),
    ] {
        let said = refusal(from, to);
        assert!(said.contains(what), "{to}: {said}");
    }
}

#[test]
fn every_scenario_of_the_project_is_read() {
    let dir = harness::tests_dir().join("scenarios");
    let files = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.collect();
    assert!(files.len() >= 29, "{}", files.len());
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        if let Err(error) = Scenario::read(&text, name) {
            panic!("{}: {error}", file.display());
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _result = Scenario::read(&text, "leak");
    }

    #[test]
    fn no_cut_or_doubled_line_panics(line in 0_usize..32, twice in any::<bool>()) {
        let mut lines: Vec<&str> = WHOLE.lines().collect();
        let line = line.min(lines.len() - 1);
        if twice {
            lines.insert(line, lines[line]);
        } else {
            lines.remove(line);
        }
        let _result = Scenario::read(&lines.join("\n"), "leak");
    }
}
