//! The built servers: where their binaries are, after seeing that they exist.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One part of the kit that can be built by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The control plane, KWOK, metrics-server and nats-server.
    Core,
    /// The `nats` command.
    Nats,
    /// Prometheus and promtool.
    Prometheus,
    /// Helm.
    Helm,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Nats => "nats",
            Self::Prometheus => "prom",
            Self::Helm => "helm",
        }
    }
}

/// The folder of built servers.
#[derive(Clone, Debug)]
pub struct Kit(PathBuf);

impl Kit {
    /// Builds what is missing of `parts`, with progress on standard error, and
    /// returns where they are. Instant when there is nothing to build.
    pub fn ensure(parts: &[Part]) -> Self {
        let parts: Vec<_> = parts.iter().map(|part| part.name()).collect();
        let output = Command::new(script("build-kit.sh"))
            .env("KIT_PARTS", parts.join(" "))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("tests/kit/build-kit.sh can be run");
        assert!(
            output.status.success(),
            "the real servers could not be built; the reason is above"
        );
        let dir = String::from_utf8_lossy(&output.stdout);
        Self(PathBuf::from(dir.trim()))
    }

    /// The path of a built program, say `kubectl`.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }
}

/// A script of the kit, in the source tree.
pub(crate) fn script(name: &str) -> PathBuf {
    tests_dir().join("kit").join(name)
}

/// The folder `tests` of the source tree that is being tested.
///
/// Cargo says at run time which one that is. What was compiled in is the last
/// resort: checkouts may share one target folder, and the one that built this
/// may be gone.
pub fn tests_dir() -> PathBuf {
    let named = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = std::env::current_dir().map(|dir| dir.join("tests")).ok();
    let candidates = [named, here].into_iter().flatten();
    candidates
        .into_iter()
        .find(|dir| dir.join("kit/up.sh").exists())
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).to_owned())
}

/// The user's cache, as `tests/kit/lib.sh` finds it.
pub(crate) fn cache() -> PathBuf {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(dir) = var("KUBESKIPPY_CACHE") {
        return dir.into();
    }
    let base = var("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(var("HOME").expect("HOME is set")).join(".cache"),
        PathBuf::from,
    );
    base.join("kubeskippy")
}
