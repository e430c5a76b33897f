//! The scenarios of `make eval` are well-formed, and the API server would take their objects. `make eval` runs them.

use std::{process::Command, sync::Arc};

use harness::{Shared, built_binary, trial};
use libtest_mimic::Trial;

use crate::stack::Stack;

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![trial(
        "every_scenario_is_read_and_its_objects_would_be_taken",
        shared,
        every_scenario_would_be_taken,
    )]
}

async fn every_scenario_would_be_taken(shared: &Shared) {
    // with it, the definitions of our objects are there
    let _stack = Stack::new(shared, "scenarios").await;
    let mut eval = Command::new(built_binary("eval"));
    eval.args(["--check", "--kubeconfig"])
        .arg(shared.control_plane().kubeconfig());

    let output = tokio::task::block_in_place(|| eval.output()).expect("eval can be run");

    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("scenarios are well-formed"), "{said}");
}
