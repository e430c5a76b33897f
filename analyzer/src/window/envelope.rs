//! Whether the lengths that an Arrow IPC stream claims are true.
//!
//! Readers of Arrow allocate what a message claims to hold before they see
//! whether it does: eight flipped bits ask for an exabyte, and a failed
//! allocation ends the process. So the claims are compared with the bytes first.
//!
//! Pure: no IO, no clock.

use arrow_ipc::{FieldNode, MessageHeader, RecordBatch, root_as_message};

use super::decode::Error;

/// The most bytes that one row may take once decompressed, summed over its columns.
/// A row is about 100 bytes; names are at most 253 bytes each, of which there are eight.
const MAX_ROW_BYTES: i64 = 4096;
/// What a message may take beyond its rows: dictionaries of a few names.
const SLACK_BYTES: i64 = 1 << 20;
/// Marks the length of a message; older writers leave it out.
const CONTINUATION: u32 = u32::MAX;

/// Refuses a stream whose lengths do not fit its bytes, or the most rows there may be.
pub(super) fn check(mut ipc: &[u8], max_rows: usize) -> Result<(), Error> {
    while !ipc.is_empty() {
        let mut size = number(&mut ipc)?;
        if size == CONTINUATION {
            size = number(&mut ipc)?;
        }
        if size == 0 {
            return if ipc.is_empty() {
                Ok(())
            } else {
                Err(Error::Malformed("bytes follow its end"))
            };
        }
        let metadata = take(&mut ipc, i64::from(size))?;
        let message = root_as_message(metadata)
            .map_err(|_invalid| Error::Malformed("a message's metadata is not sound"))?;
        let body = take(&mut ipc, message.bodyLength())?;
        let dictionary = message.header_as_dictionary_batch();
        match message.header_type() {
            MessageHeader::Schema => {}
            MessageHeader::RecordBatch => {
                records(message.header_as_record_batch(), body, max_rows)?;
            }
            MessageHeader::DictionaryBatch => {
                records(dictionary.and_then(|batch| batch.data()), body, max_rows)?;
            }
            _other => return Err(Error::Malformed("it holds neither a schema nor records")),
        }
    }
    Ok(())
}

fn records(batch: Option<RecordBatch<'_>>, body: &[u8], max_rows: usize) -> Result<(), Error> {
    let batch = batch.ok_or(Error::Malformed("a batch has no records"))?;
    let rows = i64::try_from(max_rows).unwrap_or(i64::MAX);
    let lengths = batch.nodes().into_iter().flatten().map(FieldNode::length);
    for length in lengths.chain([batch.length()]) {
        if length < 0 {
            return Err(Error::Malformed("a length is negative"));
        }
        if length > rows {
            return Err(Error::TooManyRows { max: max_rows });
        }
    }
    let mut left = rows
        .saturating_mul(MAX_ROW_BYTES)
        .saturating_add(SLACK_BYTES);
    for buffer in batch.buffers().into_iter().flatten() {
        let mut bytes = body;
        take(&mut bytes, buffer.offset())?;
        let bytes = take(&mut bytes, buffer.length())?;
        if batch.compression().is_none() {
            continue;
        }
        let claimed = bytes
            .first_chunk::<8>()
            .map_or(0, |bytes| i64::from_le_bytes(*bytes));
        left = left.saturating_sub(claimed.max(0));
        if left < 0 {
            return Err(Error::Malformed(
                "a buffer claims to be larger than all rows there may be",
            ));
        }
    }
    Ok(())
}

fn number(bytes: &mut &[u8]) -> Result<u32, Error> {
    let (number, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or(Error::Malformed("it ends inside a length"))?;
    *bytes = rest;
    Ok(u32::from_le_bytes(*number))
}

fn take<'a>(bytes: &mut &'a [u8], length: i64) -> Result<&'a [u8], Error> {
    let short = Error::Malformed("a length goes beyond its end");
    let Ok(length) = usize::try_from(length) else {
        return Err(short);
    };
    let (taken, rest) = bytes.split_at_checked(length).ok_or(short)?;
    *bytes = rest;
    Ok(taken)
}
