//! The central directory: as many entries as the end record says, and nothing else.

use std::io::{Read, Seek};

use super::Error;
use super::bytes::Fields;
use super::end::{End, read_at};
use super::entry::Entry;

const ENTRY: &[u8] = b"PK\x01\x02";
const SMALLEST: u64 = 46;
/// The extra field with sizes that do not fit in 32 bits.
const WIDE: u16 = 1;

/// Reads the entries. The directory's length has been checked against the limit.
pub(super) fn read<R: Read + Seek>(reader: &mut R, end: &End) -> Result<Vec<Entry>, Error> {
    let length = end.directory.end - end.directory.start;
    if end.entries.saturating_mul(SMALLEST) > length {
        return Err(Error::Malformed("the archive's directory is too short".to_owned()));
    }
    let mut directory = vec![0; usize::try_from(length).unwrap_or_default()];
    read_at(reader, end.directory.start, &mut directory)?;
    let mut fields = Fields::new(&directory);
    let mut entries = Vec::with_capacity(usize::try_from(end.entries).unwrap_or_default());
    for _ in 0..end.entries {
        entries.push(entry(&mut fields)?);
    }
    if fields.is_empty() {
        Ok(entries)
    } else {
        Err(Error::Malformed("the archive's directory has more than it says".to_owned()))
    }
}

fn entry(fields: &mut Fields<'_>) -> Result<Entry, Error> {
    if fields.bytes(4)? != ENTRY {
        return Err(Error::Malformed("the archive's directory is damaged".to_owned()));
    }
    fields.bytes(4)?;
    let (flags, method) = (fields.u16()?, fields.u16()?);
    fields.bytes(4)?;
    let crc = fields.u32()?;
    let (compressed, size) = (fields.u32()?, fields.u32()?);
    let lengths = [fields.u16()?, fields.u16()?, fields.u16()?];
    let disk = fields.u16()?;
    fields.bytes(2)?;
    let attributes = fields.u32()?;
    let offset = fields.u32()?;
    let name = fields.bytes(lengths[0].into())?.to_vec();
    let extra = Extra::read(fields.bytes(lengths[1].into())?)?;
    fields.bytes(lengths[2].into())?;
    let mut wide = extra.wide();
    let size = wide.widen(size)?;
    let compressed = wide.widen(compressed)?;
    let offset = wide.widen(offset)?;
    if disk != 0 {
        return Err(Error::Malformed("the archive is one part of several".to_owned()));
    }
    Ok(Entry {
        name,
        flags,
        method,
        crc,
        compressed,
        size,
        mode: attributes >> 16,
        extra_kinds: extra.kinds(),
        offset,
        data_start: 0,
    })
}

/// The extra fields of a header.
pub(super) struct Extra<'a> {
    fields: Vec<(u16, &'a [u8])>,
}

impl<'a> Extra<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut rest = Fields::new(bytes);
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let (kind, length) = (rest.u16()?, rest.u16()?);
            fields.push((kind, rest.bytes(length.into())?));
        }
        if fields.iter().filter(|(kind, _)| *kind == WIDE).count() > 1 {
            return Err(Error::Malformed("an entry has two sets of sizes".to_owned()));
        }
        Ok(Extra { fields })
    }

    fn kinds(&self) -> Vec<u16> {
        self.fields.iter().map(|(kind, _)| *kind).collect()
    }

    pub(super) fn wide(&self) -> Wide<'a> {
        let field = self.fields.iter().find(|(kind, _)| *kind == WIDE);
        Wide(field.map(|(_, content)| Fields::new(content)))
    }
}

/// The wide values of a header, in their fixed order: size, compressed size, offset.
pub(super) struct Wide<'a>(Option<Fields<'a>>);

impl Wide<'_> {
    /// The true value of a field: the next wide one if the field is saturated.
    pub(super) fn widen(&mut self, narrow: u32) -> Result<u64, Error> {
        match &mut self.0 {
            Some(fields) if narrow == u32::MAX => fields.u64(),
            Some(_) | None => Ok(narrow.into()),
        }
    }
}
