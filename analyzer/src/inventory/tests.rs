use schemas::object::{
    AutoscalerState, BudgetState, ClaimState, NodeState, Owner, QuotaState, RevisionState,
    ServiceState,
};

use super::*;
use crate::testing::{at, object, pod, policy, scope_of, target};

#[test]
fn a_deleted_object_leaves_every_index() {
    let mut inventory = Inventory::default();
    inventory.apply(pod("web-1").owned_by("web").state(), at(0));
    assert_eq!(inventory.pods_of("uid-web").count(), 1);
    let gone = ObjectState {
        deleted: true,
        ..pod("web-1").owned_by("web").state()
    };
    inventory.apply(gone, at(1));
    assert!(inventory.is_empty() && inventory.by_kind.is_empty());
    assert!(inventory.by_namespace.is_empty() && inventory.by_node.is_empty());
    assert_eq!(inventory.pods_of("uid-web").count(), 0);
}

#[test]
fn a_pod_that_ends_or_has_ended_well_is_no_target() {
    let scope = scope_of(&policy("p"));
    let mut inventory = Inventory::default();
    inventory.apply(pod("stays").state(), at(0));
    let mut ending = pod("ends").state();
    ending.terminating = true;
    inventory.apply(ending, at(0));
    let mut done = pod("done").state();
    done.pod.as_mut().unwrap().phase = "Succeeded".to_owned();
    inventory.apply(done, at(0));
    let names: Vec<_> = inventory
        .targets(&scope)
        .iter()
        .map(|state| state.target.name.clone())
        .collect();
    assert_eq!(names, ["stays"]);
}

#[test]
fn an_object_nobody_speaks_of_any_more_is_forgotten() {
    let mut inventory = Inventory::default();
    inventory.apply(pod("silent").state(), at(0));
    inventory.apply(pod("repeated").state(), at(0));
    inventory.apply(pod("repeated").state(), at(50));
    let span = SignedDuration::from_secs(60);
    assert!(inventory.expire(at(60), span).is_empty());
    assert_eq!(inventory.expire(at(61), span), ["uid-silent"]);
    assert_eq!(inventory.len(), 1);
}

fn names<'a>(states: impl IntoIterator<Item = &'a ObjectState>) -> Vec<&'a str> {
    let name = |state: &'a ObjectState| state.target.name.as_str();
    states.into_iter().map(name).collect()
}

fn known(states: impl IntoIterator<Item = ObjectState>) -> Inventory {
    let mut inventory = Inventory::default();
    for state in states {
        inventory.apply(state, at(0));
    }
    inventory
}

fn elsewhere(mut state: ObjectState) -> ObjectState {
    state.target.namespace = "elsewhere".to_owned();
    state.target.uid.push_str("-elsewhere");
    state
}

fn labels(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    of.iter().map(owned).collect()
}

fn revision(name: &str, number: i64, owners: &[&str]) -> ObjectState {
    let owner = |name: &&str| Owner {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: (*name).to_owned(),
        uid: format!("uid-{name}"),
    };
    ObjectState {
        owners: owners.iter().map(owner).collect(),
        revision: Some(RevisionState {
            number,
            ..RevisionState::default()
        }),
        ..object("ReplicaSet", name)
    }
}

fn service(name: &str, selector: &[(&str, &str)]) -> ObjectState {
    ObjectState {
        service: Some(ServiceState {
            selector: labels(selector),
            ..ServiceState::default()
        }),
        ..object("Service", name)
    }
}

fn budget(name: &str, match_labels: &[(&str, &str)]) -> ObjectState {
    ObjectState {
        budget: Some(BudgetState {
            match_labels: labels(match_labels),
            disruptions_allowed: 0,
        }),
        ..object("PodDisruptionBudget", name)
    }
}

fn autoscaler(name: &str, kind: &str, scales: &str) -> ObjectState {
    ObjectState {
        autoscaler: Some(AutoscalerState {
            scales_kind: kind.to_owned(),
            scales_name: scales.to_owned(),
            ..AutoscalerState::default()
        }),
        ..object("HorizontalPodAutoscaler", name)
    }
}

#[test]
fn revisions_of_an_owner_stand_newest_first_whatever_their_age() {
    let mut rolled_back = revision("web-a", 12, &["web", "shop-app"]);
    rolled_back.created_at = Some(at(-100));
    let mut inventory = known([
        revision("web-b", 9, &["web", "shop-app"]),
        rolled_back,
        revision("api-a", 11, &["api", "shop-app"]),
    ]);
    assert_eq!(names(inventory.revisions_of("uid-web")), ["web-a", "web-b"]);
    let of_all = names(inventory.revisions_of("uid-shop-app"));
    assert_eq!(of_all, ["web-a", "api-a", "web-b"]);
    let gone = ObjectState {
        deleted: true,
        ..revision("web-a", 12, &["web", "shop-app"])
    };
    inventory.apply(gone, at(1));
    assert_eq!(names(inventory.revisions_of("uid-web")), ["web-b"]);
}

#[test]
fn a_revision_that_is_told_without_its_chain_of_owners_leaves_the_index_of_the_longer_chain() {
    let mut inventory = known([revision("web-a", 1, &["web", "shop-app"])]);
    inventory.apply(revision("web-a", 1, &["web"]), at(1));
    assert_eq!(inventory.revisions_of("uid-shop-app").len(), 0);
    assert_eq!(names(inventory.revisions_of("uid-web")), ["web-a"]);
}

#[test]
fn services_and_budgets_belong_to_a_pod_by_its_labels_in_its_namespace() {
    let inventory = known([
        service("web", &[("app", "web")]),
        service("web-canary", &[("app", "web"), ("track", "canary")]),
        service("by-hand", &[]),
        elsewhere(service("web", &[("app", "web")])),
        budget("web-budget", &[("app", "web")]),
        budget("by-expression", &[]),
        elsewhere(budget("web-budget", &[("app", "web")])),
        pod("web-1").labelled("app", "web").state(),
        pod("api-1").labelled("app", "api").state(),
    ]);
    let of = pod("web-1").labelled("app", "web").state();
    assert_eq!(names(inventory.services_selecting(&of)), ["web"]);
    assert_eq!(names(inventory.budgets_covering(&of)), ["web-budget"]);
    let service = inventory.service("shop", "web").unwrap();
    assert_eq!(names(inventory.pods_behind(service)), ["web-1"]);
    let by_hand = inventory.service("shop", "by-hand").unwrap();
    assert_eq!(inventory.pods_behind(by_hand).count(), 0);
    assert!(inventory.service("elsewhere", "by-hand").is_none());
}

#[test]
fn an_autoscaler_is_found_by_what_it_scales() {
    let inventory = known([
        autoscaler("web", "Deployment", "web"),
        autoscaler("set", "StatefulSet", "web"),
        elsewhere(autoscaler("web", "Deployment", "web")),
    ]);
    let web = target("Deployment", "web");
    assert_eq!(names(inventory.autoscalers_of(&web)), ["web"]);
}

#[test]
fn claims_quotas_and_nodes_are_found_where_they_live() {
    let claim = ObjectState {
        claim: Some(ClaimState::default()),
        ..object("PersistentVolumeClaim", "data")
    };
    let quota = ObjectState {
        quota: Some(QuotaState::default()),
        ..object("ResourceQuota", "all")
    };
    let mut node = ObjectState {
        node: Some(NodeState::default()),
        ..object("Node", "node-1")
    };
    node.target.namespace = String::new();
    let inventory = known([elsewhere(claim), quota, node, pod("web-1").state()]);
    assert!(inventory.claim("shop", "data").is_none());
    assert!(inventory.claim("elsewhere", "data").is_some());
    assert_eq!(names(inventory.quotas("shop")), ["all"]);
    assert_eq!(names(inventory.nodes()), ["node-1"]);
    assert_eq!(
        inventory.find("Node", "", "node-1").unwrap().target.uid,
        "uid-node-1"
    );
    assert_eq!(names(inventory.pods_on("node-1")), ["web-1"]);
}

#[test]
fn a_pod_that_is_bound_later_is_found_on_its_node() {
    let mut unbound = pod("web-1").state();
    unbound.pod.as_mut().unwrap().node = String::new();
    let mut inventory = known([unbound]);
    assert_eq!(inventory.pods_on("").count(), 0);
    inventory.apply(pod("web-1").state(), at(1));
    assert_eq!(names(inventory.pods_on("node-1")), ["web-1"]);
}

/// A message as the collector writes it.
fn told(kind: &str, name: &str, part: &str) -> ObjectState {
    let message = format!(
        r#"{{"apiVersion": "v1", "kind": "{kind}", "namespace": "shop", "name": "{name}", "uid": "uid-{name}",
        "observedAt": "2026-01-01T00:00:00Z", "deleted": false, "terminating": false, {part}}}"#
    );
    serde_json::from_str(&message).unwrap()
}

const OWNED: &str = r#""owners": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "uid-web"}]"#;

/// A pod that has no volume yet, and calls a Service.
fn waiting() -> ObjectState {
    let pod = r#""labels": {"app": "web"}, "pod": {"phase": "Pending", "containers": [],
        "needs": [{"kind": "PersistentVolumeClaim", "name": "media", "via": "volume", "optional": false}],
        "calls": [{"namespace": "shop", "name": "orders"}]}"#;
    told("Pod", "web-1", &format!("{OWNED}, {pod}"))
}

/// Everything that the pod stands on, and what stands on it.
fn around() -> [ObjectState; 9] {
    let set = |number: u8| {
        format!(
            r#"{OWNED}, "revision": {{"number": {number}, "hash": "h", "replicas": 1, "ready": 0,
            "template": {{"containers[app].image": "web:{number}"}}}}"#
        )
    };
    let parts = [
        (
            "Service",
            "web-service",
            r#""service": {"selector": {"app": "web"}, "ready": 0, "notReady": 1}"#,
        ),
        (
            "Service",
            "orders",
            r#""service": {"selector": {"app": "orders"}, "ready": 2, "notReady": 0}"#,
        ),
        (
            "PersistentVolumeClaim",
            "media",
            r#""claim": {"phase": "Pending", "storageClass": "fast"}"#,
        ),
        (
            "ResourceQuota",
            "limits",
            r#""quota": {"hard": {"pods": 9.0}, "used": {"pods": 9.0}}"#,
        ),
        (
            "HorizontalPodAutoscaler",
            "scaler",
            r#""autoscaler": {"scalesKind": "Deployment", "scalesName": "web", "minReplicas": 1, "maxReplicas": 4,
            "desiredReplicas": 4, "currentReplicas": 3}"#,
        ),
        (
            "PodDisruptionBudget",
            "budget",
            r#""budget": {"matchLabels": {"app": "web"}, "disruptionsAllowed": 0}"#,
        ),
        (
            "Job",
            "import",
            r#""job": {"active": 0, "succeeded": 0, "failed": 3, "backoffLimit": 2}"#,
        ),
        ("ReplicaSet", "web-a", &set(1)),
        ("ReplicaSet", "web-b", &set(2)),
    ];
    parts.map(|(kind, name, part)| told(kind, name, part))
}

#[test]
fn what_the_collector_tells_of_a_pods_surroundings_is_found_from_the_pod() {
    let pod = waiting();
    let inventory = known(around().into_iter().chain([pod.clone()]));
    assert_eq!(names(inventory.services_selecting(&pod)), ["web-service"]);
    let service = inventory.service("shop", "web-service").unwrap();
    assert_eq!(names(inventory.pods_behind(service)), ["web-1"]);
    let state = pod.pod.as_ref().unwrap();
    let called = &state.calls[0];
    let orders = inventory.service(&called.namespace, &called.name).unwrap();
    assert_eq!(orders.service.as_ref().unwrap().ready, 2);
    let claim = inventory.claim("shop", &state.needs[0].name).unwrap();
    assert_eq!(claim.claim.as_ref().unwrap().phase, "Pending");
    let quota = inventory.quotas("shop").next().unwrap();
    assert!(crate::evidence::is_used_up(quota.quota.as_ref().unwrap()));
    assert_eq!(names(inventory.budgets_covering(&pod)), ["budget"]);
}

#[test]
fn what_the_collector_tells_of_a_workload_is_found_from_the_workload() {
    let inventory = known(around().into_iter().chain([waiting()]));
    let revisions = inventory.revisions_of("uid-web");
    assert_eq!(names(revisions.iter().copied()), ["web-b", "web-a"]);
    let newest = revisions[0].revision.as_ref().unwrap();
    assert_eq!(newest.template["containers[app].image"], "web:2");
    let pods = names(inventory.pods_of("uid-web"));
    assert_eq!(pods, ["web-1"], "a revision is no pod");
    let web = target("Deployment", "web");
    let scaler = inventory.autoscalers_of(&web).next().unwrap();
    assert_eq!(scaler.autoscaler.as_ref().unwrap().current_replicas, 3);
    let job = inventory.find("Job", "shop", "import").unwrap();
    assert_eq!(job.job.unwrap().failed, 3);
}
