//! What diagnosis asks of objects arrives in the stream, from a real API server and its controllers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use harness::{Shared, trial, until};
use libtest_mimic::Trial;
use schemas::object::{ObjectState, RevisionState};

use crate::stack::{Part, Stack};

const TOLD: Duration = Duration::from_mins(1);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "what_pods_stand_on_is_told",
            shared,
            what_pods_stand_on_is_told,
        ),
        trial(
            "a_rollout_is_told_as_what_changed_and_no_value_of_the_environment_is",
            shared,
            a_rollout_is_told_as_what_changed,
        ),
    ]
}

/// Waits until the collector told what `pick` finds among the objects of the stream.
async fn told<T>(stack: &Stack<'_>, what: &str, pick: impl Fn(&[ObjectState]) -> Option<T>) -> T {
    until(what, TOLD, async || {
        let objects: Vec<_> = stack.objects().await.into_values().collect();
        let names: Vec<_> = objects
            .iter()
            .map(|state| format!("{}/{}", state.target.kind, state.target.name))
            .collect();
        pick(&objects).ok_or_else(|| format!("{names:?}; {}", stack.tails()))
    })
    .await
}

/// The present object of this kind and name.
fn find<'a>(objects: &'a [ObjectState], kind: &str, name: &str) -> Option<&'a ObjectState> {
    let is_it = |state: &&ObjectState| {
        state.target.kind == kind && state.target.name == name && !state.deleted
    };
    objects.iter().find(is_it)
}

async fn collecting<'a>(shared: &'a Shared, name: &str) -> Stack<'a> {
    let mut stack = Stack::new(shared, name).await;
    stack.start_part(Part::Collector).await;
    stack.ready(Part::Collector);
    stack
}

const STANDS_ON: &str = "
apiVersion: v1
kind: ResourceQuota
metadata: {name: limits}
spec: {hard: {pods: '9', limits.memory: 2Gi}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: media}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast-ssd, resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: import}
spec:
  backoffLimit: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{name: app, image: 'simulated:1', resources: {limits: {memory: 64Mi}}}]
---
apiVersion: v1
kind: Service
metadata: {name: orders}
spec: {selector: {app: orders}, ports: [{port: 80}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: orders}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: orders}
  minReplicas: 2
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders}
spec:
  replicas: 2
  selector: {matchLabels: {app: orders}}
  template:
    metadata: {labels: {app: orders}}
    spec:
      containers: [{name: app, image: 'simulated:1', resources: {limits: {memory: 64Mi}}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 1
  serviceName: web
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: app
        image: 'simulated:1'
        resources: {limits: {memory: 64Mi}}
        env:
        - {name: ORDERS_URL, value: 'http://user:hush@orders:80'}
        - {name: NOWHERE_URL, value: 'http://nowhere:80'}
        - {name: KEY, valueFrom: {secretKeyRef: {name: login, key: key, optional: true}}}
        livenessProbe: {exec: {command: [hush]}, periodSeconds: 7}
      volumes: [{name: media, persistentVolumeClaim: {claimName: media}}]
";

async fn what_pods_stand_on_is_told(shared: &Shared) {
    let stack = collecting(shared, "stands-on").await;
    stack.namespace.apply(STANDS_ON);
    told(&stack, "a quota and its use", |objects| {
        let quota = find(objects, "ResourceQuota", "limits")?.quota.as_ref()?;
        let hard = quota.hard.get("limits.memory") == Some(&2_147_483_648.0);
        // two of the Deployment, one of the StatefulSet, and one of the Job until it is done
        let used = quota.used.get("pods")?;
        (hard && (3.0..=4.0).contains(used)).then_some(())
    })
    .await;
    told(&stack, "a claim that waits", |objects| {
        let claim = find(objects, "PersistentVolumeClaim", "media")?
            .claim
            .as_ref()?;
        (claim.phase == "Pending" && claim.storage_class == "fast-ssd").then_some(())
    })
    .await;
    told(&stack, "a Job", |objects| {
        let job = find(objects, "Job", "import")?.job?;
        (job.backoff_limit == 2 && job.active + job.succeeded + job.failed > 0).then_some(())
    })
    .await;
    told(&stack, "an autoscaler", |objects| {
        let found = find(objects, "HorizontalPodAutoscaler", "orders")?;
        let scaler = found.autoscaler.as_ref()?;
        let is_it = scaler.scales_name == "orders" && scaler.max_replicas == 4;
        (is_it && scaler.current_replicas == 2).then_some(())
    })
    .await;
    told(&stack, "a Service with two ready endpoints", |objects| {
        let service = find(objects, "Service", "orders")?.service.as_ref()?;
        let selects = service
            .selector
            .get("app")
            .is_some_and(|app| app == "orders");
        (selects && (service.ready, service.not_ready) == (2, 0)).then_some(())
    })
    .await;
    let pod = told(&stack, "a pod that calls the Service", |objects| {
        let pod = find(objects, "Pod", "web-0")?.clone();
        let calls = pod.pod.as_ref().is_some_and(|pod| !pod.calls.is_empty());
        calls.then_some(pod)
    })
    .await;
    the_pod_tells_what_it_needs(&pod);
    told(&stack, "the StatefulSet's revision", |objects| {
        let mut each = objects.iter();
        each.find_map(|state| {
            let revision = state.revision.as_ref()?;
            let is_it = state.target.kind == "ControllerRevision"
                && pod.labels.get("controller-revision-hash") == Some(&revision.hash);
            (is_it && revision.template.get("containers[app].image")? == "simulated:1")
                .then_some(())
        })
    })
    .await;
    let all = serde_json::to_string(&stack.objects().await).expect("states are JSON");
    assert!(!all.contains("hush"), "a value got out");
}

fn the_pod_tells_what_it_needs(state: &ObjectState) {
    let pod = state.pod.as_ref().expect("a pod");
    let calls: Vec<_> = pod
        .calls
        .iter()
        .map(|called| called.name.as_str())
        .collect();
    assert_eq!(calls, ["orders"]);
    let needs: Vec<_> = pod
        .needs
        .iter()
        .map(|need| (need.kind.as_str(), need.name.as_str(), need.optional))
        .filter(|(_, name, _)| *name != "kube-root-ca.crt")
        .collect();
    assert_eq!(
        needs,
        [
            ("PersistentVolumeClaim", "media", false),
            ("Secret", "login", true)
        ]
    );
    let probe = pod.containers[0].probes.liveness.expect("a probe");
    assert_eq!(probe.period_seconds, 7);
    let scheduled = state
        .condition("PodScheduled")
        .expect("the scheduler's word");
    assert_eq!(scheduled.status, "False", "{scheduled:?}");
    assert!(scheduled.message.contains("unbound"), "{scheduled:?}");
}

fn deployment(image: &str, memory: &str, token: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - name: app
        image: '{image}'
        resources: {{limits: {{memory: {memory}}}}}
        env: [{{name: TOKEN, value: '{token}'}}, {{name: TIER, value: tier-of-web}}]
"
    )
}

/// The revisions of the Deployment, by number.
fn revisions(objects: &[ObjectState]) -> BTreeMap<i64, RevisionState> {
    let of_sets = objects.iter().filter(|state| {
        let is_set = state.target.kind == "ReplicaSet" && !state.deleted;
        is_set && state.owners.iter().any(|owner| owner.name == "web")
    });
    of_sets
        .filter_map(|state| state.revision.clone())
        .map(|revision| (revision.number, revision))
        .collect()
}

/// The fields that differ.
fn changed<'a>(one: &'a RevisionState, two: &'a RevisionState) -> Vec<&'a str> {
    let paths = one.template.keys().chain(two.template.keys());
    let mut differ: Vec<_> = paths
        .filter(|path| one.template.get(*path) != two.template.get(*path))
        .map(String::as_str)
        .collect();
    differ.sort_unstable();
    differ.dedup();
    differ
}

async fn a_rollout_is_told_as_what_changed(shared: &Shared) {
    let mut stack = collecting(shared, "revisions").await;
    stack
        .namespace
        .apply(&deployment("simulated:1", "64Mi", "hush-one"));
    let ready = |number: i64| {
        move |objects: &[ObjectState]| {
            let all = revisions(objects);
            let newest = all.get(&number)?;
            (newest.ready == Some(1) && newest.replicas == Some(1)).then_some(all)
        }
    };
    told(&stack, "the first revision", ready(1)).await;
    stack
        .namespace
        .apply(&deployment("simulated:2", "128Mi", "hush-one"));
    let all = told(&stack, "the second revision", ready(2)).await;
    assert_eq!(
        changed(&all[&1], &all[&2]),
        [
            "containers[app].image",
            "containers[app].resources.limits.memory"
        ]
    );
    assert_eq!(all[&1].template["containers[app].image"], "simulated:1");
    assert_eq!(all[&2].template["containers[app].image"], "simulated:2");

    stack
        .namespace
        .apply(&deployment("simulated:2", "128Mi", "hush-two"));
    let all = told(&stack, "the third revision", ready(3)).await;
    assert_eq!(changed(&all[&2], &all[&3]), ["containers[app].env[TOKEN]"]);
    let text = serde_json::to_string(&stack.objects().await).expect("states are JSON");
    assert!(!text.contains("hush") && !text.contains("tier-of-web"));

    // another collector tells the same, so that what it tells can be compared with what was told
    stack.part(Part::Collector).program.kill_hard();
    stack.start_part(Part::Collector).await;
    stack.ready(Part::Collector);
    stack
        .namespace
        .apply(&deployment("simulated:3", "128Mi", "hush-two"));
    let all = told(&stack, "the fourth revision", ready(4)).await;
    assert_eq!(changed(&all[&3], &all[&4]), ["containers[app].image"]);
}
