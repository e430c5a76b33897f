//! Makes a scenario's failure, step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::fill::Fill;
use crate::pattern::Pattern;
use crate::scenario::{
    Annotate, Event, Health, Node, NodeState, Patch, PatchKind, Scenario, Step, When,
};

/// How often a state that is waited for is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Who holds the lease of a silent node, and for how long: nobody that renews it, longer than any scenario.
const SILENCED: (&str, u32) = ("nobody", 86_400);

/// A lease that is over in a second, so that the node's kubelet takes it up again.
const RELEASED: (&str, u32) = ("nobody", 1);

/// Does to a cluster what a scenario says.
pub(crate) struct Injector {
    admin: Admin,
    namespace: String,
    /// What was picked, so that two steps that pick in the same words mean the same objects.
    picked: BTreeMap<(String, Option<usize>), Vec<String>>,
    events: u32,
}

impl Injector {
    /// Works in `namespace`.
    pub(crate) fn new(admin: Admin, namespace: &str) -> Self {
        Self {
            admin,
            namespace: namespace.to_owned(),
            picked: BTreeMap::new(),
            events: 0,
        }
    }

    fn fill(&self) -> Fill<'_> {
        Fill {
            namespace: &self.namespace,
            now: runtime::clock::now(),
        }
    }

    /// Creates the scenario's nodes and what is given, in this order.
    pub(crate) async fn prepare(&self, scenario: &Scenario) -> Result<()> {
        let nodes: Vec<Value> = scenario.nodes.iter().map(|node| self.node(node)).collect();
        self.admin.apply(&nodes, &self.namespace, &[]).await?;
        self.apply(&scenario.given).await
    }

    /// Waits for a step's time, then does it, and says when it began to.
    pub(crate) async fn step(&mut self, step: &Step) -> Result<Timestamp> {
        if let Some(after) = step.after {
            tokio::time::sleep(after.get().unsigned_abs()).await;
        }
        if let Some(when) = &step.when {
            self.until(when).await?;
        }
        let at = runtime::clock::now();
        if let Some(objects) = &step.apply {
            self.apply(objects).await?;
        }
        if let Some(patch) = &step.patch {
            self.patch(patch).await?;
        }
        if let Some(annotate) = &step.annotate {
            self.annotate(annotate).await?;
        }
        if let Some(scale) = &step.scale {
            let object = self.fill().text(&scale.object.to_string());
            let replicas = format!("--replicas={}", scale.replicas);
            self.kubectl(&["scale", &object, &replicas]).await?;
        }
        if let Some(delete) = &step.delete {
            for object in self.objects(&delete.object, None).await? {
                self.kubectl(&["delete", &object, "--wait=false"]).await?;
            }
        }
        if let Some(state) = &step.node {
            self.node_state(state).await?;
        }
        if let Some(event) = &step.event {
            self.event(event).await?;
        }
        Ok(at)
    }

    async fn apply(&self, objects: &[Value]) -> Result<()> {
        let filled: Vec<Value> = objects.iter().map(|it| self.fill().value(it)).collect();
        self.admin.apply(&filled, &self.namespace, &[]).await
    }

    async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let within = ["-n", self.namespace.as_str()];
        self.admin.run(&[args, &within].concat()).await
    }

    async fn until(&self, when: &When) -> Result<()> {
        let object = self.fill().text(&when.object.to_string());
        let is = self.fill().value(&when.is);
        loop {
            let now = self.admin.get(&[&object, "-n", &self.namespace]).await?;
            if now.pointer(&when.at) == Some(&is) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn patch(&self, patch: &Patch) -> Result<()> {
        let object = self.fill().text(&patch.object.to_string());
        let kind = match patch.kind {
            PatchKind::Strategic => "--type=strategic",
            PatchKind::Merge => "--type=merge",
            PatchKind::Json => "--type=json",
        };
        let change = self.fill().value(&patch.change).to_string();
        self.kubectl(&["patch", &object, kind, "--patch", &change])
            .await
            .map(|_| ())
    }

    async fn annotate(&mut self, annotate: &Annotate) -> Result<()> {
        let objects = self.objects(&annotate.object, annotate.pick).await?;
        let set = |(name, value): (&String, &Option<String>)| match value {
            Some(value) => format!("{name}={}", self.fill().text(value)),
            None => format!("{name}-"),
        };
        let pairs: Vec<String> = annotate.annotations.iter().map(set).collect();
        let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
        for object in &objects {
            let args = ["annotate", "--overwrite", object];
            let done = self.kubectl(&[&args, pairs.as_slice()].concat()).await;
            // a pod that was replaced meanwhile needs no annotation any more
            match done {
                Err(error) if objects.len() > 1 && format!("{error:#}").contains("NotFound") => {}
                done => drop(done?),
            }
        }
        Ok(())
    }

    /// The objects that a pattern means, in the order of their names.
    async fn objects(&mut self, pattern: &Pattern, pick: Option<usize>) -> Result<Vec<String>> {
        let filled: Pattern = self.fill().text(&pattern.to_string()).parse()?;
        if filled.is_exact() {
            return Ok(vec![filled.to_string()]);
        }
        let key = (filled.to_string(), pick);
        if let Some(found) = self.picked.get(&key).filter(|_| pick.is_some()) {
            return Ok(found.clone());
        }
        let list = self
            .admin
            .get(&[&filled.kind, "-n", &self.namespace])
            .await?;
        let items = list.get("items").and_then(Value::as_array);
        let mut names: Vec<String> = items
            .into_iter()
            .flatten()
            .filter(|item| item.pointer("/metadata/deletionTimestamp").is_none())
            .filter_map(|item| item.pointer("/metadata/name")?.as_str().map(str::to_owned))
            .filter(|name| filled.fits(name))
            .collect();
        names.sort();
        names.truncate(pick.unwrap_or(usize::MAX));
        if names.is_empty() {
            bail!("{filled} means no object in {}", self.namespace);
        }
        let objects: Vec<String> = names
            .into_iter()
            .map(|name| format!("{}/{name}", filled.kind))
            .collect();
        self.picked.insert(key, objects.clone());
        Ok(objects)
    }

    fn node(&self, node: &Node) -> Value {
        let Node {
            name,
            cpu,
            memory,
            taints,
        } = node;
        let pool = &self.namespace;
        let name = format!("{pool}-{name}");
        let own = || vec![json!({"key": "pool", "value": pool, "effect": "NoSchedule"})];
        let offer = json!({"cpu": cpu, "memory": memory, "pods": "110"});
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": name,
                "annotations": {
                    "kwok.x-k8s.io/node": "fake",
                    "metrics.k8s.io/resource-metrics-path": format!("/metrics/nodes/{name}/metrics/resource"),
                },
                "labels": {
                    "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64", "pool": pool,
                },
            },
            "spec": {"taints": taints.clone().unwrap_or_else(own)},
            "status": {"allocatable": offer, "capacity": offer},
        })
    }

    async fn node_state(&self, state: &NodeState) -> Result<()> {
        let name = format!("{}-{}", self.namespace, state.name);
        // what the kit's stage looks for
        let not_ready = "sim.kubeskippy.io/not-ready";
        match state.state {
            Health::Silent => return self.lease(&name, SILENCED).await,
            Health::NotReady => {
                let why = format!("{not_ready}=container runtime network not ready");
                self.admin
                    .run(&["annotate", "--overwrite", "node", &name, &why])
                    .await?;
            }
            Health::Ready => {
                let well = format!("{not_ready}-");
                self.admin.run(&["annotate", "node", &name, &well]).await?;
                self.lease(&name, RELEASED).await?;
            }
        }
        Ok(())
    }

    /// Says who renews the lease of a node: KWOK leaves alone what somebody else holds.
    async fn lease(&self, node: &str, (holder, seconds): (&str, u32)) -> Result<()> {
        let now = runtime::clock::now()
            .strftime("%Y-%m-%dT%H:%M:%S.000000Z")
            .to_string();
        let held = json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": now}});
        let args = [
            "patch",
            "lease",
            node,
            "-n",
            "kube-node-lease",
            "--type=merge",
            "--patch",
        ];
        let held = held.to_string();
        self.admin
            .run(&[&args, [held.as_str()].as_slice()].concat())
            .await
            .map(|_| ())
    }

    async fn event(&mut self, event: &Event) -> Result<()> {
        for object in self.objects(&event.about, event.pick).await? {
            let about = self.admin.get(&[&object, "-n", &self.namespace]).await;
            let about =
                about.with_context(|| format!("{object} is not there to write an Event about"))?;
            self.events += 1;
            let written = self.written(event, &about);
            self.admin.apply(&[written], &self.namespace, &[]).await?;
        }
        Ok(())
    }

    fn written(&self, event: &Event, about: &Value) -> Value {
        let field = |at: &str| about.pointer(at).cloned().unwrap_or_default();
        let name = field("/metadata/name");
        let name = name.as_str().unwrap_or_default();
        let now = self.fill().text("${now}");
        json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{name}.written{}", self.events)},
            "involvedObject": {
                "apiVersion": field("/apiVersion"), "kind": field("/kind"), "name": name,
                "namespace": self.namespace, "uid": field("/metadata/uid"),
            },
            "type": event.kind, "reason": event.reason, "message": self.fill().text(&event.message),
            "count": event.count, "firstTimestamp": now, "lastTimestamp": now,
            "source": {"component": event.reporter}, "reportingComponent": event.reporter,
        })
    }
}
