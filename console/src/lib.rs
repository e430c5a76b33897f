//! The people's side of KubeSkippy: the `kubeskippy` command.

use std::io::Write as _;

use anyhow::Context as _;
use kube::CustomResourceExt as _;
use runtime::shutdown::Shutdown;
use schemas::{action::HealingAction, policy::HealingPolicy};

pub mod cli;
mod together;

use cli::{Cli, Command};

/// Carries out what the command line asks for, until it is done or a signal ends it.
///
/// # Errors
/// When the command fails; the error says what was attempted.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals().context("failed to listen for signals")?;
    match cli.command {
        Command::Collector(config) => Box::pin(collector::run(*config, shutdown)).await,
        Command::Analyzer(config) => Box::pin(analyzer::run(*config, shutdown)).await,
        Command::Actuator(config) => Box::pin(actuator::run(*config, shutdown)).await,
        Command::Run(config) => Box::pin(together::run(*config, shutdown)).await,
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
