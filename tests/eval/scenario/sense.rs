//! Whether a scenario that can be read makes sense: what one part names, another has.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Label, Scenario, Step, Wanted};
use crate::{fill, pattern::Pattern};

/// What makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub(crate) struct Senseless {
    /// Where, if that is known; counted from 1.
    pub(crate) line: Option<u64>,
    /// What, and what to write instead.
    pub(crate) what: String,
}

type Found = Result<(), String>;

/// Checks a scenario that is in the file `<name>.yaml`.
///
/// # Errors
/// The first thing that makes no sense.
pub(super) fn check(scenario: &Scenario, name: &str) -> Result<(), Senseless> {
    let at = |line: Option<u64>| move |what: String| Senseless { line, what };
    whole(scenario, name).map_err(at(None))?;
    let mut known = Objects::of(&scenario.given);
    for step in &scenario.inject {
        self::step(scenario, &step.value, &mut known).map_err(at(Some(step.referenced.line())))?;
    }
    let policies: Vec<&Value> = policies(scenario).collect();
    triggers(scenario, &policies).map_err(at(None))?;
    for label in &scenario.expect.cases {
        self::label(&label.value, &policies).map_err(at(Some(label.referenced.line())))?;
    }
    Ok(())
}

fn whole(scenario: &Scenario, name: &str) -> Found {
    if scenario.name != name {
        let said = &scenario.name;
        return Err(format!(
            "name: {said} is in the file {name}.yaml: call both the same"
        ));
    }
    if scenario.title.trim().is_empty() || scenario.about.trim().is_empty() {
        return Err("title and about say what happens and what helps: write them".to_owned());
    }
    if scenario.inject.is_empty() {
        return Err("inject is empty: nothing would go wrong".to_owned());
    }
    if scenario.expect.cases.is_empty() {
        return Err("expect.cases is empty: write what the right answers are".to_owned());
    }
    if scenario.timeout.as_millis() == 0 {
        return Err("timeout is zero: no answer would count".to_owned());
    }
    let objects = scenario.given.iter().chain(scenario.applied());
    for object in objects {
        kind_and_name(object)?;
        if let Some(unknown) = fill::unknown(object) {
            return Err(format!(
                "${{{unknown}}} stands for nothing: there are ${{namespace}} and ${{now}}"
            ));
        }
    }
    if policies(scenario).next().is_none() {
        return Err(
            "there is no HealingPolicy under given or apply: nothing would be noticed".to_owned(),
        );
    }
    let names: BTreeSet<_> = scenario.nodes.iter().map(|node| &node.name).collect();
    if names.len() < scenario.nodes.len() {
        return Err("two nodes have the same name".to_owned());
    }
    Ok(())
}

/// Kind and name of an object.
///
/// # Errors
/// What it lacks.
pub(crate) fn kind_and_name(object: &Value) -> Result<(&str, &str), String> {
    let text = |at: &str| object.pointer(at).and_then(Value::as_str);
    if text("/apiVersion").is_none() {
        return Err("an object has no apiVersion".to_owned());
    }
    let kind = text("/kind").ok_or("an object has no kind")?;
    let name = text("/metadata/name").ok_or_else(|| format!("a {kind} has no metadata.name"))?;
    Ok((kind, name))
}

/// Objects that exist by then.
struct Objects(BTreeSet<(String, String)>);

impl Objects {
    fn of(given: &[Value]) -> Self {
        let mut objects = Self(BTreeSet::new());
        objects.add(given);
        objects
    }

    fn add(&mut self, objects: &[Value]) {
        let named = objects
            .iter()
            .filter_map(|object| kind_and_name(object).ok());
        self.0
            .extend(named.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
    }

    /// Whether a pattern can mean anything: pods, and what else controllers make, are not looked up.
    fn have(&self, pattern: &Pattern) -> Found {
        let named = |(kind, name): &(String, String)| *kind == pattern.kind && pattern.fits(name);
        if ["Pod", "ReplicaSet"].contains(&pattern.kind.as_str()) || self.0.iter().any(named) {
            Ok(())
        } else {
            Err(format!("{pattern} is neither given nor applied before"))
        }
    }
}

fn step(scenario: &Scenario, step: &Step, known: &mut Objects) -> Found {
    let Step {
        after: _,
        when,
        apply,
        patch,
        annotate,
        scale,
        delete,
        node,
        event,
    } = step;
    let done = [
        apply.is_some(),
        patch.is_some(),
        annotate.is_some(),
        scale.is_some(),
        delete.is_some(),
        node.is_some(),
        event.is_some(),
    ];
    if done.into_iter().filter(|is| *is).count() != 1 {
        let one = "apply, patch, annotate, scale, delete, node, event";
        return Err(format!("a step does one thing: write one of {one}"));
    }
    if let Some(objects) = apply {
        known.add(objects);
    }
    let one = [
        when.as_ref().map(|it| &it.object),
        patch.as_ref().map(|it| &it.object),
        scale.as_ref().map(|it| &it.object),
    ];
    for object in one.into_iter().flatten() {
        known.have(object)?;
        if !object.is_exact() {
            return Err(format!("{object} may mean several objects: name one"));
        }
    }
    let many = [
        annotate.as_ref().map(|it| &it.object),
        delete.as_ref().map(|it| &it.object),
        event.as_ref().map(|it| &it.about),
    ];
    for objects in many.into_iter().flatten() {
        known.have(objects)?;
    }
    if let Some(when) = when
        && !when.at.starts_with('/')
    {
        return Err(format!(
            "at: {:?} is no JSON pointer, such as /status/readyReplicas",
            when.at
        ));
    }
    if let Some(state) = node
        && !scenario.nodes.iter().any(|node| node.name == state.name)
    {
        return Err(format!("node {} is not under nodes", state.name));
    }
    Ok(())
}

fn policies(scenario: &Scenario) -> impl Iterator<Item = &Value> {
    let objects = scenario.given.iter().chain(scenario.applied());
    objects.filter(|object| object.get("kind").and_then(Value::as_str) == Some("HealingPolicy"))
}

/// A field of each entry of a list of a policy.
fn each<'a>(policies: &'a [&Value], list: &str, field: &str) -> BTreeSet<&'a str> {
    let lists = policies
        .iter()
        .filter_map(|policy| policy.pointer(list)?.as_array());
    let entries = lists.flatten();
    entries
        .filter_map(|entry| entry.get(field)?.as_str())
        .collect()
}

fn triggers(scenario: &Scenario, policies: &[&Value]) -> Found {
    let there = each(policies, "/spec/triggers", "name");
    let mut named = scenario.expect.triggers.iter();
    match named.find(|name| !there.contains(name.as_str())) {
        Some(name) => Err(format!("expect.triggers: no policy has a trigger {name}")),
        None => Ok(()),
    }
}

fn label(label: &Label, policies: &[&Value]) -> Found {
    let lists = [
        ("cause", label.cause.is_empty()),
        ("owner", label.owner.is_empty()),
        ("action", label.action.is_empty()),
    ];
    if let Some((list, _)) = lists.iter().find(|(_, is_empty)| *is_empty) {
        return Err(format!("{list} is empty: there would be no right answer"));
    }
    let there = each(policies, "/spec/actions", "type");
    let mut named = label
        .action
        .iter()
        .filter(|wanted| **wanted != Wanted::Nothing);
    if let Some(wanted) = named.find(|wanted| !there.contains(wanted.as_str())) {
        return Err(format!(
            "no policy has an action of type {}",
            wanted.as_str()
        ));
    }
    if label.asks && label.action.contains(&Wanted::Nothing) {
        return Err("asks: nobody is asked about nothing".to_owned());
    }
    let patterns = label.owner.iter().chain(&label.target);
    let unknown = patterns.filter_map(|pattern| fill::unknown_in(&pattern.name));
    match unknown.into_iter().next() {
        Some(unknown) => Err(format!("${{{unknown}}} stands for nothing")),
        None => Ok(()),
    }
}
