//! The columns of a scrape on the wire.
//!
//! A scrape travels as Arrow IPC streams, one per shard: a row per container,
//! units in the column names. Dictionary-encoded columns hold the names that
//! repeat; a measurement that was not to be had is null, never zero.
//!
//! All shards of one scrape carry the same [`TICK`] and the same [`CUT`]: the
//! last sequences of the objects and events streams that were published before
//! it. A reader that applies objects and events up to the cut, and only those,
//! sees exactly what the collector saw, live or replayed.
//!
//! Pure: no IO, no clock.

use std::{fmt, str::FromStr};

/// Header: the schema of the payload; see [`SCHEMA_VERSION`].
pub const SCHEMA: &str = "Kubeskippy-Schema";
/// The schema written today. Readers refuse another major number and ignore columns they do not know.
pub const SCHEMA_VERSION: &str = "containers/1";
/// The schema of node samples.
pub const NODE_SCHEMA_VERSION: &str = "nodes/1";
/// The last token of the subject on which node samples travel, out of the way of the shards of containers.
pub const NODE_SUBJECT: u32 = 65_535;
/// Header: the instant of the scrape, in milliseconds since 1970 UTC.
pub const TICK: &str = "Kubeskippy-Tick";
/// Header: which of how many shards this is, as `index/count`.
pub const SHARD: &str = "Kubeskippy-Shard";
/// Header: the [`Cut`].
pub const CUT: &str = "Kubeskippy-Cut";
/// Header: scrapes that were lost before this one, a count: the bus was away, the watches were stale, or nobody held the lease.
pub const GAP: &str = "Kubeskippy-Gap";
/// Header: milliseconds between two scrapes, as configured.
pub const INTERVAL: &str = "Kubeskippy-Interval";
/// Header: W3C trace context.
pub const TRACEPARENT: &str = "traceparent";

/// Column names, with their units and Arrow types.
pub mod column {
    /// Namespace (dictionary of strings).
    pub const NAMESPACE: &str = "namespace";
    /// Pod name (string).
    pub const POD: &str = "pod";
    /// Pod UID (string).
    pub const POD_UID: &str = "pod_uid";
    /// Container name (dictionary of strings).
    pub const CONTAINER: &str = "container";
    /// Node name, empty before scheduling (dictionary of strings).
    pub const NODE: &str = "node";
    /// Kind of the pod's top-most known owner, empty when it has none (dictionary of strings).
    pub const OWNER_KIND: &str = "owner_kind";
    /// Name of that owner (dictionary of strings).
    pub const OWNER_NAME: &str = "owner_name";
    /// Quality-of-service class (dictionary of strings).
    pub const QOS: &str = "qos";
    /// When the usage was measured, milliseconds since 1970 UTC (int64, nullable).
    pub const USAGE_TIMESTAMP_MS: &str = "usage_timestamp_ms";
    /// CPU in use, in cores (float64, nullable).
    pub const CPU_USAGE_CORES: &str = "cpu_usage_cores";
    /// Memory working set, in bytes (float64, nullable).
    pub const MEMORY_USAGE_BYTES: &str = "memory_usage_bytes";
    /// CPU limit, in cores (float64, null when there is none).
    pub const CPU_LIMIT_CORES: &str = "cpu_limit_cores";
    /// Memory limit, in bytes (float64, null when there is none).
    pub const MEMORY_LIMIT_BYTES: &str = "memory_limit_bytes";
    /// CPU request, in cores (float64, null when there is none).
    pub const CPU_REQUEST_CORES: &str = "cpu_request_cores";
    /// Memory request, in bytes (float64, null when there is none).
    pub const MEMORY_REQUEST_BYTES: &str = "memory_request_bytes";
    /// Restarts of the container since the pod was created, a count (uint32).
    pub const RESTARTS: &str = "restarts";
    /// Whether the container is ready (boolean).
    pub const READY: &str = "ready";
    /// Whether the pod is ready as a whole (boolean).
    pub const POD_READY: &str = "pod_ready";
    /// Reason of the last termination, empty when there was none (dictionary of strings).
    pub const LAST_TERMINATION_REASON: &str = "last_termination_reason";
    /// When the last termination happened, milliseconds since 1970 UTC (int64, nullable).
    pub const LAST_TERMINATION_MS: &str = "last_termination_ms";
    /// CPU the node can give, in cores (float64, node samples).
    pub const CPU_ALLOCATABLE_CORES: &str = "cpu_allocatable_cores";
    /// Memory the node can give, in bytes (float64, node samples).
    pub const MEMORY_ALLOCATABLE_BYTES: &str = "memory_allocatable_bytes";
}

/// How far the objects and events streams had come when a scrape was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Sequence of the last object message.
    pub objects: u64,
    /// Sequence of the last event message.
    pub events: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "objects={},events={}", self.objects, self.events)
    }
}

/// Why a header is not a cut or a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {0:?} is malformed")]
pub struct Error(String);

impl FromStr for Cut {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let error = || Error(text.to_owned());
        let (objects, events) = text.split_once(',').ok_or_else(error)?;
        let read = |part: &str, name: &str| part.strip_prefix(name)?.parse().ok();
        Ok(Self {
            objects: read(objects, "objects=").ok_or_else(error)?,
            events: read(events, "events=").ok_or_else(error)?,
        })
    }
}

/// Which of how many shards a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From zero.
    pub index: u32,
    /// At least one.
    pub count: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (index, count) = text.split_once('/')?;
            let shard = Self {
                index: index.parse().ok()?,
                count: count.parse().ok()?,
            };
            (shard.index < shard.count).then_some(shard)
        };
        read().ok_or_else(|| Error(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_shard_beyond_its_count_is_refused() {
        assert!("3/3".parse::<Shard>().is_err());
        assert!("0/0".parse::<Shard>().is_err());
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, count: 3 }));
    }

    proptest! {
        #[test]
        fn a_cut_reads_back(objects: u64, events: u64) {
            let cut = Cut { objects, events };
            prop_assert_eq!(cut.to_string().parse(), Ok(cut));
        }

        #[test]
        fn no_header_panics(text in ".*") {
            let _results = (text.parse::<Cut>(), text.parse::<Shard>());
        }
    }
}
