//! Zips byte by byte: also such as no honest program writes.

use std::io::{self, Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const IN_MEMORY: &str = "memory takes what is written";
const FITS: &str = "a zip of a test is small";

/// One entry; every field can be made to lie.
#[derive(Debug, Clone)]
pub struct RawEntry {
    pub name: Vec<u8>,
    /// The name in the local header, if it is another.
    pub local_name: Option<Vec<u8>>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub data: Vec<u8>,
    /// The declared size, inflated.
    pub size: u64,
    pub mode: u32,
    pub extra: Vec<u8>,
    pub comment: Vec<u8>,
    /// The declared place of the local header, if it is another than the true one.
    pub offset: Option<u32>,
    /// What the local header says of checksum, compressed size and size, if it says something else.
    pub local_sizes: Option<[u32; 3]>,
    /// What stands behind the data.
    pub descriptor: Vec<u8>,
}

impl RawEntry {
    pub fn stored(name: &str, content: &[u8]) -> Self {
        RawEntry {
            name: name.as_bytes().to_vec(),
            local_name: None,
            flags: 0,
            method: 0,
            crc: crc32(content),
            data: content.to_vec(),
            size: content.len() as u64,
            mode: if name.ends_with('/') { 0o040_755 } else { 0o100_644 },
            extra: Vec::new(),
            comment: Vec::new(),
            offset: None,
            local_sizes: None,
            descriptor: Vec::new(),
        }
    }

    pub fn deflated(name: &str, content: &[u8]) -> Self {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        writer.start_file("x", options).expect(IN_MEMORY);
        writer.write_all(content).expect(IN_MEMORY);
        let written = writer.finish().expect(IN_MEMORY);
        let mut archive = ZipArchive::new(written).expect("what was just written is read");
        let mut data = Vec::new();
        let mut entry = archive.by_index_raw(0).expect("it has one entry");
        io::copy(&mut entry, &mut data).expect(IN_MEMORY);
        RawEntry { method: 8, data, ..RawEntry::stored(name, content) }.sized(content)
    }

    fn sized(mut self, content: &[u8]) -> Self {
        self.size = content.len() as u64;
        self.crc = crc32(content);
        self
    }

    /// Written as by a program that does not know the sizes when it begins.
    #[must_use]
    pub fn streamed(mut self) -> Self {
        self.flags |= 8;
        self.local_sizes = Some([0; 3]);
        self.descriptor = b"PK\x07\x08".to_vec();
        self.descriptor.extend(self.crc.to_le_bytes());
        self.descriptor.extend(u32::try_from(self.data.len()).expect(FITS).to_le_bytes());
        self.descriptor.extend(u32::try_from(self.size).expect(FITS).to_le_bytes());
        self
    }
}

/// A whole archive.
#[derive(Debug, Clone, Default)]
pub struct RawZip {
    pub entries: Vec<RawEntry>,
    /// Bytes before everything; the offsets do not count them unless `shifted`.
    pub prefix: Vec<u8>,
    pub shifted: bool,
    /// Bytes between the last entry and the directory.
    pub gap: Vec<u8>,
    pub comment: Vec<u8>,
    pub suffix: Vec<u8>,
    /// The directory stands so many times more in itself: many entries that share their data.
    pub more_directories: usize,
    /// The number of entries it claims, if it is another.
    pub count: Option<u16>,
    /// The number of entries that a second, wider end record claims.
    pub wide_count: Option<u64>,
}

impl RawZip {
    pub fn of(entries: impl IntoIterator<Item = RawEntry>) -> Self {
        RawZip { entries: entries.into_iter().collect(), ..RawZip::default() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let base = if self.shifted { self.prefix.len() } else { 0 };
        let mut out = Vec::new();
        let mut directory = Vec::new();
        for entry in &self.entries {
            let offset = u32::try_from(out.len() + base).expect(FITS);
            local(&mut out, entry);
            central(&mut directory, entry, entry.offset.unwrap_or(offset));
        }
        out.extend(&self.gap);
        let start = out.len() + base;
        let directory = directory.repeat(1 + self.more_directories);
        let length = directory.len();
        out.extend(directory);
        let count = u16::try_from(self.entries.len()).unwrap_or(u16::MAX);
        if let Some(wide) = self.wide_count {
            let at = out.len() + base;
            wide_end(&mut out, wide, [length as u64, start as u64, at as u64]);
        }
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend(self.count.unwrap_or(count).to_le_bytes());
        out.extend(self.count.unwrap_or(count).to_le_bytes());
        out.extend(u32::try_from(length).expect(FITS).to_le_bytes());
        out.extend(u32::try_from(start).expect(FITS).to_le_bytes());
        out.extend(u16::try_from(self.comment.len()).expect(FITS).to_le_bytes());
        out.extend(&self.comment);
        out.extend(&self.suffix);
        [self.prefix.as_slice(), &out].concat()
    }
}

fn wide_end(out: &mut Vec<u8>, count: u64, [length, start, at]: [u64; 3]) {
    out.extend(b"PK\x06\x06");
    out.extend(44_u64.to_le_bytes());
    out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [count, count, length, start] {
        out.extend(number.to_le_bytes());
    }
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend(at.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
}

fn local(out: &mut Vec<u8>, entry: &RawEntry) {
    let name = entry.local_name.as_ref().unwrap_or(&entry.name);
    out.extend(b"PK\x03\x04\x14\0");
    out.extend(entry.flags.to_le_bytes());
    out.extend(entry.method.to_le_bytes());
    out.extend([0, 0, 0x21, 0]);
    for number in entry.local_sizes.unwrap_or_else(|| sizes(entry)) {
        out.extend(number.to_le_bytes());
    }
    out.extend(u16::try_from(name.len()).expect(FITS).to_le_bytes());
    out.extend(u16::try_from(entry.extra.len()).expect(FITS).to_le_bytes());
    out.extend(name);
    out.extend(&entry.extra);
    out.extend(&entry.data);
    out.extend(&entry.descriptor);
}

fn central(out: &mut Vec<u8>, entry: &RawEntry, offset: u32) {
    out.extend(b"PK\x01\x02\x14\x03\x14\0");
    out.extend(entry.flags.to_le_bytes());
    out.extend(entry.method.to_le_bytes());
    out.extend([0, 0, 0x21, 0]);
    for number in sizes(entry) {
        out.extend(number.to_le_bytes());
    }
    for length in [entry.name.len(), entry.extra.len(), entry.comment.len()] {
        out.extend(u16::try_from(length).expect(FITS).to_le_bytes());
    }
    out.extend([0; 4]);
    out.extend((entry.mode << 16).to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend(&entry.name);
    out.extend(&entry.extra);
    out.extend(&entry.comment);
}

/// Checksum, compressed size, size; a size beyond 32 bits is saturated and needs an extra field.
fn sizes(entry: &RawEntry) -> [u32; 3] {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    [entry.crc, narrow(entry.data.len() as u64), narrow(entry.size)]
}

/// The extra field with a size beyond 32 bits.
pub fn wide_size(size: u64) -> Vec<u8> {
    [&[1, 0, 8, 0][..], &size.to_le_bytes()].concat()
}

/// Bit by bit: slow and plain.
pub fn crc32(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(!0, fold)
}
