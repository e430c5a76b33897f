//! Logs for people and machines, and the registry of metrics.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// The metrics of a process. Each program registers its own under a prefix: `kubeskippy_<program>`.
pub type Registry = prometheus_client::registry::Registry;

/// How a process logs.
#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    /// How log lines look: `human` for a terminal, `json` for a log store.
    #[arg(
        long,
        env = "KUBESKIPPY_LOG_FORMAT",
        default_value = "human",
        value_enum,
        global = true
    )]
    pub log_format: LogFormat,

    /// Which log lines are written, such as `info` or `info,analyzer=debug`.
    #[arg(long, env = "KUBESKIPPY_LOG", default_value = "info", global = true)]
    pub log_filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter does not parse.
    #[error("failed to read the log filter {filter:?} (write info, or info,analyzer=debug)")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before.
    #[error("failed to install the logger")]
    Install(#[source] tracing_subscriber::util::TryInitError),
}

/// What never logs, whatever the filter says: a client that writes models' replies into its errors.
const SILENT: [&str; 1] = ["async_openai=off"];

/// Starts logging to standard error.
///
/// # Errors
/// When the filter does not parse, or logging was set up before.
pub fn init(args: &LogArgs) -> Result<(), Error> {
    use tracing_subscriber::prelude::*;
    let LogArgs {
        log_format,
        log_filter,
    } = args;
    let refused = |source| Error::Filter {
        filter: log_filter.clone(),
        source,
    };
    let filter = EnvFilter::try_new(log_filter).map_err(refused)?;
    let filter = SILENT.iter().try_fold(filter, |filter, directive| {
        Ok(filter.add_directive(directive.parse().map_err(refused)?))
    })?;
    // Colours are for terminals, and for people who did not ask for none (no-color.org).
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours);
    let registry = tracing_subscriber::registry().with(filter);
    match log_format {
        LogFormat::Human => registry.with(lines.with_target(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(Error::Install)
}
