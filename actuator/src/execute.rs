//! Carries out what a [`Permit`] covers: first as a dry run, then for good.
//!
//! Each write names the UID that was judged, and its version where the API
//! takes one, and leaves the action's UID on the object where the object stays.
//! A refused eviction stays refused: it never becomes a delete.

use hyper::{Request, header::CONTENT_TYPE};
use k8s_openapi::{
    api::{autoscaling::v1::ScaleSpec, policy::v1::Eviction},
    apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions},
};
use kube::{
    Api, Client, Resource as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy},
    core::Status,
};
use runtime::clock;
use schemas::{
    policy::Propagation,
    step::{Step, Verb},
    target::Target,
};

use crate::{
    change::{self, State},
    judge::{Call, Permit},
    object::{Object, api_resource},
    plan::replicas,
    webhook::{self, Asking, Webhooks},
};

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

    /// Something between us and the API server's storage makes another change of it.
    #[error("the API server would store something else than was asked for: {operation}")]
    Otherwise {
        /// What was tried.
        operation: String,
    },

    /// What is to be created is no object.
    #[error("what is recorded of {object} cannot be read")]
    Manifest {
        /// The object.
        object: String,
        /// What went wrong.
        source: serde_json::Error,
    },

    /// A webhook was not called, or answered that it was not done.
    #[error("the webhook did not do it")]
    Webhook(#[source] webhook::Error),

    /// A webhook was called, and its answer is not known.
    #[error("no clear answer from the webhook")]
    Unanswered(#[source] webhook::Error),

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
pub async fn execute(client: &Client, webhooks: &Webhooks, permit: &Permit) -> Result<(), Error> {
    for call in permit.calls() {
        if call.step.verb == Verb::Call {
            call_out(webhooks, permit, &call.step).await?;
            continue;
        }
        make(client, call, true).await?;
        if !permit.is_dry_run() {
            make(client, call, false).await?;
        }
    }
    Ok(())
}

/// Calls a webhook. Nobody outside can be asked to try only, so a trial ends before the call.
async fn call_out(webhooks: &Webhooks, permit: &Permit, step: &Step) -> Result<(), Error> {
    let asking = Asking {
        action_uid: permit.action_uid(),
        digest: permit.digest(),
        at: clock::now(),
    };
    let done = if permit.is_dry_run() {
        webhooks.try_out(step).await
    } else {
        webhooks.call(step, asking).await
    };
    done.map_err(|error| {
        if error.is_ambiguous() {
            Error::Unanswered(error)
        } else {
            Error::Webhook(error)
        }
    })
}

async fn make(client: &Client, call: &Call, is_trial: bool) -> Result<(), Error> {
    let step = &call.step;
    let done = match step.verb {
        Verb::Evict => evict(client, step, is_trial).await,
        Verb::Delete => delete(client, call, is_trial).await?,
        Verb::Create => create(client, step, is_trial).await?,
        Verb::Change => return change(client, call, is_trial).await,
        Verb::Release => return release(client, call, is_trial).await,
        Verb::Scale => scale(client, step, is_trial).await?,
        Verb::Resize => return resize(client, call, is_trial).await,
        // Goes out of the cluster, where no client of the API server leads.
        Verb::Call => return Err(unknown_kind(&step.object)),
    };
    done.map_err(|source| classify(step, source))
}

/// Asks for an eviction. kube's own `evict` spells the field `delete_options`,
/// which the API server ignores, and the UID with it: so the body is built here.
async fn evict(client: &Client, step: &Step, is_trial: bool) -> Result<(), kube::Error> {
    let pod = &step.object;
    let api: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let body = Eviction {
        metadata: ObjectMeta {
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            ..ObjectMeta::default()
        },
        delete_options: Some(DeleteOptions {
            grace_period_seconds: step.grace_period_seconds.map(i64::from),
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

/// Deletes the very object that was judged, at the version that was judged.
async fn delete(
    client: &Client,
    call: &Call,
    is_trial: bool,
) -> Result<Result<(), kube::Error>, Error> {
    let step = &call.step;
    let api = api(client, &step.object)?;
    let how = DeleteParams {
        dry_run: is_trial,
        grace_period_seconds: step.grace_period_seconds,
        propagation_policy: step.propagation.map(|propagation| match propagation {
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Orphan => PropagationPolicy::Orphan,
        }),
        preconditions: Some(kube::api::Preconditions {
            uid: Some(step.object.uid.clone()),
            resource_version: Some(call.resource_version.clone()),
        }),
    };
    Ok(api.delete(&step.object.name, &how).await.map(|_| ()))
}

/// Creates an object. One that exists already is read back before anything else is tried.
async fn create(
    client: &Client,
    step: &Step,
    is_trial: bool,
) -> Result<Result<(), kube::Error>, Error> {
    let api = api(client, &step.object)?;
    let body = step.body.as_deref().unwrap_or_default();
    let manifest: DynamicObject = serde_json::from_str(body).map_err(|source| Error::Manifest {
        object: step.object.to_string(),
        source,
    })?;
    let how = PostParams {
        dry_run: is_trial,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    };
    Ok(api.create(&how, &manifest).await.map(|_| ()))
}

/// Changes fields of the very object that was judged, at the version that was
/// judged. The trial also shows what would be stored: a webhook that would make
/// something else of it is found before it does.
async fn change(client: &Client, call: &Call, is_trial: bool) -> Result<(), Error> {
    let step = &call.step;
    let api = api(client, &step.object)?;
    let how = patching(is_trial);
    let patch = Patch::Merge(&call.patch);
    let patched = api.patch(&step.object.name, &how, &patch);
    let stored = patched.await.map_err(|source| classify(step, source))?;
    as_planned(step, stored)
}

/// Removes finalizers of the very object that was judged, at the version that was
/// judged, and only while it has those that were seen.
async fn release(client: &Client, call: &Call, is_trial: bool) -> Result<(), Error> {
    let step = &call.step;
    let object = &step.object;
    let resource = api_resource(&object.kind).ok_or_else(|| unknown_kind(object))?;
    let namespace = Some(object.namespace.as_str()).filter(|name| !name.is_empty());
    let url = DynamicObject::url_path(&resource, namespace);
    let trial = if is_trial { "&dryRun=All" } else { "" };
    let url = format!("{url}/{}?fieldManager={FIELD_MANAGER}{trial}", object.name);
    let patch = change::json_patch(&step.changes, &object.uid, &call.resource_version);
    let patch = patch.map_err(|_| Error::Otherwise {
        operation: step.call.clone(),
    })?;
    let request = Request::patch(url).header(CONTENT_TYPE, "application/json-patch+json");
    let request = request.body(patch.to_string().into_bytes());
    let request = request.map_err(|error| classify(step, kube::Error::HttpError(error)))?;
    let patched = client.request::<DynamicObject>(request).await;
    let stored = patched.map_err(|source| classify(step, source))?;
    as_planned(step, stored)
}

/// Changes CPU and memory of a running pod.
async fn resize(client: &Client, call: &Call, is_trial: bool) -> Result<(), Error> {
    let step = &call.step;
    let api = api(client, &step.object)?;
    let how = patching(is_trial);
    let name = &step.object.name;
    let patch = Patch::Merge(&call.patch);
    let patched = api.patch_subresource("resize", name, &how, &patch);
    let stored = patched.await.map_err(|source| classify(step, source))?;
    as_planned(step, stored)
}

fn patching(is_trial: bool) -> PatchParams {
    PatchParams {
        dry_run: is_trial,
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn as_planned(step: &Step, stored: DynamicObject) -> Result<(), Error> {
    let Some(resource) = api_resource(&step.object.kind) else {
        return Err(unknown_kind(&step.object));
    };
    let stored = Object::read(&resource, stored);
    match change::state(&stored.content, &step.changes) {
        Ok(State::After) => Ok(()),
        Ok(State::Before | State::Other(_)) | Err(_) => Err(Error::Otherwise {
            operation: step.call.clone(),
        }),
    }
}

/// Sets a workload's scale. Its stamp, written before, moved its version, and
/// its controller moves it again, so the scale is read once more, and written at
/// that version if the count is still the one that was judged.
async fn scale(
    client: &Client,
    step: &Step,
    is_trial: bool,
) -> Result<Result<(), kube::Error>, Error> {
    let workload = &step.object;
    let api = api(client, workload)?;
    let mut scale = match api.get_scale(&workload.name).await {
        Ok(scale) => scale,
        Err(error) => return Ok(Err(error)),
    };
    let count = scale.spec.as_ref().and_then(|spec| spec.replicas);
    let is_same = scale.metadata.uid.as_ref() == Some(&workload.uid);
    let counts = replicas(step).filter(|(from, _)| is_same && count.unwrap_or(0) == *from);
    let Some((_, to)) = counts else {
        return Err(Error::Changed {
            target: workload.to_string(),
        });
    };
    scale.spec = Some(ScaleSpec { replicas: Some(to) });
    let how = PostParams {
        dry_run: is_trial,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    };
    let scaled = api.replace_scale(&workload.name, &how, &scale).await;
    Ok(scaled.map(|_| ()))
}

fn api(client: &Client, target: &Target) -> Result<Api<DynamicObject>, Error> {
    let resource = api_resource(&target.kind).ok_or_else(|| unknown_kind(target))?;
    Ok(if target.namespace.is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), &target.namespace, &resource)
    })
}

fn unknown_kind(target: &Target) -> Error {
    Error::UnknownKind {
        target: target.to_string(),
    }
}

/// What an error means for the action. Only an answer from the API server is
/// an answer; anything else leaves open whether the write landed.
fn classify(step: &Step, source: kube::Error) -> Error {
    let target = step.object.to_string();
    let operation_text = step.call.clone();
    let code = if let kube::Error::Api(status) = &source {
        status.code
    } else {
        0
    };
    let is_eviction = step.verb == Verb::Evict;
    let is_creation = step.verb == Verb::Create;
    match code {
        429 if is_eviction => Error::Blocked {
            pod: target,
            source,
        },
        403 => Error::Forbidden {
            operation: operation_text,
            source,
        },
        // One of the patch's tests failed: the object changed since it was read.
        422 if step.verb == Verb::Release => Error::Ambiguous {
            operation: operation_text,
            source,
        },
        404 if !is_creation => Error::Overtaken { target, source },
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
