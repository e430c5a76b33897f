//! The `kubeskippy` command.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use console::cli::Cli;

fn main() -> ExitCode {
    runtime::install_tls();
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When nobody reads standard error, the exit code says it all.
            let _unread = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    runtime::telemetry::init(&cli.log)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(console::run(cli))
}
