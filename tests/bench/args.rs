//! What the bench can be told.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand};

/// Measures KubeSkippy as it runs in earnest: collector, analyzer and actuator as
/// three processes under their own service accounts, on a real API server with
/// etcd, scheduler, controllers and metrics-server, and a real nats-server.
///
/// Everything is booted on free loopback ports and stopped at the end, also on
/// Ctrl-C. KWOK plays the nodes and pods; their usage is what their annotations
/// say. All of it shares this machine's cores, so figures are upper bounds for
/// KubeSkippy alone; the output says how busy the machine was.
///
/// Windows on their own, without servers, are measured by `cargo bench`.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench", max_term_width = 100, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  bench idle                       what each program takes while nothing happens, at 50 pods
  bench latency                    from a stored sample to the HealingAction, at 50 pods
  bench latency --pods 5000        the same on 200 nodes; about six minutes
  bench latency --spread 0         all offenders at once
  bench actions                    from a HealingAction to its effect
  bench sick --pods 1000           an actuator that is restarted among sick pods
  bench once --seeds 300           actuators that are killed and troubled, counted
  target/release/bench latency     optimised programs, after cargo build --release --workspace";

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// From the sample that shows a breach to the HealingAction that answers it.
    ///
    /// Pods are made to use more memory than a policy allows, one by one, at
    /// random times. For each, the clock starts when JetStream stored the scrape
    /// at which the trigger fired (the first of its messages, by the server's own
    /// time), and stops when a watch of HealingActions shows the new object. The
    /// policy's mode is manual, so that no action changes what is measured.
    /// Exit status 1 when an offender was not answered.
    Latency(Latency),

    /// CPU, memory and traffic of each program while nothing happens.
    ///
    /// Pods run, policies are evaluated, no trigger fires.
    Idle(Idle),

    /// From a HealingAction to its effect, and actions per second.
    ///
    /// Deployments are rolled by actions that are created by hand, first one after
    /// the other, then all at once, with every limit lifted. Both instants are the API
    /// server's own, of its audit log.
    Actions(Actions),

    /// An actuator that is killed twice among many sick pods.
    ///
    /// Each pod has a HealingAction; the policy allows a few. Exit status 1 when
    /// more were begun.
    Sick(Sick),

    /// Actuators that are killed and troubled at seeded instants.
    ///
    /// A proxy before each answers 429 and 500, loses, cuts, delays and repeats;
    /// actuators are killed, or stopped past their lease, at a write. Each effect
    /// is counted in the audit log. Exit status 1 when one is missing or twice.
    Once(Once),
}

/// How many actions.
#[derive(Clone, Debug, Group)]
pub(crate) struct Actions {
    /// Actions that are created at once; a tenth as many, at most 100, one by one before.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(4..=900))]
    pub(crate) count: u32,
}

/// How many sick pods.
#[derive(Clone, Debug, Group)]
pub(crate) struct Sick {
    /// Pods, each with an action.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=5000))]
    pub(crate) pods: u32,

    /// Actions that the policy allows in an hour.
    #[arg(long, default_value_t = 50)]
    pub(crate) cap: u32,
}

/// How many runs.
#[derive(Clone, Debug, Group)]
pub(crate) struct Once {
    /// Runs, a seed each.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,

    /// The first seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,

    /// Runs at a time.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub(crate) jobs: u8,
}

/// What both need.
#[derive(Clone, Debug, Group)]
pub(crate) struct Scene {
    /// Pods to run, in Deployments of up to 250, 25 to a fake node.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) pods: u32,

    /// Policies to evaluate: one over memory, which acts, and others that only watch.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub(crate) policies: u8,

    /// Seconds between two scrapes, for the collector. The metrics API behind it
    /// has new figures every ten seconds.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) interval: u16,

    /// The `kubeskippy` to measure. Left out: the one built beside this program.
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
}

/// What the latency is measured with.
#[derive(Clone, Debug, Group)]
pub(crate) struct Latency {
    /// What to measure on.
    #[command(flatten)]
    pub(crate) scene: Scene,

    /// Pods that are made to use too much memory, at most as many as there are.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) offenders: u32,

    /// Seconds over which they are spread; 0 makes them all offend at once.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub(crate) spread: u16,

    /// Decides which pods offend and when; the same seed, the same choice.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// How long to look at idle programs.
#[derive(Clone, Debug, Group)]
pub(crate) struct Idle {
    /// What to measure on.
    #[command(flatten)]
    pub(crate) scene: Scene,

    /// Seconds to measure.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) seconds: u16,

    /// Seconds to wait first, after the policies were evaluated.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub(crate) warm_up: u16,
}
