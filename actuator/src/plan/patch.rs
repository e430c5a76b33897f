//! Changing fields that the policy's action names.
//!
//! The patch is applied here, to the object as it was read, and what differs
//! afterwards is the plan: so it is the whole change that is checked against
//! the named fields, shown, approved and written, not the text of the patch.
//!
//! Pure: no IO, no clock.

use schemas::{
    policy::{PatchAction, PatchChange, PatchOperation, PatchType},
    step::{FieldChange, Step},
};
use serde_json::Value;

use super::{Refusal, changing};
use crate::{
    change::{self, Path, Segment},
    object::Object,
    reason::Reason,
    snapshot::Snapshot,
};

mod merge;
mod strategic;
mod template;

/// The parts of an object's metadata that may be changed.
const METADATA: [&str; 2] = ["labels", "annotations"];

/// Prefix of the labels and annotations by which KubeSkippy itself is steered.
const OURS: &str = "kubeskippy.io/";

/// Plans the patch of `target`.
pub(super) fn patch(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let Some(settings) = &snapshot.action.spec.action.patch_action else {
        let message = "the action has no patchAction";
        return Err(Refusal::new(Reason::NothingToDo, message));
    };
    let named = named(settings)?;
    let after = patched(snapshot, settings, &target.content)?;
    let changes = change::diff(&target.content, &after);
    if changes.is_empty() {
        let message = format!("{} is as the patch wants it already", target.title());
        return Err(Refusal::new(Reason::NothingToDo, message));
    }
    for change in &changes {
        may_change(change, &named)?;
    }
    let call = format!("patch {}", target.target);
    Ok(vec![changing(snapshot, target, call, changes)])
}

fn invalid(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Reason::PatchInvalid,
        format!("the patch cannot be applied: {why}"),
    )
}

/// The fields that may change.
fn named(settings: &PatchAction) -> Result<Vec<Path>, Refusal> {
    let paths: Vec<&str> = match (settings.fields.is_empty(), settings.patches.is_empty()) {
        (false, _) => settings.fields.iter().map(String::as_str).collect(),
        (true, false) => settings.patches.iter().map(|p| p.path.as_str()).collect(),
        (true, true) => {
            let why = "it names no fields: write fields: [spec.template.spec.containers]";
            return Err(invalid(why));
        }
    };
    let paths = paths.into_iter().map(Path::parse);
    paths.collect::<Result<_, _>>().map_err(invalid)
}

fn may_change(change: &FieldChange, named: &[Path]) -> Result<(), Refusal> {
    let path = Path::parse(&change.path).map_err(invalid)?;
    let fields: Vec<_> = path.segments().iter().map(field).collect();
    let is_kept = match fields.as_slice() {
        [Some("metadata"), Some(part), Some(name), ..] => {
            !METADATA.contains(part) || name.starts_with(OURS)
        }
        [Some("metadata" | "status"), ..] => true,
        _ => false,
    };
    if is_kept {
        let message = format!("the patch would change {path}, which no patch may");
        return Err(Refusal::new(Reason::FieldNotAllowed, message));
    }
    if named.iter().any(|field| field.covers(&path)) {
        return Ok(());
    }
    let message =
        format!("the patch would change {path}, which the action does not name under fields");
    Err(Refusal::new(Reason::FieldNotAllowed, message))
}

fn field(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Field(name) => Some(name),
        Segment::Item { .. } => None,
    }
}

/// The object as the patch wants it.
fn patched(snapshot: &Snapshot, settings: &PatchAction, content: &Value) -> Result<Value, Refusal> {
    let Some(text) = &settings.patch else {
        return structured(snapshot, &settings.patches, content);
    };
    let wanted = template::fill(parsed(text)?, snapshot).map_err(invalid)?;
    match settings.kind {
        PatchType::Merge => Ok(merge::merged(content, &wanted)),
        PatchType::Strategic => strategic::merged(content, &wanted).map_err(invalid),
        PatchType::Json => {
            let steps: json_patch::Patch = serde_json::from_value(wanted).map_err(invalid)?;
            let mut after = content.clone();
            json_patch::patch(&mut after, &steps).map_err(invalid)?;
            Ok(after)
        }
    }
}

/// JSON or YAML, in which `y` and `no` are words and not truth values.
fn parsed(text: &str) -> Result<Value, Refusal> {
    let strict = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, strict).map_err(invalid)
}

fn structured(
    snapshot: &Snapshot,
    patches: &[PatchChange],
    content: &Value,
) -> Result<Value, Refusal> {
    let changes: Vec<_> = patches
        .iter()
        .map(|patch| {
            let to = match patch.op {
                PatchOperation::Remove => None,
                PatchOperation::Set => Some(value(snapshot, patch)?),
            };
            Ok(FieldChange {
                path: patch.path.clone(),
                from: None,
                to: to.map(|to| to.to_string()),
            })
        })
        .collect::<Result<_, Refusal>>()?;
    change::apply(content, &changes).map_err(invalid)
}

fn value(snapshot: &Snapshot, change: &PatchChange) -> Result<Value, Refusal> {
    let Some(text) = &change.value else {
        let path = &change.path;
        return Err(invalid(format!("{path} is to be set, and has no value")));
    };
    // YAML would read a bare template as a map.
    let filled = if text.trim_start().starts_with("{{") {
        Value::String(text.clone())
    } else {
        parsed(text)?
    };
    template::fill(filled, snapshot).map_err(invalid)
}

#[cfg(test)]
mod tests;
