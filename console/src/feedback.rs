//! `kubeskippy feedback`: what a person thinks of a diagnosis.
//!
//! In: a HealingAction with a diagnosis, whether it waits, runs or has ended. Out: the person's
//! word in `spec.feedback`, one for each person, in the place of what the same person said before.
//! Calibration and recall learn from it. Whether the person may say it, and under which name, is
//! the API server's to say.

use clap::{Args, ValueEnum};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use schemas::{
    action::{Feedback, HealingAction, Opinion},
    diagnosis::FailureMode,
};
use serde_json::json;

use crate::{
    decide::{self, Error},
    place::{self, Place, PlaceArgs},
    print,
};

/// Who wrote a field, in `metadata.managedFields`. Not the name that decisions are written under:
/// a later write under that name would move the date of an approval on.
const FIELD_MANAGER: &str = "kubeskippy-feedback";

/// How often it is tried while others write to the same action.
const TRIES: u32 = 5;

/// What to say about which action.
#[derive(Debug, Args)]
pub struct FeedbackArgs {
    /// Name of the HealingAction.
    pub name: String,

    /// Whether its diagnosis named the cause.
    #[arg(value_enum)]
    pub opinion: Word,

    /// Where it is.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// The cause in your view, where the diagnosis is wrong.
    #[arg(long, value_name = "MODE", value_parser = cause)]
    pub cause: Option<FailureMode>,

    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Whether a diagnosis was of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Word {
    /// It named the cause.
    Useful,
    /// It did not.
    Wrong,
}

/// What a person thinks, whoever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thought {
    pub(crate) opinion: Opinion,
    pub(crate) cause: Option<FailureMode>,
    pub(crate) comment: Option<String>,
}

/// Reads a failure mode.
///
/// # Errors
/// When there is none of this name; the error lists those there are.
pub(crate) fn cause(text: &str) -> Result<FailureMode, String> {
    text.parse().map_err(|error| {
        let known: Vec<_> = FailureMode::ALL.iter().map(|it| it.as_str()).collect();
        format!("{error}; there are: {}", known.join(", "))
    })
}

/// Says what a person thinks of the diagnosis of an action.
///
/// # Errors
/// When there is no such action, it has no diagnosis, or the API server refuses.
pub async fn feedback(args: FeedbackArgs) -> Result<(), Error> {
    let FeedbackArgs {
        name,
        opinion,
        place,
        cause,
        reason,
    } = args;
    let thought = Thought {
        opinion: match opinion {
            Word::Useful => Opinion::Useful,
            Word::Wrong => Opinion::Wrong,
        },
        cause,
        comment: reason,
    };
    let place = place::open(&place).await.map_err(Error::Connect)?;
    let user = decide::who(&place).await?;
    let said = say(&place, &name, &thought, &user).await?;
    print::line(&said).map_err(Error::Print)
}

/// Writes what `user` thinks of an action, and says what follows.
///
/// # Errors
/// When there is nothing to think about, or the API server refuses.
pub(crate) async fn say(
    place: &Place,
    name: &str,
    thought: &Thought,
    user: &str,
) -> Result<String, Error> {
    if thought.opinion == Opinion::Useful && thought.cause.is_some() {
        return Err(Error::CauseOfUseful);
    }
    decide::may(place, (name, "feedback"), user).await?;
    let own = Feedback {
        by: user.to_owned(),
        opinion: thought.opinion,
        cause: thought.cause.map(|mode| mode.as_str().to_owned()),
        comment: thought.comment.clone(),
    };
    let api: Api<HealingAction> = Api::namespaced(place.client.clone(), &place.namespace);
    let how = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    for _ in 0..TRIES {
        let action = decide::read(&api, name, place).await?;
        if action.spec.diagnosis.is_none() {
            return Err(Error::NotDiagnosed(name.to_owned()));
        }
        let patch = json!({
            "metadata": {
                "resourceVersion": action.metadata.resource_version,
                "uid": action.metadata.uid,
            },
            "spec": {"feedback": with(&action.spec.feedback, &own)},
        });
        match api.patch(name, &how, &Patch::Merge(patch)).await {
            Ok(_) => return Ok(outcome(name, &own)),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => {
                let what = format!("say what you think of {name}");
                return Err(Error::refused(what, error));
            }
        }
    }
    Err(Error::Changed(name.to_owned()))
}

/// The feedback with one person's own, in the place of what that person said before.
fn with(said: &[Feedback], own: &Feedback) -> Vec<Feedback> {
    let mut all = said.to_vec();
    match all.iter_mut().find(|one| one.by == own.by) {
        Some(before) => before.clone_from(own),
        None => all.push(own.clone()),
    }
    all
}

fn outcome(name: &str, own: &Feedback) -> String {
    let by = &own.by;
    let opinion = match own.opinion {
        Opinion::Useful => "useful",
        Opinion::Wrong => "wrong",
    };
    let cause = own.cause.iter().map(|it| format!(", it was {it}"));
    let cause: String = cause.collect();
    format!(
        "The diagnosis of {name} is {opinion}{cause}, says {by}. It is learned from once the action has ended: kubeskippy learned"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by(user: &str, opinion: Opinion) -> Feedback {
        Feedback {
            by: user.to_owned(),
            opinion,
            cause: None,
            comment: None,
        }
    }

    #[test]
    fn a_person_has_one_word_and_the_last_one_counts() {
        let said = [by("ada", Opinion::Useful), by("bo", Opinion::Useful)];
        let all = with(&said, &by("ada", Opinion::Wrong));
        assert_eq!(all, [by("ada", Opinion::Wrong), by("bo", Opinion::Useful)]);
        let all = with(&all, &by("cy", Opinion::Useful));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn an_unknown_cause_is_refused_with_those_there_are() {
        assert_eq!(cause("memory-leak"), Ok(FailureMode::MemoryLeak));
        let error = cause("gremlins").unwrap_err();
        assert!(
            error.contains("\"gremlins\"") && error.contains("memory-leak"),
            "{error}"
        );
    }

    #[test]
    fn what_was_said_is_repeated_to_the_person() {
        let mut own = by("ada", Opinion::Wrong);
        own.cause = Some("bad-rollout".to_owned());
        let said = outcome("memory-1", &own);
        assert!(
            said.contains("memory-1 is wrong, it was bad-rollout, says ada"),
            "{said}"
        );
    }

    proptest! {
        #[test]
        fn the_words_of_others_never_change(users in prop::collection::vec("[a-d]", 0..6), own in "[a-e]") {
            let mut said: Vec<Feedback> = Vec::new();
            for user in &users {
                said = with(&said, &by(user, Opinion::Useful));
            }
            let after = with(&said, &by(&own, Opinion::Wrong));
            let others = |all: &[Feedback]| -> Vec<Feedback> {
                all.iter().filter(|one| one.by != own).cloned().collect()
            };
            prop_assert_eq!(others(&after), others(&said));
            let mine: Vec<_> = after.iter().filter(|one| one.by == own).collect();
            prop_assert_eq!(mine, [&by(&own, Opinion::Wrong)]);
        }
    }
}
