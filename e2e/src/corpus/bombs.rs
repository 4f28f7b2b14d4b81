//! B-U3: zips that are small until they are unpacked.

use flate2::{Compress, Compression, FlushCompress};
use testkit::raw_zip::{RawEntry, RawZip, wide_size};

use super::BadZip;

const CODE: &str = "ARCHIVE_TOO_LARGE";
const GIB: u64 = 1 << 30;
/// How many zeros one repeatable piece stands for.
const PIECE: usize = 16 << 20;

/// Deflated zeros, `pieces` times 16 MiB: each piece ends on a byte and needs nothing before it, so one is
/// made and repeated.
fn zeros(pieces: usize) -> Vec<u8> {
    let mut piece = Vec::with_capacity(64 * 1024);
    let mut deflate = Compress::new(Compression::best(), false);
    deflate
        .compress_vec(&vec![0; PIECE], &mut piece, FlushCompress::Full)
        .expect("zeros can be deflated");
    let mut stream = piece.repeat(pieces);
    // The last block, empty.
    stream.extend([0x03, 0x00]);
    stream
}

/// An entry whose data inflates to `pieces` times 16 MiB, and says that it has `size` bytes.
fn run(name: &str, pieces: usize, size: u64) -> RawEntry {
    let extra = if size > u64::from(u32::MAX) { wide_size(size) } else { Vec::new() };
    RawEntry { method: 8, data: zeros(pieces), size, extra, ..RawEntry::stored(name, b"") }
}

/// Zips in zips: five layers of sixteen, and 4 GiB in each of the lowest.
fn nested() -> Vec<u8> {
    let mut zip = RawZip::of([run("0.dll", 255, 255 * (PIECE as u64))]).bytes();
    for layer in 0..5 {
        let one = RawEntry::deflated("", &zip);
        let copies = (0..16).map(|number| RawEntry {
            name: format!("lib {layer} {number:x}.zip").into_bytes(),
            ..one.clone()
        });
        zip = RawZip::of(copies).bytes();
    }
    zip
}

/// Every entry of the directory points into one stream of 4 GiB: the overlap bomb.
fn overlapping() -> Vec<u8> {
    let kernel = run("0", 255, 255 * (PIECE as u64));
    let others = (1..4000).map(|number| RawEntry {
        name: number.to_string().into_bytes(),
        data: Vec::new(),
        offset: Some(0),
        ..kernel.clone()
    });
    RawZip::of([kernel.clone()].into_iter().chain(others)).bytes()
}

/// All of them.
pub fn bombs() -> Vec<BadZip> {
    let ten_gib = |size| RawZip::of([run("main.py", 640, size)]).bytes();
    let many = (0..9).map(|number| run(&format!("{number}"), 8, 128 << 20));
    let forms = [
        ("nested like 42.zip", nested()),
        ("overlap", overlapping()),
        ("10 GiB of zeros", ten_gib(10 * GIB)),
        ("10 GiB that say they are 10 bytes", ten_gib(10)),
        ("10 GiB that say they are nothing", ten_gib(0)),
        ("10 GiB that say they are as large as is taken", ten_gib(256 << 20)),
        ("a small file that says it has 10 GiB", {
            let entry = RawEntry::deflated("main.py", b"print()");
            RawZip::of([RawEntry { size: 10 * GIB, extra: wide_size(10 * GIB), ..entry }]).bytes()
        }),
        ("files of 128 MiB, 1,152 MiB together", RawZip::of(many).bytes()),
    ];
    forms.map(|(form, bytes)| BadZip::new("B-U3", form, bytes, CODE)).to_vec()
}
