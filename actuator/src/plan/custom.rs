//! Running a Job of the policy's own, or calling its webhook.
//!
//! The Job is created in the action's namespace, once, under a name that the
//! action determines, and its outcome is read back. It gets no rights: no token
//! of a service account, and nothing of its node. A webhook is called once.
//!
//! Pure: no IO, no clock.

use schemas::{
    ACTED_BY, GROUP, VERSION, digest,
    policy::{CustomAction, JobTemplate, Webhook},
    step::{Endpoint, Step, Verb, Wait},
    target::Target,
    webhook::{Named, Request},
};
use serde_json::{Map, Value, json};

use super::{Refusal, step};
use crate::{
    object::Object,
    reason::Reason,
    snapshot::{Policy, Snapshot},
    webhook::{LONGEST, address::place},
};

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
pub(super) fn custom(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let settings = snapshot.action.spec.action.custom_action.as_ref();
    match settings {
        Some(settings @ CustomAction { job: Some(job), .. }) => {
            run(snapshot, settings, job).map_err(|why| Refusal::new(Reason::JobNotAllowed, why))
        }
        Some(
            settings @ CustomAction {
                webhook: Some(webhook),
                ..
            },
        ) => call(snapshot, target, settings, webhook),
        Some(_) | None => {
            let message = "the action has neither customAction.job nor customAction.webhook";
            Err(Refusal::new(Reason::NothingToDo, message))
        }
    }
}

/// The object of the call is the target by its name alone: its receiver may do what it likes to it, or nothing.
fn call(
    snapshot: &Snapshot,
    target: &Object,
    settings: &CustomAction,
    webhook: &Webhook,
) -> Result<Vec<Step>, Refusal> {
    let place = place(&webhook.url, &snapshot.limits.webhooks)
        .map_err(|refused| Refusal::new(Reason::WebhookNotAllowed, refused.to_string()))?;
    let action = &snapshot.action;
    let policy = snapshot.policy.as_ref();
    let named = |policy: &Policy| Named {
        namespace: policy.namespace.clone(),
        name: policy.name.clone(),
        uid: policy.uid.clone(),
    };
    let request = Request {
        action: Named {
            namespace: action.namespace.clone(),
            name: action.name.clone(),
            uid: action.uid.clone(),
        },
        remedy: action.spec.action.name.clone(),
        policy: policy.map_or_else(
            || Named {
                namespace: action.namespace.clone(),
                name: action.spec.policy_name.clone(),
                uid: String::new(),
            },
            named,
        ),
        target: target.target.clone(),
        trigger: action.spec.trigger.clone(),
        plan_digest: String::new(),
    };
    let body = serde_json::to_string(&request);
    let body = body.map_err(|error| Refusal::new(Reason::WebhookNotAllowed, error.to_string()))?;
    let longest = i64::try_from(LONGEST.as_secs()).unwrap_or(i64::MAX);
    let seconds = settings.timeout.get().as_secs().clamp(1, longest);
    let object = Target {
        uid: String::new(),
        ..target.target.clone()
    };
    Ok(vec![Step {
        body: Some(body),
        webhook: Some(Endpoint {
            url: webhook.url.clone(),
            secret_name: webhook.secret_name.clone(),
            timeout_seconds: u32::try_from(seconds).unwrap_or(1),
        }),
        ..step(Verb::Call, &object, format!("call {place}"))
    }])
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

    fn hook(url: &str) -> Result<Vec<Step>, Reason> {
        let mut action = named_action("page", Remedy::Custom);
        action.custom_action = Some(CustomAction {
            webhook: Some(Webhook {
                url: url.to_owned(),
                secret_name: Some("hooks".to_owned()),
            }),
            timeout: schemas::duration::Duration::from_mins(5),
            ..CustomAction::default()
        });
        let planned = plan(&acting(action, pod("web-1", "uid-1")));
        planned
            .map(|plan| plan.steps)
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_webhook_is_told_who_asks_for_what_and_why() {
        let steps = hook("https://hooks.example.com/heal?key=1").unwrap();
        assert_eq!(steps[0].call, "call https://hooks.example.com/heal");
        let endpoint = steps[0].webhook.clone().unwrap();
        assert_eq!(
            (endpoint.timeout_seconds, endpoint.secret_name.as_deref()),
            (30, Some("hooks"))
        );
        let request: Request = serde_json::from_str(steps[0].body.as_deref().unwrap()).unwrap();
        assert_eq!(
            (request.action.uid.as_str(), request.policy.uid.as_str()),
            ("action-uid", "policy-uid")
        );
        assert_eq!(
            (request.remedy.as_str(), request.target.uid.as_str()),
            ("page", "uid-1")
        );
        assert_eq!(request.trigger.unwrap().value, Some(90.0));
        // what cannot be read back names no object whose absence could tell
        assert!(steps[0].object.uid.is_empty());
    }

    #[test]
    fn a_webhook_that_may_not_be_called_is_never_planned() {
        for url in [
            "http://hooks.example.com",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
        ] {
            assert_eq!(hook(url), Err(Reason::WebhookNotAllowed), "{url}");
        }
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
