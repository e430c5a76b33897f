//! `kubeskippy waiting`: what waits for a person, the most urgent first.

use clap::Args;
use jiff::Timestamp;
use kube::{Api, api::ListParams};
use runtime::clock;
use schemas::{
    action::{HealingAction, HealingActionStatus, Phase},
    policy::Severity,
};

use crate::{
    decide::{Error, standing},
    place::{self, PlaceArgs},
    print, span,
};

/// Where to look for what waits.
#[derive(Debug, Args)]
pub struct WaitingArgs {
    /// Where to look.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Look in all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
}

/// Prints what waits for a person.
///
/// # Errors
/// When the API server does not answer.
pub async fn waiting(args: WaitingArgs) -> Result<(), Error> {
    let WaitingArgs {
        place,
        all_namespaces,
    } = args;
    let place = place::open(&place).await.map_err(Error::Connect)?;
    let api: Api<HealingAction> = if all_namespaces {
        Api::all(place.client)
    } else {
        Api::namespaced(place.client, &place.namespace)
    };
    let actions = api.list(&ListParams::default()).await;
    let actions = actions.map_err(|error| Error::refused("list HealingActions", error))?;
    let now = clock::now();
    let text = match urgent_first(actions.items, now).as_slice() {
        [] => "Nothing waits for approval.".to_owned(),
        actions => table(actions, now),
    };
    print::line(&text).map_err(Error::Print)
}

/// Those that wait and can still be decided: by severity, then the oldest first.
pub(crate) fn urgent_first(mut actions: Vec<HealingAction>, now: Timestamp) -> Vec<HealingAction> {
    actions.retain(|action| {
        let phase = action.status.as_ref().map(|status| status.phase);
        phase == Some(Phase::AwaitingApproval)
            && standing::standing(action, schemas::action::Decision::Approved, now).is_ok()
    });
    actions.sort_by_cached_key(|action| {
        let severity = action.spec.trigger.as_ref().map(|trigger| trigger.severity);
        (
            rank(severity.unwrap_or_default()),
            asked(action),
            place_of(action),
        )
    });
    actions
}

const fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 0,
        Severity::Warning => 1,
        Severity::Info => 2,
    }
}

/// Since when an answer is waited for.
fn asked(action: &HealingAction) -> Timestamp {
    let judged = action.status.as_ref().and_then(|status| status.judged_at);
    let created = || action.metadata.creation_timestamp.as_ref().map(|at| at.0);
    judged.or_else(created).unwrap_or(Timestamp::MAX)
}

fn place_of(action: &HealingAction) -> (Option<String>, Option<String>) {
    (
        action.metadata.namespace.clone(),
        action.metadata.name.clone(),
    )
}

fn table(actions: &[HealingAction], now: Timestamp) -> String {
    let head = [
        "NAMESPACE",
        "NAME",
        "SEVERITY",
        "TARGET",
        "ACTION",
        "SEEN",
        "WAITS",
        "LEFT",
    ];
    let rows: Vec<_> = actions.iter().map(|one| row(one, now).to_vec()).collect();
    print::table(&head, &rows).join("\n")
}

fn row(action: &HealingAction, now: Timestamp) -> [String; 8] {
    let none = HealingActionStatus::default();
    let status = action.status.as_ref().unwrap_or(&none);
    let (namespace, name) = place_of(action);
    let trigger = action.spec.trigger.as_ref();
    let seen = trigger.map(|it| format!("{}: {}", it.name, it.reading));
    let left = standing::until(status).map(|until| span::words(until.duration_since(now)));
    [
        namespace.unwrap_or_default(),
        name.unwrap_or_default(),
        trigger.map_or("-", |it| it.severity.as_str()).to_owned(),
        status.target.clone().unwrap_or_default(),
        action.spec.action.kind.as_str().to_owned(),
        seen.unwrap_or_else(|| "-".to_owned()),
        span::words(now.duration_since(asked(action))),
        left.unwrap_or_else(|| "-".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, waiting};
    use jiff::SignedDuration;

    fn asked_before(name: &str, severity: Severity, minutes: i64) -> HealingAction {
        let mut action = waiting(name);
        action.spec.trigger.as_mut().unwrap().severity = severity;
        let status = action.status.as_mut().unwrap();
        status.judged_at = Some(NOW - SignedDuration::from_mins(minutes));
        action
    }

    #[test]
    fn what_is_severe_comes_first_and_then_what_is_old() {
        let mut ended = asked_before("ended", Severity::Critical, 60);
        ended.status.as_mut().unwrap().phase = Phase::Denied;
        let actions = vec![
            asked_before("mild", Severity::Info, 50),
            asked_before("young", Severity::Critical, 1),
            ended,
            asked_before("old", Severity::Critical, 9),
        ];
        let names: Vec<_> = urgent_first(actions, NOW)
            .into_iter()
            .filter_map(|action| action.metadata.name)
            .collect();
        assert_eq!(names, ["old", "young", "mild"]);
    }

    #[test]
    fn a_row_tells_what_and_how_long() {
        let text = table(&[asked_before("web", Severity::Critical, 5)], NOW);
        let row = text.lines().nth(1).unwrap();
        let cells: Vec<_> = row.split_whitespace().collect();
        assert_eq!(
            cells,
            [
                "shop",
                "web",
                "critical",
                "Pod/web-1",
                "restart",
                "high-memory:",
                "97.6",
                ">",
                "85",
                "5m",
                "30m"
            ]
        );
    }
}
