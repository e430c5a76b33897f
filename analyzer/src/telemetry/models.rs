//! The instruments of asking models. Labels are configured names and bounded reasons.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Unit,
};
use runtime::telemetry::Registry;

/// What asking models counts.
#[derive(Clone, Debug)]
pub struct ModelTelemetry {
    /// Calls sent, by model and what came of them.
    pub calls: Family<Outcome, Counter>,
    /// Seconds that a call takes.
    pub seconds: Family<OfAdvisor, Histogram, fn() -> Histogram>,
    /// Tokens, in and out.
    pub tokens: Family<Tokens, Counter>,
    /// Money, in the currency of the configured prices.
    pub cost: Family<OfAdvisor, Counter<f64, std::sync::atomic::AtomicU64>>,
    /// Questions that were not sent, by model and reason.
    pub unasked: Family<Outcome, Counter>,
    /// Replies given again without a call.
    pub repeated: Family<OfAdvisor, Counter>,
    /// Secrets masked in prompts, by kind.
    pub masked: Family<Masked, Counter>,
    /// Whether the breaker lets no call through.
    pub resting: Family<OfAdvisor, Gauge>,
}

/// Labels of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    /// The model's configured name.
    pub advisor: String,
    /// `Replied`, or why not.
    pub outcome: &'static str,
}

/// Labels of what is counted per model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfAdvisor {
    /// The model's configured name.
    pub advisor: String,
}

/// Labels of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Tokens {
    /// The model's configured name.
    pub advisor: String,
    /// `in` or `out`.
    pub direction: &'static str,
}

/// Labels of what was masked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Masked {
    /// The kind of secret.
    pub kind: String,
}

impl Default for ModelTelemetry {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| {
                // From a cached small model to the longest time-out that can be configured.
                Histogram::new([0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0])
            }),
            tokens: Family::default(),
            cost: Family::default(),
            unasked: Family::default(),
            repeated: Family::default(),
            masked: Family::default(),
            resting: Family::default(),
        }
    }
}

impl ModelTelemetry {
    /// Registers the instruments.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("model_calls", "Calls sent to models", self.calls.clone());
        let help = "Duration of a call to a model";
        registry.register_with_unit("model_call", help, Unit::Seconds, self.seconds.clone());
        registry.register(
            "model_tokens",
            "Tokens of prompts and replies",
            self.tokens.clone(),
        );
        let help = "What calls cost, in the currency of the configured prices";
        registry.register("model_cost", help, self.cost.clone());
        let help = "Questions not sent to a model";
        registry.register("model_unasked_questions", help, self.unasked.clone());
        let help = "Replies given again without a call";
        registry.register("model_repeated_replies", help, self.repeated.clone());
        let help = "Secrets masked in prompts";
        registry.register("model_masked_secrets", help, self.masked.clone());
        let help = "Whether a model rests after failures";
        registry.register("model_resting", help, self.resting.clone());
    }

    /// Counts a question that was not sent.
    pub fn count_unasked(&self, advisor: &str, outcome: &'static str) {
        let advisor = advisor.to_owned();
        self.unasked
            .get_or_create(&Outcome { advisor, outcome })
            .inc();
    }
}
