//! `kubeskippy why`: one action explained, from what is on record alone.
//!
//! Nothing is judged anew: what is told is what the action's spec and status say, with
//! its policy, its target and its Events as far as they still exist. What is not known
//! is said.

use clap::Args;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, Client};
use runtime::clock;
use schemas::action::HealingAction;

use crate::{
    ask::{self, Error, Known, Output},
    place::{self, PlaceArgs},
};

pub(crate) mod explanation;
mod moments;
mod rung;
mod story;

use explanation::{Facts, explain};

/// What to explain.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// Name of the HealingAction, whether it has ended or not.
    pub name: String,

    /// Where it is.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// How the answer is printed.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Explains an action.
///
/// # Errors
/// When there is no such action, or the API server does not answer.
pub async fn why(args: WhyArgs) -> Result<(), Error> {
    let WhyArgs {
        name,
        place,
        output,
    } = args;
    let place = place::open(&place).await.map_err(Error::Connect)?;
    let facts = gather(&place.client, &place.namespace, &name).await?;
    let explanation = explain(&facts);
    let text = story::story(&explanation, clock::now());
    ask::show(&explanation, &text, output)
}

async fn gather(client: &Client, namespace: &str, name: &str) -> Result<Facts, Error> {
    let api: Api<HealingAction> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|source| Error::Read {
        what: format!("the HealingAction {name}"),
        source: Box::new(source),
    })?;
    let action = found.ok_or_else(|| Error::NotFound {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        hint: format!(
            ": if it existed, the journal still tells of it, kubeskippy journal show --action {name} -n {namespace}"
        ),
    })?;
    let wanted = &action.spec.target_resource;
    let home = wanted.namespace.as_deref().unwrap_or(namespace);
    let uid = action.metadata.uid.as_deref().unwrap_or_default();
    let (policy, target, others, events) = tokio::join!(
        ask::policy(client, namespace, &action.spec.policy_name),
        ask::object(client, &wanted.kind, home, &wanted.name),
        ask::actions(client, namespace),
        ask::events(client, namespace, uid),
    );
    Ok(Facts {
        policy,
        target,
        others,
        events: told(events),
        action,
    })
}

/// What the Events say, the oldest first.
fn told(events: Known<Vec<Event>>) -> Known<Vec<explanation::Told>> {
    let mut events = match events {
        Known::Is(events) => events,
        Known::Gone => return Known::Gone,
        Known::Unknown(why) => return Known::Unknown(why),
    };
    let at = |event: &Event| {
        let precise = event.event_time.as_ref().map(|time| time.0);
        let coarse = event.first_timestamp.as_ref().map(|time| time.0);
        precise.or(coarse)
    };
    events.sort_by_key(at);
    let told = events.iter().filter_map(|event| {
        Some(explanation::Told {
            at: at(event)?,
            reason: event.reason.clone().unwrap_or_default(),
            note: event.message.clone().unwrap_or_default(),
        })
    });
    Known::Is(told.collect())
}
