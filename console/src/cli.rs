//! The command line.

use clap::{Args, Parser, Subcommand};
use runtime::{config::CommonArgs, telemetry::LogArgs};

/// Heals Kubernetes workloads, safely and verifiably.
///
/// Three programs share a NATS JetStream server: the collector publishes what
/// the cluster does, the analyzer evaluates HealingPolicy objects over it and
/// proposes HealingActions, the actuator carries them out within their limits
/// and verifies that the target recovered.
///
/// Every option can be set in the environment as well; `--help` of a command
/// names the variable beside the option.
#[derive(Debug, Parser)]
#[command(name = "kubeskippy", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// How it logs.
    #[command(flatten)]
    pub log: LogArgs,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the command can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publishes what the cluster does: samples, objects, events.
    Collector(Box<collector::config::Config>),

    /// Evaluates policies over the stream and proposes HealingActions.
    Analyzer(Box<analyzer::config::Config>),

    /// Carries out HealingActions within their limits, and verifies them.
    Actuator(Box<actuator::config::Config>),

    /// Runs all three in one process, for a small cluster.
    #[command(after_long_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),

    /// Prints the custom resource definitions: `kubeskippy crds | kubectl apply -f -`.
    Crds,
}

const RUN_EXAMPLES: &str = "\
Examples:
  nats-server -js &
  kubeskippy crds | kubectl apply -f -
  kubeskippy run --cluster dev
  nats sub 'kubeskippy.dev.alerts.>'";

/// The options of all three programs together.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What they share.
    #[command(flatten)]
    pub common: CommonArgs,

    /// The collector's own.
    #[command(flatten)]
    pub collector: collector::config::Options,

    /// The analyzer's own.
    #[command(flatten)]
    pub analyzer: analyzer::config::Options,

    /// The actuator's own.
    #[command(flatten)]
    pub actuator: actuator::config::Options,
}
