//! Carries out what a [`Permit`] covers: first as a dry run, then for good.
//!
//! Each write names the UID that was judged, and its version where the API
//! takes one, and leaves the action's UID on the object where the object stays.
//! A refused eviction stays refused: it never becomes a delete.

use jiff::Timestamp;
use k8s_openapi::{
    api::{autoscaling::v1::ScaleSpec, policy::v1::Eviction},
    apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions},
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy},
    core::Status,
};
use schemas::{ACTED_BY, policy::Propagation, target::Target};
use serde_json::{Value, json};

use crate::{judge::Permit, object::api_resource, plan::Operation};

/// Who owns the fields that the actuator writes.
pub const FIELD_MANAGER: &str = "kubeskippy-actuator";

/// The template annotation that kubectl and every controller know as "restart".
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Why a plan could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A disruption budget does not allow the eviction now.
    #[error("a disruption budget does not allow {pod} to be evicted now")]
    Blocked {
        /// The pod.
        pod: String,
        /// What the API server said.
        source: kube::Error,
    },

    /// The target went away, or was replaced or changed, between judging and acting.
    #[error("{target} is not as it was judged")]
    Overtaken {
        /// The object.
        target: String,
        /// What the API server said.
        source: kube::Error,
    },

    /// Somebody else scaled the target between judging and acting.
    #[error("{target} was scaled by somebody else")]
    Changed {
        /// The object.
        target: String,
    },

    /// The API server refuses the change, and will again.
    #[error("the API server refuses to {operation}")]
    Refused {
        /// What was tried.
        operation: String,
        /// What the API server said.
        source: kube::Error,
    },

    /// The actuator has no right to make the change; the API server's answer names it.
    #[error("the API server forbids the actuator to {operation}")]
    Forbidden {
        /// What was tried.
        operation: String,
        /// What the API server said.
        source: kube::Error,
    },

    /// The answer was lost, the API server is in trouble, or the object changed
    /// since it was read: it is read again before anything else is tried.
    #[error("no clear answer to: {operation}")]
    Ambiguous {
        /// What was tried.
        operation: String,
        /// What went wrong.
        source: kube::Error,
    },

    /// The target's kind has no known place in the API.
    #[error("{target} has a kind that cannot be written")]
    UnknownKind {
        /// The object.
        target: String,
    },
}

impl Error {
    /// What people are told: what was attempted, and the API server's own words
    /// where there are any (the client's text repeats its answer in full).
    pub fn explain(&self) -> String {
        match std::error::Error::source(self).and_then(|s| s.downcast_ref::<kube::Error>()) {
            Some(kube::Error::Api(status)) => format!("{self}: {}", status.message),
            Some(_) | None => runtime::chain(self),
        }
    }
}

/// Carries out what `permit` covers; of a dry run, only the trial.
///
/// # Errors
/// When the API server did not plainly accept it.
pub async fn execute(client: &Client, permit: &Permit, now: Timestamp) -> Result<(), Error> {
    let operation = permit.operation();
    let steps: &[bool] = if permit.is_dry_run() {
        &[true]
    } else {
        &[true, false]
    };
    for is_trial in steps {
        let done = match operation {
            Operation::Evict {
                pod,
                grace_period_seconds,
            } => evict(client, pod, *grace_period_seconds, *is_trial).await,
            Operation::Delete {
                pod,
                grace_period_seconds,
                propagation,
            } => {
                let how = (*grace_period_seconds, *propagation, *is_trial);
                delete(client, permit, pod, how).await
            }
            Operation::RestartRollout { workload } => {
                let restart = restart_patch(permit, workload, now);
                stamp(client, workload, &restart, *is_trial)
                    .await?
                    .map(|_| ())
            }
            Operation::Scale { workload, from, to } => {
                scale(client, permit, workload, (*from, *to, *is_trial)).await?
            }
        };
        done.map_err(|source| classify(operation, source))?;
    }
    Ok(())
}

/// Asks for an eviction. kube's own `evict` spells the field `delete_options`,
/// which the API server ignores, and the UID with it: so the body is built here.
async fn evict(
    client: &Client,
    pod: &Target,
    grace_period_seconds: Option<u32>,
    is_trial: bool,
) -> Result<(), kube::Error> {
    let api: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let body = Eviction {
        metadata: ObjectMeta {
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            ..ObjectMeta::default()
        },
        delete_options: Some(DeleteOptions {
            grace_period_seconds: grace_period_seconds.map(i64::from),
            preconditions: Some(Preconditions {
                uid: Some(pod.uid.clone()),
                resource_version: None,
            }),
            dry_run: is_trial.then(|| vec!["All".to_owned()]),
            ..DeleteOptions::default()
        }),
    };
    let how = PostParams {
        dry_run: is_trial,
        ..PostParams::default()
    };
    let asked = api.create_subresource::<_, Status>("eviction", &pod.name, &how, &body);
    asked.await.map(|_| ())
}

/// Deletes the very pod that was judged, at the version that was judged.
async fn delete(
    client: &Client,
    permit: &Permit,
    pod: &Target,
    (grace_period_seconds, propagation, is_trial): (Option<u32>, Propagation, bool),
) -> Result<(), kube::Error> {
    let api: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let how = DeleteParams {
        dry_run: is_trial,
        grace_period_seconds,
        propagation_policy: Some(match propagation {
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Orphan => PropagationPolicy::Orphan,
        }),
        preconditions: Some(kube::api::Preconditions {
            uid: Some(pod.uid.clone()),
            resource_version: Some(permit.resource_version().to_owned()),
        }),
    };
    api.delete(&pod.name, &how).await.map(|_| ())
}

/// Stamp and template annotation in one write, so that the one proves the other.
fn restart_patch(permit: &Permit, workload: &Target, now: Timestamp) -> Value {
    let mut patch = stamp_patch(permit, workload);
    let annotations = json!({ RESTARTED_AT: now.to_string() });
    if let Some(patch) = patch.as_object_mut() {
        let template = json!({"template": {"metadata": {"annotations": annotations}}});
        patch.insert("spec".to_owned(), template);
    }
    patch
}

fn stamp_patch(permit: &Permit, workload: &Target) -> Value {
    json!({
        "metadata": {
            "uid": workload.uid,
            "resourceVersion": permit.resource_version(),
            "annotations": { ACTED_BY: permit.action_uid() },
        },
    })
}

async fn stamp(
    client: &Client,
    workload: &Target,
    patch: &Value,
    is_trial: bool,
) -> Result<Result<DynamicObject, kube::Error>, Error> {
    let api = api(client, workload)?;
    let how = PatchParams {
        dry_run: is_trial,
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    Ok(api.patch(&workload.name, &how, &Patch::Merge(patch)).await)
}

/// Stamps the workload, then sets its scale: the scale subresource itself takes
/// no annotations. The stamp moves the workload's version, and its controller
/// moves it again, so the scale is read once more in between, and written at
/// that version if the count is still the one that was judged. A crash between
/// the two leaves a stamp without its count, which reading back finds and completes.
async fn scale(
    client: &Client,
    permit: &Permit,
    workload: &Target,
    (from, to, is_trial): (i32, i32, bool),
) -> Result<Result<(), kube::Error>, Error> {
    if let Err(error) = stamp(client, workload, &stamp_patch(permit, workload), is_trial).await? {
        return Ok(Err(error));
    }
    let api = api(client, workload)?;
    let mut scale = match api.get_scale(&workload.name).await {
        Ok(scale) => scale,
        Err(error) => return Ok(Err(error)),
    };
    let count = scale.spec.as_ref().and_then(|spec| spec.replicas);
    let is_same = scale.metadata.uid.as_ref() == Some(&workload.uid);
    if !is_same || count.unwrap_or(0) != from {
        return Err(Error::Changed {
            target: workload.to_string(),
        });
    }
    scale.spec = Some(ScaleSpec { replicas: Some(to) });
    let how = PostParams {
        dry_run: is_trial,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    };
    let scaled = api.replace_scale(&workload.name, &how, &scale).await;
    Ok(scaled.map(|_| ()))
}

fn api(client: &Client, target: &Target) -> Result<Api<DynamicObject>, Error> {
    let resource = api_resource(&target.kind).ok_or_else(|| Error::UnknownKind {
        target: target.to_string(),
    })?;
    let namespace = &target.namespace;
    Ok(Api::namespaced_with(client.clone(), namespace, &resource))
}

/// What an error means for the action. Only an answer from the API server is
/// an answer; anything else leaves open whether the write landed.
fn classify(operation: &Operation, source: kube::Error) -> Error {
    let target = operation.target().to_string();
    let operation_text = operation.to_string();
    let code = if let kube::Error::Api(status) = &source {
        status.code
    } else {
        0
    };
    let is_eviction = matches!(operation, Operation::Evict { .. });
    match code {
        429 if is_eviction => Error::Blocked {
            pod: target,
            source,
        },
        403 => Error::Forbidden {
            operation: operation_text,
            source,
        },
        404 => Error::Overtaken { target, source },
        // The only precondition of an eviction is the UID.
        409 if is_eviction => Error::Overtaken { target, source },
        400..=499 if !matches!(code, 408 | 409 | 429) => Error::Refused {
            operation: operation_text,
            source,
        },
        _ => Error::Ambiguous {
            operation: operation_text,
            source,
        },
    }
}
