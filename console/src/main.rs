//! The `kubeskippy` command.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use console::{cli::Cli, journal};

fn main() -> ExitCode {
    runtime::install_tls();
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When nobody reads standard error, the exit code says it all.
            let _unread = writeln!(std::io::stderr(), "error: {error:#}");
            code(&error)
        }
    }
}

/// Whoever checks the journal must be able to tell a bad one from one that was not read.
fn code(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref() {
        None | Some(journal::Error::Tampered { .. }) => ExitCode::FAILURE,
        Some(_) => ExitCode::from(2),
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    runtime::telemetry::init(&cli.log)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(console::run(cli))
}
