//! The workspace as cargo sees it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// A member of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    /// Its folder, below the root.
    pub(crate) dir: PathBuf,
    /// The root files of its libraries, binaries, tests and benches, below the root.
    pub(crate) roots: Vec<PathBuf>,
    /// What it depends on outside of its own tests.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of `[dependencies]` or `[build-dependencies]`.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
}

/// The root folder.
pub(crate) fn root() -> PathBuf {
    let tests = harness::tests_dir();
    tests.parent().expect("tests lies in the root").to_owned()
}

/// Every member, from `cargo metadata`.
pub(crate) fn members() -> Vec<Member> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed: {words}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    list(&metadata["packages"]).iter().map(member).collect()
}

fn member(package: &Value) -> Member {
    let below_root = |path: &Value| {
        let path = PathBuf::from(text(path));
        let below = path.strip_prefix(root()).expect("members lie in the root");
        below.to_owned()
    };
    let manifest = below_root(&package["manifest_path"]);
    let dependencies = list(&package["dependencies"]).iter();
    Member {
        name: text(&package["name"]),
        dir: manifest.with_file_name(""),
        roots: list(&package["targets"])
            .iter()
            .map(|target| below_root(&target["src_path"]))
            .collect(),
        dependencies: dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| Dependency {
                name: text(&dependency["name"]),
                features: list(&dependency["features"]).iter().map(text).collect(),
            })
            .collect(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
