//! The policies and actions that exist, kept up to date by watches.

use std::sync::Arc;

use futures::StreamExt as _;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, reflector, reflector::Store, watcher},
};
use runtime::{chain, config::CommonArgs, health::Gate, shutdown::Shutdown};
use schemas::{action::HealingAction, policy::HealingPolicy};
use serde::de::DeserializeOwned;

/// The policies and actions that exist.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    healing: Store<HealingPolicy>,
    actions: Store<HealingAction>,
    common: CommonArgs,
}

impl Policies {
    /// Begins to watch.
    pub(crate) fn watch(
        client: &Client,
        common: &CommonArgs,
        (policies_gate, actions_gate): (Gate, Gate),
        shutdown: &Shutdown,
    ) -> Self {
        Self {
            healing: reflect(Api::all(client.clone()), policies_gate, shutdown.clone()),
            actions: reflect(Api::all(client.clone()), actions_gate, shutdown.clone()),
            common: common.clone(),
        }
    }

    /// Waits until all there are were read once.
    pub(crate) async fn synced(&self) {
        // An error means that the watch has ended, which happens on shutdown alone.
        let _ended = self.healing.wait_until_ready().await;
        let _ended = self.actions.wait_until_ready().await;
    }

    /// The policies to evaluate, by UID.
    pub(crate) fn policies(&self) -> Vec<Arc<HealingPolicy>> {
        let mut policies = self.healing.state();
        policies.retain(|policy| self.works_in(policy.metadata.namespace.as_deref()));
        policies.sort_by(|one, other| one.metadata.uid.cmp(&other.metadata.uid));
        policies
    }

    /// The actions that exist.
    pub(crate) fn actions(&self) -> Vec<Arc<HealingAction>> {
        let mut actions = self.actions.state();
        actions.retain(|action| self.works_in(action.metadata.namespace.as_deref()));
        actions
    }

    fn works_in(&self, namespace: Option<&str>) -> bool {
        self.common.works_in(namespace.unwrap_or_default())
    }
}

fn reflect<K>(api: Api<K>, gate: Gate, shutdown: Shutdown) -> Store<K>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let watch = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object: &mut K| object.meta_mut().managed_fields = None)
        .reflect(writer);
    let ready: Store<K> = store.clone();
    tokio::spawn(async move {
        let synced = async {
            if ready.wait_until_ready().await.is_ok() {
                gate.pass();
            }
        };
        let follow = async {
            let mut watch = std::pin::pin!(watch);
            while let Some(event) = watch.next().await {
                if let Err(error) = event {
                    let kind = K::kind(&());
                    tracing::warn!(kind = %kind, error = chain(&error), "watch failed; it is tried again");
                }
            }
        };
        tokio::select! {
            () = shutdown.wait() => {}
            ((), ()) = async { tokio::join!(synced, follow) } => {}
        }
    });
    store
}
