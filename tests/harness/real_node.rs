//! A real kubelet with containerd, where the machine allows one.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::kit::script;

/// A joined real node; dropping it takes it out of the cluster again.
///
/// Its name is `real-0`; pods get there through [`crate::Workload::on_real_node`].
#[derive(Debug)]
pub struct RealNode {
    env: BTreeMap<String, String>,
}

/// The exit status by which `real-node.sh` says that it cannot run here.
const NOT_HERE: i32 = 3;

impl RealNode {
    pub(crate) fn join(cluster: &BTreeMap<String, String>) -> Result<Self, String> {
        // the cluster's own PATH has shell syntax in it and is not needed
        let env: BTreeMap<_, _> = cluster
            .iter()
            .filter(|(name, _)| *name != "PATH")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let output = Command::new(script("real-node.sh"))
            .envs(&env)
            .stdin(Stdio::null())
            .output()
            .expect("tests/kit/real-node.sh can be run");
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match output.status.code() {
            Some(0) => Ok(Self { env }),
            Some(NOT_HERE) => Err(words.lines().last().unwrap_or_default().to_owned()),
            _ => panic!("the real node did not start: {words}"),
        }
    }
}

impl Drop for RealNode {
    fn drop(&mut self) {
        let down = Command::new(script("real-node.sh"))
            .arg("down")
            .envs(&self.env)
            .status();
        if !std::thread::panicking() {
            assert!(
                down.is_ok_and(|status| status.success()),
                "the real node was not taken down"
            );
        }
    }
}
