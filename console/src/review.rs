//! `kubeskippy review`: what waits for a person, with all that a decision rests on.
//!
//! In: the HealingActions that wait, and their policies. Out: one after the other, the most
//! urgent first, with the cause and its evidence, the exact change, what is expected of it and
//! of doing nothing, and what else the policy could do. The answers are those of `approve`
//! and `reject`; to choose another action of the policy rejects this one and asks for that.

use clap::Args;
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use runtime::clock;
use schemas::action::{Decision, HealingAction};

use crate::{
    ask::{self, Known, Output},
    decide::{self, Error},
    feedback,
    place::{self, Place, PlaceArgs},
    print, waiting,
};

mod card;
mod choose;
mod dialogue;

use card::Card;
use dialogue::Answer;

/// What to review.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// Name of the HealingAction. Left out: all that wait, the most urgent first.
    pub name: Option<String>,

    /// Where to look.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Look in all namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "name"])]
    pub all_namespaces: bool,

    /// Reject this action and ask for another one of its policy, by its name there.
    #[arg(long, value_name = "ACTION", requires = "name")]
    pub choose: Option<String>,

    /// How to print it. With json nothing is asked.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Shows what waits, and on a terminal asks about each.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn review(args: ReviewArgs) -> Result<(), Error> {
    let ReviewArgs {
        name,
        place,
        all_namespaces,
        choose,
        output,
    } = args;
    let place = place::open(&place).await.map_err(Error::Connect)?;
    let waiting = waiting_in(&place, name.as_deref(), all_namespaces).await?;
    let mut cards = Vec::with_capacity(waiting.len());
    for action in waiting {
        cards.push(card(&place, action).await);
    }
    if let Some(wanted) = choose {
        let card = cards
            .first()
            .ok_or_else(|| missing(&place, name.as_deref()))?;
        return choose_another(&place, card, &wanted).await;
    }
    if output == Output::Json {
        let text = serde_json::to_string_pretty(&cards).map_err(Error::Json)?;
        return print::line(&text).map_err(Error::Print);
    }
    if cards.is_empty() {
        return print::line("Nothing waits for a person.").map_err(Error::Print);
    }
    go_through(&place, &cards).await
}

/// Shows each, and asks when there is somebody to ask.
async fn go_through(place: &Place, cards: &[Card]) -> Result<(), Error> {
    let count = cards.len();
    for (index, card) in cards.iter().enumerate() {
        let head = format!("── {} of {count} ──", index + 1);
        let text = format!("{head}\n{}\n", card.text(clock::now()));
        print::line(&text).map_err(Error::Print)?;
        if !dialogue::is_possible() {
            continue;
        }
        match answer(place, card).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // Somebody was faster, or may not: the next one is asked about all the same.
            Err(error) => {
                print::line(&format!("{}\n", runtime::chain(&error))).map_err(Error::Print)?;
            }
        }
    }
    Ok(())
}

/// Asks about one; `false` when the person has had enough. What the person thinks of the
/// diagnosis decides nothing, so that it is asked again afterwards.
async fn answer(place: &Place, card: &Card) -> Result<bool, Error> {
    let place = place.in_namespace(card.namespace());
    let mut answer = dialogue::ask(card)?;
    while let Answer::Think(thought) = &answer {
        let user = decide::who(&place).await?;
        let said = feedback::say(&place, card.name(), thought, &user).await;
        let said = said.unwrap_or_else(|error| runtime::chain(&error));
        print::line(&said).map_err(Error::Print)?;
        answer = dialogue::ask(card)?;
    }
    let said = match answer {
        Answer::Think(_) | Answer::Skip => return Ok(true),
        Answer::Quit => return Ok(false),
        Answer::Approve => {
            let user = decide::who(&place).await?;
            let wish = (Decision::Approved, None);
            decide::decide_about(&place, &card.action, wish, user).await?
        }
        Answer::Reject(reason) => {
            let user = decide::who(&place).await?;
            let wish = (Decision::Rejected, Some(reason));
            decide::decide_about(&place, &card.action, wish, user).await?
        }
        Answer::Choose(wanted) => {
            choose_another(&place, card, &wanted).await?;
            return Ok(true);
        }
    };
    print::line(&format!("{said}\n")).map_err(Error::Print)?;
    Ok(true)
}

/// Rejects an action and asks for another one of its policy.
async fn choose_another(place: &Place, card: &Card, wanted: &str) -> Result<(), Error> {
    let place = place.in_namespace(card.namespace());
    let chosen = choose::instead(card, wanted)?;
    let user = decide::who(&place).await?;
    let reason = format!("{wanted} was chosen instead");
    let wish = (Decision::Rejected, Some(reason));
    decide::decide_about(&place, &card.action, wish, user).await?;
    let api: Api<HealingAction> = Api::namespaced(place.client.clone(), &place.namespace);
    let how = PostParams {
        field_manager: Some(decide::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let name = chosen.metadata.name.clone().unwrap_or_default();
    let made = api.create(&how, &chosen).await;
    made.map_err(|error| Error::refused(format!("create {name}"), error))?;
    let namespace = &place.namespace;
    let said = format!(
        "{} is rejected, and {name} asks for {wanted} instead. When it is planned:\n  kubeskippy review {name} --namespace {namespace}",
        card.name()
    );
    print::line(&said).map_err(Error::Print)
}

async fn waiting_in(
    place: &Place,
    name: Option<&str>,
    everywhere: bool,
) -> Result<Vec<HealingAction>, Error> {
    let api: Api<HealingAction> = if everywhere {
        Api::all(place.client.clone())
    } else {
        Api::namespaced(place.client.clone(), &place.namespace)
    };
    if let Some(name) = name {
        let found = api.get_opt(name).await;
        let found = found.map_err(|error| Error::refused(format!("read {name}"), error))?;
        return found
            .map(|found| vec![found])
            .ok_or_else(|| missing(place, Some(name)));
    }
    let actions = api.list(&ListParams::default()).await;
    let actions = actions.map_err(|error| Error::refused("list HealingActions", error))?;
    Ok(waiting::urgent_first(actions.items, clock::now()))
}

fn missing(place: &Place, name: Option<&str>) -> Error {
    Error::NotFound {
        name: name.unwrap_or_default().to_owned(),
        namespace: place.namespace.clone(),
    }
}

/// An action with its policy, as far as that can be read.
async fn card(place: &Place, action: HealingAction) -> Card {
    let namespace = action.metadata.namespace.clone().unwrap_or_default();
    let policy = ask::policy(&place.client, &namespace, &action.spec.policy_name).await;
    let policy = match policy {
        Known::Is(policy) => Some(policy),
        Known::Gone | Known::Unknown(_) => None,
    };
    Card { action, policy }
}
