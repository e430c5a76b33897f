//! `kubeskippy pause` and `kubeskippy resume`: the kill switch by hand.
//!
//! Who may is RBAC's to say: the Role kubeskippy-pauser names the one `ConfigMap`. It is
//! written by server-side apply, because RBAC cannot name an object that is merely created.

use actuator::{
    config::PAUSE,
    pause::{BY, Pause, REASON},
};
use clap::{Args, builder::NonEmptyStringValueParser};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use runtime::kube::KubeArgs;
use serde_json::json;

use crate::{
    decide::{Error, FIELD_MANAGER, who},
    place::{self, Place, PlaceArgs},
    print::{self, plain},
};

/// Where KubeSkippy lives.
#[derive(Clone, Debug, Args)]
pub struct SystemArgs {
    /// Namespace of KubeSkippy itself.
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "KUBESKIPPY_SYSTEM_NAMESPACE",
        default_value = "kubeskippy-system"
    )]
    pub system_namespace: String,
}

/// What to pause, and why.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Which cluster, and as whom.
    #[command(flatten)]
    pub kube: KubeArgs,

    /// Where KubeSkippy lives.
    #[command(flatten)]
    pub system: SystemArgs,

    /// Why, for those who read it later.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub reason: String,
}

/// What to let go on.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Which cluster, and as whom.
    #[command(flatten)]
    pub kube: KubeArgs,

    /// Where KubeSkippy lives.
    #[command(flatten)]
    pub system: SystemArgs,
}

/// Holds every new change back, in all namespaces.
///
/// # Errors
/// When the API server refuses.
pub async fn pause(args: PauseArgs) -> Result<(), Error> {
    let PauseArgs {
        kube,
        system,
        reason,
    } = args;
    let place = open(kube, system).await?;
    let user = who(&place).await?;
    if let Some(switch) = find(&place).await? {
        let told = Pause::read(&switch).told();
        let text = format!("All healing is paused already: {told}. Nothing was written.");
        return print::line(&plain(&text)).map_err(Error::Print);
    }
    let switch = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": PAUSE, "labels": {"app.kubernetes.io/part-of": "kubeskippy"}},
        "data": {REASON: reason, BY: user},
    });
    let how = PatchParams::apply(FIELD_MANAGER);
    let written = api(&place).patch(PAUSE, &how, &Patch::Apply(switch)).await;
    let written = written.map_err(|error| Error::refused("pause all healing", error))?;
    let told = Pause::read(&written).told();
    let text = format!(
        "All healing is paused: {told}. No new change begins; what was begun is verified, and taken back \
         where it does not help. kubeskippy resume lets healing go on."
    );
    print::line(&plain(&text)).map_err(Error::Print)
}

/// Lets healing go on.
///
/// # Errors
/// When the API server refuses.
pub async fn resume(args: ResumeArgs) -> Result<(), Error> {
    let ResumeArgs { kube, system } = args;
    let place = open(kube, system).await?;
    let Some(switch) = find(&place).await? else {
        let text = "Healing is not paused. Nothing was written.";
        return print::line(text).map_err(Error::Print);
    };
    // The pause that is told of, and no later one.
    let how = DeleteParams::default().preconditions(Preconditions {
        uid: switch.metadata.uid.clone(),
        resource_version: None,
    });
    match api(&place).delete(PAUSE, &how).await {
        Ok(_) => {}
        // Somebody else was faster.
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(Error::refused("resume healing", error)),
    }
    let told = Pause::read(&switch).told();
    let text = format!("Healing goes on. It was paused: {told}.");
    print::line(&plain(&text)).map_err(Error::Print)
}

async fn open(kube: KubeArgs, system: SystemArgs) -> Result<Place, Error> {
    let SystemArgs { system_namespace } = system;
    let namespace = Some(system_namespace);
    let place = place::open(&PlaceArgs { kube, namespace }).await;
    place.map_err(Error::Connect)
}

fn api(place: &Place) -> Api<ConfigMap> {
    Api::namespaced(place.client.clone(), &place.namespace)
}

async fn find(place: &Place) -> Result<Option<ConfigMap>, Error> {
    let found = api(place).get_opt(PAUSE).await;
    found.map_err(|error| Error::refused("see whether healing is paused", error))
}
