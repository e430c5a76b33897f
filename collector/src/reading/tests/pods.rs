//! Pods: what is told of them, and what is not.

use schemas::object::{Probe, Reference, Resources};

use super::*;

/// A pod whose every place for a secret holds one.
fn secretive() -> Value {
    let env = json!([{"name": "PASSWORD", "value": "hush"}, {"name": "DB_URL", "value": "postgres://hush:hush@db/hush"},
        {"name": "K", "valueFrom": {"secretKeyRef": {"name": "named", "key": "hush"}}}]);
    let container = json!({
        "name": "app", "image": "app:1", "command": ["hush"], "args": ["--token=hush"], "env": env,
        "envFrom": [{"secretRef": {"name": "named"}, "prefix": "hush"}], "workingDir": "/hush",
        "volumeMounts": [{"name": "hush", "mountPath": "/hush"}],
        "livenessProbe": {"httpGet": {"path": "/", "port": 1, "httpHeaders": [{"name": "Authorization", "value": "hush"}]}},
        "lifecycle": {"preStop": {"exec": {"command": ["hush"]}}},
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hush", "vault": "hush", "kubeskippy.io/protected": "true"},
            "managedFields": [{"manager": "hush", "operation": "Apply"}],
        },
        "spec": {
            "containers": [container], "initContainers": [{"name": "init", "env": [{"name": "A", "value": "hush"}]}],
            "volumes": [{"name": "v", "secret": {"secretName": "named"}}, {"name": "w", "csi": {"driver": "d", "volumeAttributes": {"key": "hush"}}}],
            "imagePullSecrets": [{"name": "named"}], "serviceAccountName": "hush",
        },
        "status": {
            "phase": "Running", "message": "hush",
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [app]"}],
            "containerStatuses": [{
                "name": "app", "ready": false, "restartCount": 1, "image": "app:1", "imageID": "x",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}},
                "lastState": {"terminated": {"reason": "Error", "exitCode": 1, "message": "hush", "finishedAt": "2026-01-01T00:00:00Z"}},
            }],
        },
    })
}

#[test]
fn no_secret_of_a_pod_is_told_nor_kept() {
    let pod: pod::Pod = serde_json::from_value(secretive()).unwrap();
    let told = serde_json::to_string(&pod::read(&pod, now())).unwrap();
    assert!(!told.contains("hush"), "{told}");
    let (spec, status) = (format!("{:?}", pod.spec), format!("{:?}", pod.status));
    assert!(
        !spec.contains("hush") && !status.contains("hush"),
        "{spec} {status}"
    );
    for kept in [
        "kubeskippy.io/protected",
        "CrashLoopBackOff",
        "ContainersNotReady",
        "unready status",
        "back-off 10s",
        "\"app\":\"web\"",
    ] {
        assert!(told.contains(kept), "{kept}: {told}");
    }
}

#[test]
fn a_limit_resized_in_place_counts_as_it_is_and_an_absent_one_is_absent() {
    let state = read_pod(json!({
        "metadata": {"name": "p"},
        "spec": {"containers": [
            {"name": "a", "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m"}}},
            {"name": "b", "resources": {"limits": {"cpu": "0"}}}]},
        "status": {"containerStatuses": [{"name": "a", "resources": {"limits": {"memory": "512Mi"}}}]},
    }));
    let containers = state.pod.unwrap().containers;
    let expected = Resources {
        memory_limit_bytes: Some(536_870_912.0),
        cpu_request_cores: Some(0.1),
        ..Resources::default()
    };
    assert_eq!(containers[0].resources, expected);
    assert_eq!(containers[1].resources, Resources::default());
}

#[test]
fn a_container_that_stays_terminated_during_its_back_off_tells_how_it_ended() {
    let state = read_pod(json!({
        "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]},
        "status": {"containerStatuses": [{"name": "a", "restartCount": 4,
            "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-01-01T00:00:50Z"}},
            "lastState": {"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": "2026-01-01T00:00:10Z"}}}]},
    }));
    let container = &state.pod.as_ref().unwrap().containers[0];
    assert_eq!(container.state, "terminated");
    let ended = container.last_termination.as_ref().unwrap();
    assert_eq!((ended.reason.as_str(), ended.exit_code), ("OOMKilled", 137));
}

#[test]
fn init_containers_are_told_until_all_of_them_are_done() {
    let read = |statuses: Value, phase: &str| {
        let state = read_pod(json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "app"}], "initContainers": [
                {"name": "migrate", "image": "m:1"}, {"name": "proxy", "restartPolicy": "Always"}]},
            "status": {"phase": phase, "initContainerStatuses": statuses},
        }));
        let told = state.pod.unwrap().init_containers;
        told.into_iter()
            .map(|container| (container.name, container.reason, container.message))
            .collect::<Vec<_>>()
    };
    let of = |name: &str, reason: &str, message: &str| {
        (name.to_owned(), reason.to_owned(), message.to_owned())
    };
    let failing = json!([{"name": "migrate", "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "configmap \"app\" not found"}}}]);
    let expected = [
        of(
            "migrate",
            "CreateContainerConfigError",
            "configmap \"app\" not found",
        ),
        of("proxy", "", ""),
    ];
    assert_eq!(read(failing, "Pending"), expected);
    let migrated =
        json!({"name": "migrate", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let failed =
        json!({"name": "migrate", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}});
    let proxy = |ready: bool| json!({"name": "proxy", "ready": ready, "state": {"running": {}}});
    assert_eq!(read(json!([migrated, proxy(false)]), "Pending").len(), 2);
    assert_eq!(read(json!([failed, proxy(true)]), "Pending").len(), 2);
    assert!(read(json!([migrated, proxy(true)]), "Running").is_empty());
    assert!(read(json!([]), "Succeeded").is_empty());
}

#[test]
fn a_long_waiting_message_is_cut_and_a_running_container_has_none() {
    let read = |state: Value| {
        let state = read_pod(
            json!({"metadata": {}, "spec": {"containers": [{"name": "a"}]},
            "status": {"containerStatuses": [{"name": "a", "state": state}]}}),
        );
        state.pod.unwrap().containers[0].message.clone()
    };
    let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "é".repeat(400)}});
    assert_eq!(read(waiting), "é".repeat(128));
    assert_eq!(
        read(json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})),
        ""
    );
}

#[test]
fn probes_tell_their_patience_and_not_what_they_ask() {
    let state = read_pod(json!({"metadata": {}, "spec": {"containers": [{"name": "a",
        "livenessProbe": {"exec": {"command": ["hush"]}, "initialDelaySeconds": 5, "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 4},
        "readinessProbe": {"tcpSocket": {"port": 1}}}]}}));
    let probes = state.pod.unwrap().containers[0].probes;
    let liveness = Probe {
        initial_delay_seconds: 5,
        period_seconds: 2,
        timeout_seconds: 3,
        failure_threshold: 4,
    };
    let defaults = Probe {
        initial_delay_seconds: 0,
        period_seconds: 10,
        timeout_seconds: 1,
        failure_threshold: 3,
    };
    assert_eq!(probes.liveness, Some(liveness));
    assert_eq!(probes.readiness, Some(defaults));
    assert_eq!(probes.startup, None);
}

#[test]
fn everything_that_a_pod_cannot_start_without_is_told_once_by_name() {
    let state = read_pod(json!({"metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "a",
            "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "b"}}},
                {"name": "C", "valueFrom": {"secretKeyRef": {"name": "login", "key": "c", "optional": true}}},
                {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "envFrom": [{"configMapRef": {"name": "all"}}, {"secretRef": {"name": "keys"}}]}],
        "volumes": [
            {"name": "v1", "configMap": {"name": "files", "defaultMode": 420}},
            {"name": "v2", "secret": {"secretName": "certs", "optional": false}},
            {"name": "v3", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "v4", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"name": "v5", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"configMap": {"name": "kube-root-ca.crt"}}, {"secret": {"name": "more"}}]}},
            {"name": "v6", "emptyDir": {}}],
        "imagePullSecrets": [{"name": "registry"}, {}]}}));
    let needs = state.pod.unwrap().needs;
    let spelt: Vec<_> = needs
        .iter()
        .map(
            |Reference {
                 kind,
                 name,
                 via,
                 optional,
             }| format!("{kind} {name} {via} {optional}"),
        )
        .collect();
    let expected = [
        "ConfigMap all env false",
        "ConfigMap files volume false",
        "ConfigMap kube-root-ca.crt volume false",
        "ConfigMap settings env false",
        "PersistentVolumeClaim data volume false",
        "PersistentVolumeClaim p-v4 volume false",
        "Secret certs volume false",
        "Secret keys env false",
        "Secret login env true",
        "Secret more volume false",
        "Secret registry imagePull false",
    ];
    assert_eq!(spelt, expected);
}

#[test]
fn the_services_that_an_environment_may_mean_are_in_the_pods_namespace_unless_it_says_another() {
    let state = read_pod(
        json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": {
        "containers": [{"name": "a", "env": [
            {"name": "ORDERS_URL", "value": "http://orders:8080"},
            {"name": "PAY", "value": "https://pay.bank.svc.cluster.local"},
            {"name": "NONE", "value": ""}, {"name": "AGAIN", "value": "orders:8080"}]}],
        "initContainers": [{"name": "i", "env": [{"name": "DB_HOST", "value": "db"}]}]}}),
    );
    let calls = state.pod.unwrap().calls;
    let spelt: Vec<_> = calls
        .iter()
        .map(|called| format!("{}/{}", called.namespace, called.name))
        .collect();
    assert_eq!(spelt, ["bank/pay", "shop/db", "shop/orders"]);
}
