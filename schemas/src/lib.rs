//! The contract between the collector, the analyzer, the actuator and people.
//!
//! Messages on the bus, the two custom resources, and every name that two
//! programs must agree on. What is here is plain data: parsing and printing,
//! no client, no clock, no runtime.
//!
//! Pure: no IO, no clock.
#![expect(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "kube's derives generate code that trips them"
)]

pub mod action;
pub mod advice;
pub mod alert;
pub mod cluster_event;
pub mod condition;
pub mod diagnosis;
pub mod digest;
pub mod duration;
pub mod envelope;
pub mod journal;
pub mod object;
pub mod observation;
pub mod operator;
pub mod outcome;
pub mod policy;
pub mod quantity;
pub mod sample;
pub mod step;
pub mod subject;
pub mod target;
pub mod webhook;

/// The API group of KubeSkippy's custom resources.
pub const GROUP: &str = "kubeskippy.io";

/// The version of KubeSkippy's custom resources.
pub const VERSION: &str = "v1alpha1";

/// A label or annotation that keeps an object, or all of a namespace, from ever being acted on.
pub const PROTECTED: &str = "kubeskippy.io/protected";

/// The annotation under which an action's UID is stamped on what it changed.
pub const ACTED_BY: &str = "kubeskippy.io/acted-by";
