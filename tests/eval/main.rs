//! `make eval`: how good diagnoses and actions are, measured.
//!
//! Each scenario is a YAML file: what is there, what goes wrong, and the right
//! answers, written before. The servers are the test harness's, the programs the
//! product's; what is said and done is read where people read it. Nothing here
//! diagnoses or heals anything.

mod admin;
mod args;
mod bed;
mod check;
mod faults;
mod files;
mod fill;
mod inject;
mod pattern;
mod progress;
mod run;
mod scenario;
mod schedule;
mod score;
mod seen;
mod stack;
mod table;
mod watch;

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use runtime::shutdown::Shutdown;

use args::Args;
use bed::Bed;
use progress::Voice;
use run::Left;
use scenario::Scenario;
use schedule::Round;
use table::Run;

/// The exit status of a program that SIGINT ended, as shells have it.
const INTERRUPTED: u8 = 130;

/// Who is asked where no model is.
const RULES: &str = "rules";

fn main() -> ExitCode {
    let args = Args::parse();
    runtime::install_tls();
    // what the harness says when a server cannot be had is all there is to say
    std::panic::set_hook(Box::new(|panic| {
        complain(panic.payload_as_str().unwrap_or("something went wrong"));
    }));
    let run = || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build();
        let done = match runtime {
            Ok(runtime) => runtime.block_on(perform(&args)),
            Err(error) => Err(error.into()),
        };
        done.unwrap_or_else(|error| {
            complain(&format!("{error:#}"));
            1
        })
    };
    ExitCode::from(std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or(1))
}

fn complain(text: &str) {
    // there is nobody left to tell when even this fails
    drop(writeln!(std::io::stderr(), "eval: {text}"));
}

/// Does everything and answers with the exit status.
async fn perform(args: &Args) -> Result<u8> {
    let shutdown = Shutdown::on_signals()?;
    let scenarios = files::read(&args.scenarios, &args.only)?;
    let work = async {
        if args.check {
            return check::check(args.kubeconfig.as_deref(), &scenarios).await;
        }
        if let Some(seconds) = args.faults {
            return faults::show(&scenarios, seconds, args.keep, &shutdown).await;
        }
        measure(args, &scenarios, &shutdown).await
    };
    tokio::select! {
        status = work => status,
        () = shutdown.wait() => Ok(INTERRUPTED),
    }
}

/// Runs the scenarios once for the rules and once for each model, and prints a table of each.
async fn measure(args: &Args, scenarios: &[Arc<Scenario>], shutdown: &Shutdown) -> Result<u8> {
    let models = files::models(args.models.as_deref())?;
    let mut advisors: Vec<(&str, Option<&Path>)> = Vec::new();
    if !args.models_only {
        advisors.push((RULES, None));
    }
    advisors.extend(
        models
            .iter()
            .map(|one| (one.name.as_str(), Some(one.file.path()))),
    );
    let voice = Voice::new(Instant::now(), "eval");
    voice.say(&format!("{} scenarios, the servers boot", scenarios.len()));
    let bed = Bed::start().await?;
    let (mut runs, mut left) = (Vec::new(), Vec::new());
    for (name, models) in advisors {
        let round = Round {
            bed: &bed,
            scenarios,
            models: models.map(PathBuf::from),
            parallel: usize::from(args.parallel),
            keep: args.keep,
        };
        let (rows, up): (_, Vec<Left>) = round.run(&voice.about(name)).await;
        left.extend(up);
        let run = Run::new(name, rows);
        writeln!(std::io::stdout(), "{}", table::table(&run))?;
        runs.push(run);
        if let Some(path) = &args.json {
            write_json(path, &runs)?;
        }
    }
    if args.keep {
        complain(&bed.look_around());
        shutdown.wait().await;
    }
    drop(left);
    let broken: usize = runs.iter().map(|run| run.totals.broken).sum();
    Ok(u8::from(broken > 0))
}

fn write_json(path: &Path, runs: &[Run]) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let measured = serde_json::json!({
        "at": runtime::clock::now(),
        "cores": cores,
        "runs": runs,
    });
    let text = serde_json::to_string_pretty(&measured).context("failed to write JSON")?;
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}
