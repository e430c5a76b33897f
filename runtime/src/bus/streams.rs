//! What each stream keeps, and for how long.
//!
//! Pure: no IO, no clock.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use schemas::subject::{Stream, Subjects};

use super::BusArgs;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The configuration of `stream` for the cluster of `subjects`.
pub(super) fn config(stream: Stream, subjects: &Subjects, args: &BusArgs) -> Config {
    let retention = HOUR * u32::from(args.retention_hours);
    let (max_age, max_messages_per_subject) = match stream {
        Stream::Samples | Stream::Events => (retention, -1),
        // The collector repeats each object's state well within the retention,
        // so whatever lives is always there; a flapping object keeps its last changes.
        Stream::Objects => (retention, 256),
        // Only the newest matters to a verification, and an action ends within a day.
        Stream::Observations => (DAY, 1),
        Stream::Alerts => (DAY * 7, -1),
        // For ever; the audit trail is archived, not expired.
        Stream::Journal => (Duration::ZERO, -1),
        // One reply per question; after a week the cluster is another, and it is asked anew.
        Stream::Advice => (DAY * 7, 1),
    };
    let keeps_all = stream == Stream::Journal;
    Config {
        name: subjects.stream_name(stream),
        subjects: vec![subjects.all(stream).to_string()],
        description: Some(format!("KubeSkippy: {} of one cluster", stream.token())),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: if keeps_all {
            DiscardPolicy::New
        } else {
            DiscardPolicy::Old
        },
        max_age,
        max_bytes: if keeps_all {
            -1
        } else {
            i64::from(args.stream_megabytes) * 1024 * 1024
        },
        max_messages_per_subject,
        num_replicas: usize::from(args.stream_replicas),
        duplicate_window: Duration::from_mins(2),
        allow_direct: true,
        deny_delete: keeps_all,
        deny_purge: keeps_all,
        ..Config::default()
    }
}
