//! The end of central directory: what an archive claims about itself, checked before anything is
//! allocated for it.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use super::bytes::Fields;
use super::{Error, Limits};

const END: [u8; 4] = *b"PK\x05\x06";
const END_LENGTH: u64 = 22;
const END_64: [u8; 4] = *b"PK\x06\x06";
const END_64_LENGTH: u64 = 56;
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";
const LOCATOR_64_LENGTH: u64 = 20;
const LONGEST_COMMENT: u64 = u16::MAX as u64;

/// Where the central directory is, and how many entries it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) entries: u64,
    pub(super) directory: Range<u64>,
}

/// Reads the end record. It must be the last thing in the file, and the directory must stand right
/// before it: whatever else there is would be seen by one reader and not by another.
pub(super) fn read<R: Read + Seek>(reader: &mut R, limits: &Limits) -> Result<End, Error> {
    let length = reader.seek(SeekFrom::End(0)).map_err(Error::Unreadable)?;
    let at = find(reader, length)?;
    let mut record = [0; 22];
    read_at(reader, at, &mut record)?;
    let claims = Claims::read(&record)?;
    let (claims, directory_end) = claims.widened(reader, at, limits)?;
    claims.check(limits, directory_end)
}

/// The last end record of the file; it must reach exactly to the file's end.
fn find<R: Read + Seek>(reader: &mut R, length: u64) -> Result<u64, Error> {
    let window = length.min(END_LENGTH + LONGEST_COMMENT);
    let mut tail = vec![0; usize::try_from(window).unwrap_or_default()];
    read_at(reader, length - window, &mut tail)?;
    let found = tail.windows(END.len()).rposition(|bytes| bytes == END);
    let Some(position) = found else { return Err(no_end(reader)) };
    let mut fields = Fields::new(tail.get(position..).unwrap_or_default());
    fields.bytes(20)?;
    let comment = u64::from(fields.u16()?);
    let at = length - window + position as u64;
    if at + END_LENGTH + comment == length {
        Ok(at)
    } else {
        Err(Error::Malformed("something follows the end of the archive".to_owned()))
    }
}

fn no_end<R: Read + Seek>(reader: &mut R) -> Error {
    let mut head = [0; 4];
    let is_zip = read_at(reader, 0, &mut head).is_ok() && head == *b"PK\x03\x04";
    let text = if is_zip {
        "the archive has no end: it is cut off, or something follows it"
    } else {
        "the file is not a zip archive"
    };
    Error::Malformed(text.to_owned())
}

/// What the end record says; fields may be saturated.
struct Claims {
    entries: u64,
    directory_length: u64,
    directory_start: u64,
}

impl Claims {
    fn read(record: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(record);
        fields.bytes(4)?;
        let disks = [fields.u16()?, fields.u16()?];
        let entries = [fields.u16()?, fields.u16()?];
        let (length, start) = (fields.u32()?, fields.u32()?);
        if !matches!(disks, [0, 0] | [u16::MAX, _] | [_, u16::MAX]) || entries[0] != entries[1] {
            return Err(Error::Malformed("the archive is one part of several".to_owned()));
        }
        Ok(Claims {
            entries: entries[0].into(),
            directory_length: length.into(),
            directory_start: start.into(),
        })
    }

    fn is_saturated(&self) -> bool {
        self.entries == u64::from(u16::MAX)
            || self.directory_length == u64::from(u32::MAX)
            || self.directory_start == u64::from(u32::MAX)
    }

    /// The claims of the wider record, if there is one, and where the directory must end.
    fn widened<R: Read + Seek>(
        self,
        reader: &mut R,
        at: u64,
        limits: &Limits,
    ) -> Result<(Self, u64), Error> {
        let Some(locator_at) = at.checked_sub(LOCATOR_64_LENGTH) else { return Ok((self, at)) };
        let mut locator = [0; 20];
        read_at(reader, locator_at, &mut locator)?;
        let mut fields = Fields::new(&locator);
        if fields.bytes(4)? != LOCATOR_64 {
            if self.is_saturated() {
                check_count(self.entries, limits)?;
                return Err(Error::Malformed("the archive's directory is missing".to_owned()));
            }
            return Ok((self, at));
        }
        fields.bytes(4)?;
        let claimed_at = fields.u64()?;
        let wide_at = locator_at.checked_sub(END_64_LENGTH).filter(|wide| *wide == claimed_at);
        let wide_at = wide_at.ok_or_else(wide_is_wrong)?;
        let mut record = [0; 56];
        read_at(reader, wide_at, &mut record)?;
        let wide = Claims::read_wide(&record)?;
        check_count(wide.entries, limits)?;
        let agrees = |narrow: u64, limit: u64, wide: u64| narrow == limit || narrow == wide;
        if agrees(self.entries, u16::MAX.into(), wide.entries)
            && agrees(self.directory_length, u32::MAX.into(), wide.directory_length)
            && agrees(self.directory_start, u32::MAX.into(), wide.directory_start)
        {
            Ok((wide, wide_at))
        } else {
            Err(wide_is_wrong())
        }
    }

    fn read_wide(record: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(record);
        let signature = fields.bytes(4)?;
        let rest = fields.u64()?;
        fields.bytes(4)?;
        let disks = [fields.u32()?, fields.u32()?];
        let entries = [fields.u64()?, fields.u64()?];
        let (directory_length, directory_start) = (fields.u64()?, fields.u64()?);
        if signature != END_64 || rest != END_64_LENGTH - 12 || disks != [0, 0] {
            return Err(wide_is_wrong());
        }
        if entries[0] != entries[1] {
            return Err(Error::TooManyEntries("the archive does not know its entries".to_owned()));
        }
        Ok(Claims { entries: entries[0], directory_length, directory_start })
    }

    fn check(self, limits: &Limits, directory_end: u64) -> Result<End, Error> {
        check_count(self.entries, limits)?;
        if self.directory_length > limits.directory_bytes {
            return Err(Error::TooManyEntries(format!(
                "names and comments take {} bytes; at most {} are taken",
                self.directory_length, limits.directory_bytes
            )));
        }
        let ends = self.directory_start.checked_add(self.directory_length);
        if ends != Some(directory_end) {
            return Err(Error::Malformed(
                "the archive's directory is not where it is said to be: something stands before \
                 the archive or inside it"
                    .to_owned(),
            ));
        }
        Ok(End { entries: self.entries, directory: self.directory_start..directory_end })
    }
}

fn check_count(entries: u64, limits: &Limits) -> Result<(), Error> {
    if entries > limits.entries {
        return Err(Error::TooManyEntries(format!(
            "the archive says it has {entries} entries; at most {} are taken",
            limits.entries
        )));
    }
    Ok(())
}

fn wide_is_wrong() -> Error {
    Error::Malformed("the archive's two end records contradict each other".to_owned())
}

/// Fills `buffer` from `at`; a file that is too short for it is malformed.
pub(super) fn read_at<R: Read + Seek>(
    reader: &mut R,
    at: u64,
    buffer: &mut [u8],
) -> Result<(), Error> {
    reader.seek(SeekFrom::Start(at)).map_err(Error::Unreadable)?;
    match reader.read_exact(buffer) {
        Ok(()) => Ok(()),
        Err(err) if err.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Error::Malformed("the file is not a zip archive".to_owned()))
        }
        Err(err) => Err(Error::Unreadable(err)),
    }
}
