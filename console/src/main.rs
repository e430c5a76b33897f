//! The `kubeskippy` command.

use clap::Parser as _;
use console::cli::Cli;

fn main() -> anyhow::Result<()> {
    runtime::install_tls();
    let cli = Cli::parse();
    runtime::telemetry::init(&cli.log)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(console::run(cli))
}
