//! One tick: every trigger of every policy on every target.
//!
//! Pure: no IO, no clock.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use schemas::{object::ObjectState, policy::HealingPolicy, target::Target};

use super::{
    Analysis, Output, Proposal, Tracked, View,
    notice::{self, Occasion},
    observe,
    report::{self, Report},
};
use crate::{
    accepted::{Accepted, Watched},
    actions::Actions,
    inventory::Inventory,
    measure::{Measured, Value, measure},
    recommend::{self, Circumstances, Offence},
    told::TriggerKey,
    trigger::{Episode, Pace, Seen, advance},
};

/// A trigger that has fired on a target and was seen to breach at this tick.
#[derive(Clone, Debug)]
struct Firing<'a> {
    watched: &'a Watched,
    offender: &'a ObjectState,
    episode: Episode,
    measured: Measured,
}

/// A trigger on a target, and what it measured there.
#[derive(Clone, Copy, Debug)]
struct Subject<'a> {
    watched: &'a Watched,
    target: &'a Target,
    measured: Option<&'a Measured>,
}

/// A policy at one tick.
#[derive(Clone, Copy, Debug)]
struct Round<'a> {
    accepted: &'a Accepted,
    cluster: &'a str,
    lookback: SignedDuration,
    most_open: usize,
    view: View<'a>,
    at: Timestamp,
}

impl Analysis {
    /// Evaluates every policy at tick `at`.
    pub(super) fn evaluate(&mut self, at: Timestamp, view: &View<'_>) -> Vec<Output> {
        self.refresh_policies(view.policies);
        let existing = view.actions.iter().map(Arc::clone);
        self.actions.refresh(existing, at);
        let mut outputs = self.end_orphans(at);
        let compiled = std::mem::take(&mut self.policies);
        for policy in view.policies {
            let uid = policy.metadata.uid.as_deref().unwrap_or_default();
            match compiled.get(uid).map(|compiled| &compiled.outcome) {
                Some(Ok(accepted)) if is_in_force(accepted, at) => {
                    outputs.extend(self.evaluate_policy(accepted, policy, view, at));
                }
                Some(Err(error)) if view.live => {
                    let report = report::refused(policy, error, at);
                    outputs.push(Output::Report(Box::new(report)));
                }
                Some(Ok(_) | Err(_)) | None => {}
            }
        }
        self.policies = compiled;
        outputs
    }

    fn evaluate_policy(
        &mut self,
        accepted: &Accepted,
        policy: &HealingPolicy,
        view: &View<'_>,
        at: Timestamp,
    ) -> Vec<Output> {
        let Self {
            settings,
            window,
            inventory,
            episodes,
            actions,
            policies: _,
            tally: _,
            evaluated_at: _,
        } = self;
        let round = Round {
            accepted,
            cluster: &settings.cluster,
            lookback: settings.lookback,
            most_open: settings.most_open,
            view: *view,
            at,
        };
        let targets = inventory.targets(&accepted.scope);
        let mut report = Report::new(targets.len());
        let mut outputs = Vec::new();
        let mut firing = Vec::new();
        let mut measured = Vec::with_capacity(accepted.triggers.len());
        for watched in &accepted.triggers {
            let measurements = measure(watched, window, inventory, at);
            let key = (accepted.uid.clone(), watched.name.clone());
            let tracked = episodes
                .entry(key)
                .or_insert_with_key(|key| adopt(view, key, at));
            let values: Vec<_> = targets
                .iter()
                .map(|target| (*target, measurements.of(target)))
                .collect();
            firing.extend(round.fired(watched, &values, tracked, &mut outputs));
            report.read(watched, &values, tracked);
            if view.live {
                outputs.extend(observe::observe(
                    accepted,
                    &measurements,
                    inventory,
                    actions,
                ));
            }
            measured.push(measurements);
        }
        if view.live {
            firing.sort_by(worse_first);
            let proposed = round.propose(&firing, inventory, actions, &mut report);
            // Told first, so that the actuator need not wait a tick for the reading behind an action.
            outputs.extend(observe::proposed(accepted, &measured, inventory, &proposed));
            outputs.extend(proposed);
            let report = report.finish(accepted, policy, view, at);
            outputs.push(Output::Report(Box::new(report)));
        }
        outputs
    }

    /// Ends the episodes of triggers that no accepted policy has any more.
    fn end_orphans(&mut self, at: Timestamp) -> Vec<Output> {
        let mut wanted = BTreeSet::new();
        for (uid, compiled) in &self.policies {
            if let Ok(accepted) = &compiled.outcome {
                let names = accepted.triggers.iter().map(|trigger| &trigger.name);
                wanted.extend(names.map(|name| (uid.clone(), name.clone())));
            }
        }
        let mut outputs = Vec::new();
        self.episodes.retain(|key, tracked| {
            let stays = wanted.contains(key);
            if !stays {
                let told = tracked.values().filter_map(|one| one.told.as_deref());
                outputs.extend(told.map(|alert| notice::orphaned(alert, at)));
            }
            stays
        });
        outputs
    }
}

/// What a restarted analyzer, or a second one, continues at its first tick.
fn adopt(view: &View<'_>, key: &TriggerKey, at: Timestamp) -> BTreeMap<String, Tracked> {
    let under_way = view.told.under_way(key, at).into_iter();
    let tracked = under_way.map(|found| {
        let tracked = Tracked {
            episode: Episode {
                since: found.since,
                fired_at: found.fired_at,
                seen_at: at,
            },
            target: found.target.clone(),
            last: None,
            told: None,
        };
        (found.target.uid, tracked)
    });
    tracked.collect()
}

/// What was before a policy is none of its business.
fn is_in_force(accepted: &Accepted, at: Timestamp) -> bool {
    accepted
        .created_at
        .is_none_or(|created_at| created_at <= at)
}

fn seen(value: &Value, watched: &Watched) -> Seen {
    match value {
        Ok(measured) if watched.operator.breaches(measured.value, watched.threshold) => {
            Seen::Breaching
        }
        Ok(_) => Seen::Well,
        Err(_) => Seen::NoData,
    }
}

impl<'a> Round<'a> {
    /// Moves every episode of a trigger to this tick, telling what changed, and
    /// returns those that have fired and still breach.
    fn fired(
        &self,
        watched: &'a Watched,
        values: &[(&'a ObjectState, Value)],
        tracked: &mut BTreeMap<String, Tracked>,
        outputs: &mut Vec<Output>,
    ) -> Vec<Firing<'a>> {
        let mut firing = Vec::new();
        for (offender, value) in values {
            let seen = seen(value, watched);
            let before = tracked.remove(&offender.target.uid);
            if before.is_none() && seen != Seen::Breaching {
                continue;
            }
            let subject = Subject {
                watched,
                target: &offender.target,
                measured: value.as_ref().ok(),
            };
            let Some(next) = self.moved(&subject, before, seen, outputs) else {
                continue;
            };
            if let (Ok(measured), Some(_)) = (value, next.episode.fired_at) {
                firing.push(Firing {
                    watched,
                    offender,
                    episode: next.episode,
                    measured: measured.clone(),
                });
            }
            tracked.insert(offender.target.uid.clone(), next);
        }
        self.end_gone(watched, values, tracked, outputs);
        firing
    }

    /// Ends the episodes of what is no target any more.
    fn end_gone(
        &self,
        watched: &Watched,
        values: &[(&ObjectState, Value)],
        tracked: &mut BTreeMap<String, Tracked>,
        outputs: &mut Vec<Output>,
    ) {
        let present: BTreeSet<&str> = values
            .iter()
            .map(|(state, _)| state.target.uid.as_str())
            .collect();
        let gone: Vec<String> = tracked
            .keys()
            .filter(|uid| !present.contains(uid.as_str()))
            .cloned()
            .collect();
        for before in gone.iter().filter_map(|uid| tracked.remove(uid)) {
            let target = before.target.clone();
            let subject = Subject {
                watched,
                target: &target,
                measured: None,
            };
            self.moved(&subject, Some(before), Seen::Gone, outputs);
        }
    }

    /// Moves one episode to this tick and tells what changed.
    fn moved(
        &self,
        subject: &Subject<'_>,
        before: Option<Tracked>,
        seen: Seen,
        outputs: &mut Vec<Output>,
    ) -> Option<Tracked> {
        let pace = Pace {
            hold: subject.watched.hold,
            lookback: self.lookback,
        };
        let episode = before.as_ref().map(|before| before.episode);
        let (next, transition) = advance(episode, seen, self.at, pace);
        let spoken_of = next.or(episode)?;
        let (last, told) = before.map_or((None, None), |before| (before.last, before.told));
        let last = subject.measured.cloned().or(last);
        let notice =
            transition.map(|transition| notice::of(&self.occasion(subject, spoken_of), transition));
        if let Some(alert) = &notice {
            outputs.push(Output::Alert(Box::new(alert.clone())));
        }
        next.map(|episode| Tracked {
            episode,
            target: subject.target.clone(),
            last,
            told: notice.map(Box::new).or(told),
        })
    }

    fn occasion<'b>(&'b self, subject: &Subject<'b>, episode: Episode) -> Occasion<'b> {
        Occasion {
            accepted: self.accepted,
            watched: subject.watched,
            target: subject.target,
            episode,
            measured: subject.measured,
            cluster: self.cluster,
            at: self.at,
        }
    }

    /// Asks for an action on each offender, the worst first.
    fn propose(
        &self,
        firing: &[Firing<'_>],
        inventory: &Inventory,
        actions: &mut Actions,
        report: &mut Report,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        for one in firing {
            let offence = Offence {
                policy: self.accepted,
                watched: one.watched,
                offender: one.offender,
                episode: one.episode,
                measured: &one.measured,
            };
            let around = Circumstances {
                inventory,
                actions,
                proposals: self.view.told.proposals(&self.accepted.uid),
                most_open: self.most_open,
                at: self.at,
            };
            match recommend::recommend(&offence, &around) {
                Ok(recommendation) => {
                    let target = recommendation.spec.target_resource.uid.as_deref();
                    let name = recommendation.name.clone();
                    actions.propose(
                        name,
                        &self.accepted.name,
                        target.unwrap_or_default(),
                        self.at,
                    );
                    let subject = Subject {
                        watched: one.watched,
                        target: &one.offender.target,
                        measured: Some(&one.measured),
                    };
                    let occasion = self.occasion(&subject, one.episode);
                    outputs.push(Output::Propose(Box::new(Proposal {
                        alert: notice::proposed(&occasion, &recommendation),
                        recommendation,
                    })));
                }
                Err(held) => report.hold(one.watched, &one.offender.target.uid, &held),
            }
        }
        outputs
    }
}

/// Severest first, then the one that fired first; the UID decides among equals.
fn worse_first(one: &Firing<'_>, other: &Firing<'_>) -> Ordering {
    let key = |firing: &Firing<'_>| (firing.episode.fired_at, firing.episode.since);
    other
        .watched
        .severity
        .cmp(&one.watched.severity)
        .then_with(|| key(one).cmp(&key(other)))
        .then_with(|| one.offender.target.uid.cmp(&other.offender.target.uid))
}
