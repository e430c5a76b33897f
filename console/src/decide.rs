//! `kubeskippy approve` and `kubeskippy reject`: a person's yes or no.
//!
//! In: an action that waits. Out: `spec.approval`, written once, with the digest of
//! the plan that was shown. What was not shown is never approved: when the action
//! changes before the decision is written, the decision is dropped unless the plan
//! is still the same. Whether the person may decide is the API server's to say.

use clap::Args;
use k8s_openapi::api::{
    authentication::v1::SelfSubjectReview,
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams, PostParams},
};
use runtime::clock;
use schemas::action::{Approval, Decision, HealingAction};
use serde_json::json;

use crate::{
    place::{self, Place, PlaceArgs},
    print,
};

mod confirm;
mod error;
pub(crate) mod standing;
pub(crate) mod view;

pub use error::Error;
use standing::standing;

/// Who wrote a field, in `metadata.managedFields`.
pub(crate) const FIELD_MANAGER: &str = "kubeskippy-console";

/// How often a decision is tried while the actuator writes to the same action. It
/// writes about once a pass, so the third time is luck enough.
const TRIES: u32 = 3;

/// What to approve.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Name of the HealingAction; `kubeskippy waiting` lists those that wait.
    pub name: String,

    /// Where it is.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Why, for those who read it later.
    #[arg(long)]
    pub reason: Option<String>,

    /// Do not ask: approve what is planned when the command runs.
    #[arg(short, long)]
    pub yes: bool,
}

/// What to reject.
#[derive(Debug, Args)]
pub struct RejectArgs {
    /// Name of the HealingAction; `kubeskippy waiting` lists those that wait.
    pub name: String,

    /// Where it is.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Why, for those who read it later.
    #[arg(long)]
    pub reason: String,

    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// What a person wants, whichever it is.
struct Wish {
    decision: Decision,
    reason: Option<String>,
    yes: bool,
}

/// Approves an action.
///
/// # Errors
/// When there is nothing to approve, or the API server refuses.
pub async fn approve(args: ApproveArgs) -> Result<(), Error> {
    let ApproveArgs {
        name,
        place,
        reason,
        yes,
    } = args;
    let decision = Decision::Approved;
    let wish = Wish {
        decision,
        reason,
        yes,
    };
    decide(&name, &place, wish).await
}

/// Rejects an action.
///
/// # Errors
/// When there is nothing to reject, or the API server refuses.
pub async fn reject(args: RejectArgs) -> Result<(), Error> {
    let RejectArgs {
        name,
        place,
        reason,
        yes,
    } = args;
    let wish = Wish {
        decision: Decision::Rejected,
        reason: Some(reason),
        yes,
    };
    decide(&name, &place, wish).await
}

async fn decide(name: &str, place: &PlaceArgs, wish: Wish) -> Result<(), Error> {
    let place = place::open(place).await.map_err(Error::Connect)?;
    let user = who(&place).await?;
    let api: Api<HealingAction> = Api::namespaced(place.client.clone(), &place.namespace);
    let shown = read(&api, name, &place).await?;
    let now = clock::now();
    standing(&shown, wish.decision, now).map_err(|source| Error::settled(name, source))?;
    may(&place, (name, "approve"), &user).await?;
    print::line(&view::view(&shown, now)).map_err(Error::Print)?;
    confirm::confirm(wish.decision, &user, wish.yes)?;
    let said = decide_about(&place, &shown, (wish.decision, wish.reason), user).await?;
    print::line(&said).map_err(Error::Print)
}

/// Writes a decision about an action as it was shown, and says what follows.
///
/// # Errors
/// When there is nothing to decide any more, or the API server refuses.
pub(crate) async fn decide_about(
    place: &Place,
    shown: &HealingAction,
    (decision, reason): (Decision, Option<String>),
    user: String,
) -> Result<String, Error> {
    let name = shown.metadata.name.as_deref().unwrap_or_default();
    standing(shown, decision, clock::now()).map_err(|source| Error::settled(name, source))?;
    let api: Api<HealingAction> = Api::namespaced(place.client.clone(), &place.namespace);
    let approval = Approval {
        decision,
        approved_by: user,
        digest: shown.status.as_ref().and_then(|it| it.digest.clone()),
        reason,
    };
    write(&api, shown, &approval, place).await?;
    Ok(outcome(name, place, &approval))
}

/// The user name that the API server knows the caller by.
pub(crate) async fn who(place: &Place) -> Result<String, Error> {
    let api: Api<SelfSubjectReview> = Api::all(place.client.clone());
    let question = SelfSubjectReview::default();
    let answer = api.create(&PostParams::default(), &question).await;
    let answer = answer.map_err(|error| Error::refused("ask who you are", error))?;
    let user = answer.status.and_then(|it| it.user_info?.username);
    user.ok_or(Error::Nobody)
}

/// Sees that the caller holds a verb on an action. The API server asks again when it is used.
pub(crate) async fn may(
    place: &Place,
    (name, verb): (&str, &'static str),
    user: &str,
) -> Result<(), Error> {
    let api: Api<SelfSubjectAccessReview> = Api::all(place.client.clone());
    let question = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(HealingAction::group(&()).into_owned()),
                resource: Some(HealingAction::plural(&()).into_owned()),
                verb: Some(verb.to_owned()),
                namespace: Some(place.namespace.clone()),
                name: Some(name.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = api.create(&PostParams::default(), &question).await;
    let answer = answer.map_err(|error| Error::refused("ask what you may do", error))?;
    if answer.status.is_some_and(|status| status.allowed) {
        return Ok(());
    }
    Err(Error::NotAllowed {
        user: user.to_owned(),
        verb,
        namespace: place.namespace.clone(),
    })
}

pub(crate) async fn read(
    api: &Api<HealingAction>,
    name: &str,
    place: &Place,
) -> Result<HealingAction, Error> {
    let found = api.get_opt(name).await;
    let found = found.map_err(|error| Error::refused(format!("read {name}"), error))?;
    found.ok_or_else(|| Error::NotFound {
        name: name.to_owned(),
        namespace: place.namespace.clone(),
    })
}

/// Writes `approval` over the version of the action that was shown, or over a later one with the same plan.
async fn write(
    api: &Api<HealingAction>,
    shown: &HealingAction,
    approval: &Approval,
    place: &Place,
) -> Result<(), Error> {
    let name = shown.metadata.name.as_deref().unwrap_or_default();
    let how = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let mut version = shown.metadata.resource_version.clone();
    for _ in 0..TRIES {
        let patch = json!({
            "metadata": {"resourceVersion": version, "uid": shown.metadata.uid},
            "spec": {"approval": approval},
        });
        match api.patch(name, &how, &Patch::Merge(patch)).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(Error::refused(format!("decide about {name}"), error)),
        }
        let current = read(api, name, place).await?;
        standing(&current, approval.decision, clock::now())
            .map_err(|source| Error::settled(name, source))?;
        let digest = current.status.as_ref().and_then(|it| it.digest.as_ref());
        if digest != approval.digest.as_ref() || current.metadata.uid != shown.metadata.uid {
            break;
        }
        version = current.metadata.resource_version;
    }
    Err(Error::Changed(name.to_owned()))
}

fn outcome(name: &str, place: &Place, approval: &Approval) -> String {
    let namespace = &place.namespace;
    let by = &approval.approved_by;
    match approval.decision {
        Decision::Approved => format!(
            "{name} approved as {by}. The actuator makes this change, and no other, when its guards still let it pass:\n  \
             kubectl get healingaction {name} --namespace {namespace} --watch"
        ),
        Decision::Rejected => format!("{name} rejected as {by}. It will change nothing."),
    }
}
