//! Rows → Arrow IPC streams.
//!
//! In: the rows of one shard. Out: its message, compressed with LZ4. The columns
//! are documented in `schemas::sample`.
//!
//! Pure: no IO, no clock.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array,
    builder::StringDictionaryBuilder, types::Int32Type,
};
use arrow_ipc::{
    CompressionType,
    writer::{IpcWriteOptions, StreamWriter},
};
use arrow_schema::ArrowError;
use bytes::Bytes;
use jiff::Timestamp;
use schemas::{object::Resources, sample::column};

use crate::scrape::{NodeRow, Row};

/// Why rows were not encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The columns do not make a batch, or the batch no stream.
    #[error("failed to encode a scrape")]
    Arrow(#[source] ArrowError),
}

impl Error {
    /// A short, bounded label for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Arrow(_) => "Encode",
        }
    }
}

/// A column: its name, its values, whether they may be null.
type Column = (&'static str, ArrayRef, bool);

/// A batch of container rows.
pub fn containers(rows: &[Row<'_>]) -> Result<Bytes, Error> {
    let columns = [names(rows), usage(rows), resources(rows), health(rows)];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().flatten());
    write(&batch.map_err(Error::Arrow)?)
}

/// Which container, where it runs and who owns it.
fn names<'r>(rows: &[Row<'r>]) -> Vec<Column> {
    let name = |pick: fn(&Row<'r>) -> &'r str| dictionary(rows, pick);
    let pod = strings(rows, |r| &r.state.target.name);
    let uid = strings(rows, |r| &r.state.target.uid);
    vec![
        (
            column::NAMESPACE,
            name(|r| &r.state.target.namespace),
            false,
        ),
        (column::POD, pod, false),
        (column::POD_UID, uid, false),
        (column::CONTAINER, name(|r| &r.container.name), false),
        (column::NODE, name(|r| &r.pod.node), false),
        (
            column::OWNER_KIND,
            name(|r| r.owner.map_or("", |o| &o.kind)),
            false,
        ),
        (
            column::OWNER_NAME,
            name(|r| r.owner.map_or("", |o| &o.name)),
            false,
        ),
        (column::QOS, name(|r| &r.pod.qos), false),
    ]
}

/// What it used, and when that was measured.
fn usage(rows: &[Row<'_>]) -> Vec<Column> {
    let cpu = floats(rows, |r| r.measured?.used.cpu_cores);
    let memory = floats(rows, |r| r.measured?.used.memory_bytes);
    let at = millis(rows, |r| r.measured.map(|measured| measured.at));
    vec![
        (column::USAGE_TIMESTAMP_MS, at, true),
        (column::CPU_USAGE_CORES, cpu, true),
        (column::MEMORY_USAGE_BYTES, memory, true),
    ]
}

/// What it may use, and what it asked for.
fn resources(rows: &[Row<'_>]) -> Vec<Column> {
    let float = |pick: fn(&Resources) -> Option<f64>| {
        let values = rows.iter().map(|row| pick(&row.container.resources));
        Arc::new(values.collect::<Float64Array>()) as ArrayRef
    };
    vec![
        (column::CPU_LIMIT_CORES, float(|r| r.cpu_limit_cores), true),
        (
            column::MEMORY_LIMIT_BYTES,
            float(|r| r.memory_limit_bytes),
            true,
        ),
        (
            column::CPU_REQUEST_CORES,
            float(|r| r.cpu_request_cores),
            true,
        ),
        (
            column::MEMORY_REQUEST_BYTES,
            float(|r| r.memory_request_bytes),
            true,
        ),
    ]
}

/// How it fares.
fn health<'r>(rows: &[Row<'r>]) -> Vec<Column> {
    let reason = dictionary(rows, |r: &Row<'r>| {
        let ended = r.container.last_termination.as_ref();
        ended.map_or("", |termination| &termination.reason)
    });
    let ended = millis(rows, |r| r.container.last_termination.as_ref()?.finished_at);
    vec![
        (
            column::RESTARTS,
            counts(rows, |r| r.container.restarts),
            false,
        ),
        (column::READY, flags(rows, |r| r.container.ready), false),
        (
            column::POD_READY,
            flags(rows, |r| r.state.is_ready()),
            false,
        ),
        (column::LAST_TERMINATION_REASON, reason, false),
        (column::LAST_TERMINATION_MS, ended, true),
    ]
}

/// A batch of node rows.
pub fn nodes(rows: &[NodeRow<'_>]) -> Result<Bytes, Error> {
    let name = strings(rows, |r| &r.state.target.name);
    let at = millis(rows, |r| r.measured.map(|measured| measured.at));
    let cpu = floats(rows, |r| r.measured?.used.cpu_cores);
    let memory = floats(rows, |r| r.measured?.used.memory_bytes);
    let most_cpu = floats(rows, |r| Some(r.state.node.as_ref()?.cpu_allocatable_cores));
    let most_memory = floats(rows, |r| {
        Some(r.state.node.as_ref()?.memory_allocatable_bytes)
    });
    let ready = flags(rows, |r| r.state.is_ready());
    let batch = RecordBatch::try_from_iter_with_nullable([
        (column::NODE, name, false),
        (column::USAGE_TIMESTAMP_MS, at, true),
        (column::CPU_USAGE_CORES, cpu, true),
        (column::MEMORY_USAGE_BYTES, memory, true),
        (column::CPU_ALLOCATABLE_CORES, most_cpu, true),
        (column::MEMORY_ALLOCATABLE_BYTES, most_memory, true),
        (column::READY, ready, false),
    ]);
    write(&batch.map_err(Error::Arrow)?)
}

fn write(batch: &RecordBatch) -> Result<Bytes, Error> {
    let options = IpcWriteOptions::default()
        .try_with_compression(Some(CompressionType::LZ4_FRAME))
        .map_err(Error::Arrow)?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)
        .map_err(Error::Arrow)?;
    writer.write(batch).map_err(Error::Arrow)?;
    writer.finish().map_err(Error::Arrow)?;
    writer.into_inner().map(Bytes::from).map_err(Error::Arrow)
}

fn dictionary<'r, R>(rows: &[R], pick: fn(&R) -> &'r str) -> ArrayRef {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for row in rows {
        builder.append_value(pick(row));
    }
    Arc::new(builder.finish())
}

fn strings<'r, R>(rows: &[R], pick: fn(&R) -> &'r str) -> ArrayRef {
    Arc::new(
        rows.iter()
            .map(|row| Some(pick(row)))
            .collect::<StringArray>(),
    )
}

fn floats<R>(rows: &[R], pick: fn(&R) -> Option<f64>) -> ArrayRef {
    Arc::new(rows.iter().map(pick).collect::<Float64Array>())
}

fn millis<R>(rows: &[R], pick: fn(&R) -> Option<Timestamp>) -> ArrayRef {
    let read = |row| pick(row).map(Timestamp::as_millisecond);
    Arc::new(rows.iter().map(read).collect::<Int64Array>())
}

fn counts<R>(rows: &[R], pick: fn(&R) -> u32) -> ArrayRef {
    Arc::new(
        rows.iter()
            .map(|row| Some(pick(row)))
            .collect::<UInt32Array>(),
    )
}

fn flags<R>(rows: &[R], pick: fn(&R) -> bool) -> ArrayRef {
    Arc::new(
        rows.iter()
            .map(|row| Some(pick(row)))
            .collect::<BooleanArray>(),
    )
}

#[cfg(test)]
mod tests;
