//! Keeps the policies' standing true, and removes finished actions that nothing counts any more.
//!
//! Only the replica that acts does so. What is removed is first found told in
//! the journal, in its final phase: history lives there, and not in etcd.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
};
use runtime::{bus::Bus, chain, clock, shutdown::Shutdown};
use schemas::{
    action::HealingAction,
    alert::{self, Alert, AlertKind},
    condition::{self, Setting},
    digest,
    policy::{HealingPolicy, Severity},
    subject::Stream,
    target::Target,
};
use serde_json::json;

use crate::{
    Options,
    execute::FIELD_MANAGER,
    journal,
    reconcile::{Driver, PutError},
    standing::{Keep, Record, Standing, dispensable, standing},
};

/// Most actions that are removed at a time.
const AT_ONCE: usize = 100;

/// Why a round was not finished.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to list the policies")]
    List(#[source] kube::Error),
    #[error("failed to write the standing of {policy}")]
    Status { policy: String, source: kube::Error },
    #[error("failed to remove {action}")]
    Remove { action: String, source: kube::Error },
    #[error("failed to read the journal")]
    Journal(#[source] runtime::bus::Error),
    #[error("failed to put the end of {action} on record")]
    Put { action: String, source: PutError },
}

/// What the task needs.
pub(crate) struct Upkeep {
    driver: Arc<Driver>,
    bus: Bus,
    keep: Keep,
    every: Duration,
}

impl Upkeep {
    /// What looks after the actions that `driver` works on.
    pub(crate) fn new(driver: Arc<Driver>, bus: Bus, options: &Options) -> Self {
        Self {
            driver,
            bus,
            keep: keep(options),
            every: Duration::from_secs(u64::from(options.upkeep_seconds)),
        }
    }

    /// Works until shutdown.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut every = tokio::time::interval(self.every);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                _ = every.tick() => {}
            }
            if self.driver.lease.holds() {
                self.round(clock::now()).await;
            }
        }
    }

    /// One round. What fails for one policy or action is told and tried again in the next
    /// round; it keeps nothing from the others.
    async fn round(&self, now: Timestamp) {
        let actions = self.driver.actions.state();
        let records: Vec<_> = actions.iter().filter_map(|a| Record::read(a)).collect();
        if let Err(error) = self.write_standings(&records, now).await {
            missed(&error);
        }
        let ours = |record: &&Record| self.driver.common.works_in(&record.namespace);
        let gone = dispensable(&records, self.keep, now);
        let mut removed = 0;
        for record in gone.into_iter().filter(ours) {
            if removed == AT_ONCE || !self.driver.lease.holds() {
                return;
            }
            match self.remove(record, &actions).await {
                Ok(is_removed) => removed += usize::from(is_removed),
                Err(error) => {
                    missed(&error);
                    // Asking a bus that is away for each action takes long, and tells no more.
                    if matches!(error, Error::Journal(_)) {
                        return;
                    }
                }
            }
        }
    }

    async fn write_standings(&self, records: &[Record], now: Timestamp) -> Result<(), Error> {
        let policies: Api<HealingPolicy> = Api::all(self.driver.client.clone());
        let policies = policies.list(&ListParams::default()).await;
        for policy in policies.map_err(Error::List)? {
            let namespace = policy.namespace().unwrap_or_default();
            let is_ours = self.driver.common.works_in(&namespace);
            if is_ours && policy.meta().deletion_timestamp.is_none() {
                let known = standing(records, (&namespace, &policy.name_any()), now);
                if let Err(error) = self.write(&policy, &known, now).await {
                    missed(&error);
                }
            }
        }
        Ok(())
    }

    /// Writes the fields of the policy's status that are the actuator's, when they changed, and
    /// tells people what is new among them.
    async fn write(
        &self,
        policy: &HealingPolicy,
        known: &Standing,
        now: Timestamp,
    ) -> Result<(), Error> {
        let before = policy.status.clone().unwrap_or_default();
        let held = condition::get(&before.conditions, condition::policy::NEEDS_HUMAN);
        let is_told = held.is_some() || known.needs_human.is_empty();
        if is_told && before.needs_human == known.needs_human && before.healing_debt == known.debt {
            return Ok(());
        }
        let mut conditions: Vec<_> = held.cloned().into_iter().collect();
        let setting = needs_human(&known.needs_human);
        condition::set(&mut conditions, setting, policy.metadata.generation, now);
        let name = policy.name_any();
        let namespace = policy.namespace().unwrap_or_default();
        let body = json!({
            "apiVersion": format!("{}/{}", schemas::GROUP, schemas::VERSION),
            "kind": "HealingPolicy",
            "metadata": {"name": name, "namespace": namespace, "uid": policy.uid()},
            "status": {
                "conditions": conditions,
                "needsHuman": known.needs_human,
                "healingDebt": known.debt,
            },
        });
        let api: Api<HealingPolicy> = Api::namespaced(self.driver.client.clone(), &namespace);
        let how = PatchParams::apply(FIELD_MANAGER).force();
        let written = api.patch_status(&name, &how, &Patch::Apply(&body)).await;
        written.map_err(|source| Error::Status {
            policy: format!("{namespace}/{name}"),
            source,
        })?;
        let new = known.needs_human.iter();
        for owner in new.filter(|owner| !before.needs_human.contains(owner)) {
            let says =
                format!("the last actions on {owner} did not help: a person should look at it");
            self.tell(policy, (AlertKind::PolicyNeedsHuman, owner, says), now)
                .await;
        }
        let is_new = |owner: &str| !before.healing_debt.iter().any(|debt| debt.owner == owner);
        for debt in known.debt.iter().filter(|debt| is_new(&debt.owner)) {
            let (owner, heals) = (&debt.owner, debt.heals);
            let says = format!(
                "{owner} was healed {heals} times within a day: the fault itself is still there"
            );
            self.tell(policy, (AlertKind::PolicyHealingDebt, owner, says), now)
                .await;
        }
        Ok(())
    }

    async fn tell(
        &self,
        policy: &HealingPolicy,
        (kind, owner, message): (AlertKind, &str, String),
        now: Timestamp,
    ) {
        let namespace = policy.namespace().unwrap_or_default();
        let policy_uid = policy.uid().unwrap_or_default();
        let (owner_kind, owner_name) = owner.split_once('/').unwrap_or(("", owner));
        let api = crate::object::api_resource(owner_kind);
        let alert = Alert {
            kind,
            cluster: self.bus.cluster.clone(),
            fingerprint: alert::fingerprint(&policy_uid, "", &digest::short([owner], 16)),
            namespace: namespace.clone(),
            policy: policy.name_any(),
            policy_uid,
            trigger: String::new(),
            severity: Severity::Warning,
            target: Target {
                api_version: api.map(|api| api.api_version).unwrap_or_default(),
                kind: owner_kind.to_owned(),
                namespace,
                name: owner_name.to_owned(),
                uid: String::new(),
            },
            value: None,
            threshold: None,
            operator: None,
            starts_at: Some(now),
            fired_at: None,
            ends_at: None,
            action: String::new(),
            reason: String::new(),
            message,
        };
        if let Err(error) = self.bus.publish_alert(alert, journal::PROGRAM, now).await {
            tracing::warn!(error = chain(&error), "alert not delivered");
        }
    }

    /// Removes a finished action whose end is found in the journal, and says whether
    /// it did; an end that nobody told is put on record, for the next round.
    async fn remove(&self, record: &Record, actions: &[Arc<HealingAction>]) -> Result<bool, Error> {
        let subjects = &self.bus.subjects;
        let subject = subjects.journal(&record.namespace, &record.name);
        let line = self.bus.last(Stream::Journal, &subject).await;
        let line = line.map_err(Error::Journal)?;
        let is_told = line.is_some_and(|line| journal::tells_the_end(&line.payload, &record.past));
        if !is_told {
            let uid = Some(record.past.uid.as_str());
            let action = actions.iter().find(|a| a.metadata.uid.as_deref() == uid);
            if let Some(action) = action {
                let put = self.driver.put_on_record(action).await;
                put.map_err(|source| Error::Put {
                    action: format!("{}/{}", record.namespace, record.name),
                    source,
                })?;
            }
            return Ok(false);
        }
        let client = self.driver.client.clone();
        let api: Api<HealingAction> = Api::namespaced(client, &record.namespace);
        let how = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(record.past.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(&record.name, &how).await {
            Ok(_) => Ok(true),
            // Somebody else was faster.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(source) => Err(Error::Remove {
                action: format!("{}/{}", record.namespace, record.name),
                source,
            }),
        }
    }
}

fn missed(error: &Error) {
    tracing::warn!(error = chain(error), "upkeep not finished");
}

fn needs_human(owners: &[String]) -> Setting {
    let (reason, message) = if owners.is_empty() {
        let message = "no owner's last actions all failed";
        ("ActionsHelp", message.to_owned())
    } else {
        let owners = owners.join(", ");
        let message = format!(
            "the last actions on {owners} did not help, so nothing more is tried: look at it, then delete the failed HealingActions or approve the next one"
        );
        ("ActionsDoNotHelp", message)
    };
    Setting {
        kind: condition::policy::NEEDS_HUMAN,
        status: Some(!owners.is_empty()),
        reason: reason.to_owned(),
        message,
    }
}

/// What the options say about keeping finished actions.
fn keep(options: &Options) -> Keep {
    Keep {
        per_policy: usize::try_from(options.keep_actions).unwrap_or(usize::MAX),
        in_cluster: usize::try_from(options.keep_actions_in_cluster).unwrap_or(usize::MAX),
        span: SignedDuration::from_hours(i64::from(options.keep_actions_hours)),
    }
}
