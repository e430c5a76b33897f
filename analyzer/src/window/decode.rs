//! An Arrow IPC stream → the columns of a scrape.
//!
//! The bytes come from the bus and are not trusted: every length is checked
//! against the bytes that are there before anything is allocated, every buffer
//! is validated (names are UTF-8, keys lie inside their dictionary), columns
//! that are not known are ignored. Nothing here panics on hostile bytes, and
//! nothing is kept of a message that is not sound as a whole.
//!
//! Pure: no IO, no clock.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use arrow_array::{
    Array, BooleanArray, Float64Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, UInt32Array, cast::AsArray,
};
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;
use schemas::sample::column;

use super::envelope;

/// Why a message is not a scrape.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a whole Arrow IPC stream.
    #[error("the samples are not an Arrow IPC stream: {0}")]
    Malformed(&'static str),

    /// The Arrow reader refused the bytes.
    #[error("failed to read the samples as an Arrow IPC stream")]
    Read {
        /// What the reader said.
        source: ArrowError,
    },

    /// A column is not there.
    #[error("the samples have no column {column}")]
    MissingColumn {
        /// The column's name.
        column: &'static str,
    },

    /// A column has another type than the schema of samples says.
    #[error("column {column} of the samples is {found}, not {expected}")]
    ColumnType {
        /// The column's name.
        column: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },

    /// There are more rows than a window may hold.
    #[error("the samples have more than {max} rows")]
    TooManyRows {
        /// The most there may be.
        max: usize,
    },

    /// A row does not say which pod it is about.
    #[error("a row of the samples has no pod_uid")]
    NoPodUid,
}

impl Error {
    /// A short, bounded label for metrics and conditions.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "Malformed",
            Self::Read { .. } => "Unreadable",
            Self::MissingColumn { .. } => "MissingColumn",
            Self::ColumnType { .. } => "ColumnType",
            Self::TooManyRows { .. } => "TooManyRows",
            Self::NoPodUid => "NoPodUid",
        }
    }
}

/// A column of texts: each distinct value once where the wire has it so.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The values.
    pub(crate) values: Vec<Arc<str>>,
    /// The position of each row's value.
    pub(crate) keys: Vec<u32>,
}

/// The columns of a scrape, all of the same length.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// How many rows there are.
    pub(crate) rows: usize,
    /// The labels, in the order of [`LABELS`].
    pub(crate) labels: [Names; 8],
    /// When the usage was measured, in milliseconds; `None` where it was not.
    pub(crate) measured: Vec<Option<i64>>,
    /// CPU in use, cores; not a number where it is not known. So are all floats here.
    pub(crate) cpu: Vec<f64>,
    /// Memory working set, bytes.
    pub(crate) memory: Vec<f64>,
    /// Limits and requests, in the order of `column::{CPU_LIMIT_CORES, MEMORY_LIMIT_BYTES, CPU_REQUEST_CORES, MEMORY_REQUEST_BYTES}`.
    pub(crate) specs: [Vec<f64>; 4],
    /// Restarts so far.
    pub(crate) restarts: Vec<Option<u32>>,
    /// Whether the container is ready.
    pub(crate) ready: Vec<Option<bool>>,
    /// Whether the pod is ready.
    pub(crate) pod_ready: Vec<Option<bool>>,
}

const LABELS: [&str; 8] = [
    column::NAMESPACE,
    column::POD,
    column::POD_UID,
    column::CONTAINER,
    column::NODE,
    column::OWNER_KIND,
    column::OWNER_NAME,
    column::QOS,
];

const SPECS: [&str; 4] = [
    column::CPU_LIMIT_CORES,
    column::MEMORY_LIMIT_BYTES,
    column::CPU_REQUEST_CORES,
    column::MEMORY_REQUEST_BYTES,
];

/// Reads a whole message, or nothing.
pub(crate) fn decode(ipc: &[u8], max_rows: usize) -> Result<Batch, Error> {
    read(ipc, max_rows, Batch::append)
}

/// Reads a whole message about nodes. Each stands as a container without a name whose limits
/// are what the node can give and whose owner is the node; its name tells it apart.
pub(crate) fn decode_nodes(ipc: &[u8], max_rows: usize) -> Result<Batch, Error> {
    read(ipc, max_rows, Batch::append_nodes)
}

fn read(
    ipc: &[u8],
    max_rows: usize,
    append: fn(&mut Batch, &RecordBatch) -> Result<(), Error>,
) -> Result<Batch, Error> {
    envelope::check(ipc, max_rows)?;
    let mut buffer = ipc.to_vec().into();
    let mut decoder = StreamDecoder::new();
    let mut batch = Batch::default();
    loop {
        // The reader asserts what it takes for granted of lengths and offsets that are the sender's.
        // A decoder that panicked is not used again.
        let read = catch_unwind(AssertUnwindSafe(|| decoder.decode(&mut buffer)));
        let read = read.map_err(|_panic| Error::Malformed("its buffers are not laid out right"))?;
        match read.map_err(|source| Error::Read { source })? {
            Some(records) => append(&mut batch, &records)?,
            None => break,
        }
        if batch.rows > max_rows {
            return Err(Error::TooManyRows { max: max_rows });
        }
    }
    let end = decoder.finish();
    end.map_err(|source| Error::Read { source })?;
    if decoder.schema().is_none() {
        return Err(Error::Malformed("it has no schema"));
    }
    Ok(batch)
}

impl Batch {
    fn append(&mut self, records: &RecordBatch) -> Result<(), Error> {
        for (names, column) in self.labels.iter_mut().zip(LABELS) {
            names.append(records, column)?;
        }
        self.check_uids()?;
        self.measured
            .extend(int64(records, column::USAGE_TIMESTAMP_MS)?);
        self.cpu.extend(floats(records, column::CPU_USAGE_CORES)?);
        self.memory
            .extend(floats(records, column::MEMORY_USAGE_BYTES)?);
        for (spec, column) in self.specs.iter_mut().zip(SPECS) {
            spec.extend(floats(records, column)?);
        }
        self.restarts.extend(uint32(records, column::RESTARTS)?);
        self.ready.extend(booleans(records, column::READY)?);
        self.pod_ready.extend(booleans(records, column::POD_READY)?);
        self.rows += records.num_rows();
        Ok(())
    }

    fn append_nodes(&mut self, records: &RecordBatch) -> Result<(), Error> {
        let rows = records.num_rows();
        for (names, column) in self.labels.iter_mut().zip(LABELS) {
            match column {
                column::POD_UID | column::NODE | column::OWNER_NAME => {
                    names.append(records, column::NODE)?;
                }
                column::OWNER_KIND => names.fill("Node", rows),
                _ => names.fill("", rows),
            }
        }
        self.check_uids()?;
        self.measured
            .extend(int64(records, column::USAGE_TIMESTAMP_MS)?);
        self.cpu.extend(floats(records, column::CPU_USAGE_CORES)?);
        self.memory
            .extend(floats(records, column::MEMORY_USAGE_BYTES)?);
        let [cpu_limit, memory_limit, requests @ ..] = &mut self.specs;
        cpu_limit.extend(floats(records, column::CPU_ALLOCATABLE_CORES)?);
        memory_limit.extend(floats(records, column::MEMORY_ALLOCATABLE_BYTES)?);
        for request in requests {
            request.extend(std::iter::repeat_n(f64::NAN, rows));
        }
        self.restarts.extend(std::iter::repeat_n(None, rows));
        self.ready.extend(booleans(records, column::READY)?);
        self.pod_ready.extend(booleans(records, column::READY)?);
        self.rows += rows;
        Ok(())
    }

    fn check_uids(&self) -> Result<(), Error> {
        let [_, _, uids, ..] = &self.labels;
        let empty: Vec<bool> = uids.values.iter().map(|uid| uid.is_empty()).collect();
        let missing = |key: &u32| empty.get(*key as usize).copied().unwrap_or(true);
        if uids.keys.iter().any(missing) {
            return Err(Error::NoPodUid);
        }
        Ok(())
    }
}

impl Names {
    /// The same text for so many rows.
    fn fill(&mut self, text: &str, rows: usize) {
        let key = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(Arc::from(text));
        self.keys.extend(std::iter::repeat_n(key, rows));
    }

    fn append(&mut self, records: &RecordBatch, column: &'static str) -> Result<(), Error> {
        let array = find(records, column)?;
        let base = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        let empty = base;
        self.values.push(Arc::from(""));
        let Some(dictionary) = array.as_any_dictionary_opt() else {
            self.values.extend(texts(array, column)?);
            let row_key = |row: u32| {
                if array.is_null(row as usize) {
                    empty
                } else {
                    base + 1 + row
                }
            };
            self.keys.extend((0..length(array)).map(row_key));
            return Ok(());
        };
        let values = dictionary.values().as_ref();
        self.values.extend(texts(values, column)?);
        if values.is_empty() {
            self.keys.extend((0..length(array)).map(|_| empty));
            return Ok(());
        }
        let keys = dictionary.normalized_keys();
        self.keys
            .extend(keys.into_iter().enumerate().map(|(row, key)| {
                let named = !array.is_null(row) && !values.is_null(key);
                let key = u32::try_from(key).unwrap_or(0);
                if named { base + 1 + key } else { empty }
            }));
        Ok(())
    }
}

fn length(array: &dyn Array) -> u32 {
    u32::try_from(array.len()).unwrap_or(u32::MAX)
}

fn find<'a>(records: &'a RecordBatch, column: &'static str) -> Result<&'a dyn Array, Error> {
    let array = records.column_by_name(column);
    Ok(array.ok_or(Error::MissingColumn { column })?.as_ref())
}

fn mistyped(column: &'static str, expected: &'static str, array: &dyn Array) -> Error {
    Error::ColumnType {
        column,
        expected,
        found: array.data_type().to_string(),
    }
}

fn texts(array: &dyn Array, column: &'static str) -> Result<Vec<Arc<str>>, Error> {
    let any = array.as_any();
    let held = |text: Option<&str>| Arc::from(text.unwrap_or_default());
    if let Some(array) = any.downcast_ref::<StringArray>() {
        Ok(array.iter().map(held).collect())
    } else if let Some(array) = any.downcast_ref::<LargeStringArray>() {
        Ok(array.iter().map(held).collect())
    } else if let Some(array) = any.downcast_ref::<StringViewArray>() {
        Ok(array.iter().map(held).collect())
    } else {
        Err(mistyped(column, "a column of strings", array))
    }
}

fn typed<'a, T: 'static>(
    records: &'a RecordBatch,
    column: &'static str,
    expected: &'static str,
) -> Result<&'a T, Error> {
    let array = find(records, column)?;
    let typed = array.as_any().downcast_ref::<T>();
    typed.ok_or_else(|| mistyped(column, expected, array))
}

fn floats<'a>(
    records: &'a RecordBatch,
    column: &'static str,
) -> Result<impl Iterator<Item = f64> + 'a, Error> {
    let array = typed::<Float64Array>(records, column, "float64")?;
    // An infinite measurement is no measurement either.
    Ok(array
        .iter()
        .map(|value| value.filter(|value| value.is_finite()).unwrap_or(f64::NAN)))
}

fn int64<'a>(
    records: &'a RecordBatch,
    column: &'static str,
) -> Result<impl Iterator<Item = Option<i64>> + 'a, Error> {
    Ok(typed::<Int64Array>(records, column, "int64")?.iter())
}

fn uint32<'a>(
    records: &'a RecordBatch,
    column: &'static str,
) -> Result<impl Iterator<Item = Option<u32>> + 'a, Error> {
    Ok(typed::<UInt32Array>(records, column, "uint32")?.iter())
}

fn booleans<'a>(
    records: &'a RecordBatch,
    column: &'static str,
) -> Result<impl Iterator<Item = Option<bool>> + 'a, Error> {
    Ok(typed::<BooleanArray>(records, column, "boolean")?.iter())
}
