//! Which models there are, where, and what they may cost: the file given by `--models`.
//!
//! In: YAML. Out: models that make sense together, or the first thing that is wrong, with how to
//! mend it. The file names the file that holds a key and never the key, so it can live in a
//! `ConfigMap`.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::budget::Limits;
use crate::analysis::ModelName;

/// Names that policies use for the advisors that are always there.
const BUILT_IN: [&str; 2] = ["rules", "recall"];
/// Hosts of the service itself.
const HOSTED: [&str; 2] = ["api.openai.com", ".openai.azure.com"];
/// The most models: each has a task and a line in every status.
const MOST_MODELS: usize = 8;

/// The models that may be asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Models(Vec<Model>);

/// A model, where it is served, and what it may cost.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// Name by which policies ask it: lower-case letters, digits and `-`.
    pub name: String,
    /// Which API its server speaks.
    pub provider: Provider,
    /// Where the API is: `http://ollama.models:11434`, `https://api.openai.com/v1`.
    pub base_url: String,
    /// The model, as its server knows it.
    pub model: String,
    /// File that holds the API key, such as of a mounted Secret. It is read at each call.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// How long one call may take, in seconds.
    #[serde(default = "thirty")]
    pub timeout_seconds: u32,
    /// How many tokens the model reads and writes at most, together.
    #[serde(default = "context")]
    pub context_tokens: u32,
    /// How many of these are left for the reply.
    #[serde(default = "reply")]
    pub reply_tokens: u32,
    /// How much chance there is in its answers; `null`: as the server likes it.
    #[serde(default = "none_at_all")]
    pub temperature: Option<f32>,
    /// Whether the reply is read as it is written.
    #[serde(default)]
    pub stream: bool,
    /// Price of a million tokens of prompt.
    #[serde(default)]
    pub price_in_per_m_tok: f64,
    /// Price of a million tokens of reply.
    #[serde(default)]
    pub price_out_per_m_tok: f64,
    /// What all policies together may spend on it.
    #[serde(default)]
    pub budget: Limits,
    /// A larger model that is asked as well where that is expected to be worth its cost.
    #[serde(default)]
    pub escalate_to: Option<String>,
    /// What a right cause is worth where this one leaves doubt, in the currency of the prices.
    #[serde(default)]
    pub worth: f64,
}

/// Which API a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Ollama's own API.
    Ollama,
    /// The chat completions of `OpenAI` and of everything compatible: vLLM, llama.cpp, `LiteLLM`.
    OpenAi,
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML, or has keys that do not exist.
    #[error("the models file is not as docs/models.md describes it")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// There are too many.
    #[error("the models file lists {found} models; at most {MOST_MODELS} can be asked")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// A model makes no sense.
    #[error("model {model:?}: {problem}")]
    Model {
        /// Its name.
        model: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl Models {
    /// Reads the file's text: a list of models.
    ///
    /// # Errors
    /// What is wrong first, and how to mend it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let models: Option<Vec<Model>> =
            serde_saphyr::from_str(text).map_err(|source| Error::Yaml(Box::new(source)))?;
        let models = models.unwrap_or_default();
        if models.len() > MOST_MODELS {
            return Err(Error::TooMany {
                found: models.len(),
            });
        }
        let mut names = BTreeSet::new();
        let repeated = |model: &Model, names: &mut BTreeSet<String>| {
            let repeated = !names.insert(model.name.clone());
            repeated.then(|| "another model has the same name".to_owned())
        };
        let mut problems = models.iter().filter_map(|model| {
            let problem = problem(model).or_else(|| repeated(model, &mut names));
            Some((model, problem?))
        });
        let between = || {
            let mut escalations = models.iter();
            escalations.find_map(|model| Some((model, escalation_problem(model, &models)?)))
        };
        if let Some((model, problem)) = problems.next().or_else(between) {
            let model = model.name.clone();
            return Err(Error::Model { model, problem });
        }
        Ok(Self(models))
    }

    /// Each model.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.0.iter()
    }

    /// The model of this name.
    pub fn named(&self, name: &str) -> Option<&Model> {
        self.iter().find(|model| model.name == name)
    }

    /// The models as the analysis knows them.
    pub fn names(&self) -> Vec<ModelName> {
        let names = self.iter().map(|model| ModelName {
            name: model.name.clone(),
            model: model.model.clone(),
            escalates_to: model.escalate_to.clone(),
        });
        names.collect()
    }
}

impl Model {
    /// How long one call may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds))
    }

    /// Whether it is `OpenAI`'s own service, which takes fewer keywords in a schema and other ones
    /// in a request than the servers that are compatible with it.
    pub fn is_hosted(&self) -> bool {
        let url: Option<http::Uri> = self.base_url.parse().ok();
        let host = url.as_ref().and_then(http::Uri::host).unwrap_or_default();
        self.provider == Provider::OpenAi && HOSTED.iter().any(|name| host.ends_with(name))
    }

    /// Prices of a million tokens, in and out.
    pub const fn prices(&self) -> (f64, f64) {
        (self.price_in_per_m_tok, self.price_out_per_m_tok)
    }
}

fn problem(model: &Model) -> Option<String> {
    let wrong = |holds: bool, text: &str| holds.then(|| text.to_owned());
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let name = model.name.as_str();
    let named = (1..=63).contains(&name.len()) && name.chars().all(label);
    let amount = |value: f64| value.is_finite() && value >= 0.0;
    let money = [
        Some(model.price_in_per_m_tok),
        Some(model.price_out_per_m_tok),
        Some(model.worth),
        model.budget.cost_per_hour,
        model.budget.cost_per_day,
    ];
    wrong(
        !named,
        "its name must be 1 to 63 lower-case letters, digits and -",
    )
    .or_else(|| {
        wrong(
            BUILT_IN.contains(&name),
            "rules and recall are built in; name it otherwise",
        )
    })
    .or_else(|| {
        wrong(
            model.model.trim().is_empty(),
            "model must say which model of the server is meant",
        )
    })
    .or_else(|| url_problem(&model.base_url))
    .or_else(|| {
        wrong(
            !(1..=600).contains(&model.timeout_seconds),
            "timeoutSeconds must be 1 to 600",
        )
    })
    .or_else(|| {
        wrong(
            !(64..=16_384).contains(&model.reply_tokens),
            "replyTokens must be 64 to 16384",
        )
    })
    .or_else(|| {
        wrong(
            model.context_tokens < 1024 || model.context_tokens / 2 < model.reply_tokens,
            "contextTokens must be 1024 or more, and at least twice replyTokens",
        )
    })
    .or_else(|| {
        wrong(
            !model.temperature.is_none_or(|it| (0.0..=2.0).contains(&it)),
            "temperature must be 0 to 2, or null to leave it to the server",
        )
    })
    .or_else(|| {
        wrong(
            !money.into_iter().flatten().all(amount),
            "prices, worth and costs must be 0 or more",
        )
    })
}

/// What is wrong with where a model is to be found.
fn url_problem(text: &str) -> Option<String> {
    let url: http::Uri = match text.parse() {
        Ok(url) => url,
        Err(error) => {
            return Some(format!(
                "baseUrl {text:?} is no URL ({error}); write http://host:port or https://host/v1"
            ));
        }
    };
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Some("baseUrl must begin with http:// or https:// and a host".to_owned());
    }
    if url.authority().is_some_and(|it| it.as_str().contains('@')) {
        return Some("baseUrl must hold no user and no password: give apiKeyFile".to_owned());
    }
    let extra = text.contains(['?', '#']);
    extra.then(|| "baseUrl must end before any ? or #".to_owned())
}

fn escalation_problem(model: &Model, models: &[Model]) -> Option<String> {
    let to = model.escalate_to.as_deref()?;
    let Some(target) = models.iter().find(|other| other.name == to) else {
        return Some(format!("escalateTo names {to:?}, which is not in the list"));
    };
    if target.name == model.name || target.escalate_to.is_some() {
        return Some(format!(
            "escalateTo {to:?} must be another model that escalates no further"
        ));
    }
    (model.worth <= 0.0)
        .then(|| format!("with escalateTo {to:?}, worth must say what a right cause is worth"))
}

const fn thirty() -> u32 {
    30
}

const fn context() -> u32 {
    8192
}

const fn reply() -> u32 {
    1024
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
const fn none_at_all() -> Option<f32> {
    Some(0.0)
}

#[cfg(test)]
mod tests;
