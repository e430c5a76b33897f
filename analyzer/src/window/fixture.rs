//! Scrapes as the collector writes them, for tests and the benchmark.
//!
//! Pure: no IO, no clock.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    UInt32Array, types::Int32Type,
};
use arrow_ipc::{
    CompressionType,
    writer::{IpcWriteOptions, StreamWriter},
};
use schemas::sample::column;

/// One container of one scrape.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Namespace.
    pub(crate) namespace: String,
    /// Name of the pod; its UID is this name with `uid-` before it.
    pub(crate) pod: String,
    /// Name of the container.
    pub(crate) container: String,
    /// Name of the Deployment that owns the pod.
    pub(crate) owner: String,
    /// When the usage was measured.
    pub(crate) measured: Option<i64>,
    /// CPU in use.
    pub(crate) cpu: Option<f64>,
    /// Memory working set.
    pub(crate) memory: Option<f64>,
    /// CPU limit.
    pub(crate) cpu_limit: Option<f64>,
    /// Memory limit.
    pub(crate) memory_limit: Option<f64>,
    /// Restarts so far.
    pub(crate) restarts: u32,
    /// Whether container and pod are ready.
    pub(crate) ready: bool,
}

/// A container that is well.
pub(crate) fn row(pod: &str, container: &str) -> Row {
    Row {
        namespace: "shop".to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        owner: "cart".to_owned(),
        measured: None,
        cpu: Some(0.25),
        memory: Some(64.0 * 1024.0 * 1024.0),
        cpu_limit: Some(1.0),
        memory_limit: Some(256.0 * 1024.0 * 1024.0),
        restarts: 0,
        ready: true,
    }
}

/// The columns of a scrape.
pub(crate) fn columns(rows: &[Row]) -> Vec<(&'static str, ArrayRef)> {
    let texts = |text: &dyn Fn(&Row) -> String| -> ArrayRef {
        let texts: Vec<String> = rows.iter().map(text).collect();
        let texts = texts.iter().map(|text| Some(text.as_str()));
        Arc::new(texts.collect::<DictionaryArray<Int32Type>>())
    };
    let floats = |float: &dyn Fn(&Row) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(float).collect::<Float64Array>())
    };
    let booleans = || -> ArrayRef {
        Arc::new(
            rows.iter()
                .map(|row| Some(row.ready))
                .collect::<BooleanArray>(),
        )
    };
    let pods = StringArray::from_iter_values(rows.iter().map(|row| row.pod.as_str()));
    let uids = StringArray::from_iter_values(rows.iter().map(|row| format!("uid-{}", row.pod)));
    let restarts = UInt32Array::from_iter_values(rows.iter().map(|row| row.restarts));
    let measured: Int64Array = rows.iter().map(|row| row.measured).collect();
    vec![
        (column::NAMESPACE, texts(&|row| row.namespace.clone())),
        (column::POD, Arc::new(pods)),
        (column::POD_UID, Arc::new(uids)),
        (column::CONTAINER, texts(&|row| row.container.clone())),
        (column::NODE, texts(&|_| "node-1".to_owned())),
        (column::OWNER_KIND, texts(&|_| "Deployment".to_owned())),
        (column::OWNER_NAME, texts(&|row| row.owner.clone())),
        (column::QOS, texts(&|_| "Burstable".to_owned())),
        (column::USAGE_TIMESTAMP_MS, Arc::new(measured)),
        (column::CPU_USAGE_CORES, floats(&|row| row.cpu)),
        (column::MEMORY_USAGE_BYTES, floats(&|row| row.memory)),
        (column::CPU_LIMIT_CORES, floats(&|row| row.cpu_limit)),
        (column::MEMORY_LIMIT_BYTES, floats(&|row| row.memory_limit)),
        (
            column::CPU_REQUEST_CORES,
            floats(&|row| row.cpu_limit.map(|limit| limit / 2.0)),
        ),
        (
            column::MEMORY_REQUEST_BYTES,
            floats(&|row| row.memory_limit.map(|limit| limit / 2.0)),
        ),
        (column::RESTARTS, Arc::new(restarts)),
        (column::READY, booleans()),
        (column::POD_READY, booleans()),
    ]
}

/// Columns as an Arrow IPC stream, LZ4 as the collector writes it or plain.
pub(crate) fn stream(columns: Vec<(&'static str, ArrayRef)>, lz4: bool) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("the columns are of one length");
    let compression = lz4.then_some(CompressionType::LZ4_FRAME);
    let options = IpcWriteOptions::default().try_with_compression(compression);
    let options = options.expect("the lz4 feature is on");
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)
        .expect("memory takes every write");
    writer.write(&batch).expect("memory takes every write");
    writer.into_inner().expect("memory takes every write")
}

/// A scrape of these rows.
pub(crate) fn scrape(rows: &[Row]) -> Vec<u8> {
    stream(columns(rows), true)
}
