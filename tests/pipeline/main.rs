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
mod changes;
mod collects;
mod consults;
mod explains;
mod feedback;
mod finalizers;
mod guards;
mod heals;
mod journal;
mod kinds;
mod learns;
mod models;
mod nodes;
mod once;
mod predicts;
mod promql;
mod reads;
mod refuses;
mod remedies;
mod scenarios;
mod servers;
mod sizes;
mod stack;
mod standing;
mod survives;
mod undoes;
mod webhooks;

use std::process::ExitCode;
use std::sync::Arc;

use harness::Shared;
use libtest_mimic::{Arguments, Trial};

/// Trials mostly wait for servers, so more of them run than there are cores.
const THREADS: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let shared = Arc::new(Shared::default());
    // For trials that start more actions than a whole cluster allows in an hour.
    let apart = Arc::new(Shared::default());
    let trials = [
        api::trials(&shared),
        approves::trials(&shared),
        changes::trials(&shared),
        collects::trials(&shared),
        explains::trials(&shared),
        feedback::trials(&shared),
        finalizers::trials(&shared),
        guards::trials(&shared),
        heals::trials(&shared),
        kinds::trials(&shared),
        nodes::trials(&shared),
        once::trials(&apart),
        journal::trials(&shared),
        learns::trials(&shared),
        consults::trials(&shared),
        models::trials(&shared),
        predicts::trials(&shared),
        promql::trials(&shared),
        reads::trials(&shared),
        refuses::trials(&shared),
        remedies::trials(&shared),
        scenarios::trials(&shared),
        servers::trials(&shared),
        sizes::trials(&shared),
        standing::trials(&shared),
        survives::trials(&shared),
        undoes::trials(&shared),
        webhooks::trials(&shared),
    ];
    let trials = only_those_asked_for(trials.into_iter().flatten().collect());
    let conclusion = libtest_mimic::run(&arguments, trials);
    for servers in [shared, apart] {
        if let Some(servers) = Arc::into_inner(servers) {
            servers.stop();
        }
    }
    conclusion.exit_code()
}

/// With `TRIALS=one,other` in the environment, the trials whose name holds one of
/// these words: the test harness itself takes one word only.
fn only_those_asked_for(mut trials: Vec<Trial>) -> Vec<Trial> {
    let Ok(words) = std::env::var("TRIALS") else {
        return trials;
    };
    trials.retain(|trial| words.split(',').any(|word| trial.name().contains(word)));
    trials
}
