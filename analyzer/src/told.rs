//! What has been told before, as the alerts stream keeps it.
//!
//! In: every alert of the analyzer, from the stream. Out: which episodes a
//! restarted analyzer continues, which alerts need not be published again, and
//! which actions were proposed. The stream is the memory that every analyzer
//! shares; nothing is kept anywhere else.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    alert::{Alert, AlertKind},
    envelope::Envelope,
    target::Target,
};

/// Alerts remembered by id, at most: an alert older than the newest so many
/// lies far behind what a restart evaluates again.
const MOST_IDS: usize = 200_000;

/// What has been told before.
#[derive(Debug, Default)]
pub struct Told {
    ids: BTreeSet<String>,
    order: VecDeque<String>,
    episodes: BTreeMap<TriggerKey, BTreeMap<String, History>>,
    /// By identifier.
    cases: BTreeMap<String, CaseHistory>,
    /// By UID of the policy: the names of its actions.
    proposed: BTreeMap<String, Proposals>,
}

/// UID of a policy and name of one of its triggers.
pub type TriggerKey = (String, String);

/// The episodes of one trigger on one target, by when they began.
#[derive(Clone, Debug)]
struct History {
    target: Target,
    spans: BTreeMap<Timestamp, Span>,
}

/// The life of an episode, as far as it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    fired_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
}

/// An episode that was under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    /// On which object.
    pub target: Target,
    /// When it began.
    pub since: Timestamp,
    /// When it fired, if it had.
    pub fired_at: Option<Timestamp>,
}

/// What was told of a case, by when.
#[derive(Clone, Debug, Default)]
struct CaseHistory {
    said: BTreeMap<Timestamp, Alert>,
    owner: Option<Target>,
    ends_at: Option<Timestamp>,
}

/// A case that was open.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenCase {
    /// The owner with which it began.
    pub owner: Target,
    /// When it was opened.
    pub since: Timestamp,
    /// What was told of it last.
    pub last: Alert,
}

/// The actions that were proposed under one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposals {
    /// Their names.
    pub names: BTreeSet<String>,
    /// When the last one was.
    pub last: Option<Timestamp>,
}

impl Told {
    /// Takes in one alert of the stream. Those of the actuator pass by.
    pub fn hear(&mut self, event: &Envelope<Alert>) {
        let alert = &event.data;
        match alert.kind {
            AlertKind::TriggerPending | AlertKind::TriggerFiring | AlertKind::TriggerResolved => {
                self.remember(&event.id);
                self.hear_episode(alert);
            }
            AlertKind::CaseOpened | AlertKind::CaseDiagnosed | AlertKind::CaseResolved => {
                self.remember(&event.id);
                self.hear_case(alert, event.time);
            }
            AlertKind::ActionProposed => {
                self.remember(&event.id);
                let proposals = self.proposed.entry(alert.policy_uid.clone()).or_default();
                proposals.names.insert(alert.action.clone());
                proposals.last = proposals.last.max(Some(event.time));
            }
            AlertKind::ActionAwaitingApproval
            | AlertKind::ActionApproved
            | AlertKind::ActionDenied
            | AlertKind::ActionExecuting
            | AlertKind::ActionVerifying
            | AlertKind::ActionSucceeded
            | AlertKind::ActionFailed
            | AlertKind::ActionRolledBack
            | AlertKind::ActionCancelled
            | AlertKind::PolicyNeedsHuman
            | AlertKind::PolicyHealingDebt => {}
        }
    }

    fn hear_episode(&mut self, alert: &Alert) {
        let Some(starts_at) = alert.starts_at else {
            return;
        };
        let key = (alert.policy_uid.clone(), alert.trigger.clone());
        let of_trigger = self.episodes.entry(key).or_default();
        let history = of_trigger
            .entry(alert.target.uid.clone())
            .or_insert_with(|| History {
                target: alert.target.clone(),
                spans: BTreeMap::new(),
            });
        let span = history.spans.entry(starts_at).or_default();
        span.fired_at = span.fired_at.or(alert.fired_at);
        span.ends_at = span.ends_at.or(alert.ends_at);
    }

    fn hear_case(&mut self, alert: &Alert, told_at: Timestamp) {
        let history = self.cases.entry(alert.fingerprint.clone()).or_default();
        if alert.kind == AlertKind::CaseResolved {
            history.ends_at = history.ends_at.or(alert.ends_at);
            return;
        }
        if alert.kind == AlertKind::CaseOpened {
            history.owner = Some(alert.target.clone());
        }
        history.said.insert(told_at, alert.clone());
    }

    fn remember(&mut self, id: &str) {
        if self.ids.insert(id.to_owned()) {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > MOST_IDS {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }

    /// Whether the alert with this id was published.
    pub fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// The episodes of a trigger that were under way just before `at`: begun, and not ended, before it.
    pub fn under_way(&self, key: &TriggerKey, at: Timestamp) -> Vec<UnderWay> {
        let histories = self.episodes.get(key).into_iter().flatten();
        histories
            .filter_map(|(_, history)| {
                let (since, span) = history.spans.range(..at).next_back()?;
                let open = span.ends_at.is_none_or(|ends_at| ends_at >= at);
                open.then(|| UnderWay {
                    target: history.target.clone(),
                    since: *since,
                    fired_at: span.fired_at.filter(|fired_at| *fired_at < at),
                })
            })
            .collect()
    }

    /// The cases that were open just before `at`, by identifier.
    pub fn open_cases(&self, at: Timestamp) -> BTreeMap<String, OpenCase> {
        let open = self.cases.iter().filter_map(|(id, history)| {
            let (_, last) = history.said.range(..at).next_back()?;
            let since = last.starts_at.filter(|since| *since < at)?;
            let is_open = history.ends_at.is_none_or(|ends_at| ends_at >= at);
            let owner = history.owner.clone().filter(|_| is_open)?;
            let last = last.clone();
            Some((id.clone(), OpenCase { owner, since, last }))
        });
        open.collect()
    }

    /// The actions that were proposed under a policy.
    pub fn proposals(&self, policy_uid: &str) -> Option<&Proposals> {
        self.proposed.get(policy_uid)
    }

    /// Forgets episodes and cases that ended more than `span` before `at`.
    pub fn forget(&mut self, at: Timestamp, span: SignedDuration) {
        let is_recent = |ends_at: Option<Timestamp>| {
            ends_at.is_none_or(|ends_at| at.duration_since(ends_at) <= span)
        };
        let recent = |episode: &Span| is_recent(episode.ends_at);
        self.cases.retain(|_, case| is_recent(case.ends_at));
        self.episodes.retain(|_, histories| {
            histories.retain(|_, history| {
                history.spans.retain(|_, episode| recent(episode));
                !history.spans.is_empty()
            });
            !histories.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{alert, at};

    fn told(alerts: &[Alert]) -> Told {
        let mut told = Told::default();
        for alert in alerts {
            told.hear(&alert.clone().envelope("analyzer", at(0)));
        }
        told
    }

    fn under_way(told: &Told, second: i64) -> Option<(Timestamp, Option<Timestamp>)> {
        let key = ("uid-p".to_owned(), "high".to_owned());
        let found = told.under_way(&key, at(second)).pop();
        found.map(|found| (found.since, found.fired_at))
    }

    #[test]
    fn an_episode_is_under_way_between_its_alerts() {
        let pending = alert(AlertKind::TriggerPending, 100);
        let mut firing = alert(AlertKind::TriggerFiring, 100);
        firing.fired_at = Some(at(130));
        let mut resolved = alert(AlertKind::TriggerResolved, 100);
        resolved.ends_at = Some(at(200));
        let told = told(&[pending, firing, resolved]);
        assert_eq!(under_way(&told, 100), None);
        assert_eq!(under_way(&told, 115), Some((at(100), None)));
        assert_eq!(under_way(&told, 160), Some((at(100), Some(at(130)))));
        assert_eq!(under_way(&told, 201), None);
    }

    #[test]
    fn a_later_episode_hides_one_whose_end_was_never_told() {
        let told = told(&[
            alert(AlertKind::TriggerPending, 100),
            alert(AlertKind::TriggerPending, 300),
        ]);
        assert_eq!(under_way(&told, 200), Some((at(100), None)));
        assert_eq!(under_way(&told, 400), Some((at(300), None)));
    }

    #[test]
    fn a_case_is_open_between_its_alerts_under_its_last_cause() {
        let mut told = Told::default();
        let mut hear = |kind, second, ends_at: Option<i64>, reason: &str| {
            let mut alert = alert(kind, 100);
            alert.reason = reason.to_owned();
            alert.ends_at = ends_at.map(at);
            told.hear(&alert.envelope("analyzer", at(second)));
        };
        hear(AlertKind::CaseOpened, 100, None, "");
        hear(AlertKind::CaseDiagnosed, 130, None, "MemoryLeak");
        hear(AlertKind::CaseResolved, 200, Some(200), "");
        let open = |second| {
            let found = told.open_cases(at(second)).into_values().next();
            found.map(|case| (case.since, case.last.reason))
        };
        assert_eq!(open(100), None);
        assert_eq!(open(115), Some((at(100), String::new())));
        assert_eq!(open(160), Some((at(100), "MemoryLeak".to_owned())));
        assert_eq!(open(201), None);
    }

    #[test]
    fn a_published_alert_is_known_by_its_id() {
        let alert = alert(AlertKind::TriggerPending, 100);
        let id = alert.clone().envelope("analyzer", at(7)).id;
        assert!(told(&[alert]).has(&id));
        assert!(!Told::default().has(&id));
    }
}
