//! `kubeskippy why-not`: why an object was not healed, from what is on record alone.
//!
//! Which policies select it is found out as the analyzer does; how its triggers stand is
//! what the analyzer wrote into the policies' status; what held actions back is what the
//! actuator wrote into theirs.

use clap::Args;
use kube::Client;
use runtime::clock;

use crate::{
    ask::{self, Error, Known, Output},
    pause::SystemArgs,
    place::{self, PlaceArgs},
};

mod acted;
mod answer;
mod policy;
mod text;
mod trigger;

use answer::{Facts, answer};

/// What to explain.
#[derive(Debug, Args)]
pub struct WhyNotArgs {
    /// The object: a pod's name, or Kind/name such as Deployment/web.
    #[arg(value_name = "POD|KIND/NAME")]
    pub object: String,

    /// Where it is.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Where KubeSkippy lives.
    #[command(flatten)]
    pub system: SystemArgs,

    /// How the answer is printed.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Explains why an object was not healed.
///
/// # Errors
/// When the object's name is not understood, or there is no cluster to ask.
pub async fn why_not(args: WhyNotArgs) -> Result<(), Error> {
    let WhyNotArgs {
        object,
        place,
        system,
        output,
    } = args;
    let (kind, name) = named(&object).ok_or_else(|| Error::Name(object.clone()))?;
    let place = place::open(&place).await.map_err(Error::Connect)?;
    let system = system.system_namespace;
    let wanted = (kind, place.namespace.as_str(), name);
    let facts = gather(&place.client, wanted, &system).await;
    let answer = answer(&facts, clock::now());
    ask::show(&answer, &text::text(&answer, clock::now()), output)
}

/// Kind and name; a pod's when no kind is said.
fn named(object: &str) -> Option<(&str, &str)> {
    let (kind, name) = object.split_once('/').unwrap_or(("Pod", object));
    (!kind.is_empty() && !name.is_empty() && !name.contains('/')).then_some((kind, name))
}

async fn gather(
    client: &Client,
    (kind, namespace, name): (&str, &str, &str),
    system: &str,
) -> Facts {
    let namespace = if kind == "Node" { "" } else { namespace };
    let object = ask::object(client, kind, namespace, name).await;
    let (mut owners, mut pods) = (Vec::new(), Known::Is(Vec::new()));
    if let Some(object) = object.get() {
        owners = ask::owners(client, object).await;
        if object.workload.is_some() {
            pods = ask::pods(client, object).await;
        }
    }
    let home = if namespace.is_empty() {
        system
    } else {
        namespace
    };
    let (marks, paused) = tokio::join!(ask::marks(client, home), ask::paused(client, system));
    let (mut policies, mut actions, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    // A policy of the system namespace may watch other namespaces, and its actions live beside it.
    let places = if home == system {
        vec![home]
    } else {
        vec![home, system]
    };
    for place in places {
        let found = tokio::join!(ask::policies(client, place), ask::actions(client, place));
        match found.0 {
            Known::Is(found) => policies.extend(found),
            Known::Gone => {}
            Known::Unknown(why) => unknown.push(format!("the policies in {place}: {why}")),
        }
        match found.1 {
            Known::Is(found) => actions.extend(found),
            Known::Gone => {}
            Known::Unknown(why) => unknown.push(format!("the actions in {place}: {why}")),
        }
    }
    Facts {
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        system: system.to_owned(),
        object,
        owners,
        pods,
        marks,
        paused,
        policies,
        actions,
        unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_a_pods() {
        assert_eq!(named("web-1"), Some(("Pod", "web-1")));
        assert_eq!(named("Deployment/web"), Some(("Deployment", "web")));
        assert_eq!(named("a/b/c"), None);
        assert_eq!(named("/web"), None);
    }
}
