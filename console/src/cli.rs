//! The command line.

use clap::{Args, Parser, Subcommand};
use runtime::{config::CommonArgs, telemetry::LogArgs};

use crate::{
    decide::{ApproveArgs, RejectArgs},
    explain::ExplainArgs,
    feedback::FeedbackArgs,
    journal::JournalCommand,
    learned::LearnedArgs,
    pause::{PauseArgs, ResumeArgs},
    review::ReviewArgs,
    waiting::WaitingArgs,
    why::WhyArgs,
    why_not::WhyNotArgs,
};

/// Heals Kubernetes workloads, safely and verifiably.
///
/// Three programs share a NATS JetStream server: the collector publishes what
/// the cluster does, the analyzer evaluates HealingPolicy objects over it and
/// proposes HealingActions, the actuator carries them out within their limits
/// and verifies that the target recovered.
///
/// Where a person must agree, `kubeskippy waiting` lists what waits for one, and
/// `kubeskippy approve` or `kubeskippy reject` answers.
///
/// What can be set in the environment as well has its variable beside the option
/// in the `--help` of a command.
#[derive(Debug, Parser)]
#[command(
    name = "kubeskippy",
    version,
    propagate_version = true,
    max_term_width = 110
)]
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

    /// Lists the HealingActions that wait for a person, the most urgent first.
    #[command(after_long_help = WAITING_EXAMPLES)]
    Waiting(WaitingArgs),

    /// Reviews what waits for a person, one after the other, with cause, evidence, change and rivals.
    ///
    /// On a terminal it asks about each: approve, reject with a reason, or choose another action of
    /// the policy. Elsewhere, or with -o json, it only shows. You need the verb `approve` on
    /// healingactions to decide, and `create` to choose another action.
    #[command(after_long_help = REVIEW_EXAMPLES)]
    Review(ReviewArgs),

    /// Says yes to the change that a HealingAction plans.
    ///
    /// Shows what was seen, what is planned and until when it waits, asks on the
    /// terminal, and writes your yes together with the digest of that very plan.
    /// The actuator makes this change and no other; when the plan becomes another
    /// one, the yes is void. It is written once and cannot be taken back.
    ///
    /// You need the verb `approve` on healingactions, as the cluster role
    /// kubeskippy-approver has it. The API server holds you to it, also with kubectl.
    #[command(after_long_help = APPROVE_EXAMPLES)]
    Approve(ApproveArgs),

    /// Says no to a HealingAction: it ends as Denied and changes nothing.
    ///
    /// Works as well before the action waits for anybody. It is written once and
    /// cannot be taken back. You need the verb `approve` on healingactions, as the
    /// cluster role kubeskippy-approver has it.
    #[command(after_long_help = REJECT_EXAMPLES)]
    Reject(RejectArgs),

    /// Checks or shows the journal: who approved what, every change, and what became of it.
    Journal {
        /// What to do with it.
        #[command(subcommand)]
        command: JournalCommand,
    },

    /// Explains a HealingAction: what was seen, who agreed, what the guards said, what was done, and what came of it.
    ///
    /// It tells what is on record and judges nothing anew, so it explains as well what ended long
    /// ago and what was not done. What is not known, because its policy, its target or its Events
    /// are gone or not yours to read, it says.
    #[command(after_long_help = WHY_EXAMPLES)]
    Why(WhyArgs),

    /// Explains the cause behind a HealingAction: who says so, on which evidence, and what else it could be.
    ///
    /// Series are drawn as bars, from what the action has on record.
    #[command(after_long_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),

    /// Says whether the diagnosis behind a HealingAction named the cause.
    ///
    /// One word for each person; the last one counts. Calibration and recall learn from it once the
    /// action has ended, also long after. You need the verb `feedback` on healingactions, as the
    /// cluster role kubeskippy-approver has it, and speak under your own name alone.
    #[command(after_long_help = FEEDBACK_EXAMPLES)]
    Feedback(FeedbackArgs),

    /// Shows what verified outcomes taught: which remedy helps against what, whose confidence is worth what, and what is recalled.
    ///
    /// It is computed from the journal as the analyzer computes it. Shares are those of cases, with
    /// the range in which the true one lies with a probability of 80 %.
    #[command(after_long_help = LEARNED_EXAMPLES)]
    Learned(LearnedArgs),

    /// Explains why an object was not healed: which policies select it, how its triggers stand, and what held actions back.
    #[command(after_long_help = WHY_NOT_EXAMPLES)]
    WhyNot(WhyNotArgs),

    /// Stops all healing, in all namespaces, until `kubeskippy resume`.
    ///
    /// No new change begins from then on; what was begun is verified, and taken back where it does
    /// not help. When healing is paused already, it says who paused it and since when, and changes
    /// nothing. You need the Role kubeskippy-pauser in KubeSkippy's own namespace.
    #[command(after_long_help = PAUSE_EXAMPLES)]
    Pause(PauseArgs),

    /// Lets healing go on after `kubeskippy pause`.
    Resume(ResumeArgs),

    /// Prints the custom resource definitions: `kubeskippy crds | kubectl apply -f -`.
    Crds,
}

const RUN_EXAMPLES: &str = "\
Examples:
  nats-server -js &
  kubeskippy crds | kubectl apply -f -
  kubeskippy run --cluster dev
  nats sub 'kubeskippy.dev.alerts.>'";

const WAITING_EXAMPLES: &str = "\
Examples:
  kubeskippy waiting                 in the namespace of your context
  kubeskippy waiting -A              everywhere";

const APPROVE_EXAMPLES: &str = "\
Examples:
  kubeskippy waiting -A
  kubeskippy approve memory-0d9f3c2a1b -n shop
  kubeskippy approve memory-0d9f3c2a1b -n shop --yes --reason 'leak is known, ticket 4711'";

const WHY_EXAMPLES: &str = "\
Examples:
  kubeskippy why memory-0d9f3c2a1b -n shop
  kubeskippy why memory-0d9f3c2a1b -n shop -o json | jq .guards";

const REVIEW_EXAMPLES: &str = "\
Examples:
  kubeskippy review -A                                      all that wait, the most urgent first
  kubeskippy review memory-0d9f3c2a1b -n shop               this one
  kubeskippy review memory-0d9f3c2a1b -n shop --choose grow another action of the policy instead
  kubeskippy review -A -o json | jq '.[].diagnosis.cause'";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  kubeskippy explain memory-0d9f3c2a1b -n shop
  kubeskippy explain memory-0d9f3c2a1b -n shop -o json | jq .diagnosis.evidence";

const FEEDBACK_EXAMPLES: &str = "\
Examples:
  kubeskippy feedback memory-0d9f3c2a1b useful -n shop
  kubeskippy feedback memory-0d9f3c2a1b wrong -n shop --cause bad-rollout --reason 'the new cache has no limit'";

const LEARNED_EXAMPLES: &str = "\
Examples:
  kubeskippy learned --cluster prod
  kubeskippy learned --cluster prod -o json | jq .remedies
  kubeskippy learned --from-file journal.jsonl";

const WHY_NOT_EXAMPLES: &str = "\
Examples:
  kubeskippy why-not web-7d9c5b-x2x4z -n shop
  kubeskippy why-not Deployment/web -n shop -o json";

const PAUSE_EXAMPLES: &str = "\
Examples:
  kubeskippy pause --reason 'incident 4711: the registry is down'
  kubeskippy resume";

const REJECT_EXAMPLES: &str = "\
Examples:
  kubeskippy reject memory-0d9f3c2a1b -n shop --reason 'load test until noon'";

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
