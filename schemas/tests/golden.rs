//! The wire, as it is written today: one golden file per kind of message.
//!
//! A change of a file is a change of the wire, which is to be seen in review.
//! `UPDATE_GOLDEN=1 cargo test --workspace --test golden` writes them anew.
#![expect(
    clippy::expect_used,
    reason = "a golden file that cannot be read should fail loudly"
)]

use std::fmt::Debug;
use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use schemas::alert::{Alert, AlertKind, fingerprint};
use schemas::cluster_event::ClusterEvent;
use schemas::object::{
    ClaimState, ContainerState, JobState, ObjectCondition, ObjectState, Owner, PodState, Probe,
    Probes, QuotaState, Reference, Resources, RevisionState, ServiceName, ServiceState,
    Termination,
};
use schemas::observation::{Observation, Reading};
use schemas::operator::Operator;
use schemas::policy::Severity;
use schemas::sample::{self, Cut, Shard};
use schemas::subject::{Stream, Subjects};
use schemas::target::Target;
use serde::Serialize;
use serde::de::DeserializeOwned;

const NAMESPACE: &str = "shop";
const POLICY: &str = "memory-leak-healing";
const POLICY_UID: &str = "6f0d1f3e-policy";
const POD_UID: &str = "0b6c2a44-pod";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn pod() -> Target {
    Target {
        api_version: "v1".into(),
        kind: "Pod".into(),
        namespace: NAMESPACE.into(),
        name: "leaky-7f8c5d6fb5-cnzlf".into(),
        uid: POD_UID.into(),
    }
}

/// Compares text with a golden file, or writes the file when asked to.
fn same(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("a golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, golden,
        "the wire is not what {file} says; if that is meant, run with UPDATE_GOLDEN=1"
    );
}

/// What is written equals the golden file, and the file reads back as the same message.
fn message<T: Serialize + DeserializeOwned + PartialEq + Debug>(file: &str, message: &T) {
    let text = serde_json::to_string_pretty(message).expect("a message is JSON") + "\n";
    same(file, &text);
    let read: T = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(&read, message);
}

fn alert(kind: AlertKind) -> Alert {
    Alert {
        kind,
        cluster: "demo".into(),
        fingerprint: fingerprint(POLICY_UID, "high-memory", POD_UID),
        namespace: NAMESPACE.into(),
        policy: POLICY.into(),
        policy_uid: POLICY_UID.into(),
        trigger: "high-memory".into(),
        severity: Severity::Warning,
        target: pod(),
        value: Some(86.25),
        threshold: Some(85.0),
        operator: Some(Operator::Above),
        starts_at: Some(at("2026-11-23T10:00:00Z")),
        fired_at: Some(at("2026-11-23T10:00:30Z")),
        ends_at: None,
        action: String::new(),
        reason: String::new(),
        message: "memory_usage_percent of Pod shop/leaky-7f8c5d6fb5-cnzlf is 86.2 > 85".into(),
    }
}

#[test]
fn an_alert_of_a_trigger() {
    let event = alert(AlertKind::TriggerFiring).envelope("analyzer", at("2026-11-23T10:00:30Z"));
    message("alert-trigger-firing.json", &event);
}

#[test]
fn an_alert_of_an_action() {
    let alert = Alert {
        action: "memory-leak-healing-5b1c0de2aa".into(),
        reason: "Recovered".into(),
        ends_at: Some(at("2026-11-23T10:01:05Z")),
        message: "Pod/leaky-7f8c5d6fb5-x2x2x recovered: 19.4, threshold 85".into(),
        ..alert(AlertKind::ActionSucceeded)
    };
    let event = alert.envelope("actuator", at("2026-11-23T10:01:05Z"));
    message("alert-action-succeeded.json", &event);
}

#[test]
fn the_state_of_a_pod() {
    let owner = |api_version: &str, kind: &str, name: &str| Owner {
        api_version: api_version.into(),
        kind: kind.into(),
        name: name.into(),
        uid: format!("{name}-uid"),
    };
    let container = ContainerState {
        name: "app".into(),
        image: "shop/web:1.4".into(),
        resources: Resources {
            cpu_limit_cores: Some(0.5),
            memory_limit_bytes: Some(536_870_912.0),
            cpu_request_cores: None,
            memory_request_bytes: Some(134_217_728.0),
        },
        restarts: 2,
        ready: true,
        state: "running".into(),
        last_termination: Some(Termination {
            reason: "OOMKilled".into(),
            exit_code: 137,
            finished_at: Some(at("2026-11-23T09:00:00Z")),
        }),
        ..ContainerState::default()
    };
    let state = ObjectState {
        target: pod(),
        observed_at: at("2026-11-23T10:00:00Z"),
        deleted: false,
        created_at: Some(at("2026-11-23T08:00:00Z")),
        terminating: false,
        labels: [("app", "leaky"), ("issue", "memory-leak")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        annotations: [("kubeskippy.io/protected".into(), "false".into())].into(),
        owners: vec![
            owner("apps/v1", "ReplicaSet", "leaky-7f8c5d6fb5"),
            owner("apps/v1", "Deployment", "leaky"),
        ],
        conditions: vec![ObjectCondition {
            kind: "Ready".into(),
            status: "True".into(),
            since: Some(at("2026-11-23T09:00:02Z")),
            ..ObjectCondition::default()
        }],
        pod: Some(PodState {
            phase: "Running".into(),
            node: "node-1".into(),
            qos: "Burstable".into(),
            containers: vec![container],
            ..PodState::default()
        }),
        ..ObjectState::default()
    };
    message("object-pod.json", &state);
}

fn object(api_version: &str, kind: &str, name: &str) -> ObjectState {
    ObjectState {
        target: Target {
            api_version: api_version.into(),
            kind: kind.into(),
            name: name.into(),
            uid: format!("{name}-{kind}-uid"),
            ..pod()
        },
        observed_at: at("2026-11-23T10:00:00Z"),
        ..ObjectState::default()
    }
}

/// A pod that cannot start.
fn waiting() -> PodState {
    let liveness = Probe {
        initial_delay_seconds: 5,
        period_seconds: 10,
        timeout_seconds: 1,
        failure_threshold: 3,
    };
    let init = ContainerState {
        name: "migrate".into(),
        state: "waiting".into(),
        reason: "CreateContainerConfigError".into(),
        message: "configmap \"settings\" not found".into(),
        probes: Probes {
            liveness: Some(liveness),
            ..Probes::default()
        },
        ..ContainerState::default()
    };
    PodState {
        phase: "Pending".into(),
        init_containers: vec![init],
        needs: vec![Reference {
            kind: "ConfigMap".into(),
            name: "settings".into(),
            via: "env".into(),
            optional: false,
        }],
        calls: vec![ServiceName {
            namespace: NAMESPACE.into(),
            name: "orders".into(),
        }],
        ..PodState::default()
    }
}

fn revision() -> RevisionState {
    let template = [
        ("containers[app].image", "shop/web:1.4"),
        ("containers[app].env[TOKEN]", "#5f2a90c1"),
    ];
    RevisionState {
        number: 4,
        hash: "7f8c5d6fb5".into(),
        template: template
            .map(|(path, value)| (path.into(), value.into()))
            .into(),
        replicas: Some(2),
        ready: Some(1),
    }
}

/// What is told of a pod that cannot start, and of what it and its workload stand on.
fn what_a_case_asks_of() -> Vec<ObjectState> {
    let mut states = [
        object("v1", "Pod", "web-1"),
        object("apps/v1", "ReplicaSet", "web-7f8c5d6fb5"),
        object("batch/v1", "Job", "import"),
        object("v1", "Service", "orders"),
        object("v1", "PersistentVolumeClaim", "media"),
        object("v1", "ResourceQuota", "limits"),
    ];
    let [pod, set, job, service, claim, quota] = &mut states;
    pod.pod = Some(waiting());
    set.revision = Some(revision());
    job.job = Some(JobState {
        active: 0,
        succeeded: 0,
        failed: 3,
        backoff_limit: 2,
    });
    service.service = Some(ServiceState {
        selector: [("app".into(), "orders".into())].into(),
        ready: 2,
        not_ready: 1,
    });
    claim.claim = Some(ClaimState {
        phase: "Pending".into(),
        storage_class: "fast-ssd".into(),
    });
    quota.quota = Some(QuotaState {
        hard: [("pods".into(), 9.0)].into(),
        used: [("pods".into(), 9.0)].into(),
    });
    states.into()
}

#[test]
fn the_states_that_a_case_asks_of() {
    message("objects.json", &what_a_case_asks_of());
}

#[test]
fn a_reader_that_does_not_know_a_field_yet_reads_the_others() {
    for state in what_a_case_asks_of() {
        let mut json = serde_json::to_value(&state).expect("a state is JSON");
        json["later"] = serde_json::json!({"added": true});
        let parts = ["pod", "revision", "job", "service", "claim", "quota"];
        for part in parts {
            if json[part].is_object() {
                json[part]["later"] = serde_json::json!([1]);
            }
        }
        let read: ObjectState = serde_json::from_value(json).expect("a later state can be read");
        assert_eq!(read, state);
    }
}

#[test]
fn a_cluster_event() {
    let event = ClusterEvent {
        uid: "event-uid".into(),
        regarding: pod(),
        kind: "Warning".into(),
        reason: "BackOff".into(),
        note: "Back-off restarting failed container".into(),
        reporter: "kubelet".into(),
        occurred_at: at("2026-11-23T10:00:00.123456Z"),
        count: 7,
        increase: 2,
    };
    message("cluster-event.json", &event);
}

#[test]
fn an_observation() {
    let reading = |name: &str, value: Option<f64>| Reading {
        target: Target {
            name: name.into(),
            uid: format!("{name}-uid"),
            ..pod()
        },
        created_at: Some(at("2026-11-23T10:00:32Z")),
        value,
        sampled_at: value.map(|_| at("2026-11-23T10:01:00Z")),
        breaching: false,
        ready: true,
    };
    let observation = Observation {
        policy_uid: POLICY_UID.into(),
        trigger: "high-memory".into(),
        evaluated_at: at("2026-11-23T10:01:00Z"),
        operator: Operator::Above,
        threshold: 85.0,
        readings: vec![reading("leaky-a", Some(19.4)), reading("leaky-b", None)],
    };
    message("observation.json", &observation);
}

#[test]
fn the_headers_of_a_scrape() {
    let cut = Cut {
        objects: 1041,
        events: 77,
    };
    let shard = Shard { index: 0, count: 4 };
    let headers = [
        (sample::SCHEMA, sample::SCHEMA_VERSION.to_owned()),
        (sample::SCHEMA, sample::NODE_SCHEMA_VERSION.to_owned()),
        (sample::TICK, "1795428000000".to_owned()),
        (sample::SHARD, shard.to_string()),
        (sample::CUT, cut.to_string()),
        (sample::GAP, "0".to_owned()),
        (sample::INTERVAL, "15000".to_owned()),
        (sample::TRACEPARENT, schemas::envelope::traceparent("tick")),
    ];
    let lines = headers.map(|(name, value)| format!("{name}: {value}\n"));
    same("sample-headers.txt", &lines.concat());
}

#[test]
fn every_stream_and_subject() {
    let subjects = Subjects::new("prod.eu");
    let mut text = String::new();
    for stream in Stream::ALL {
        let line = (subjects.stream_name(stream), subjects.all(stream));
        writeln!(text, "{} {}", line.0, line.1).expect("writing to a string cannot fail");
    }
    let examples = [
        subjects.samples(3),
        subjects.object("Pod", NAMESPACE, "web.v1-x2"),
        subjects.object("Node", "", "node-1"),
        subjects.event(NAMESPACE),
        subjects.observation(NAMESPACE, "memory-leak-healing-5b1c0de2aa"),
        subjects.alert(Severity::Critical.as_str(), NAMESPACE, POLICY),
        subjects.journal(NAMESPACE, "memory-leak-healing-5b1c0de2aa"),
        subjects.advice("small", "9f2c61aa"),
    ];
    for subject in examples {
        writeln!(text, "{subject}").expect("writing to a string cannot fail");
    }
    same("names.txt", &text);
}

#[test]
fn every_type_of_alert() {
    let kinds = [
        AlertKind::TriggerPending,
        AlertKind::TriggerFiring,
        AlertKind::TriggerResolved,
        AlertKind::ActionProposed,
        AlertKind::ActionAwaitingApproval,
        AlertKind::ActionApproved,
        AlertKind::ActionDenied,
        AlertKind::ActionExecuting,
        AlertKind::ActionVerifying,
        AlertKind::ActionSucceeded,
        AlertKind::ActionFailed,
        AlertKind::ActionRolledBack,
        AlertKind::ActionCancelled,
        AlertKind::CaseOpened,
        AlertKind::CaseDiagnosed,
        AlertKind::CaseResolved,
        AlertKind::PolicyNeedsHuman,
        AlertKind::PolicyHealingDebt,
    ];
    let lines = kinds.map(|kind| {
        let data = serde_json::to_string(&kind).expect("a word");
        format!("{} {data}\n", kind.event_type())
    });
    same("alert-types.txt", &lines.concat());
}
