//! Local headers: each must say what the central directory says, and the entries must fill the space
//! before the directory without overlap and without gaps.

use std::io::{Read, Seek};

use super::Error;
use super::bytes::Fields;
use super::directory::Extra;
use super::end::read_at;
use super::entry::{COMPRESSOR_NOTES, Entry, TRAILING_DESCRIPTOR};

const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LENGTH: u64 = 30;
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// Reads every local header and notes where the data begins.
pub(super) fn check<R: Read + Seek>(
    reader: &mut R,
    entries: &mut [Entry],
    directory_start: u64,
) -> Result<(), Error> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|index| entries.get(*index).map(|entry| entry.offset));
    let mut filled = 0;
    for (position, index) in order.iter().enumerate() {
        let next = order.get(position + 1).and_then(|next| entries.get(*next));
        let next_offset = next.map_or(directory_start, |entry| entry.offset);
        let Some(entry) = entries.get_mut(*index) else { continue };
        if entry.offset != filled {
            return Err(misplaced(entry));
        }
        entry.data_start = header(reader, entry, directory_start)?;
        let data_end = entry.data_start.checked_add(entry.compressed);
        let data_end =
            data_end.filter(|end| *end <= next_offset).ok_or_else(|| misplaced(entry))?;
        if data_end < next_offset {
            descriptor(reader, entry, data_end, next_offset - data_end)?;
        }
        filled = next_offset;
    }
    if filled == directory_start {
        Ok(())
    } else {
        Err(Error::Malformed("bytes of the archive belong to no entry".to_owned()))
    }
}

fn misplaced(entry: &Entry) -> Error {
    Error::Malformed(format!(
        "{} overlaps with another entry, or bytes before it belong to none",
        entry.shown()
    ))
}

fn contradicts(entry: &Entry) -> Error {
    Error::Malformed(format!("the two headers of {} contradict each other", entry.shown()))
}

/// Compares the local header; returns where the data begins.
fn header<R: Read + Seek>(
    reader: &mut R,
    entry: &Entry,
    directory_start: u64,
) -> Result<u64, Error> {
    let mut fixed = [0; 30];
    read_at(reader, entry.offset, &mut fixed)?;
    let mut fields = Fields::new(&fixed);
    let signature = fields.bytes(4)?;
    fields.bytes(2)?;
    let (flags, method) = (fields.u16()?, fields.u16()?);
    fields.bytes(4)?;
    let crc = fields.u32()?;
    let (compressed, size) = (fields.u32()?, fields.u32()?);
    let (name_length, extra_length) = (fields.u16()?, fields.u16()?);
    let data_start = entry.offset + LOCAL_LENGTH + u64::from(name_length) + u64::from(extra_length);
    if signature != LOCAL || data_start > directory_start {
        return Err(misplaced(entry));
    }
    let mut variable = vec![0; usize::from(name_length) + usize::from(extra_length)];
    read_at(reader, entry.offset + LOCAL_LENGTH, &mut variable)?;
    let mut fields = Fields::new(&variable);
    let name = fields.bytes(name_length.into())?;
    let extra = Extra::read(fields.bytes(extra_length.into())?)?;
    let mut wide = extra.wide();
    let (size, compressed) = (wide.widen(size)?, wide.widen(compressed)?);
    let same_kind = flags & !COMPRESSOR_NOTES == entry.flags & !COMPRESSOR_NOTES
        && method == entry.method
        && name == entry.name;
    // Who writes without knowing the end leaves the sizes out here and writes them behind the data.
    let trailing = flags & TRAILING_DESCRIPTOR != 0;
    let same = |local: u64, central: u64| local == central || trailing && local == 0;
    let same_sizes = same(crc.into(), entry.crc.into())
        && same(compressed, entry.compressed)
        && same(size, entry.size);
    if same_kind && same_sizes { Ok(data_start) } else { Err(contradicts(entry)) }
}

/// Compares the sizes that stand behind the data.
fn descriptor<R: Read + Seek>(
    reader: &mut R,
    entry: &Entry,
    at: u64,
    length: u64,
) -> Result<(), Error> {
    if entry.flags & TRAILING_DESCRIPTOR == 0 || !matches!(length, 12 | 16 | 20 | 24) {
        return Err(Error::Malformed(format!("bytes behind {} belong to no entry", entry.shown())));
    }
    let mut record = [0; 24];
    let record = record.get_mut(..usize::try_from(length).unwrap_or_default());
    let record = record.unwrap_or_default();
    read_at(reader, at, record)?;
    let mut fields = Fields::new(record);
    if matches!(length, 16 | 24) && fields.bytes(4)? != DESCRIPTOR {
        return Err(contradicts(entry));
    }
    let crc = fields.u32()?;
    let sizes = if length >= 20 {
        [fields.u64()?, fields.u64()?]
    } else {
        [fields.u32()?.into(), fields.u32()?.into()]
    };
    let same = crc == entry.crc && sizes == [entry.compressed, entry.size];
    if same { Ok(()) } else { Err(contradicts(entry)) }
}
