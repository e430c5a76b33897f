//! Running a Job of the policy's own.
//!
//! The Job is created in the action's namespace, once, under a name that the
//! action determines, and its outcome is read back. It gets no rights: no token
//! of a service account, and nothing of its node.
//!
//! Pure: no IO, no clock.

use schemas::{
    ACTED_BY, GROUP, VERSION, digest,
    policy::{CustomAction, JobTemplate},
    step::{Step, Verb, Wait},
    target::Target,
};
use serde_json::{Map, Value, json};

use super::{Refusal, step};
use crate::{reason::Reason, snapshot::Snapshot};

/// Fields of a pod's spec that would give it a part of its node, or another identity.
const REFUSED: [&str; 6] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "serviceAccountName",
    "serviceAccount",
    "nodeName",
];

/// Plans the policy's own remedy.
pub(super) fn custom(snapshot: &Snapshot) -> Result<Vec<Step>, Refusal> {
    let settings = snapshot.action.spec.action.custom_action.as_ref();
    match settings {
        Some(settings @ CustomAction { job: Some(job), .. }) => {
            run(snapshot, settings, job).map_err(|why| Refusal::new(Reason::JobNotAllowed, why))
        }
        Some(_) => {
            let message = "this version of the actuator runs Jobs and calls no webhooks";
            Err(Refusal::new(Reason::NotImplementedYet, message))
        }
        None => {
            let message = "the action has no customAction";
            Err(Refusal::new(Reason::NothingToDo, message))
        }
    }
}

fn run(
    snapshot: &Snapshot,
    settings: &CustomAction,
    job: &JobTemplate,
) -> Result<Vec<Step>, String> {
    let strict = serde_saphyr::options! { strict_booleans: true };
    let spec: Value = serde_saphyr::from_str_with_options(&job.spec, strict)
        .map_err(|error| format!("the Job's spec cannot be read: {error}"))?;
    let mut spec = spec
        .as_object()
        .cloned()
        .ok_or("the Job's spec is no map")?;
    confine(&mut spec)?;
    let seconds = settings.timeout.get().as_secs().max(1);
    spec.entry("activeDeadlineSeconds")
        .or_insert(json!(seconds));
    spec.entry("backoffLimit").or_insert(json!(0));
    let action = &snapshot.action;
    let name = format!("kubeskippy-{}", digest::short([action.uid.as_str()], 16));
    let owner = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "HealingAction",
        "name": action.name, "uid": action.uid,
    });
    let manifest = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": action.namespace,
            "annotations": { ACTED_BY: action.uid },
            "ownerReferences": [owner],
        },
        "spec": spec,
    });
    let job = Target {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        namespace: action.namespace.clone(),
        name,
        uid: String::new(),
    };
    let call = format!("run {job}");
    Ok(vec![Step {
        body: Some(manifest.to_string()),
        wait: Some(Wait::Finished),
        ..step(Verb::Create, &job, call)
    }])
}

/// Refuses what would give the Job more than its containers, and takes its token away.
fn confine(spec: &mut Map<String, Value>) -> Result<(), String> {
    let pod = spec
        .get_mut("template")
        .and_then(|template| template.get_mut("spec"))
        .and_then(Value::as_object_mut)
        .ok_or("the Job's spec has no template.spec")?;
    if let Some(name) = REFUSED.iter().find(|name| pod.contains_key(**name)) {
        return Err(format!("a Job of a policy may not set {name}"));
    }
    let list = |pod: &Map<String, Value>, name: &str| {
        let items = pod.get(name).and_then(Value::as_array);
        items.cloned().unwrap_or_default()
    };
    if list(pod, "volumes")
        .iter()
        .any(|volume| volume.get("hostPath").is_some())
    {
        return Err("a Job of a policy may not mount a path of its node".to_owned());
    }
    for container in ["containers", "initContainers"]
        .iter()
        .flat_map(|name| list(pod, name))
    {
        let security = container
            .get("securityContext")
            .cloned()
            .unwrap_or_default();
        let is_set = |name: &str| security.get(name) == Some(&Value::Bool(true));
        let adds = security.pointer("/capabilities/add").is_some();
        if is_set("privileged") || is_set("allowPrivilegeEscalation") || adds {
            return Err("a Job of a policy may not be privileged".to_owned());
        }
    }
    pod.insert("automountServiceAccountToken".to_owned(), json!(false));
    pod.entry("restartPolicy").or_insert(json!("Never"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{acting, named_action, pod},
    };
    use proptest::prelude::*;
    use schemas::policy::Remedy;

    fn planned(spec: &str) -> Result<Value, Reason> {
        let mut action = named_action("x", Remedy::Custom);
        action.custom_action = Some(CustomAction {
            job: Some(JobTemplate {
                spec: spec.to_owned(),
            }),
            timeout: schemas::duration::Duration::from_mins(1),
            ..CustomAction::default()
        });
        let planned = plan(&acting(action, pod("web-1", "uid-1")));
        let planned = planned.map_err(|refusal| refusal.reason)?;
        let body = planned.steps[0].body.clone().unwrap();
        Ok(serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn a_job_is_bounded_in_time_and_has_no_rights() {
        let job = planned("template: {spec: {containers: [{name: a, image: b}]}}").unwrap();
        let spec = &job["spec"];
        assert_eq!(
            (&spec["activeDeadlineSeconds"], &spec["backoffLimit"]),
            (&json!(60), &json!(0))
        );
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], json!(false));
        assert_eq!(
            job["metadata"]["annotations"][ACTED_BY],
            json!("action-uid")
        );
        assert_eq!(
            job["metadata"]["ownerReferences"][0]["uid"],
            json!("action-uid")
        );
    }

    #[test]
    fn what_would_give_it_more_is_refused() {
        for more in [
            "hostNetwork: true",
            "hostPID: true",
            "serviceAccountName: admin",
            "nodeName: n1",
            "volumes: [{name: v, hostPath: {path: /}}]",
            "initContainers: [{name: i, securityContext: {privileged: true}}]",
            "initContainers: [{name: i, securityContext: {capabilities: {add: [SYS_ADMIN]}}}]",
        ] {
            let spec = format!("template: {{spec: {{containers: [], {more}}}}}");
            assert_eq!(planned(&spec), Err(Reason::JobNotAllowed), "{more}");
        }
        assert_eq!(planned("nothing"), Err(Reason::JobNotAllowed));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_planner(spec in ".{0,80}") {
            let _planned = planned(&spec);
        }
    }
}
