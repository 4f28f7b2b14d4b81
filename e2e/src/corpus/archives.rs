//! B-U1, B-U2, B-U4 and B-U8: zips whose names, kinds, numbers or structure are wrong.

use testkit::raw_zip::{RawEntry, RawZip};

use super::BadZip;

const ESCAPE: &str = "ARCHIVE_PATH_ESCAPE";
const FORBIDDEN: &str = "ARCHIVE_ENTRY_FORBIDDEN";
const MANY: &str = "ARCHIVE_TOO_MANY_ENTRIES";
const MALFORMED: &str = "ARCHIVE_MALFORMED";

fn main_file() -> RawEntry {
    RawEntry::stored("main.py", b"print()")
}

/// An app that could be released, with one entry more.
fn beside(entry: RawEntry) -> RawZip {
    RawZip::of([main_file(), entry])
}

/// B-U1: entries that lead out of the folder they are unpacked in.
pub fn escaping() -> Vec<BadZip> {
    let names = [
        "../../evil",
        "../../../../../../tmp/evil",
        "/abs",
        "/etc/passwd",
        "C:\\x",
        "C:evil",
        "\\\\host\\share",
        "a\\..\\..\\b",
        "....//",
        "a/../../evil",
        "./evil",
        "..",
        "a//b",
    ];
    let zip = |name: &str| beside(RawEntry::stored(name, b"evil")).bytes();
    names.iter().map(|name| BadZip::new("B-U1", name, zip(name), ESCAPE)).collect()
}

/// B-U2: entries that are no plain file and no folder.
pub fn special() -> Vec<BadZip> {
    let mode =
        |name: &str, mode, content: &[u8]| RawEntry { mode, ..RawEntry::stored(name, content) };
    let link = mode("link", 0o120_777, b"/etc");
    let through = RawZip::of([main_file(), link.clone(), RawEntry::stored("link/passwd", b"x")]);
    // PKWARE's field for Unix: times, user, group, and the path that a hard link leads to.
    let mut target = vec![0x0d, 0, 23, 0];
    target.extend([0; 12]);
    target.extend(b"/etc/passwd");
    let hard = RawEntry { extra: target, ..RawEntry::stored("hardlink", b"") };
    let forms = [
        ("symlink", beside(link)),
        ("a file behind a symlink", through),
        ("symlink to a file of the bundle", beside(mode("link", 0o120_777, b"main.py"))),
        ("hardlink", beside(hard)),
        ("character device", beside(mode("null", 0o020_666, b""))),
        ("block device", beside(mode("sda", 0o060_660, b""))),
        ("fifo", beside(mode("pipe", 0o010_644, b""))),
        ("socket", beside(mode("docker.sock", 0o140_755, b""))),
        ("setuid", beside(mode("su", 0o104_755, b"x"))),
        ("setgid", beside(mode("sg", 0o102_755, b"x"))),
    ];
    forms.map(|(form, zip)| BadZip::new("B-U2", form, zip.bytes(), FORBIDDEN)).to_vec()
}

/// B-U4: too many entries, or so it says.
pub fn crowded() -> Vec<BadZip> {
    let honest = RawZip::of([main_file()]);
    let wide = |zip, count| RawZip { count: Some(u16::MAX), wide_count: Some(count), ..zip };
    let says = |count| wide(honest.clone(), count);
    let shared = RawZip { more_directories: 999_999, ..RawZip::of([RawEntry::stored("x", b"")]) };
    let files = (0..10_001).map(|number| RawEntry::stored(&format!("{number}"), b""));
    let folders = (0..65_536).map(|number| RawEntry::stored(&format!("d{number}/"), b""));
    let commented = (0..160).map(|number| RawEntry {
        comment: vec![b'x'; 65_535],
        ..RawEntry::stored(&format!("{number}"), b"")
    });
    let nested = |depth: usize| beside(RawEntry::stored(&"d/".repeat(depth), b""));
    let forms = [
        ("one file too many", RawZip::of(files)),
        ("1,000,000 entries that share their data", wide(shared, 1_000_000)),
        ("65,536 folders", wide(RawZip::of(folders), 65_536)),
        ("32,767 folders in each other, the most that a name can say", nested(32_767)),
        ("21 folders in each other", nested(21)),
        ("says 65,535 entries", RawZip { count: Some(u16::MAX), ..honest.clone() }),
        ("says 2^40 entries", says(1 << 40)),
        ("says 2^64-1 entries", says(u64::MAX)),
        ("10 MiB of comments", RawZip::of(commented)),
    ];
    forms.map(|(form, zip)| BadZip::new("B-U4", form, zip.bytes(), MANY)).to_vec()
}

/// B-U8: no zip, more than one, or one that readers would read differently.
pub fn malformed() -> Vec<BadZip> {
    let honest = RawZip::of([main_file()]);
    let bytes = honest.bytes();
    let other = RawZip::of([RawEntry::stored("main.py", b"import os")]).bytes();
    let cut = |keep: usize| bytes.get(..keep).unwrap_or_default().to_vec();
    let encrypted = |flags| RawZip::of([RawEntry { flags, ..main_file() }]).bytes();
    let twins = |one, two| RawZip::of([RawEntry::stored(one, b"1"), RawEntry::stored(two, b"2")]);
    let polyglot = RawZip { prefix: b"#!/bin/sh\nexit\n".to_vec(), ..honest.clone() };
    let forms = [
        ("nothing", Vec::new()),
        ("text", b"hello".to_vec()),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0".to_vec()),
        ("signatures only", b"PK\x03\x04".repeat(50)),
        ("the first half of a zip", cut(bytes.len() / 2)),
        ("all but the last byte", cut(bytes.len() - 1)),
        ("polyglot: a script before it", polyglot.bytes()),
        ("polyglot with shifted offsets", RawZip { shifted: true, ..polyglot }.bytes()),
        ("encrypted", encrypted(1)),
        ("strongly encrypted", encrypted(1 | 1 << 6)),
        ("encrypted directory", encrypted(1 << 13)),
        ("two zips, one behind the other", [bytes.as_slice(), &other].concat()),
        ("a second directory in the comment", RawZip { comment: other, ..honest.clone() }.bytes()),
        ("a second end record", RawZip { wide_count: Some(3), ..honest.clone() }.bytes()),
        ("the same name twice", twins("main.py", "main.py").bytes()),
        ("names that differ in case", twins("main.py", "MAIN.py").bytes()),
        ("a file that is a folder too", twins("main.py", "main.py/x").bytes()),
        ("trailing junk", RawZip { suffix: b"junk".to_vec(), ..honest.clone() }.bytes()),
        ("10 MiB behind it", RawZip { suffix: vec![b'x'; 10 << 20], ..honest.clone() }.bytes()),
        ("bytes that no entry has", RawZip { gap: b"junk".to_vec(), ..honest }.bytes()),
    ];
    forms.map(|(form, bytes)| BadZip::new("B-U8", form, bytes, MALFORMED)).to_vec()
}
