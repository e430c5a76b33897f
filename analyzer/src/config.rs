//! The analyzer's options.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use jiff::SignedDuration;
use runtime::config::CommonArgs;
use schemas::duration::Duration;

use crate::{
    accepted::Bounds,
    advise::models::Models,
    analysis::{ModelName, Settings},
    sizing::HISTORY,
    window::WindowConfig,
};

/// The options of `kubeskippy analyzer`.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// What every program has.
    #[command(flatten)]
    pub common: CommonArgs,

    /// The analyzer's own.
    #[command(flatten)]
    pub options: Options,
}

/// The options that only the analyzer has.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Options {
    /// The one namespace whose policies may select objects in other namespaces,
    /// and nodes. A policy anywhere else acts in its own namespace alone.
    #[arg(
        long = "system-namespace",
        env = "KUBESKIPPY_SYSTEM_NAMESPACE",
        default_value = "kubeskippy-system"
    )]
    pub system_namespace: String,

    /// How far back a trigger may look, such as 1h. A policy that asks for more
    /// is not accepted. Memory is taken only as far as the policies ask for.
    #[arg(
        long = "longest-window",
        env = "KUBESKIPPY_LONGEST_WINDOW",
        default_value = "1h"
    )]
    pub longest_window: Duration,

    /// How long a trigger stays pending or firing without data about its
    /// target, before it resolves with the reason `NoData`.
    #[arg(
        long = "no-data-after",
        env = "KUBESKIPPY_NO_DATA_AFTER",
        default_value = "5m"
    )]
    pub no_data_after: Duration,

    /// How long an object is known without being told of again: twice the
    /// collector's --resync or more. A start reads as far back as this.
    #[arg(
        long = "objects-span",
        env = "KUBESKIPPY_OBJECTS_SPAN",
        default_value = "25m"
    )]
    pub objects_span: Duration,

    /// The most HealingActions of one policy that may be open at once; further
    /// offenders wait.
    #[arg(long = "open-actions", env = "KUBESKIPPY_OPEN_ACTIONS", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub open_actions: u16,

    /// The most rows, one per container and scrape, that the windows hold. The
    /// oldest go first; a million take about 35 MB.
    #[arg(
        long = "window-rows",
        env = "KUBESKIPPY_WINDOW_ROWS",
        default_value_t = 6_000_000
    )]
    pub window_rows: u32,

    /// YAML file that lists the models that may be asked for causes: where each is
    /// served (Ollama, or any OpenAI-compatible API), the file of its key, its
    /// prices and budgets. Policies ask the models by their names (spec.ai.advisors).
    /// It is read at the start; keys are read at each call. Left out: no model is
    /// asked, and rules and recall find the causes. Try `- {name: small, provider:
    /// ollama, baseUrl: "http://127.0.0.1:11434", model: "qwen3:4b"}`;
    /// docs/models.md has the rest.
    #[arg(long = "models", env = "KUBESKIPPY_MODELS", value_name = "FILE")]
    pub models: Option<PathBuf>,
}

/// How far back the shortest windows reach: what short names such as
/// `restart_count` look back by themselves.
const SHORTEST_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// What is replayed beyond the longest `for`: scrapes that came late, a slow start.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// How far back a start reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The span of samples that the windows hold.
    pub period: SignedDuration,
    /// Ticks are evaluated from this long ago: no shorter than any `for`.
    pub evaluate: SignedDuration,
    /// Samples and events are read from this long ago, so that the windows are
    /// full at the first tick that is evaluated.
    pub samples: SignedDuration,
    /// Objects are read from this long ago, so that all are known at the first
    /// tick that is evaluated.
    pub objects: SignedDuration,
    /// Whether samples are read from as long ago as recommended sizes can use.
    pub sizes: bool,
}

impl Options {
    /// How far back a start reads for policies that look back and hold for these
    /// spans at most, and that ask for recommended sizes or do not.
    pub fn replay(&self, (look, hold): (SignedDuration, SignedDuration), sizes: bool) -> Replay {
        let lookback = WindowConfig::default().lookback;
        let period = look.max(SHORTEST_WINDOW);
        let evaluate = hold + MARGIN;
        let objects = evaluate + self.objects_span.get();
        let samples = evaluate + period + lookback;
        Replay {
            period,
            evaluate,
            samples: if sizes { samples.max(HISTORY) } else { samples },
            objects,
            sizes,
        }
    }

    /// What bounds every policy.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            system_namespace: self.system_namespace.clone(),
            longest_window: self.longest_window,
        }
    }

    /// The models in the file of `--models`; none without one.
    ///
    /// # Errors
    /// When the file cannot be read, or makes no sense.
    pub fn models(&self) -> anyhow::Result<Models> {
        let Some(path) = &self.models else {
            return Ok(Models::default());
        };
        let path_text = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read the models file {path_text} (--models)"))?;
        Models::parse(&text).with_context(|| format!("failed to use the models file {path_text}"))
    }

    /// The settings of an analysis of `cluster` that starts at `now` and may ask `models`.
    pub fn settings(
        &self,
        (cluster, models): (&str, Vec<ModelName>),
        replay: Replay,
        now: jiff::Timestamp,
    ) -> Settings {
        let Self {
            system_namespace: _,
            longest_window: _,
            no_data_after,
            objects_span,
            open_actions,
            window_rows,
            models: _,
        } = self;
        Settings {
            cluster: cluster.to_owned(),
            bounds: self.bounds(),
            lookback: no_data_after.get(),
            objects_span: objects_span.get(),
            most_open: usize::from(*open_actions),
            window: WindowConfig {
                period: replay.period,
                max_rows: usize::try_from(*window_rows).unwrap_or(usize::MAX),
                ..WindowConfig::default()
            },
            evaluate_from: now.saturating_sub(replay.evaluate).unwrap_or(now),
            models,
        }
    }
}
