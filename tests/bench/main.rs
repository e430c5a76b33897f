//! `bench`: figures of the whole loop, measured on real servers.

mod actions;
mod answer;
mod args;
mod bed;
mod exposition;
mod idle;
mod latency;
mod load;
mod meter;
mod once;
mod proc;
mod quantile;
mod report;
mod table;
mod task;
mod traffic;

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use args::{Args, Command};
use clap::Parser as _;
use runtime::shutdown::Shutdown;

fn main() -> Result<()> {
    runtime::install_tls();
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(args))
}

async fn run(args: Args) -> Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let measured = async {
        match &args.command {
            Command::Latency(latency) => latency::run(latency).await,
            Command::Idle(idle) => idle::run(idle).await,
            Command::Actions(actions) => actions::run(actions).await,
            Command::Sick(sick) => actions::sick(sick).await,
            Command::Once(once) => once::run(once).await,
        }
    };
    // Whichever ends first drops the servers.
    let report = tokio::select! {
        report = measured => report?,
        () = shutdown.wait() => bail!("interrupted; what was started is stopped"),
    };
    std::io::stdout()
        .write_all(report.as_bytes())
        .context("failed to print the report")
}
