//! Workloads that KWOK simulates, or that a real node runs.

use serde_json::{Map, Value, json};

const SIM: &str = "sim.kubeskippy.io";

/// A Deployment, or a pod without an owner, of one container named `app`.
///
/// What it uses and how it fails is said in annotations that the kit's
/// simulation reads (`tests/kit/manifests`). Its pods carry the label
/// `app: <name>` and whatever [`label`](Self::label) adds.
#[must_use]
#[derive(Clone, Debug)]
pub struct Workload {
    name: String,
    /// None for a pod without an owner.
    replicas: Option<u32>,
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
    limits: Map<String, Value>,
    requests: Map<String, Value>,
    /// The command of a real process; none for a simulated one.
    command: Option<Vec<String>>,
}

impl Workload {
    /// A Deployment of one replica.
    pub fn deployment(name: &str) -> Self {
        Self::new(name, Some(1))
    }

    /// A pod without an owner.
    pub fn pod(name: &str) -> Self {
        Self::new(name, None)
    }

    fn new(name: &str, replicas: Option<u32>) -> Self {
        Self {
            name: name.to_owned(),
            replicas,
            labels: Map::from_iter([("app".to_owned(), json!(name))]),
            annotations: Map::new(),
            limits: Map::new(),
            requests: Map::new(),
            command: None,
        }
    }

    /// How many pods a Deployment has.
    pub fn replicas(mut self, count: u32) -> Self {
        assert!(self.replicas.is_some(), "a pod has no replicas");
        self.replicas = Some(count);
        self
    }

    /// One more label, on the object and its pods.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), json!(value));
        self
    }

    /// One more annotation of the pods.
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), json!(value));
        self
    }

    fn simulated(self, name: &str, value: &str) -> Self {
        self.annotation(&format!("{SIM}/{name}"), value)
    }

    /// The CPU it uses, steadily.
    pub fn cpu(self, quantity: &str) -> Self {
        self.simulated("cpu", quantity)
    }

    /// The memory it uses when it starts.
    pub fn memory(self, quantity: &str) -> Self {
        self.simulated("memory", quantity)
    }

    /// The memory it adds each second.
    pub fn leak_per_second(self, quantity: &str) -> Self {
        self.simulated("leak-per-second", quantity)
    }

    /// The memory at which a leak stops.
    pub fn leak_max(self, quantity: &str) -> Self {
        self.simulated("leak-max", quantity)
    }

    /// Dies this long after each start, and is restarted in place with a back-off
    /// of one second that doubles.
    pub fn crash_after(self, duration: &str) -> Self {
        self.simulated("crash-after", duration)
            .simulated("backoff-base", "1")
    }

    /// Dies as out of memory, with exit code 137; needs [`crash_after`](Self::crash_after).
    pub fn out_of_memory(self) -> Self {
        self.simulated("crash-reason", "OOMKilled")
            .simulated("crash-exit-code", "137")
    }

    /// The container's memory limit.
    pub fn memory_limit(mut self, quantity: &str) -> Self {
        self.limits.insert("memory".to_owned(), json!(quantity));
        self
    }

    /// The container's CPU limit.
    pub fn cpu_limit(mut self, quantity: &str) -> Self {
        self.limits.insert("cpu".to_owned(), json!(quantity));
        self
    }

    /// One resource that the container requests.
    pub fn request(mut self, resource: &str, quantity: &str) -> Self {
        self.requests.insert(resource.to_owned(), json!(quantity));
        self
    }

    /// Runs on the real node, as a real process: `/bin/leaky` (see
    /// `tests/kit/real/leaky.c`) and a shell are in its image.
    pub fn on_real_node(mut self, command: &[&str]) -> Self {
        self.command = Some(command.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    /// The object as JSON, which kubectl reads as it reads YAML.
    pub fn manifest(&self) -> String {
        let metadata = json!({"name": self.name, "labels": self.labels});
        let pod_metadata = json!({"labels": self.labels, "annotations": self.annotations});
        let object = match self.replicas {
            None => json!({
                "apiVersion": "v1", "kind": "Pod", "spec": self.pod_spec(),
                "metadata": {"name": self.name, "labels": self.labels, "annotations": self.annotations},
            }),
            Some(replicas) => json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": self.name}},
                    "template": {"metadata": pod_metadata, "spec": self.pod_spec()},
                },
            }),
        };
        object.to_string()
    }

    fn pod_spec(&self) -> Value {
        let resources = json!({"limits": self.limits, "requests": self.requests});
        let Some(command) = &self.command else {
            let container = json!({"name": "app", "image": "simulated:1", "resources": resources});
            return json!({"containers": [container]});
        };
        let real = format!("{SIM}/real");
        json!({
            "containers": [{
                "name": "app", "image": "kit.local/busybox:1", "imagePullPolicy": "IfNotPresent",
                "command": command, "resources": resources,
            }],
            "terminationGracePeriodSeconds": 2,
            "nodeSelector": {&real: "true"},
            "tolerations": [{"key": &real, "operator": "Exists"}],
        })
    }
}
