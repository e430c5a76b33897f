//! Questions to the API server whose answers may be missing.
//!
//! Who explains something to a person does not give up because a part of it is gone, or
//! not for that person to read: it says what is not known.

use std::{collections::BTreeMap, fmt::Debug};

use actuator::{
    config::PAUSE,
    judge::marks as marks_of,
    object::{Object, api_resource},
    pause::Pause,
};
use clap::ValueEnum;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
};
use runtime::chain;
use schemas::{action::HealingAction, policy::HealingPolicy};
use serde::{Serialize, de::DeserializeOwned};

use crate::print;

/// How many links of an owner chain are followed, at most.
const MOST_OWNERS: usize = 5;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no cluster to ask.
    #[error("failed to connect to the cluster")]
    Connect(#[source] runtime::kube::Error),
    /// The API server did not answer, or refused.
    #[error("failed to read {what}")]
    Read {
        /// What was to be read.
        what: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },
    /// There is nothing of that name.
    #[error("there is no HealingAction {name} in the namespace {namespace}{hint}")]
    NotFound {
        /// The name.
        name: String,
        /// Where it was looked for.
        namespace: String,
        /// Where else to look, with what joins it to the sentence.
        hint: String,
    },
    /// An object is named in a way that is not understood.
    #[error("{0:?} names no object: write a pod's name, or Kind/name such as Deployment/web")]
    Name(String),
    /// The answer cannot be written as JSON.
    #[error("failed to write the answer as JSON")]
    Json(#[source] serde_json::Error),
    /// Nothing could be shown.
    #[error("failed to print")]
    Print(#[source] std::io::Error),
}

/// What is known of something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Known<T> {
    /// It is there.
    Is(T),
    /// It is not there.
    Gone,
    /// It cannot be told, and why.
    Unknown(String),
}

impl<T> Known<T> {
    /// It, when it is there.
    pub(crate) fn get(&self) -> Option<&T> {
        match self {
            Self::Is(found) => Some(found),
            Self::Gone | Self::Unknown(_) => None,
        }
    }

    /// Why it cannot be told.
    pub(crate) fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(why) => Some(why),
            Self::Is(_) | Self::Gone => None,
        }
    }

    /// One word for programs.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Is(_) => "there",
            Self::Gone => "gone",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Prints an answer.
pub(crate) fn show<T: Serialize>(answer: &T, text: &str, output: Output) -> Result<(), Error> {
    let text = match output {
        Output::Text => text.to_owned(),
        Output::Json => serde_json::to_string_pretty(answer).map_err(Error::Json)?,
    };
    print::line(&text).map_err(Error::Print)
}

/// Why the API server did not say.
fn why(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    chain(error)
}

fn known<T>(answer: kube::Result<Option<T>>) -> Known<T> {
    match answer {
        Ok(Some(found)) => Known::Is(found),
        Ok(None) => Known::Gone,
        Err(error) => Known::Unknown(why(&error)),
    }
}

/// One object of a kind that KubeSkippy reads.
pub(crate) async fn object(
    client: &Client,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Known<Object> {
    let Some(resource) = api_resource(kind) else {
        return Known::Unknown(format!("KubeSkippy reads no objects of the kind {kind}"));
    };
    let api: Api<DynamicObject> = if kind == "Node" {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    };
    let found = known(api.get_opt(name).await);
    match found {
        Known::Is(found) => Known::Is(Object::read(&resource, found)),
        Known::Gone => Known::Gone,
        Known::Unknown(why) => Known::Unknown(why),
    }
}

/// The owners of an object, the nearest first, as far as they can be read.
pub(crate) async fn owners(client: &Client, object: &Object) -> Vec<Object> {
    let mut owners: Vec<Object> = Vec::new();
    let mut next = object.controller.clone();
    while let Some(owner) = next.take().filter(|_| owners.len() < MOST_OWNERS) {
        let namespace = &object.target.namespace;
        let found = self::object(client, &owner.kind, namespace, &owner.name).await;
        if let Some(found) = found.get().filter(|found| found.target.uid == owner.uid) {
            next.clone_from(&found.controller);
            owners.push(found.clone());
        }
    }
    owners
}

/// The pods that a workload's own selector selects.
pub(crate) async fn pods(client: &Client, workload: &Object) -> Known<Vec<Object>> {
    let selector = workload.workload.as_ref().and_then(|w| w.selector.clone());
    let selector = selector.and_then(|it| kube::core::Selector::try_from(it).ok());
    let (Some(selector), Some(resource)) = (selector, api_resource("Pod")) else {
        return Known::Is(Vec::new());
    };
    let namespace = &workload.target.namespace;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let wanted = ListParams::default().labels_from(&selector);
    match api.list(&wanted).await {
        Ok(found) => {
            let found = found.items.into_iter();
            Known::Is(found.map(|pod| Object::read(&resource, pod)).collect())
        }
        Err(error) => Known::Unknown(why(&error)),
    }
}

/// One HealingPolicy.
pub(crate) async fn policy(client: &Client, namespace: &str, name: &str) -> Known<HealingPolicy> {
    let api: Api<HealingPolicy> = Api::namespaced(client.clone(), namespace);
    known(api.get_opt(name).await)
}

/// Everything of a kind in a namespace.
async fn all<K>(api: Api<K>, wanted: &ListParams) -> Known<Vec<K>>
where
    K: Clone + Debug + DeserializeOwned,
{
    match api.list(wanted).await {
        Ok(found) => Known::Is(found.items),
        Err(error) => Known::Unknown(why(&error)),
    }
}

/// The HealingPolicies of a namespace.
pub(crate) async fn policies(client: &Client, namespace: &str) -> Known<Vec<HealingPolicy>> {
    let api = Api::namespaced(client.clone(), namespace);
    all(api, &ListParams::default()).await
}

/// The HealingActions of a namespace.
pub(crate) async fn actions(client: &Client, namespace: &str) -> Known<Vec<HealingAction>> {
    let api = Api::namespaced(client.clone(), namespace);
    all(api, &ListParams::default()).await
}

/// The Kubernetes Events about an object that still exist.
pub(crate) async fn events(client: &Client, namespace: &str, uid: &str) -> Known<Vec<Event>> {
    let api = Api::namespaced(client.clone(), namespace);
    let about = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
    all(api, &about).await
}

/// The kill switch.
pub(crate) async fn paused(client: &Client, system: &str) -> Known<Pause> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), system);
    match known(api.get_opt(PAUSE).await) {
        Known::Is(switch) => Known::Is(Pause::read(&switch)),
        Known::Gone => Known::Gone,
        Known::Unknown(why) => Known::Unknown(why),
    }
}

/// Labels and annotations of a namespace.
pub(crate) async fn marks(client: &Client, namespace: &str) -> Known<BTreeMap<String, String>> {
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    match known(api.get_opt(namespace).await) {
        Known::Is(found) => {
            let meta = found.metadata;
            let labels = meta.labels.unwrap_or_default();
            Known::Is(marks_of(labels, meta.annotations.unwrap_or_default()))
        }
        Known::Gone => Known::Gone,
        Known::Unknown(why) => Known::Unknown(why),
    }
}
