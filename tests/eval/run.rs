//! One scenario from its first object to its answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::TestNamespace;
use jiff::Timestamp;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::bed::{Bed, SYSTEM};
use crate::fill::Fill;
use crate::inject::Injector;
use crate::progress::Voice;
use crate::scenario::{Scenario, kind_and_name};
use crate::score::{self, Expected, Row};
use crate::stack::{self, Purpose, Stack};
use crate::watch::{self, Place, SharedSeen};

/// How long the given workloads may take until they are ready.
const READY: Duration = Duration::from_mins(3);

/// How long everything is seen to be well before anything happens: some scrapes, and the actuator's warm-up.
const CALM: Duration = Duration::from_mins(1);

/// How often it is looked whether everything was answered.
const LOOK: Duration = Duration::from_millis(500);

/// What a scenario left up, for `--keep`; dropping it takes it away.
pub(crate) struct Left {
    _stack: Stack,
    _namespace: TestNamespace,
}

/// What the runner knows of a scenario that runs.
pub(crate) struct Trial {
    bed: Arc<Bed>,
    scenario: Arc<Scenario>,
    models: Option<std::path::PathBuf>,
    voice: Voice,
    namespace: TestNamespace,
}

impl Trial {
    /// A namespace for a scenario. Its name tells nothing of what will happen.
    pub(crate) fn new(
        bed: &Arc<Bed>,
        scenario: &Arc<Scenario>,
        models: Option<std::path::PathBuf>,
        voice: Voice,
    ) -> Self {
        let namespace = tokio::task::block_in_place(|| bed.plane.test_namespace("team"));
        Self {
            bed: Arc::clone(bed),
            scenario: Arc::clone(scenario),
            models,
            voice,
            namespace,
        }
    }

    /// Runs the scenario and answers with its rows; one that cannot be measured has one that says why.
    pub(crate) async fn run(self, keep: bool) -> (Vec<Row>, Option<Left>) {
        let (rows, stack) = match self.measured().await {
            Ok((rows, stack)) => (rows, Some(stack)),
            Err(error) => {
                let why = format!("{error:#}");
                self.voice.say(&format!("BROKEN: {why}"));
                (vec![score::broken(&self.scenario.name, why)], None)
            }
        };
        if keep {
            let left = stack.map(|stack| Left {
                _stack: stack,
                _namespace: self.namespace,
            });
            return (rows, left);
        }
        drop(stack);
        self.clear().await;
        (rows, None)
    }

    async fn measured(&self) -> Result<(Vec<Row>, Stack)> {
        let name = self.namespace.name();
        let injector = Injector::new(self.bed.admin(), name);
        injector.prepare(&self.scenario).await?;
        self.ready().await?;
        let purpose = Purpose {
            namespace: name,
            with_system: self
                .policies()
                .iter()
                .any(|(namespace, _)| namespace == SYSTEM),
            alone: self.scenario.alone,
            models: self.models.as_deref(),
        };
        let stack = Stack::start(&self.bed, purpose).await?;
        let place = Place {
            client: self.bed.client.clone(),
            nats: self.bed.nats.client().await,
            cluster: name.to_owned(),
            policies: self.policies(),
        };
        self.evaluated(&place)
            .await
            .with_context(|| stack.tails())?;
        tokio::time::sleep(CALM).await;
        self.measurable().await?;
        let (seen, _looking) = watch::watch(&place, &self.voice).await?;
        let injecting = self.inject(injector, &seen);
        let ended = self.answered(&seen, &injecting).await;
        injecting.abort();
        if injecting.is_finished() {
            injecting.await.context("a step was lost")??;
        }
        ended.with_context(|| stack.tails())?;
        let rows = watch::with(&seen, |seen| {
            score::score(&self.scenario, &self.expected(), seen)
        });
        Ok((rows, stack))
    }

    /// Takes the steps one after the other, beside everything else.
    fn inject(&self, mut injector: Injector, seen: &SharedSeen) -> JoinHandle<Result<()>> {
        let (scenario, seen, voice) = (
            Arc::clone(&self.scenario),
            Arc::clone(seen),
            self.voice.clone(),
        );
        tokio::spawn(async move {
            for (number, step) in scenario.inject.iter().enumerate() {
                let line = step.referenced.line();
                let at = injector.step(&step.value).await;
                let at = at.with_context(|| format!("step {} (line {line}) failed", number + 1))?;
                voice.say(&format!("step {} of the failure is made", number + 1));
                watch::with(&seen, |seen| seen.injected_at.get_or_insert(at).to_owned());
            }
            Ok(())
        })
    }

    fn expected(&self) -> Vec<Expected> {
        let fill = Fill {
            namespace: self.namespace.name(),
            now: runtime::clock::now(),
        };
        Expected::of(&self.scenario, &fill)
    }

    /// Waits until everything was answered and looked on for a while, or the time is over.
    async fn answered(&self, seen: &SharedSeen, injecting: &JoinHandle<Result<()>>) -> Result<()> {
        let expected = self.expected();
        let mut answered_at: Option<Timestamp> = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = runtime::clock::now();
            let is_over = |since: Option<Timestamp>, span: schemas::duration::Duration| {
                since.is_some_and(|since| now.duration_since(since) >= span.get())
            };
            let (injected_at, answered) = watch::with(seen, |seen| {
                let answered = score::is_answered(&self.scenario, &expected, seen);
                (seen.injected_at, answered)
            });
            if injecting.is_finished() && injected_at.is_none() {
                return Ok(()); // the caller tells why
            }
            answered_at = answered_at.or_else(|| answered.then_some(now));
            if is_over(answered_at, self.scenario.watch)
                || is_over(injected_at, self.scenario.timeout)
            {
                return Ok(());
            }
        }
    }

    /// Namespace and name of each policy.
    fn policies(&self) -> Vec<(String, String)> {
        let fill = Fill {
            namespace: self.namespace.name(),
            now: runtime::clock::now(),
        };
        let objects = self.scenario.given.iter().chain(self.scenario.applied());
        let policies = objects.filter_map(|object| {
            let (kind, name) = kind_and_name(object).ok()?;
            let own = object
                .pointer("/metadata/namespace")
                .and_then(Value::as_str);
            let namespace = fill.text(own.unwrap_or(fill.namespace));
            (kind == "HealingPolicy").then(|| (namespace, fill.text(name)))
        });
        policies.collect()
    }

    /// Waits until every workload that is given is ready.
    async fn ready(&self) -> Result<()> {
        let admin = self.bed.admin();
        let name = self.namespace.name();
        for object in &self.scenario.given {
            let (kind, object) = kind_and_name(object).map_err(anyhow::Error::msg)?;
            if !["Deployment", "StatefulSet", "DaemonSet"].contains(&kind) {
                continue;
            }
            let object = format!("{kind}/{object}");
            let wait = format!("--timeout={}s", READY.as_secs());
            admin
                .run(&["rollout", "status", &object, "-n", name, &wait])
                .await
                .with_context(|| format!("{object} is given and does not become ready"))?;
        }
        Ok(())
    }

    /// Waits until the metrics API knows every pod that is given: without it nothing could be noticed.
    async fn measurable(&self) -> Result<()> {
        let (admin, name) = (self.bed.admin(), self.namespace.name());
        let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{name}/pods");
        let start = std::time::Instant::now();
        loop {
            let count = |list: Value| {
                list.get("items")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len)
            };
            let pods = count(admin.get(&["pods", "-n", name]).await?);
            let said = admin.run(&["get", "--raw", &path]).await;
            let known = said.ok().and_then(|text| serde_json::from_str(&text).ok());
            if known.map_or(0, count) >= pods {
                return Ok(());
            }
            if start.elapsed() > READY {
                bail!("the metrics API does not know the pods of {name}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the policies that are given are evaluated.
    async fn evaluated(&self, place: &Place) -> Result<()> {
        let start = std::time::Instant::now();
        let given = self.scenario.given.iter();
        let given = given
            .filter(|object| kind_and_name(object).is_ok_and(|(kind, _)| kind == "HealingPolicy"));
        let wanted = given.count();
        loop {
            let (policies, _) = watch::objects(place).await?;
            let statuses = policies.iter().filter_map(|policy| policy.status.as_ref());
            let refused = statuses
                .clone()
                .flat_map(|status| &status.conditions)
                .find(|condition| condition.type_ == "Accepted" && condition.status == "False");
            if let Some(refused) = refused {
                bail!("a policy is not accepted: {}", refused.message);
            }
            let evaluated = statuses.filter(|status| status.last_evaluated.is_some());
            if evaluated.count() >= wanted {
                return Ok(());
            }
            if start.elapsed() > READY {
                bail!("the policies are not evaluated");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Removes what does not go with the namespace.
    async fn clear(&self) {
        let admin = self.bed.admin();
        for (namespace, name) in self.policies() {
            if namespace == SYSTEM {
                let object = format!("healingpolicy/{name}");
                drop(admin.run(&["delete", &object, "-n", SYSTEM]).await);
            }
        }
        for node in &self.scenario.nodes {
            let node = format!("node/{}-{}", self.namespace.name(), node.name);
            drop(admin.run(&["delete", &node]).await);
        }
        stack::forget(&self.bed.nats.client().await, self.namespace.name()).await;
    }
}
