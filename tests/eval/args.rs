//! What `eval` can be told.

use std::path::PathBuf;

use clap::Parser;

/// Measures how good diagnoses and actions are: makes failures whose right answers are known on
/// a simulated cluster, lets KubeSkippy answer, and prints a table.
///
/// It boots a control plane, KWOK and nats-server on free loopback ports. Each scenario gets a
/// namespace, and a collector, an analyzer and an actuator of its own, so that
/// scenarios do not meet; a few run at a time. What a scenario expects is never shown to them. docs/scenarios.md
/// describes the files and how to read the table.
///
/// Exit status 1 says that something did not work, not that an answer was wrong.
#[derive(Clone, Debug, Parser)]
#[command(name = "eval", max_term_width = 100)]
pub(crate) struct Args {
    /// Files with scenarios, or folders of them; left out: those of the project.
    #[arg(value_name = "PATH")]
    pub(crate) scenarios: Vec<PathBuf>,

    /// Runs these scenarios alone; may be given several times, or with commas.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,

    /// Writes the table as JSON as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// The analyzer's file of models; the table is then run once without, and once with each model alone.
    #[arg(long, value_name = "FILE")]
    pub(crate) models: Option<PathBuf>,

    /// Leaves out the run without models.
    #[arg(long, requires = "models")]
    pub(crate) models_only: bool,

    /// How many scenarios run at a time.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) parallel: u8,

    /// Leaves the servers, and the objects of the last scenarios, up at the end, and says how to look around.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Only reads the scenarios and tries their objects as a dry run.
    #[arg(long, conflicts_with_all = ["faults", "models", "json"])]
    pub(crate) check: bool,

    /// Only makes the failures, with nobody to heal them, and prints what the cluster shows of each after this many seconds.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["models", "json"])]
    pub(crate) faults: Option<u16>,

    /// With --check: the cluster to try the objects on, instead of one of its own.
    #[arg(long, value_name = "FILE", requires = "check")]
    pub(crate) kubeconfig: Option<PathBuf>,
}
