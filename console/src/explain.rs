//! `kubeskippy explain`: why something is wrong, as the diagnosis of a HealingAction says it.
//!
//! In: an action's diagnosis, as it is on record. Out: the cause, who says so and how
//! sure, the evidence with its numbers and its series drawn, what else it could be and
//! why not, every advisor that was asked, and what people think of it. It judges nothing.

use clap::Args;
use kube::Api;
use runtime::clock;
use schemas::action::HealingAction;

use crate::{
    ask::{self, Error, Output},
    place::{self, PlaceArgs},
};

pub(crate) mod spark;
pub(crate) mod text;

/// What to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Name of the HealingAction.
    pub name: String,

    /// Where it is.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Prints the diagnosis of an action.
///
/// # Errors
/// When there is no such action, or the API server does not answer.
pub async fn explain(args: ExplainArgs) -> Result<(), Error> {
    let ExplainArgs {
        name,
        place,
        output,
    } = args;
    let place = place::open(&place).await.map_err(Error::Connect)?;
    let api: Api<HealingAction> = Api::namespaced(place.client.clone(), &place.namespace);
    let found = api.get_opt(&name).await.map_err(|source| Error::Read {
        what: format!("HealingAction {name}"),
        source: Box::new(source),
    })?;
    let action = found.ok_or_else(|| Error::NotFound {
        name: name.clone(),
        namespace: place.namespace.clone(),
        hint: ": `kubectl get healingactions -A` lists all".to_owned(),
    })?;
    let diagnosis = text::Explained::of(&action);
    ask::show(&diagnosis, &diagnosis.text(clock::now()), output)
}
