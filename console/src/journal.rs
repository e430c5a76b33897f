//! `kubeskippy journal`: the audit trail, checked and shown.
//!
//! Nothing is written: not to the bus, whose streams may be evidence, and not to the cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use schemas::journal::{self as chain, Anchor, Head, Verifier};

use crate::print::{self, plain};

mod read;
mod show;

pub use read::Error;
use read::anchor;
pub(crate) use read::{Lines, lines};

/// What to do with the journal.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Checks that no line of the journal was changed, inserted, taken out or cut off.
    ///
    /// Each line holds the hash of the line before it, so whatever is changed breaks the chain there.
    /// The anchor, a ConfigMap that the bus cannot touch, holds how far the chain reached, so a
    /// journal that was cut off or written anew does not pass either. What it cannot show: lines
    /// that were never written, and what was done to the last lines before the anchor followed,
    /// which takes about two seconds.
    ///
    /// The exit code is 0 when the journal is intact, 1 when it is not, 2 when it could not be checked.
    #[command(after_long_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),

    /// Shows what the journal holds: who approved what, what was changed, and what became of it.
    #[command(after_long_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  kubeskippy journal verify --cluster prod
  kubeskippy journal show --cluster prod --lines > journal.jsonl
  kubeskippy journal verify --from-file journal.jsonl --anchor 4711:9f86d0…";

const SHOW_EXAMPLES: &str = "\
Examples:
  kubeskippy journal show --cluster prod --action memory-0d9f3c2a1b -n shop
  kubeskippy journal show --cluster prod --lines > journal.jsonl";

/// Where the journal is.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// NATS servers, separated by commas.
    #[arg(long, env = "NATS_URL", default_value = "nats://127.0.0.1:4222")]
    pub nats_url: String,

    /// NATS credentials file (.creds). Left out: no authentication.
    #[arg(long, env = "KUBESKIPPY_NATS_CREDS")]
    pub nats_creds: Option<PathBuf>,

    /// Name of the cluster on the bus.
    #[arg(long, env = "KUBESKIPPY_CLUSTER", default_value = "default")]
    pub cluster: String,

    /// Read this file instead, one line after the other, as `journal show --lines` prints them.
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

/// What to check, and against what.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Where the journal is.
    #[command(flatten)]
    pub source: SourceArgs,

    /// How far the chain must reach, instead of what the ConfigMap says. A file is compared with this alone.
    #[arg(long, value_name = "SEQUENCE:HASH", value_parser = head)]
    pub anchor: Option<Head>,

    /// Which cluster, and as whom.
    #[command(flatten)]
    pub kube: runtime::kube::KubeArgs,

    /// KubeSkippy's own namespace, where the anchor is.
    #[arg(long, default_value = "kubeskippy-system")]
    pub system_namespace: String,

    /// Name of the installation, when several share a cluster; part of the anchor's name.
    #[arg(long, env = "KUBESKIPPY_INSTANCE")]
    pub instance: Option<String>,
}

/// What to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Where the journal is.
    #[command(flatten)]
    pub source: SourceArgs,

    /// Only what is about the HealingAction of this name.
    #[arg(long, value_name = "NAME")]
    pub action: Option<String>,

    /// Only what is about HealingActions in this namespace.
    #[arg(short, long)]
    pub namespace: Option<String>,

    /// Print the lines as they are stored, to keep them or to check them elsewhere.
    #[arg(long)]
    pub lines: bool,
}

fn head(text: &str) -> Result<Head, String> {
    let wrong = || "write it as SEQUENCE:HASH, as the ConfigMap has them".to_owned();
    let (sequence, hash) = text.split_once(':').ok_or_else(wrong)?;
    if hash.len() != chain::NOTHING_BEFORE.len() {
        return Err(format!("a hash has 64 hex digits, not {}", hash.len()));
    }
    Ok(Head {
        sequence: sequence.parse().map_err(|_error| wrong())?,
        hash: hash.to_ascii_lowercase(),
    })
}

/// Does what was asked.
///
/// # Errors
/// [`Error::Tampered`] when the journal does not fit together; another when it cannot be read.
pub async fn journal(command: JournalCommand) -> Result<(), Error> {
    match command {
        JournalCommand::Verify(args) => verify(args).await,
        JournalCommand::Show(args) => show::show(args).await,
    }
}

async fn verify(args: VerifyArgs) -> Result<(), Error> {
    // Read before the lines: what is written meanwhile comes after it.
    let anchor = match (&args.anchor, &args.source.from_file) {
        (Some(head), _) => Anchor {
            head: Some(head.clone()),
            ..anchor_or_default(&args).await
        },
        (None, Some(_)) => Anchor::default(),
        (None, None) => anchor(&args).await?,
    };
    let anchored = anchor.head.clone();
    let mut verifier = Verifier::new(anchor);
    let mut lines = lines(&args.source).await?;
    let bar = progress(&lines);
    while let Some(line) = lines.next().await? {
        verifier.line(&line);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = verifier.finish();
    let say = |text: String| print::line(&text).map_err(Error::Print);
    for found in &report.breaks {
        let sequence = found.sequence.map(|it| format!(" (it says {it})"));
        say(format!(
            "line {}{}: {}",
            found.position,
            sequence.unwrap_or_default(),
            plain(&found.fault.to_string())
        ))?;
    }
    if !report.is_intact() {
        let first = report.breaks.first().map_or(0, |found| found.position);
        return Err(Error::Tampered {
            first,
            breaks: report.broken,
        });
    }
    say(intact(&report, anchored.as_ref()))
}

/// With an anchor from the command line, the cluster need not be there.
async fn anchor_or_default(args: &VerifyArgs) -> Anchor {
    if args.source.from_file.is_some() {
        return Anchor::default();
    }
    anchor(args).await.unwrap_or_default()
}

fn intact(report: &chain::Report, anchored: Option<&Head>) -> String {
    let lines = report.lines;
    let reach = match &report.head {
        Some(head) => format!("up to {} ({})", head.sequence, head.hash),
        None => "nothing was written yet".to_owned(),
    };
    let anchor = match anchored {
        Some(head) => format!("anchored up to {}", head.sequence),
        None => "not anchored: whether the end was cut off is not known".to_owned(),
    };
    format!("intact: {lines} lines, {reach}; {anchor}")
}

/// Progress on standard error, where somebody watches it.
fn progress(lines: &Lines) -> ProgressBar {
    let bar = match lines.count() {
        Some(count) => ProgressBar::new(count),
        None => ProgressBar::no_length(),
    };
    // A template that cannot be read leaves the usual one.
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} lines, {per_sec} {wide_bar}") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_a_sequence_and_a_hash() {
        let hash = "A".repeat(64);
        let read = head(&format!("7:{hash}")).unwrap();
        assert_eq!((read.sequence, read.hash), (7, "a".repeat(64)));
        assert!(head("7").is_err() && head("x:y").is_err());
    }

    #[test]
    fn what_is_not_anchored_says_so() {
        let report = chain::Report::default();
        assert!(intact(&report, None).contains("not anchored"));
    }
}
