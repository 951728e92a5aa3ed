//! What must hold for whatever a journal's files have in them.

use std::path::Path;

use super::frame::{around, next, seal};
use super::life::{Examined, Refusal};
use super::record::{decode, is_record};
use super::segment::{HEADER, Header, short};
use super::{MAX_RECORD, OwnedRecord};
use crate::bank::Holder;
use crate::till::fuzz::replayed;

/// Whose journal it is.
const WHO: (Holder, u64) = (
    Holder {
        replica: 7,
        epoch: 1_800_000_000,
    },
    11,
);

/// In the place of a record's length: the next segment begins.
const TURN: usize = 0xffff;

/// Bytes are a file of a journal as they are, or records, each behind its length in two bytes. In good frames, records are
/// read back whole and in order, or refused if one of them is none; what stands behind the last one makes no other. What is
/// read back can be replayed.
pub fn journal(data: &[u8]) {
    drop(examined(&[data.to_vec()]));
    let written = Written::of(data);
    let read = examined(&written.segments);
    let read = match (read, &written.records) {
        (Ok(read), Some(records)) => {
            assert_eq!(
                read, *records,
                "what was appended is read, whole and in order"
            );
            read
        }
        (Ok(_), None) => panic!("a record that is none was taken for one"),
        (Err(refusal), Some(_)) => panic!("whole records are refused: {refusal:?}"),
        (Err(_), None) => return,
    };
    replayed(WHO.0, WHO.1, &read);
}

/// The records of a life's segments, as a start reads them.
fn examined(segments: &[Vec<u8>]) -> Result<Vec<OwnedRecord>, Refusal> {
    let (mut examined, mut records) = (Examined::default(), Vec::new());
    for (bytes, number) in segments.iter().zip(1..) {
        examined.segment(Path::new("a segment"), bytes, WHO.0.epoch, number)?;
    }
    examined.end(Path::new("a life"))?;
    for bytes in segments {
        let Ok((_, seed)) = Header::decode(bytes) else {
            continue;
        };
        let mut at = HEADER;
        while let Some(record) = next(bytes, seed, &mut at) {
            records.push(decode(record).expect("what was examined can be read"));
        }
    }
    assert_eq!(records.len() as u64, examined.records);
    Ok(records)
}

struct Written {
    segments: Vec<Vec<u8>>,
    /// `None` if one of them is none.
    records: Option<Vec<OwnedRecord>>,
}

impl Written {
    fn of(mut data: &[u8]) -> Written {
        let (mut segments, mut records) = (Vec::new(), Some(Vec::new()));
        let (mut segment, mut seed) = begun(1);
        while let Some((length, rest)) = data.split_first_chunk() {
            let length = usize::from(u16::from_le_bytes(*length));
            data = rest;
            if length == TURN {
                segment.extend(seal(seed, segment.len() as u64));
                segments.push(std::mem::take(&mut segment));
                (segment, seed) = begun(segments.len() as u64 + 1);
                continue;
            }
            let Some((record, rest)) = data.split_at_checked(length) else {
                break;
            };
            data = rest;
            if record.is_empty() || record.len() > MAX_RECORD {
                continue;
            }
            segment.extend(around(record, seed, segment.len() as u64));
            records = records.and_then(|mut all: Vec<OwnedRecord>| {
                assert_eq!(is_record(record), decode(record).is_some());
                all.push(decode(record)?);
                Some(all)
            });
        }
        // A record that was being written.
        segment.extend_from_slice(data);
        segments.push(segment);
        Written { segments, records }
    }
}

/// A segment that begins, and its seed.
fn begun(number: u64) -> (Vec<u8>, u32) {
    let header = Header {
        holder: WHO.0,
        nonce: WHO.1,
        number: short(number),
        bytes: 1 << 20,
    };
    let (bytes, seed) = header.encode();
    (bytes.to_vec(), seed)
}
