//! The anchor: how far the journal reached, kept where whoever can write the bus cannot.
//!
//! It is a `ConfigMap` that the installation creates, because RBAC cannot name what is created:
//! the actuator may read and update this one and no other. It never goes backwards.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, api::PostParams};
use runtime::lease::LeaseArgs;
use schemas::journal::{ANCHOR, Anchor, Head};

use crate::execute::FIELD_MANAGER;

/// Why the anchor is not where it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The anchor cannot be read.
    #[error("failed to read the ConfigMap {name}: apply deploy/rbac")]
    Read {
        /// Its name.
        name: String,
        /// What went wrong.
        source: kube::Error,
    },
    /// The anchor was not written.
    #[error("failed to write the ConfigMap {name}")]
    Write {
        /// Its name.
        name: String,
        /// What went wrong.
        source: kube::Error,
    },
}

impl Error {
    /// Whether there is no anchor, or none for this account.
    pub(super) fn is_absent(&self) -> bool {
        let (Self::Read { source, .. } | Self::Write { source, .. }) = self;
        matches!(source, kube::Error::Api(status) if matches!(status.code, 403 | 404))
    }
}

/// Reads and writes the anchor.
pub(super) struct Anchors {
    api: Api<ConfigMap>,
    name: String,
}

impl Anchors {
    pub(super) fn new(client: Client, lease: &LeaseArgs) -> Self {
        let name = match &lease.instance {
            Some(instance) => format!("{ANCHOR}-{instance}"),
            None => ANCHOR.to_owned(),
        };
        Self {
            api: Api::namespaced(client, &lease.lease_namespace),
            name,
        }
    }

    /// The anchor as it is now.
    pub(super) async fn read(&self) -> Result<Anchor, Error> {
        Ok(Anchor::of(&self.get().await?.data.unwrap_or_default()))
    }

    /// Moves the anchor on to `head`, unless it is there or further.
    pub(super) async fn write(&self, head: &Head) -> Result<(), Error> {
        let mut object = self.get().await?;
        let data = object.data.get_or_insert_default();
        let anchored = Anchor::of(data).head;
        if anchored.is_some_and(|anchored| anchored.sequence >= head.sequence) {
            return Ok(());
        }
        head.write_to(data);
        let how = PostParams {
            dry_run: false,
            field_manager: Some(FIELD_MANAGER.to_owned()),
        };
        // The object carries the version that was read, so of two writers one is refused.
        let written = self.api.replace(&self.name, &how, &object).await;
        written.map_err(|source| Error::Write {
            name: self.name.clone(),
            source,
        })?;
        Ok(())
    }

    async fn get(&self) -> Result<ConfigMap, Error> {
        let found = self.api.get(&self.name).await;
        found.map_err(|source| Error::Read {
            name: self.name.clone(),
            source,
        })
    }
}
