//! Joins objects and usage into the rows of a scrape.
//!
//! In: the inventory, the latest usage, the tick. Out: a row per container of
//! every pod, in shards by pod, and a row per node. A container without usage
//! has a row all the same; what is not known in it is null.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    object::{ContainerState, ObjectState, Owner, PodState},
    sample::Shard,
};

use crate::{
    inventory::Inventory,
    kind::Kind,
    reading::{
        Key,
        usage::{Freshness, Measured, Usage},
    },
};

/// Pods that make one shard, so that a message stays far below what a server takes.
const PODS_PER_SHARD: usize = 2000;

/// One container at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The pod.
    pub state: &'a ObjectState,
    /// Its particulars.
    pub pod: &'a PodState,
    /// The container.
    pub container: &'a ContainerState,
    /// The pod's top-most known owner.
    pub owner: Option<&'a Owner>,
    /// Its usage, when there is any that is fresh.
    pub measured: Option<Measured>,
}

/// One node at one instant.
#[derive(Clone, Copy, Debug)]
pub struct NodeRow<'a> {
    /// The node.
    pub state: &'a ObjectState,
    /// Its usage, when there is any that is fresh.
    pub measured: Option<Measured>,
}

/// The rows of every container, in as many groups as there are shards.
pub fn containers<'a>(
    inventory: &'a Inventory,
    usage: &Usage,
    freshness: &Freshness,
    shards: u32,
) -> Vec<Vec<Row<'a>>> {
    let mut groups = vec![Vec::new(); shards as usize];
    for state in inventory.of_kind(Kind::Pod) {
        let Some(pod) = &state.pod else { continue };
        let owner = inventory.top_owner(state);
        let Some(group) = groups.get_mut(shard(&state.target.uid, shards).index as usize) else {
            continue;
        };
        group.extend(pod.containers.iter().map(|container| Row {
            state,
            pod,
            container,
            owner,
            measured: usage.of_container(
                (&state.target.namespace, &state.target.name, &container.name),
                state.created_at,
                freshness,
            ),
        }));
    }
    groups
}

/// The rows of every node.
pub fn nodes<'a>(
    inventory: &'a Inventory,
    usage: &Usage,
    freshness: &Freshness,
) -> Vec<NodeRow<'a>> {
    inventory
        .of_kind(Kind::Node)
        .map(|state| NodeRow {
            state,
            measured: usage.of_node(&state.target.name, freshness),
        })
        .collect()
}

/// How many shards `pods` make when none are configured.
pub fn shards(pods: usize) -> u32 {
    u32::try_from(pods.div_ceil(PODS_PER_SHARD))
        .unwrap_or(u32::MAX)
        .max(1)
}

/// The shard of a pod: the same in every collector, for as long as the pod lives.
pub fn shard(pod_uid: &str, count: u32) -> Shard {
    let index = hash(pod_uid.bytes()) % u64::from(count.max(1));
    Shard {
        index: u32::try_from(index).unwrap_or_default(),
        count,
    }
}

/// In which of `slots` an object is told anew.
pub fn slot(key: &Key, slots: u64) -> u64 {
    let Key {
        kind,
        namespace,
        name,
    } = key;
    let parts = [kind.name(), namespace, name];
    hash(parts.into_iter().flat_map(str::bytes)) % slots.max(1)
}

/// FNV-1a: stable across builds and machines, which the standard hasher is not.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The latest instant at or before `now` that is a multiple of `interval_ms` since 1970.
pub fn tick_at(now: Timestamp, interval_ms: i64) -> Timestamp {
    let ms = now.as_millisecond();
    Timestamp::from_millisecond(ms - ms.rem_euclid(interval_ms.max(1))).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shards_grow_with_the_pods() {
        assert_eq!([0, 1, 2000, 2001, 150_000].map(shards), [1, 1, 1, 2, 75]);
    }

    proptest! {
        #[test]
        fn every_pod_has_a_shard(uid in ".*", count in 1u32..1000) {
            prop_assert!(shard(&uid, count).index < count);
        }

        #[test]
        fn a_tick_is_a_multiple_within_one_interval(ms in 0i64..4_000_000_000_000, interval in 1i64..600_000) {
            let tick = tick_at(Timestamp::from_millisecond(ms).unwrap(), interval).as_millisecond();
            prop_assert!(tick % interval == 0 && tick <= ms && ms - tick < interval);
        }
    }
}
