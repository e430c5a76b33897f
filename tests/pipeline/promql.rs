//! Queries mean what they mean to Prometheus.
//!
//! The same samples go into a window of the analyzer, as the scrapes that the
//! collector writes, and into a real Prometheus; and a table of queries must
//! have the same answers of both.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::Command, sync::Arc};

use analyzer::{
    promql::{Labels, Query, evaluate},
    window::{Window, WindowConfig},
};
use collector::{
    encode,
    reading::usage::{Measured, Used},
    scrape::Row,
};
use harness::{Kit, Part, Program, Shared, free_port, http_get, trial};
use jiff::{SignedDuration, Timestamp};
use libtest_mimic::Trial;
use schemas::{
    object::{ContainerState, ObjectCondition, ObjectState, Owner, PodState, Resources},
    sample::Shard,
    target::Target,
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![trial(
        "queries_mean_what_they_mean_to_prometheus",
        shared,
        queries_mean_what_they_mean_to_prometheus,
    )]
}

const START: i64 = 1_700_000_000;
const STEP: u32 = 15;
const SCRAPES: u32 = 81;

/// On a scrape, between two, where one series has a gap behind it, at the last scrape and after it.
const INSTANTS: [f64; 5] = [600.0, 787.25, 900.0, 1200.0, 1211.5];

/// Asked of both as they stand.
const SAME: &[&str] = &[
    "container_memory_working_set_bytes",
    r#"container_cpu_usage_cores{namespace="shop"}"#,
    r#"container_cpu_usage_cores{pod=~"web-.*",container!="proxy"}"#,
    r#"container_memory_working_set_bytes{pod!~"web-[01]",qos="Burstable"}"#,
    r#"container_memory_working_set_bytes{owner_kind="StatefulSet"}"#,
    "container_memory_working_set_bytes offset 2m",
    "kube_pod_container_resource_limits",
    r#"kube_pod_container_resource_limits{resource="memory"}"#,
    r#"kube_pod_container_resource_requests{resource="cpu"}"#,
    "kube_pod_container_status_restarts_total",
    "kube_pod_container_status_ready == 0",
    "kube_pod_status_ready",
    "rate(kube_pod_container_status_restarts_total[10m])",
    "increase(kube_pod_container_status_restarts_total[5m])",
    "increase(kube_pod_container_status_restarts_total[7m] offset 1m)",
    "rate(container_cpu_usage_cores[3m])",
    "delta(container_memory_working_set_bytes[5m])",
    "deriv(container_memory_working_set_bytes[10m])",
    "predict_linear(container_memory_working_set_bytes[10m], 1800)",
    "avg_over_time(container_cpu_usage_cores[5m])",
    "avg_over_time(container_cpu_usage_cores[5m] offset 3m)",
    "min_over_time(container_memory_working_set_bytes[4m])",
    "max_over_time(container_memory_working_set_bytes[4m])",
    "sum_over_time(kube_pod_status_ready[10m])",
    "count_over_time(container_memory_working_set_bytes[10m])",
    "stddev_over_time(container_cpu_usage_cores[5m])",
    "stdvar_over_time(container_cpu_usage_cores[5m])",
    "quantile_over_time(0.9, container_cpu_usage_cores[5m])",
    "last_over_time(container_memory_working_set_bytes[5m])",
    "present_over_time(container_memory_working_set_bytes[5m])",
    "changes(kube_pod_container_status_ready[10m])",
    "resets(kube_pod_container_status_restarts_total[15m])",
    "abs(delta(container_cpu_usage_cores[5m]))",
    "ceil(container_cpu_usage_cores * 10)",
    "floor(container_cpu_usage_cores * 10)",
    "round(container_cpu_usage_cores, 0.05)",
    "clamp(container_cpu_usage_cores, 0.2, 0.4)",
    "clamp_min(container_cpu_usage_cores, 0.3)",
    "clamp_max(container_cpu_usage_cores, 0.3)",
    "-container_cpu_usage_cores % 0.07",
    "container_cpu_usage_cores ^ 2",
    "container_cpu_usage_cores / 0",
    "container_cpu_usage_cores > bool 0.3",
    "0.3 < container_cpu_usage_cores",
    "sum(container_cpu_usage_cores)",
    "sum by (namespace, pod) (container_cpu_usage_cores)",
    "avg by (owner_name) (container_memory_working_set_bytes)",
    "min without (container) (container_memory_working_set_bytes)",
    "max without (container, pod, node) (container_memory_working_set_bytes)",
    "count by (node) (container_cpu_usage_cores)",
    "group by (namespace) (container_cpu_usage_cores)",
    "stddev by (namespace) (container_cpu_usage_cores)",
    "stdvar by (namespace) (container_cpu_usage_cores)",
    "quantile by (namespace) (0.7, container_cpu_usage_cores)",
    "topk(3, container_memory_working_set_bytes)",
    "bottomk by (namespace) (1, container_cpu_usage_cores)",
    "container_memory_working_set_bytes and ignoring(container) kube_pod_status_ready == 0",
    "container_cpu_usage_cores unless on(namespace, pod) kube_pod_status_ready == 1",
    r#"container_cpu_usage_cores{namespace="pay"} or container_memory_working_set_bytes"#,
    r#"container_cpu_usage_cores - ignoring(resource) kube_pod_container_resource_requests{resource="cpu"}"#,
    "sum by (pod) (container_cpu_usage_cores) / on(pod) count by (pod) (container_cpu_usage_cores)",
    // few samples, and none
    "increase(kube_pod_container_status_restarts_total[30s])",
    "rate(container_cpu_usage_cores[45s])",
    "deriv(container_memory_working_set_bytes[31s])",
    "stddev_over_time(container_cpu_usage_cores[15s])",
    "last_over_time(container_memory_working_set_bytes[90s] offset 7s)",
    "predict_linear(container_memory_working_set_bytes[5m] offset 2m, -60)",
    "delta(container_memory_working_set_bytes[20m])",
    // numbers at their edges
    "(container_cpu_usage_cores - 0.31) ^ 0.5",
    "max((container_cpu_usage_cores - 0.31) ^ 0.5)",
    "min by (namespace) ((container_cpu_usage_cores - 0.31) ^ 0.5)",
    "sum by (namespace) ((container_cpu_usage_cores - 0.31) ^ 0.5)",
    "count((container_cpu_usage_cores - 0.31) ^ 0.5)",
    "quantile(0.5, (container_cpu_usage_cores - 0.31) ^ 0.5)",
    "topk(9, (container_cpu_usage_cores - 0.31) ^ 0.5)",
    "bottomk(2, (container_cpu_usage_cores - 0.31) ^ 0.5)",
    "(container_cpu_usage_cores - 0.31) ^ 0.5 > 0.1",
    "(container_cpu_usage_cores - 0.31) ^ 0.5 != 0.1",
    "abs((container_cpu_usage_cores - 0.31) ^ 0.5)",
    "clamp((container_cpu_usage_cores - 0.31) ^ 0.5, 0.1, 0.3)",
    "round(container_cpu_usage_cores - 0.31, 0.05)",
    "clamp(container_cpu_usage_cores, 0.4, 0.2) or kube_pod_status_ready",
    "(container_cpu_usage_cores - 0.31) % -0.05",
    "(0.31 - container_cpu_usage_cores) / 0",
    "2 ^ container_cpu_usage_cores",
    "quantile_over_time(1.5, container_cpu_usage_cores[5m])",
    "quantile(-0.5, container_cpu_usage_cores)",
    "topk(0, container_cpu_usage_cores) or kube_pod_status_ready",
    // matching
    "container_cpu_usage_cores == container_cpu_usage_cores",
    "container_cpu_usage_cores >= bool (container_cpu_usage_cores offset 1m)",
    "container_cpu_usage_cores and on() (sum(kube_pod_status_ready) > 2)",
    "kube_pod_status_ready or on(namespace, pod) container_cpu_usage_cores",
    "sum by (node) (container_cpu_usage_cores) / on(node) sum by (node) (container_memory_working_set_bytes)",
    "sum(container_cpu_usage_cores) / on() sum(container_memory_working_set_bytes)",
    "avg without (node) (container_memory_working_set_bytes) > 9e7",
];

/// The short names, and what the documentation says they are. `restart_count`
/// is the increase that was seen, for which PromQL has words only where no
/// counter starts again; `error_rate` is of events, which are no samples.
const SHORT: &[(&str, &str)] = &[
    ("memory_usage_bytes", "container_memory_working_set_bytes"),
    ("cpu_usage_cores", "container_cpu_usage_cores"),
    (
        "memory_usage_percent",
        r#"container_memory_working_set_bytes / ignoring(resource) kube_pod_container_resource_limits{resource="memory"} * 100"#,
    ),
    (
        "cpu_usage_percent",
        r#"container_cpu_usage_cores / ignoring(resource) kube_pod_container_resource_limits{resource="cpu"} * 100"#,
    ),
    (
        r#"restart_count{pod!="db-0"}"#,
        r#"max_over_time(kube_pod_container_status_restarts_total{pod!="db-0"}[10m]) - min_over_time(kube_pod_container_status_restarts_total[10m])"#,
    ),
    (
        "availability",
        r#"100 * sum by (namespace, owner_kind, owner_name) (sum_over_time(kube_pod_status_ready{owner_name!=""}[10m]))
            / sum by (namespace, owner_kind, owner_name) (count_over_time(kube_pod_status_ready{owner_name!=""}[10m]))"#,
    ),
];

/// The answer to a query: a value per set of labels.
type Answer = BTreeMap<BTreeMap<String, String>, f64>;

async fn queries_mean_what_they_mean_to_prometheus(_shared: &Shared) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut exposition = String::new();
    let window = fill(&mut exposition);
    let address = format!("127.0.0.1:{}", free_port());
    let _prometheus = prometheus(folder.path(), &exposition, &address);

    let same = SAME.iter().map(|query| (*query, *query));
    let mut differences = Vec::new();
    for (ours, theirs) in same.chain(SHORT.iter().copied()) {
        let mut answered = 0;
        for seconds in INSTANTS {
            let (own, other) = (
                of_window(ours, &window, seconds),
                of_prometheus(theirs, &address, seconds),
            );
            answered += own.len();
            if let Some(difference) = difference(&own, &other) {
                differences.push(format!("{ours} at {seconds}: {difference}"));
            }
        }
        assert!(answered > 0, "{ours} is answered by nothing at all");
    }
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// What differs between ours and theirs, if anything does.
fn difference(ours: &Answer, theirs: &Answer) -> Option<String> {
    if !ours.keys().eq(theirs.keys()) {
        let (ours, theirs): (Vec<_>, Vec<_>) = (ours.keys().collect(), theirs.keys().collect());
        return Some(format!("series\n  ours {ours:?}\n  theirs {theirs:?}"));
    }
    let differ = |(one, other): (&f64, &f64)| {
        let both_nan = one.is_nan() && other.is_nan();
        let near = (one - other).abs() <= 1e-9 * one.abs().max(other.abs());
        !(both_nan || one.total_cmp(other).is_eq() || near)
    };
    let found = ours.iter().zip(theirs.values());
    found
        .filter(|((_, one), other)| differ((one, other)))
        .map(|((labels, one), other)| format!("{labels:?}\n  ours {one}, theirs {other}"))
        .next()
}

fn instant(seconds: f64) -> Timestamp {
    let offset = SignedDuration::try_from_secs_f64(seconds).expect("a small number");
    Timestamp::from_second(START).expect("a time") + offset
}

fn of_window(text: &str, window: &Window, seconds: f64) -> Answer {
    let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let vector = evaluate(&query, window, instant(seconds));
    let vector = vector.unwrap_or_else(|error| panic!("{text}: {error}"));
    let sample = |sample: analyzer::promql::Sample| (named(&sample.labels), sample.value);
    vector.samples().into_iter().map(sample).collect()
}

/// The labels that a query sees; as in Prometheus, an empty one is none.
fn named(labels: &Labels) -> BTreeMap<String, String> {
    let Labels {
        namespace,
        pod,
        pod_uid: _,
        container,
        node,
        owner_kind,
        owner_name,
        qos,
        resource,
    } = labels;
    let all = [
        ("namespace", namespace),
        ("pod", pod),
        ("container", container),
        ("node", node),
        ("owner_kind", owner_kind),
        ("owner_name", owner_name),
        ("qos", qos),
        ("resource", resource),
    ];
    let some = all.into_iter().filter(|(_, value)| !value.is_empty());
    some.map(|(name, value)| (name.to_owned(), value.to_string()))
        .collect()
}

fn of_prometheus(text: &str, address: &str, seconds: f64) -> Answer {
    let encoded: String = text.bytes().fold(String::new(), |mut all, byte| {
        write!(all, "%{byte:02X}").expect("a text takes every write");
        all
    });
    let time = instant(seconds).as_millisecond();
    let path = format!(
        "/api/v1/query?query={encoded}&time={}.{:03}",
        time / 1000,
        time % 1000
    );
    let (code, body) = http_get(address, &path).expect("Prometheus answers");
    assert_eq!(code, 200, "{text}: {body}");
    let reply: serde_json::Value = serde_json::from_str(&body).expect("an answer is JSON");
    let result = reply["data"]["result"].as_array().expect("a vector");
    let series = result.iter().map(|series| {
        let labels = series["metric"].as_object().expect("labels");
        let labels = labels.iter().filter(|(name, _)| *name != "__name__");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let labels = labels.map(|(name, value)| (name.clone(), text(value)));
        let value = series["value"][1].as_str().expect("a value is a text");
        (
            labels.collect(),
            value.parse().expect("a value is a number"),
        )
    });
    series.collect()
}

/// A Prometheus that holds the samples, and nothing else.
fn prometheus(folder: &Path, exposition: &str, address: &str) -> Program {
    let kit = Kit::ensure(&[Part::Prometheus]);
    let (input, data) = (folder.join("samples"), folder.join("data"));
    let config = folder.join("prometheus.yml");
    std::fs::write(&input, exposition).expect("the folder can be written");
    std::fs::write(&config, "scrape_configs: []\n").expect("the folder can be written");
    let made = Command::new(kit.binary("promtool"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&input, &data])
        .output()
        .expect("promtool can be run");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let option = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let options = [
        option("config.file", &config),
        option("storage.tsdb.path", &data),
        "--storage.tsdb.retention.time=100y".to_owned(),
        // ours is a minute, which the documentation says
        "--query.lookback-delta=1m".to_owned(),
        format!("--web.listen-address={address}"),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut program = Program::spawn_at(&kit.binary("prometheus"), &options, &[]);
    let ready = format!("http://{address}/-/ready");
    program.wait_ready(&ready, std::time::Duration::from_mins(1));
    program
}

/// A container, and how it fares over time.
struct Simulated {
    number: u32,
    pod: &'static str,
    container: &'static str,
    namespace: &'static str,
    owner: (&'static str, &'static str),
    /// The scrape that sees it first.
    since: u32,
}

const CONTAINERS: [Simulated; 7] = [
    simulated(0, "web-0", "app", "shop"),
    simulated(1, "web-0", "proxy", "shop"),
    simulated(2, "web-1", "app", "shop"),
    simulated(3, "web-2", "app", "shop"),
    Simulated {
        owner: ("StatefulSet", "db"),
        ..simulated(4, "db-0", "db", "shop")
    },
    simulated(5, "api-0", "app", "pay"),
    Simulated {
        owner: ("", ""),
        since: 30,
        ..simulated(6, "api-1", "app", "pay")
    },
];

const fn simulated(
    number: u32,
    pod: &'static str,
    container: &'static str,
    namespace: &'static str,
) -> Simulated {
    Simulated {
        number,
        pod,
        container,
        namespace,
        owner: ("Deployment", "web"),
        since: 0,
    }
}

impl Simulated {
    fn phase(&self, scrape: u32) -> f64 {
        f64::from(scrape * (3 + self.number) + 17 * self.number)
    }

    /// Cores and bytes; not known for two scrapes of one container.
    fn used(&self, scrape: u32) -> Option<(f64, f64)> {
        if self.number == 2 && (50..52).contains(&scrape) {
            return None;
        }
        let wave = (self.phase(scrape) / 7.0).sin();
        let leak = 200_000.0 * f64::from(self.number) * f64::from(scrape);
        let memory = (8e7 + 1e7 * f64::from(self.number) + leak + 3e6 * wave).round();
        Some((0.31 + 0.2 * wave + 0.001 * f64::from(self.number), memory))
    }

    /// A counter that starts again on one pod.
    fn restarts(&self, scrape: u32) -> u32 {
        match self.number {
            4 if scrape < 45 => 3 + scrape / 12,
            4 => (scrape - 45) / 9,
            number => scrape / (11 + 5 * number),
        }
    }

    fn is_ready(&self, scrape: u32) -> bool {
        self.number != 3 || scrape % 20 < 8
    }

    /// Limits and requests of CPU and memory; one container has none.
    fn resources(&self) -> Resources {
        if self.number == 1 {
            return Resources::default();
        }
        Resources {
            cpu_limit_cores: Some(0.75),
            memory_limit_bytes: Some(268_435_456.0),
            cpu_request_cores: Some(0.1 + 0.05 * f64::from(self.number)),
            memory_request_bytes: Some(67_108_864.0),
        }
    }

    fn node(&self) -> &'static str {
        if self.pod.ends_with('1') {
            "node-2"
        } else {
            "node-1"
        }
    }

    fn state(&self, scrape: u32, at: Timestamp) -> ObjectState {
        let ready = if self.is_ready(scrape) {
            "True"
        } else {
            "False"
        };
        ObjectState {
            target: Target {
                api_version: "v1".to_owned(),
                kind: "Pod".to_owned(),
                namespace: self.namespace.to_owned(),
                name: self.pod.to_owned(),
                uid: format!("uid-{}", self.pod),
            },
            observed_at: at,
            deleted: false,
            created_at: None,
            terminating: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            owners: Vec::new(),
            conditions: vec![ObjectCondition {
                kind: "Ready".to_owned(),
                status: ready.to_owned(),
                ..ObjectCondition::default()
            }],
            pod: Some(PodState {
                node: self.node().to_owned(),
                qos: "Burstable".to_owned(),
                containers: vec![ContainerState {
                    name: self.container.to_owned(),
                    resources: self.resources(),
                    restarts: self.restarts(scrape),
                    ready: self.is_ready(scrape),
                    ..ContainerState::default()
                }],
                ..PodState::default()
            }),
            ..ObjectState::default()
        }
    }

    /// The container's samples of one scrape, by metric and further labels.
    fn samples(&self, scrape: u32) -> Vec<(&'static str, &'static str, f64)> {
        let truth = f64::from(u8::from(self.is_ready(scrape)));
        let restarts = f64::from(self.restarts(scrape));
        let used = self.used(scrape);
        let resources = self.resources();
        let (limits, requests) = (
            "kube_pod_container_resource_limits",
            "kube_pod_container_resource_requests",
        );
        let (cpu, memory) = (r#"resource="cpu""#, r#"resource="memory""#);
        let all = [
            ("container_cpu_usage_cores", "", used.map(|used| used.0)),
            (
                "container_memory_working_set_bytes",
                "",
                used.map(|used| used.1),
            ),
            (limits, cpu, resources.cpu_limit_cores),
            (limits, memory, resources.memory_limit_bytes),
            (requests, cpu, resources.cpu_request_cores),
            (requests, memory, resources.memory_request_bytes),
            (
                "kube_pod_container_status_restarts_total",
                "",
                Some(restarts),
            ),
            ("kube_pod_container_status_ready", "", Some(truth)),
        ];
        all.into_iter()
            .filter_map(|(metric, label, value)| Some((metric, label, value?)))
            .collect()
    }

    fn labels(&self) -> String {
        let (kind, name) = self.owner;
        format!(
            r#"namespace="{}",pod="{}",node="{}",owner_kind="{kind}",owner_name="{name}",qos="Burstable""#,
            self.namespace,
            self.pod,
            self.node()
        )
    }
}

/// A window of all scrapes, and the same samples as Prometheus reads them.
fn fill(exposition: &mut String) -> Window {
    let mut window = Window::new(WindowConfig {
        period: SignedDuration::from_mins(30),
        ..WindowConfig::default()
    });
    let mut lines: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for scrape in 0..SCRAPES {
        let at = instant(f64::from(scrape * STEP));
        let present: Vec<_> = CONTAINERS
            .iter()
            .filter(|container| container.since <= scrape)
            .collect();
        append(&mut window, &present, (scrape, at));
        for one in present {
            let labels = one.labels();
            let mut samples: Vec<_> = one
                .samples(scrape)
                .into_iter()
                .map(|(metric, label, value)| {
                    (
                        metric,
                        format!(r#"{labels},container="{}",{label}"#, one.container),
                        value,
                    )
                })
                .collect();
            if one.container != "proxy" {
                let ready = f64::from(u8::from(one.is_ready(scrape)));
                samples.push(("kube_pod_status_ready", labels, ready));
            }
            for (metric, labels, value) in samples {
                let labels = labels.trim_end_matches(',');
                let line = format!("{metric}{{{labels}}} {value} {}", at.as_second());
                lines
                    .entry((metric, labels.to_owned()))
                    .or_default()
                    .push(line);
            }
        }
    }
    *exposition = lines
        .into_values()
        .flatten()
        .fold(String::new(), |all, line| all + &line + "\n");
    exposition.push_str("# EOF\n");
    window
}

/// One scrape, as the collector writes it.
fn append(window: &mut Window, present: &[&Simulated], (scrape, at): (u32, Timestamp)) {
    let states: Vec<_> = present.iter().map(|one| one.state(scrape, at)).collect();
    let owners: Vec<_> = present
        .iter()
        .map(|one| Owner {
            api_version: "apps/v1".to_owned(),
            kind: one.owner.0.to_owned(),
            name: one.owner.1.to_owned(),
            uid: "uid".to_owned(),
        })
        .collect();
    let rows: Vec<Row<'_>> = present
        .iter()
        .zip(states.iter().zip(&owners))
        .filter_map(|(one, (state, owner))| {
            let pod = state.pod.as_ref()?;
            let measured = one.used(scrape).map(|(cpu, memory)| Measured {
                at,
                used: Used {
                    cpu_cores: Some(cpu),
                    memory_bytes: Some(memory),
                },
            });
            Some(Row {
                state,
                pod,
                container: pod.containers.first()?,
                owner: (!owner.name.is_empty()).then_some(owner),
                measured,
            })
        })
        .collect();
    let batch = encode::containers(&rows).expect("rows are encoded");
    let whole = Shard { index: 0, count: 1 };
    window.append(at, whole, &batch).expect("a scrape is read");
}
