//! Real servers for the tests: what a test names is started on free loopback
//! ports and ended, by process id, when its handle is dropped.
//!
//! The scripts under `tests/kit` build and boot the servers; this library owns
//! them. A test process that dies in any way takes its servers with it: each is
//! either tied to this process by the kernel or watched by the kit's guard.
//! Nothing here knows the product beyond the names of its binaries, but for
//! [`once`], which trials and bench share.
#![expect(
    clippy::expect_used,
    reason = "a harness that cannot start should fail loudly"
)]

mod audit;
mod bus;
mod control_plane;
mod kit;
mod kubectl;
mod model;
mod namespace;
pub mod once;
mod ports;
mod process;
mod program;
pub mod proxy;
mod real_node;
mod trial;
mod wait;
mod workload;

pub use audit::{AuditEntry, AuditLog};
pub use bus::Nats;
pub use control_plane::{ControlPlane, Options};
pub use kit::{Kit, Part, tests_dir};
pub use kubectl::Kubectl;
pub use model::{ModelReply, ModelRequest, ModelServer, RealModel};
pub use namespace::TestNamespace;
pub use ports::free_port;
pub use process::http_get;
pub use program::{Program, built_binary};
pub use real_node::RealNode;
pub use trial::{Shared, cluster_name, skippable_trial, trial};
pub use wait::{until, until_blocking};
pub use workload::Workload;
