//! Trials: tests that share servers and say why they were skipped.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Completion, Failed, Trial};

use crate::{ControlPlane, Nats, Options, RealNode};

/// The servers that trials share, each started when the first trial asks.
///
/// Trials keep apart by [`ControlPlane::test_namespace`] and, on the bus, by
/// [`cluster_name`]. A trial that breaks a server starts one of its own.
#[derive(Debug, Default)]
pub struct Shared {
    control_plane: OnceLock<ControlPlane>,
    nats: OnceLock<Nats>,
    real_node: OnceLock<Result<RealNode, String>>,
}

impl Shared {
    /// The shared control plane, with Prometheus.
    pub fn control_plane(&self) -> &ControlPlane {
        self.control_plane.get_or_init(|| {
            ControlPlane::start(&Options {
                prometheus: true,
                ..Options::default()
            })
        })
    }

    /// The shared nats-server.
    pub fn nats(&self) -> &Nats {
        self.nats.get_or_init(Nats::start)
    }

    /// The real node in the shared control plane, or why there is none here.
    pub fn real_node(&self) -> Result<&RealNode, String> {
        self.real_node
            .get_or_init(|| self.control_plane().join_real_node())
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Ends what was started, the node before its cluster.
    pub fn stop(self) {
        drop(self.real_node);
        drop(self.nats);
        drop(self.control_plane);
    }
}

/// An async test with a tokio runtime of its own.
pub fn trial<F>(name: &str, shared: &Arc<Shared>, test: F) -> Trial
where
    F: AsyncFnOnce(&Shared) + Send + 'static,
{
    skippable_trial(name, shared, async move |shared: &Shared| {
        test(shared).await;
        Ok(())
    })
}

/// A [`trial`] that may answer with the reason why it cannot run here, and then
/// counts as ignored, with the reason beside its name.
pub fn skippable_trial<F>(name: &str, shared: &Arc<Shared>, test: F) -> Trial
where
    F: AsyncFnOnce(&Shared) -> Result<(), String> + Send + 'static,
{
    let shared = Arc::clone(shared);
    Trial::ignorable_test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Failed::from)?;
        Ok(match runtime.block_on(test(&shared)) {
            Ok(()) => Completion::Completed,
            Err(reason) => Completion::ignored_with(reason),
        })
    })
}

/// A name that no other test process and no other call has.
pub(crate) fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{next}", std::process::id())
}

/// A cluster's name for one test, so that tests share a bus without meeting.
pub fn cluster_name(test: &str) -> String {
    let name: String = test
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{}-{}", name.to_ascii_lowercase(), unique())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_name_is_one_token_and_never_the_same_twice() {
        let first = cluster_name("heals a.leak");
        assert!(first.starts_with("heals-a-leak-"), "{first}");
        assert!(!first.contains('.'), "{first}");
        assert_ne!(first, cluster_name("heals a.leak"));
    }
}
