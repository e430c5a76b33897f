use std::io::Cursor;

use arrow_array::{Array, DictionaryArray, cast::AsArray, types::Float64Type};
use arrow_ipc::reader::StreamReader;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    inventory::Inventory,
    kind::Kind,
    reading::{
        Scope, Seen, node, pod,
        usage::{Freshness, List, PodMetrics, Usage},
    },
    scrape,
};

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().unwrap()
}

fn freshness() -> Freshness {
    Freshness {
        now: now(),
        interval: SignedDuration::from_secs(15),
    }
}

fn add(inventory: &mut Inventory, name: &str, uid: &str, container: &str) {
    let object = json!({
        "metadata": {"name": name, "namespace": "n", "uid": uid},
        "spec": {"nodeName": "node-1", "containers": [{"name": container, "resources": {"limits": {"memory": "256Mi"}}}]},
        "status": {"containerStatuses": [{"name": container, "ready": true, "restartCount": 3,
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-01-01T00:00:30Z"}}}]},
    });
    let object: pod::Pod = serde_json::from_value(object).unwrap();
    let scope = Scope {
        kind: Kind::Pod,
        namespace: None,
    };
    let seen = Seen {
        state: pod::read(&object, now()),
        version: "1".to_owned(),
    };
    inventory.seen(&scope, seen);
}

fn measured(name: &str, container: &str) -> Usage {
    let items: Value = json!({"items": [{"metadata": {"name": name, "namespace": "n"}, "timestamp": "2026-01-01T00:00:50Z", "window": "10s",
        "containers": [{"name": container, "usage": {"cpu": "1", "memory": "268435456"}}]}]});
    let list: List<PodMetrics> = serde_json::from_value(items).unwrap();
    let mut usage = Usage::default();
    usage.add_pods(list.items);
    usage
}

fn read(payload: &Bytes) -> RecordBatch {
    let reader = StreamReader::try_new(Cursor::new(payload.clone()), None).unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.len(), 1);
    batches[0].clone()
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> String {
    let column = batch.column_by_name(column).unwrap();
    match column.as_any().downcast_ref::<DictionaryArray<Int32Type>>() {
        Some(names) => {
            let values = names.values().as_string::<i32>();
            values.value(names.key(row).unwrap()).to_owned()
        }
        None => column.as_string::<i32>().value(row).to_owned(),
    }
}

fn float(batch: &RecordBatch, column: &str) -> Option<f64> {
    let column = batch.column_by_name(column).unwrap();
    let column = column.as_primitive::<Float64Type>();
    column.is_valid(0).then(|| column.value(0))
}

#[test]
fn a_row_reads_back_with_usage_and_limits_and_no_limit_is_null() {
    let mut inventory = Inventory::default();
    add(&mut inventory, "p", "u", "c");
    let groups = scrape::containers(&inventory, &measured("p", "c"), &freshness(), 1);
    let batch = read(&containers(&groups[0]).unwrap());
    assert_eq!(batch.num_rows(), 1);
    assert_eq!(text(&batch, column::POD, 0), "p");
    assert_eq!(text(&batch, column::NODE, 0), "node-1");
    assert_eq!(
        text(&batch, column::LAST_TERMINATION_REASON, 0),
        "OOMKilled"
    );
    assert_eq!(
        float(&batch, column::MEMORY_USAGE_BYTES),
        Some(268_435_456.0)
    );
    assert_eq!(
        float(&batch, column::MEMORY_LIMIT_BYTES),
        Some(268_435_456.0)
    );
    assert_eq!(float(&batch, column::CPU_USAGE_CORES), Some(1.0));
    assert_eq!(float(&batch, column::CPU_LIMIT_CORES), None);
}

#[test]
fn a_container_without_usage_has_a_row_all_the_same() {
    let mut inventory = Inventory::default();
    add(&mut inventory, "p", "u", "c");
    let groups = scrape::containers(&inventory, &Usage::default(), &freshness(), 1);
    let batch = read(&containers(&groups[0]).unwrap());
    assert_eq!(batch.num_rows(), 1);
    assert_eq!(float(&batch, column::MEMORY_USAGE_BYTES), None);
}

#[test]
fn columns_are_the_ones_that_the_contract_names() {
    let batch = read(&containers(&[]).unwrap());
    let schema = batch.schema();
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| {
            format!(
                "{} {} {}",
                field.name(),
                field.data_type(),
                field.is_nullable()
            )
        })
        .collect();
    let dictionary = |name: &str| format!("{name} Dictionary(Int32, Utf8) false");
    let nullable = |name: &str| format!("{name} Float64 true");
    let expected = [
        dictionary(column::NAMESPACE),
        format!("{} Utf8 false", column::POD),
        format!("{} Utf8 false", column::POD_UID),
        dictionary(column::CONTAINER),
        dictionary(column::NODE),
        dictionary(column::OWNER_KIND),
        dictionary(column::OWNER_NAME),
        dictionary(column::QOS),
        format!("{} Int64 true", column::USAGE_TIMESTAMP_MS),
        nullable(column::CPU_USAGE_CORES),
        nullable(column::MEMORY_USAGE_BYTES),
        nullable(column::CPU_LIMIT_CORES),
        nullable(column::MEMORY_LIMIT_BYTES),
        nullable(column::CPU_REQUEST_CORES),
        nullable(column::MEMORY_REQUEST_BYTES),
        format!("{} UInt32 false", column::RESTARTS),
        format!("{} Boolean false", column::READY),
        format!("{} Boolean false", column::POD_READY),
        dictionary(column::LAST_TERMINATION_REASON),
        format!("{} Int64 true", column::LAST_TERMINATION_MS),
    ];
    assert_eq!(columns, expected);
}

#[test]
fn a_node_reads_back() {
    let object = json!({"metadata": {"name": "node-1", "uid": "u"},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}, "conditions": [{"type": "Ready", "status": "True"}]}});
    let object: node::Node = serde_json::from_value(object).unwrap();
    let state = node::read(&object, now());
    let row = NodeRow {
        state: &state,
        measured: None,
    };
    let batch = read(&nodes(&[row]).unwrap());
    assert_eq!(text(&batch, column::NODE, 0), "node-1");
    assert_eq!(float(&batch, column::CPU_ALLOCATABLE_CORES), Some(4.0));
    assert_eq!(float(&batch, column::CPU_USAGE_CORES), None);
}

proptest! {
    #[test]
    fn any_names_read_back(names in prop::collection::btree_set(".{0,300}", 1..20), container in ".{0,300}", shards in 1u32..5) {
        let mut inventory = Inventory::default();
        for name in &names {
            add(&mut inventory, name, name, &container);
        }
        let groups = scrape::containers(&inventory, &Usage::default(), &freshness(), shards);
        prop_assert_eq!(groups.len(), shards as usize);
        let mut found = std::collections::BTreeSet::new();
        for rows in groups {
            let batch = read(&containers(&rows).unwrap());
            for row in 0..batch.num_rows() {
                prop_assert_eq!(text(&batch, column::CONTAINER, row), container.clone());
                prop_assert!(found.insert(text(&batch, column::POD, row)), "a pod in two shards");
            }
        }
        prop_assert_eq!(found, names);
    }
}
