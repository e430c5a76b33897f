//! What is put together: Services with their endpoints, pods with the Services
//! that they call, and the newest revisions.

use schemas::object::{RevisionState, ServiceName, ServiceState};

use super::*;
use crate::reading::endpoints::{FAMILY, SERVICE};

fn place(kind: Kind, name: &str) -> Key {
    Key { kind, ..key(name) }
}

fn labels(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Shows an object, and returns what is to be told.
fn show(inventory: &mut Inventory, kind: Kind, seen: Seen) -> Vec<Key> {
    inventory.seen(&scope(kind), seen)
}

fn service(name: &str, selector: &[(&str, &str)]) -> Seen {
    let mut service = seen(Kind::Service, name, name, None);
    service.state.service = Some(ServiceState {
        selector: labels(selector),
        ..ServiceState::default()
    });
    service
}

fn slice(name: &str, of: &str, family: &str, (ready, not_ready): (u32, u32)) -> Seen {
    let mut slice = seen(Kind::EndpointSlice, name, name, Some(("Service", of)));
    slice.state.labels = labels(&[(SERVICE, of), (FAMILY, family)]);
    slice.state.service = Some(ServiceState {
        ready,
        not_ready,
        ..ServiceState::default()
    });
    slice
}

fn endpoints(inventory: &Inventory, name: &str) -> (u32, u32) {
    let telling = inventory.telling(&place(Kind::Service, name)).unwrap();
    let service = telling.state.service.unwrap();
    (service.ready, service.not_ready)
}

#[test]
fn a_service_is_told_with_the_endpoints_of_all_its_slices() {
    let mut inventory = Inventory::default();
    let web = place(Kind::Service, "web");
    let first = slice("a", "web", "IPv4", (2, 1));
    assert!(
        show(&mut inventory, Kind::EndpointSlice, first).is_empty(),
        "no Service yet"
    );
    show(
        &mut inventory,
        Kind::Service,
        service("web", &[("app", "web")]),
    );
    assert_eq!(endpoints(&inventory, "web"), (2, 1));
    let second = slice("b", "web", "IPv4", (1, 0));
    assert_eq!(
        show(&mut inventory, Kind::EndpointSlice, second),
        std::slice::from_ref(&web)
    );
    let other_family = slice("c", "web", "IPv6", (2, 0));
    show(&mut inventory, Kind::EndpointSlice, other_family);
    let of_another = slice("d", "api", "IPv4", (9, 9));
    assert!(show(&mut inventory, Kind::EndpointSlice, of_another).is_empty());
    assert_eq!(endpoints(&inventory, "web"), (3, 1), "each pod counts once");
    let gone = inventory.gone(
        &scope(Kind::EndpointSlice),
        &place(Kind::EndpointSlice, "a"),
        "a",
    );
    assert_eq!(gone, [web], "the slice itself is not told");
    assert_eq!(endpoints(&inventory, "web"), (2, 0));
    assert!(inventory.ended.is_empty());
}

fn calling(name: &str, services: &[&str]) -> Seen {
    let mut pod = seen(Kind::Pod, name, name, None);
    pod.state.labels = labels(&[("app", name)]);
    pod.state.pod.as_mut().unwrap().calls = services
        .iter()
        .map(|name| ServiceName {
            namespace: "n".to_owned(),
            name: (*name).to_owned(),
        })
        .collect();
    pod
}

fn calls(inventory: &Inventory, pod: &str) -> Vec<String> {
    let telling = inventory.telling(&key(pod)).unwrap();
    let calls = telling.state.pod.unwrap().calls;
    calls.into_iter().map(|called| called.name).collect()
}

#[test]
fn a_call_is_told_while_the_service_exists_and_is_not_the_pods_own() {
    let mut inventory = Inventory::default();
    show(
        &mut inventory,
        Kind::Pod,
        calling("web", &["hush", "orders", "web"]),
    );
    show(&mut inventory, Kind::Pod, calling("other", &[]));
    assert!(
        calls(&inventory, "web").is_empty(),
        "no word gets out that is no Service"
    );
    let orders = service("orders", &[("app", "orders")]);
    let changed = show(&mut inventory, Kind::Service, orders.clone());
    assert_eq!(changed, [key("web"), place(Kind::Service, "orders")]);
    show(
        &mut inventory,
        Kind::Service,
        service("web", &[("app", "web")]),
    );
    assert_eq!(calls(&inventory, "web"), ["orders"]);
    let mut again = orders;
    again.state.labels = labels(&[("x", "y")]);
    let changed = show(&mut inventory, Kind::Service, again);
    assert_eq!(
        changed,
        [place(Kind::Service, "orders")],
        "the callers have nothing new"
    );
    let gone = inventory.gone(
        &scope(Kind::Service),
        &place(Kind::Service, "orders"),
        "orders",
    );
    assert_eq!(gone, [key("web"), place(Kind::Service, "orders")]);
    assert!(calls(&inventory, "web").is_empty());
}

fn revision(name: &str, number: i64, ready: i32) -> Seen {
    let mut set = seen(Kind::ReplicaSet, name, name, Some(("Deployment", "web")));
    set.state.revision = Some(RevisionState {
        number,
        template: labels(&[("containers[app].image", name)]),
        ready: Some(ready),
        ..RevisionState::default()
    });
    set
}

fn told(inventory: &Inventory) -> Vec<String> {
    let told = inventory.published();
    told.map(|key| inventory.telling(key).unwrap().state.target.name)
        .collect()
}

#[test]
fn the_newest_revisions_are_told_and_older_ones_thinned() {
    let mut inventory = Inventory::default();
    for (name, number) in [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)] {
        let changed = show(&mut inventory, Kind::ReplicaSet, revision(name, number, 0));
        assert_eq!(changed, [place(Kind::ReplicaSet, name)]);
    }
    assert_eq!(told(&inventory), ["c", "d", "e"]);
    let old = place(Kind::ReplicaSet, "a");
    assert_eq!(inventory.telling(&old), None);
    let kept = &inventory.objects[&old].state.revision;
    assert!(kept.as_ref().unwrap().template.is_empty());
    assert!(show(&mut inventory, Kind::ReplicaSet, revision("b", 2, 1)).is_empty());

    let changed = show(&mut inventory, Kind::ReplicaSet, revision("a", 6, 0));
    assert_eq!(changed, std::slice::from_ref(&old), "a rollback");
    assert_eq!(told(&inventory), ["a", "d", "e"]);

    let gone = inventory.gone(&scope(Kind::ReplicaSet), &old, "a");
    assert_eq!(gone, std::slice::from_ref(&old));
    assert!(inventory.telling(&old).unwrap().state.deleted);
    assert!(!inventory.told_end(&old, "a"));
    assert_eq!(
        told(&inventory),
        ["d", "e"],
        "what was thinned is not told half"
    );
    inventory.listing(scope(Kind::ReplicaSet));
    for (name, number) in [("c", 3), ("d", 4), ("e", 5)] {
        show(&mut inventory, Kind::ReplicaSet, revision(name, number, 0));
    }
    inventory.listed(&scope(Kind::ReplicaSet));
    let present = told(&inventory).into_iter().filter(|name| name != "b");
    assert_eq!(present.collect::<Vec<_>>(), ["c", "d", "e"]);
}

#[test]
fn a_set_that_nobody_numbers_is_a_link_alone_and_its_end_is_not_told() {
    let mut inventory = Inventory::default();
    let set = seen(Kind::ReplicaSet, "s", "set", None);
    assert!(show(&mut inventory, Kind::ReplicaSet, set).is_empty());
    let gone = inventory.gone(
        &scope(Kind::ReplicaSet),
        &place(Kind::ReplicaSet, "s"),
        "set",
    );
    assert!(gone.is_empty() && inventory.ended.is_empty());
}

proptest! {
    /// Whatever comes and goes, exactly the three highest numbers among whole revisions' owners are told.
    #[test]
    fn no_order_of_revisions_tells_other_than_the_newest(steps in prop::collection::vec((any::<bool>(), 0u8..6, 0i64..20), 1..60)) {
        let mut inventory = Inventory::default();
        for (comes, name, number) in steps {
            let name = name.to_string();
            if comes {
                show(&mut inventory, Kind::ReplicaSet, revision(&name, number, 0));
            } else {
                inventory.gone(&scope(Kind::ReplicaSet), &place(Kind::ReplicaSet, &name), &name);
            }
        }
        let mut all: Vec<_> = inventory.of_kind(Kind::ReplicaSet)
            .map(|state| (std::cmp::Reverse(state.revision.as_ref().unwrap().number), state.target.name.clone()))
            .collect();
        all.sort();
        let newest: BTreeSet<_> = all.iter().take(3).map(|(_, name)| name.clone()).collect();
        let present = inventory.published().filter_map(|key| inventory.telling(key)).filter(|told| !told.is_end);
        for told in present {
            prop_assert!(newest.contains(&told.state.target.name));
            prop_assert!(!told.state.revision.unwrap().template.is_empty());
        }
        let older = all.iter().skip(3);
        for (_, name) in older {
            prop_assert!(inventory.objects[&place(Kind::ReplicaSet, name)].state.revision.as_ref().unwrap().template.is_empty());
        }
    }
}
