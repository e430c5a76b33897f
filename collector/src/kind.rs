//! The kinds of objects that are watched, by their names in the API.
//!
//! Pure: no IO, no clock.

use std::{borrow::Cow, fmt::Debug};

use kube::core::{DynamicResourceScope, ObjectMeta, Resource};

use crate::reading::{Watched, endpoints::Slice, revision::ControllerRevision};

/// A kind of object that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Pod.
    Pod,
    /// Node.
    Node,
    /// Deployment.
    Deployment,
    /// `StatefulSet`.
    StatefulSet,
    /// `DaemonSet`.
    DaemonSet,
    /// `ReplicaSet`: a link in the chain of owners, and one revision of its Deployment.
    ReplicaSet,
    /// `ControllerRevision`: one revision of a `StatefulSet` or `DaemonSet`.
    ControllerRevision,
    /// Job.
    Job,
    /// `HorizontalPodAutoscaler`.
    Autoscaler,
    /// `PodDisruptionBudget`.
    Budget,
    /// Service.
    Service,
    /// `EndpointSlice`: counted for its Service, not published.
    EndpointSlice,
    /// `PersistentVolumeClaim`.
    Claim,
    /// `ResourceQuota`.
    Quota,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Pod,
        Self::Node,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ControllerRevision,
        Self::Job,
        Self::Autoscaler,
        Self::Budget,
        Self::Service,
        Self::EndpointSlice,
        Self::Claim,
        Self::Quota,
    ];

    /// The kind that objects spell `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// API group; empty for the core group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Pod | Self::Node | Self::Service | Self::Claim | Self::Quota => "",
            Self::Deployment
            | Self::StatefulSet
            | Self::DaemonSet
            | Self::ReplicaSet
            | Self::ControllerRevision => "apps",
            Self::EndpointSlice => "discovery.k8s.io",
            Self::Job => "batch",
            Self::Autoscaler => "autoscaling",
            Self::Budget => "policy",
        }
    }

    /// API version within the group.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Autoscaler => "v2",
            Self::Pod
            | Self::Node
            | Self::Deployment
            | Self::StatefulSet
            | Self::DaemonSet
            | Self::ReplicaSet
            | Self::ControllerRevision
            | Self::Job
            | Self::Budget
            | Self::Service
            | Self::EndpointSlice
            | Self::Claim
            | Self::Quota => "v1",
        }
    }

    /// The kind as objects spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ControllerRevision => "ControllerRevision",
            Self::Job => "Job",
            Self::Autoscaler => "HorizontalPodAutoscaler",
            Self::Budget => "PodDisruptionBudget",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Claim => "PersistentVolumeClaim",
            Self::Quota => "ResourceQuota",
        }
    }

    /// The resource as URLs and RBAC spell it.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Node => "nodes",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::ReplicaSet => "replicasets",
            Self::ControllerRevision => "controllerrevisions",
            Self::Job => "jobs",
            Self::Autoscaler => "horizontalpodautoscalers",
            Self::Budget => "poddisruptionbudgets",
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices",
            Self::Claim => "persistentvolumeclaims",
            Self::Quota => "resourcequotas",
        }
    }

    /// Group and version, as in an object's `apiVersion`.
    pub fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    /// Whether its objects live in namespaces.
    pub const fn is_namespaced(self) -> bool {
        !matches!(self, Self::Node)
    }

    /// Whether its objects are told to the analyzer.
    pub const fn is_published(self) -> bool {
        !matches!(self, Self::EndpointSlice)
    }

    /// Whether its objects are revisions of their owner's template.
    pub const fn is_revision(self) -> bool {
        matches!(self, Self::ReplicaSet | Self::ControllerRevision)
    }

    /// Whether its objects own pods, or own what does.
    pub const fn owns(self) -> bool {
        matches!(
            self,
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::ReplicaSet | Self::Job
        )
    }
}

/// Names a watched struct by its [`Kind`].
macro_rules! resource {
    ($watched:ty $(, $bound:ident)*) => {
        impl<$($bound: Clone),*> Resource for $watched {
            type DynamicType = Kind;
            type Scope = DynamicResourceScope;

            fn kind(kind: &Kind) -> Cow<'_, str> {
                kind.name().into()
            }

            fn group(kind: &Kind) -> Cow<'_, str> {
                kind.group().into()
            }

            fn version(kind: &Kind) -> Cow<'_, str> {
                kind.version().into()
            }

            fn plural(kind: &Kind) -> Cow<'_, str> {
                kind.plural().into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(Watched<S, T>, S, T);
resource!(ControllerRevision);
resource!(Slice);
