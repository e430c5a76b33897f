//! One tick: every trigger of every policy on every target.
//!
//! Pure: no IO, no clock.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use schemas::{object::ObjectState, policy::HealingPolicy, target::Target};

use super::{
    Analysis, Output, Proposal, Settings, Tracked, View,
    diagnostics::Diagnostics,
    notice::{self, Occasion},
    observe,
    report::{self, Report},
};
use crate::{
    accepted::{Accepted, Watched},
    actions::Actions,
    inventory::Inventory,
    measure::{Measured, Measurements, Value, measure},
    recommend::{self, Circumstances, Offence},
    sizing::Sizing,
    told::TriggerKey,
    trigger::{Episode, Pace, Seen, advance},
    window::Window,
};

/// A trigger that is pending on a target, or has fired on it.
#[derive(Clone, Debug)]
pub(super) struct Active<'a> {
    pub(super) watched: &'a Watched,
    pub(super) offender: &'a ObjectState,
    pub(super) episode: Episode,
    /// What was seen at this tick.
    pub(super) measured: Option<Measured>,
}

/// A policy at one tick, before anything follows.
#[derive(Debug)]
pub(super) struct Evaluated<'a> {
    pub(super) accepted: &'a Accepted,
    policy: &'a HealingPolicy,
    measured: Vec<Measurements<'a>>,
    report: Report,
    pub(super) active: Vec<Active<'a>>,
}

/// A trigger on a target, and what it measured there.
#[derive(Clone, Copy, Debug)]
struct Subject<'a> {
    watched: &'a Watched,
    target: &'a Target,
    measured: Option<&'a Measured>,
}

/// What every policy is evaluated against at one tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) settings: &'a Settings,
    pub(super) window: &'a Window,
    pub(super) sizing: &'a Sizing,
    pub(super) inventory: &'a Inventory,
    pub(super) view: View<'a>,
    pub(super) at: Timestamp,
}

/// A policy at one tick.
#[derive(Clone, Copy, Debug)]
struct Round<'a> {
    accepted: &'a Accepted,
    settings: &'a Settings,
    view: View<'a>,
    at: Timestamp,
}

/// What exists and what it used, and what changes as actions are asked for.
type Known<'a> = (
    (&'a Inventory, &'a Sizing),
    &'a mut Diagnostics,
    &'a mut Actions,
);
type Episodes = BTreeMap<TriggerKey, BTreeMap<String, Tracked>>;

impl<'a> Around<'a> {
    fn round(&self, accepted: &'a Accepted) -> Round<'a> {
        Round {
            accepted,
            settings: self.settings,
            view: self.view,
            at: self.at,
        }
    }

    /// Measures every trigger of a policy on every target, and moves the episodes to this tick.
    fn evaluate(
        &self,
        (accepted, policy): (&'a Accepted, &'a HealingPolicy),
        (episodes, actions): (&mut Episodes, &Actions),
        outputs: &mut Vec<Output>,
    ) -> Evaluated<'a> {
        let (inventory, view, at) = (self.inventory, &self.view, self.at);
        let round = self.round(accepted);
        let targets = inventory.targets(&accepted.scope);
        let mut report = Report::new(targets.len());
        let mut active = Vec::new();
        let mut measured = Vec::with_capacity(accepted.triggers.len());
        for watched in &accepted.triggers {
            let measurements = measure(watched, self.window, inventory, at);
            let key = (accepted.uid.clone(), watched.name.clone());
            let tracked = episodes
                .entry(key)
                .or_insert_with_key(|key| adopt(view, key, at));
            let values: Vec<_> = targets
                .iter()
                .map(|target| (*target, measurements.of(target)))
                .collect();
            active.extend(round.moved_on(watched, &values, tracked, outputs));
            report.read(watched, &values, tracked);
            if view.live {
                let open = observe::observe(accepted, &measurements, inventory, actions);
                outputs.extend(open);
            }
            measured.push(measurements);
        }
        active.sort_by(worse_first);
        Evaluated {
            accepted,
            policy,
            measured,
            report,
            active,
        }
    }

    /// What follows for one policy: actions, and what its status says.
    fn conclude(
        &self,
        evaluated: Evaluated<'a>,
        diagnostics: &mut Diagnostics,
        actions: &mut Actions,
    ) -> Vec<Output> {
        let Evaluated {
            accepted,
            policy,
            measured,
            mut report,
            active,
        } = evaluated;
        let round = self.round(accepted);
        let mut proposed = Vec::new();
        for one in active.iter().filter(|one| one.episode.fired_at.is_some()) {
            let known = (self.inventory, self.sizing);
            let around = (known, &mut *diagnostics, &mut *actions);
            proposed.extend(round.propose(one, around, &mut report));
        }
        // Told first, so that the actuator need not wait a tick for the reading behind an action.
        let mut outputs = observe::proposed(accepted, &measured, self.inventory, &proposed);
        outputs.extend(proposed);
        outputs.extend(diagnostics.questions());
        report.diagnosed(diagnostics.summaries(accepted));
        let report = {
            let known = (&self.view, self.settings.models.as_slice());
            report.finish(accepted, policy, known, self.at)
        };
        outputs.push(Output::Report(Box::new(report)));
        outputs
    }
}

impl Analysis {
    /// Evaluates every policy at tick `at`.
    pub(super) fn evaluate(&mut self, at: Timestamp, view: &View<'_>) -> Vec<Output> {
        self.refresh_policies(view.policies);
        let existing = view.actions.iter().map(Arc::clone);
        self.actions.refresh(existing, at);
        let mut outputs = self.end_orphans(at);
        let Self {
            settings,
            window,
            sizing,
            inventory,
            policies,
            episodes,
            actions,
            diagnostics,
            tally: _,
            malformed_nodes: _,
            evaluated_at: _,
        } = self;
        let around = Around {
            settings,
            window,
            sizing,
            inventory,
            view: *view,
            at,
        };
        let mut evaluated = Vec::new();
        for policy in view.policies {
            let uid = policy.metadata.uid.as_deref().unwrap_or_default();
            match policies.get(uid).map(|compiled| &compiled.outcome) {
                Some(Ok(accepted)) if is_in_force(accepted, at) => {
                    let known = (&mut *episodes, &*actions);
                    evaluated.push(around.evaluate((accepted, policy), known, &mut outputs));
                }
                Some(Err(error)) if view.live => {
                    let report = report::refused(policy, error, at);
                    outputs.push(Output::Report(Box::new(report)));
                }
                Some(Ok(_) | Err(_)) | None => {}
            }
        }
        outputs.extend(diagnostics.update(&around, &evaluated, actions));
        if view.live {
            for one in evaluated {
                outputs.extend(around.conclude(one, diagnostics, actions));
            }
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
    /// returns those that go on.
    fn moved_on(
        &self,
        watched: &'a Watched,
        values: &[(&'a ObjectState, Value)],
        tracked: &mut BTreeMap<String, Tracked>,
        outputs: &mut Vec<Output>,
    ) -> Vec<Active<'a>> {
        let mut active = Vec::new();
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
            active.push(Active {
                watched,
                offender,
                episode: next.episode,
                measured: value.as_ref().ok().cloned(),
            });
            tracked.insert(offender.target.uid.clone(), next);
        }
        self.end_gone(watched, values, tracked, outputs);
        active
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
            lookback: self.settings.lookback,
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
            cluster: &self.settings.cluster,
            at: self.at,
        }
    }

    /// Asks for an action on one offender.
    fn propose(
        &self,
        one: &Active<'_>,
        ((inventory, sizing), diagnostics, actions): Known<'_>,
        report: &mut Report,
    ) -> Option<Output> {
        let measured = one.measured.as_ref()?;
        let opinion = diagnostics.opinion(self.accepted, one, self.at);
        let offence = Offence {
            policy: self.accepted,
            watched: one.watched,
            offender: one.offender,
            episode: one.episode,
            measured,
            opinion: opinion.as_ref(),
        };
        let around = Circumstances {
            inventory,
            actions,
            sizing,
            proposals: self.view.told.proposals(&self.accepted.uid),
            most_open: self.settings.most_open,
            at: self.at,
        };
        let recommendation = match recommend::recommend(&offence, &around) {
            Ok(recommendation) => recommendation,
            Err(held) => {
                report.hold(one.watched, &one.offender.target.uid, &held);
                diagnostics.hold(&one.offender.target.uid, &held);
                return None;
            }
        };
        let target = recommendation.spec.target_resource.uid.as_deref();
        actions.propose(
            recommendation.name.clone(),
            &self.accepted.name,
            target.unwrap_or_default(),
            self.at,
        );
        let subject = Subject {
            watched: one.watched,
            target: &one.offender.target,
            measured: Some(measured),
        };
        let occasion = self.occasion(&subject, one.episode);
        Some(Output::Propose(Box::new(Proposal {
            alert: notice::proposed(&occasion, &recommendation),
            recommendation,
        })))
    }
}

/// Severest first, then the one that fired first; the UID decides among equals.
fn worse_first(one: &Active<'_>, other: &Active<'_>) -> Ordering {
    let key = |active: &Active<'_>| (active.episode.fired_at, active.episode.since);
    other
        .watched
        .severity
        .cmp(&one.watched.severity)
        .then_with(|| key(one).cmp(&key(other)))
        .then_with(|| one.offender.target.uid.cmp(&other.offender.target.uid))
}
