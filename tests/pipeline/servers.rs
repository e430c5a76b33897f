//! The harness itself, on the servers it starts.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::Config;
use futures::StreamExt;
use harness::{Nats, Shared, TestNamespace, Workload, cluster_name, until};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use libtest_mimic::Trial;
use serde_json::Value;

const MINUTE: Duration = Duration::from_mins(1);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    use harness::{skippable_trial, trial};
    vec![
        trial(
            "a_deleted_pod_is_in_the_audit_log",
            shared,
            a_deleted_pod_is_in_the_audit_log,
        ),
        trial(
            "a_service_account_has_only_its_own_rights",
            shared,
            a_service_account_has_only_its_own_rights,
        ),
        trial(
            "an_unknown_field_is_refused",
            shared,
            an_unknown_field_is_refused,
        ),
        trial(
            "a_leak_grows_in_the_metrics_api",
            shared,
            a_leak_grows_in_the_metrics_api,
        ),
        trial(
            "one_of_equal_pods_can_be_made_to_leak",
            shared,
            one_of_equal_pods_can_be_made_to_leak,
        ),
        trial(
            "prometheus_scrapes_the_api_server",
            shared,
            prometheus_scrapes_the_api_server,
        ),
        trial(
            "a_message_survives_a_killed_bus",
            shared,
            a_message_survives_a_killed_bus,
        ),
        skippable_trial(
            "a_real_process_runs_under_its_limit",
            shared,
            a_real_process_runs_under_its_limit,
        ),
    ]
}

/// The pods of a namespace once `count` of them are Running.
async fn running(pods: &Api<Pod>, count: usize) -> Vec<Pod> {
    until(&format!("{count} running pods"), MINUTE, async || {
        let found = pods.list(&ListParams::default()).await;
        let found = found.map_err(|error| error.to_string())?.items;
        let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
        let phases: Vec<_> = found.iter().map(phase).collect();
        match phases
            .iter()
            .filter(|phase| phase.as_deref() == Some("Running"))
            .count()
        {
            running if running == count => Ok(found),
            _ => Err(format!("{phases:?}")),
        }
    })
    .await
}

fn name(pod: &Pod) -> &str {
    pod.metadata
        .name
        .as_deref()
        .expect("a stored pod has a name")
}

/// What the metrics API says each pod of a namespace uses, in bytes.
fn memory(namespace: &TestNamespace) -> Vec<(String, u64)> {
    let path = format!(
        "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods",
        namespace.name()
    );
    let answer: Value =
        serde_json::from_str(&namespace.kubectl().ok(&["get", "--raw", &path])).expect("JSON");
    let items = answer["items"].as_array().expect("a list").iter();
    items
        .map(|item| {
            let usage = item["containers"][0]["usage"]["memory"]
                .as_str()
                .expect("a quantity");
            (
                item["metadata"]["name"]
                    .as_str()
                    .expect("a name")
                    .to_owned(),
                bytes(usage),
            )
        })
        .collect()
}

/// The metrics API prints plain bytes when they are no multiple of 1024.
fn bytes(usage: &str) -> u64 {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let with_unit = units
        .iter()
        .find_map(|(suffix, unit)| Some((usage.strip_suffix(suffix)?, *unit)));
    let (number, unit) = with_unit.unwrap_or((usage, 1));
    number.parse::<u64>().expect("a whole number") * unit
}

async fn a_deleted_pod_is_in_the_audit_log(shared: &Shared) {
    let cluster = shared.control_plane();
    let namespace = cluster.test_namespace("audit");
    namespace.create_workload(&Workload::deployment("web").replicas(2));
    let pods: Api<Pod> = Api::namespaced(cluster.client().await, namespace.name());
    let before = running(&pods, 2).await;
    let victim = name(before.first().expect("two pods"));
    let dry = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    pods.delete(victim, &dry).await.expect("a dry run");
    let deletes = || {
        let here = cluster.audit_entries().in_namespace(namespace.name());
        here.by_user("admin")
            .of_resource("pods")
            .with_verb("delete")
    };
    assert_eq!(deletes().entries().len(), 1, "the dry run is logged");
    assert!(
        deletes().effective().is_empty(),
        "the dry run changed nothing"
    );

    pods.delete(victim, &DeleteParams::default())
        .await
        .expect("the administrator may delete");
    let names: Vec<_> = deletes()
        .effective()
        .entries()
        .iter()
        .map(|entry| entry.name.clone())
        .collect();
    assert_eq!(names, [victim]);
    let after = until("a replacement", MINUTE, async || {
        let pods = running(&pods, 2).await;
        if pods.iter().any(|pod| name(pod) == victim) {
            Err(format!("{victim} is still there"))
        } else {
            Ok(pods)
        }
    })
    .await;
    assert_eq!(after.len(), 2);
}

async fn a_service_account_has_only_its_own_rights(shared: &Shared) {
    let cluster = shared.control_plane();
    let namespace = cluster.test_namespace("rights");
    namespace
        .kubectl()
        .ok(&["create", "serviceaccount", "reader"]);
    namespace
        .kubectl()
        .ok(&["create", "role", "reader", "--verb=list", "--resource=pods"]);
    let subject = format!("--serviceaccount={}:reader", namespace.name());
    namespace
        .kubectl()
        .ok(&["create", "rolebinding", "reader", "--role=reader", &subject]);
    let client = cluster.client_for(namespace.name(), "reader").await;
    let pods: Api<Pod> = Api::namespaced(client, namespace.name());
    until("the right to list", MINUTE, async || {
        pods.list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    let refused = pods.delete("none", &DeleteParams::default()).await;
    assert!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403),
        "{refused:?}"
    );

    let asked = cluster
        .audit_entries()
        .by_service_account(namespace.name(), "reader");
    assert_eq!(
        asked
            .entries()
            .iter()
            .map(|entry| entry.code)
            .collect::<Vec<_>>(),
        [403]
    );
    let kubeconfig = cluster.kubeconfig_for(namespace.name(), "reader").await;
    let whoami = cluster
        .kubectl()
        .as_user(&kubeconfig)
        .ok(&["auth", "whoami"]);
    assert!(
        whoami.contains(&format!(
            "system:serviceaccount:{}:reader",
            namespace.name()
        )),
        "{whoami}"
    );
}

async fn an_unknown_field_is_refused(shared: &Shared) {
    let namespace = shared.control_plane().test_namespace("strict");
    let refused =
        namespace.try_apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, dota: {a: b}}");
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && words.contains(".dota"),
        "{words}"
    );
}

async fn a_leak_grows_in_the_metrics_api(shared: &Shared) {
    let namespace = shared.control_plane().test_namespace("leak");
    let leaking = Workload::deployment("leaking")
        .memory("50Mi")
        .leak_per_second("2Mi")
        .memory_limit("512Mi");
    let bounded = Workload::deployment("bounded")
        .memory("50Mi")
        .leak_per_second("40Mi")
        .leak_max("96Mi");
    let plain = Workload::pod("plain");
    for workload in [leaking, bounded, plain] {
        namespace.create_workload(&workload);
    }
    let reading = async |workload: &str| {
        until("a reading", MINUTE, async || {
            let all = memory(&namespace);
            let found = all.iter().find(|(pod, _)| pod.starts_with(workload));
            found
                .map(|(_, bytes)| *bytes)
                .ok_or_else(|| format!("{all:?}"))
        })
        .await
    };
    let mebi = 1024 * 1024;
    assert_eq!(reading("plain").await, 32 * mebi);
    let first = reading("leaking").await;
    until("growth by 10 Mi", MINUTE, async || {
        match reading("leaking").await {
            now if now >= first + 10 * mebi => Ok(()),
            now => Err(format!("from {first} to {now} bytes")),
        }
    })
    .await;
    until("the bound", MINUTE, async || {
        match reading("bounded").await {
            now if now == 96 * mebi => Ok(()),
            now => Err(format!("{now} bytes")),
        }
    })
    .await;
}

async fn one_of_equal_pods_can_be_made_to_leak(shared: &Shared) {
    let cluster = shared.control_plane();
    let namespace = cluster.test_namespace("one");
    namespace.create_workload(&Workload::deployment("web").replicas(3).memory("64Mi"));
    let pods: Api<Pod> = Api::namespaced(cluster.client().await, namespace.name());
    let all = running(&pods, 3).await;
    let leaky = name(all.first().expect("three pods"));
    // long ago, so that the bound is reached at once
    let leak = [
        ("sim.kubeskippy.io/started-at", "2026-01-01T00:00:00Z"),
        ("sim.kubeskippy.io/leak-per-second", "1Mi"),
        ("sim.kubeskippy.io/leak-max", "200Mi"),
    ];
    namespace.annotate_pod(leaky, &leak);
    until("one pod at 200 Mi and two at 64 Mi", MINUTE, async || {
        let all = memory(&namespace);
        let right =
            |(pod, bytes): &(String, u64)| bytes >> 20 == if pod == leaky { 200 } else { 64 };
        if all.len() == 3 && all.iter().all(right) {
            Ok(())
        } else {
            Err(format!("{all:?}"))
        }
    })
    .await;
}

async fn prometheus_scrapes_the_api_server(shared: &Shared) {
    let url = shared.control_plane().prometheus_url().to_owned();
    let address = url.strip_prefix("http://").expect("an http URL").to_owned();
    until(
        "the API server as a target that is up",
        MINUTE,
        async || {
            let reply = harness::http_get(
                &address,
                "/api/v1/query?query=up%7Bjob%3D%22apiserver%22%7D",
            )?;
            let answer: Value =
                serde_json::from_str(&reply.1).map_err(|error| error.to_string())?;
            match answer["data"]["result"][0]["value"][1].as_str() {
                Some("1") => Ok(()),
                _ => Err(answer.to_string()),
            }
        },
    )
    .await;
}

async fn a_message_survives_a_killed_bus(_: &Shared) {
    let mut nats = Nats::start();
    let client = nats.client().await;
    let context = jetstream::new(client);
    let name = cluster_name("survives").replace('-', "_");
    let subject = format!("{name}.kept");
    let config = Config {
        name: name.clone(),
        subjects: vec![subject.clone()],
        ..Config::default()
    };
    context
        .create_stream(config)
        .await
        .expect("a stream is made");
    let publish = context
        .publish(subject.clone(), "before".into())
        .await
        .expect("sent");
    publish.await.expect("acknowledged");

    nats.kill();
    let lost = context.publish(subject.clone(), "during".into()).await;
    let lost = match lost {
        Ok(ack) => tokio::time::timeout(Duration::from_secs(2), ack.into_future())
            .await
            .is_err(),
        Err(_) => true,
    };
    assert!(lost, "a killed server acknowledged a message");
    nats.restart();

    let stream = until("the stream after the restart", MINUTE, async || {
        context
            .get_stream(&name)
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    let consumer = jetstream::consumer::pull::Config::default();
    let consumer = stream
        .create_consumer(consumer)
        .await
        .expect("a consumer is made");
    let mut messages = consumer.messages().await.expect("messages are served");
    let first = tokio::time::timeout(MINUTE, messages.next())
        .await
        .expect("a message in time");
    let first = first.expect("an open stream").expect("a message");
    assert_eq!(first.payload.as_ref(), b"before");
}

async fn a_real_process_runs_under_its_limit(shared: &Shared) -> Result<(), String> {
    shared.real_node()?;
    let cluster = shared.control_plane();
    let namespace = cluster.test_namespace("real");
    let leaky = ["/bin/leaky", "leak", "20000000"];
    namespace.create_workload(
        &Workload::pod("hog")
            .on_real_node(&leaky)
            .memory_limit("64Mi"),
    );
    let pods: Api<Pod> = Api::namespaced(cluster.client().await, namespace.name());
    until("the kernel's kill", MINUTE, async || {
        let pod = pods.get("hog").await.map_err(|error| error.to_string())?;
        let status = serde_json::to_value(&pod.status).map_err(|error| error.to_string())?;
        let container = &status["containerStatuses"][0];
        let reasons =
            ["state", "lastState"].map(|state| container[state]["terminated"]["reason"].clone());
        if reasons.iter().any(|reason| reason == "OOMKilled") {
            Ok(())
        } else {
            Err(container.to_string())
        }
    })
    .await;
    Ok(())
}
