//! The whole pipeline against real servers.
//!
//! One process owns the servers that the trials share; they are started when
//! the first trial asks for them and stopped here, at the end. A file of trials
//! exports `trials(&Arc<Shared>) -> Vec<Trial>` and is listed in `main`.
#![expect(
    clippy::expect_used,
    reason = "a trial fails by panicking, with words that say what was expected"
)]

mod api;
mod approves;
mod heals;
mod predicts;
mod promql;
mod reads;
mod refuses;
mod remedies;
mod servers;
mod stack;
mod survives;

use std::process::ExitCode;
use std::sync::Arc;

use harness::Shared;
use libtest_mimic::Arguments;

/// Trials mostly wait for servers, so more of them run than there are cores.
const THREADS: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let shared = Arc::new(Shared::default());
    let trials = [
        api::trials(&shared),
        approves::trials(&shared),
        heals::trials(&shared),
        predicts::trials(&shared),
        promql::trials(&shared),
        reads::trials(&shared),
        refuses::trials(&shared),
        remedies::trials(&shared),
        servers::trials(&shared),
        survives::trials(&shared),
    ];
    let trials = trials.into_iter().flatten().collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(shared) = Arc::into_inner(shared) {
        shared.stop();
    }
    conclusion.exit_code()
}
