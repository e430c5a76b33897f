use std::collections::BTreeMap;

use proptest::prelude::*;
use schemas::{object::PodState, target::Target};

use super::*;

mod joined;

fn scope(kind: Kind) -> Scope {
    Scope {
        kind,
        namespace: None,
    }
}

fn seen(kind: Kind, name: &str, uid: &str, owner: Option<(&str, &str)>) -> Seen {
    let state = ObjectState {
        target: Target {
            api_version: kind.api_version(),
            kind: kind.name().to_owned(),
            namespace: "n".to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        },
        owners: owner
            .map(|(kind, uid)| Owner {
                api_version: "apps/v1".to_owned(),
                kind: kind.to_owned(),
                name: format!("{kind}-{uid}"),
                uid: uid.to_owned(),
            })
            .into_iter()
            .collect(),
        pod: (kind == Kind::Pod).then(PodState::default),
        ..ObjectState::default()
    };
    Seen {
        state,
        version: uid.to_owned(),
    }
}

fn key(name: &str) -> Key {
    Key {
        kind: Kind::Pod,
        namespace: "n".to_owned(),
        name: name.to_owned(),
    }
}

fn pods(inventory: &mut Inventory, names: &[(&str, &str)]) -> Vec<Key> {
    inventory.listing(scope(Kind::Pod));
    for (name, uid) in names {
        inventory.seen(&scope(Kind::Pod), seen(Kind::Pod, name, uid, None));
    }
    inventory.listed(&scope(Kind::Pod))
}

#[test]
fn the_chain_of_owners_goes_through_the_replica_set_whichever_is_seen_first() {
    for set_first in [true, false] {
        let mut inventory = Inventory::default();
        let set = seen(Kind::ReplicaSet, "s", "set", Some(("Deployment", "dep")));
        let pod = seen(Kind::Pod, "p", "pod", Some(("ReplicaSet", "set")));
        if set_first {
            assert!(inventory.seen(&scope(Kind::ReplicaSet), set).is_empty());
            assert_eq!(inventory.seen(&scope(Kind::Pod), pod), [key("p")]);
        } else {
            inventory.seen(&scope(Kind::Pod), pod);
            let changed = inventory.seen(&scope(Kind::ReplicaSet), set);
            assert_eq!(changed, [key("p")], "the pod is told anew");
        }
        let owners = inventory.telling(&key("p")).unwrap().state.owners;
        let kinds: Vec<_> = owners.iter().map(|owner| owner.kind.as_str()).collect();
        assert_eq!(kinds, ["ReplicaSet", "Deployment"]);
    }
}

#[test]
fn owners_that_own_each_other_do_not_loop() {
    let mut inventory = Inventory::default();
    for (name, uid, owner) in [("a", "a", "b"), ("b", "b", "a")] {
        let job = seen(Kind::Job, name, uid, Some(("Job", owner)));
        inventory.seen(&scope(Kind::Job), job);
    }
    let pod = seen(Kind::Pod, "p", "p", Some(("Job", "a")));
    inventory.seen(&scope(Kind::Pod), pod);
    let owners = inventory.telling(&key("p")).unwrap().state.owners;
    assert_eq!(owners.len(), DEEPEST);
}

#[test]
fn the_same_state_seen_later_is_no_news() {
    let mut inventory = Inventory::default();
    let first = seen(Kind::Pod, "p", "u", None);
    let mut later = first.clone();
    later.state.observed_at = Timestamp::from_second(60).unwrap();
    later.version = "2".to_owned();
    assert_eq!(inventory.seen(&scope(Kind::Pod), first), [key("p")]);
    assert!(inventory.seen(&scope(Kind::Pod), later.clone()).is_empty());
    later.state.terminating = true;
    assert_eq!(inventory.seen(&scope(Kind::Pod), later), [key("p")]);
}

#[test]
fn a_namesake_is_told_after_the_end_of_its_predecessor() {
    let mut inventory = Inventory::default();
    pods(&mut inventory, &[("p", "old")]);
    inventory.seen(&scope(Kind::Pod), seen(Kind::Pod, "p", "new", None));
    let end = inventory.telling(&key("p")).unwrap();
    assert!(end.is_end && end.state.deleted);
    assert_eq!(end.state.target.uid, "old");
    assert!(
        inventory.told_end(&key("p"), "old"),
        "there is more to tell"
    );
    let state = inventory.telling(&key("p")).unwrap();
    assert!(!state.is_end && !state.state.deleted);
    assert_eq!(state.state.target.uid, "new");
}

#[test]
fn a_late_end_of_a_predecessor_does_not_end_its_namesake() {
    let mut inventory = Inventory::default();
    pods(&mut inventory, &[("p", "new")]);
    let gone = inventory.gone(&scope(Kind::Pod), &key("p"), "old");
    assert!(gone.is_empty());
    assert_eq!(inventory.count(Kind::Pod), 1);
}

#[test]
fn what_a_new_list_does_not_name_is_gone() {
    let mut inventory = Inventory::default();
    pods(&mut inventory, &[("p", "1"), ("q", "2")]);
    assert_eq!(pods(&mut inventory, &[("q", "2")]), [key("p")]);
    assert!(inventory.telling(&key("p")).unwrap().state.deleted);
    assert!(!inventory.told_end(&key("p"), "1"));
    assert_eq!(inventory.telling(&key("p")), None);
}

#[test]
fn a_list_of_one_namespace_ends_nothing_elsewhere() {
    let mut inventory = Inventory::default();
    pods(&mut inventory, &[("p", "1")]);
    let other = Scope {
        kind: Kind::Pod,
        namespace: Some("other".to_owned()),
    };
    inventory.listing(other.clone());
    assert!(inventory.listed(&other).is_empty());
    assert_eq!(inventory.count(Kind::Pod), 1);
}

#[test]
fn owners_are_remembered_as_long_as_a_pod_refers_to_them() {
    let mut inventory = Inventory::default();
    let set = scope(Kind::ReplicaSet);
    inventory.seen(
        &set,
        seen(Kind::ReplicaSet, "s", "set", Some(("Deployment", "dep"))),
    );
    inventory.seen(
        &scope(Kind::Pod),
        seen(Kind::Pod, "p", "pod", Some(("ReplicaSet", "set"))),
    );
    let place = Key {
        kind: Kind::ReplicaSet,
        ..key("s")
    };
    inventory.gone(&set, &place, "set");
    inventory.prune();
    assert_eq!(inventory.telling(&key("p")).unwrap().state.owners.len(), 2);
    inventory.gone(&scope(Kind::Pod), &key("p"), "pod");
    inventory.told_end(&key("p"), "pod");
    inventory.prune();
    assert!(inventory.owners.is_empty());
}

#[test]
fn what_an_earlier_collector_told_is_ended_unless_it_is_there_or_elsewhere() {
    let mut inventory = Inventory::default();
    pods(&mut inventory, &[("p", "1")]);
    let all = [scope(Kind::Pod)];
    let told = |name| seen(Kind::Pod, name, "0", None).state;
    assert_eq!(inventory.left_behind(&all, told("p")), None);
    let elsewhere = [Scope {
        kind: Kind::Pod,
        namespace: Some("other".to_owned()),
    }];
    assert_eq!(inventory.left_behind(&elsewhere, told("q")), None);
    assert_eq!(inventory.left_behind(&all, told("q")), Some(key("q")));
    assert!(inventory.telling(&key("q")).unwrap().state.deleted);
}

proptest! {
    /// Whatever happens, telling until nothing is left makes a reader know exactly what is there.
    #[test]
    fn a_reader_of_all_that_is_told_knows_what_is_there(steps in prop::collection::vec((0u8..3, 0u8..4, 0u8..4), 0..60)) {
        let mut inventory = Inventory::default();
        let mut reader: BTreeMap<String, String> = BTreeMap::new();
        let pod = scope(Kind::Pod);
        let mut changed = BTreeSet::new();
        for (step, name, uid) in steps {
            let (name, uid) = (name.to_string(), format!("{name}-{uid}"));
            match step {
                0 => changed.extend(inventory.seen(&pod, seen(Kind::Pod, &name, &uid, None))),
                1 => changed.extend(inventory.gone(&pod, &key(&name), &uid)),
                _ => {
                    inventory.listing(pod.clone());
                    changed.extend(inventory.seen(&pod, seen(Kind::Pod, &name, &uid, None)));
                    changed.extend(inventory.listed(&pod));
                }
            }
        }
        for key in changed {
            let mut more = true;
            while let Some(telling) = inventory.telling(&key).filter(|_| more) {
                let uid = telling.state.target.uid;
                if telling.is_end {
                    reader.retain(|_, known| *known != uid);
                    more = inventory.told_end(&key, &uid);
                } else {
                    reader.insert(key.name.clone(), uid);
                    more = false;
                }
            }
        }
        let there: BTreeMap<_, _> = inventory
            .of_kind(Kind::Pod)
            .map(|state| (state.target.name.clone(), state.target.uid.clone()))
            .collect();
        prop_assert_eq!(reader, there);
        prop_assert!(inventory.ended.is_empty());
    }
}
