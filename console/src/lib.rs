//! The people's side of KubeSkippy: the `kubeskippy` command.

use std::io::Write as _;

use anyhow::Context as _;
use kube::CustomResourceExt as _;
use runtime::shutdown::Shutdown;
use schemas::{action::HealingAction, policy::HealingPolicy};

pub mod ask;
pub mod cli;
pub mod decide;
pub mod explain;
pub mod feedback;
pub mod journal;
pub mod learned;
pub mod pause;
mod place;
mod print;
pub mod review;
mod span;
#[cfg(test)]
mod testing;
mod together;
pub mod waiting;
pub mod why;
pub mod why_not;

use cli::{Cli, Command};

/// Carries out what the command line asks for, until it is done or a signal ends it.
/// Only the programs end in their own time: what a person waits for, Ctrl-C ends at once.
///
/// # Errors
/// When the command fails; the error says what was attempted.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let signals = || Shutdown::on_signals().context("failed to listen for signals");
    match cli.command {
        Command::Collector(config) => Box::pin(collector::run(*config, signals()?)).await,
        Command::Analyzer(config) => Box::pin(analyzer::run(*config, signals()?)).await,
        Command::Actuator(config) => Box::pin(actuator::run(*config, signals()?)).await,
        Command::Run(config) => Box::pin(together::run(*config, signals()?)).await,
        Command::Waiting(args) => Ok(Box::pin(waiting::waiting(args)).await?),
        Command::Review(args) => Ok(Box::pin(review::review(args)).await?),
        Command::Approve(args) => Ok(Box::pin(decide::approve(args)).await?),
        Command::Reject(args) => Ok(Box::pin(decide::reject(args)).await?),
        Command::Journal { command } => Ok(Box::pin(journal::journal(command)).await?),
        Command::Why(args) => Ok(Box::pin(why::why(args)).await?),
        Command::Explain(args) => Ok(Box::pin(explain::explain(args)).await?),
        Command::Feedback(args) => Ok(Box::pin(feedback::feedback(args)).await?),
        Command::Learned(args) => Ok(Box::pin(learned::learned(args)).await?),
        Command::WhyNot(args) => Ok(Box::pin(why_not::why_not(args)).await?),
        Command::Pause(args) => Ok(Box::pin(pause::pause(args)).await?),
        Command::Resume(args) => Ok(Box::pin(pause::resume(args)).await?),
        Command::Crds => print_crds(),
    }
}

/// Prints the custom resource definitions, ready for `kubectl apply -f -`.
fn print_crds() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for crd in [HealingPolicy::crd(), HealingAction::crd()] {
        let text = serde_saphyr::to_string(&crd).context("failed to write a definition")?;
        match writeln!(out, "---\n{text}") {
            Ok(()) => {}
            // The reader has seen enough, as with `| head`.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(error).context("failed to print"),
        }
    }
    Ok(())
}
