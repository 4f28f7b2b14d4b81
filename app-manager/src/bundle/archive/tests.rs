//! Honest archives, and every kind of hostile one.

use std::io::Cursor;

use proptest::prelude::*;
use testkit::raw_zip::{RawEntry, RawZip, crc32, wide_size};

use super::*;

fn check_bytes(bytes: Vec<u8>) -> Result<Archive<Cursor<Vec<u8>>>, Error> {
    check(Cursor::new(bytes), &Limits::default(), &|| false)
}

fn code(zip: &RawZip) -> &'static str {
    code_of(zip.bytes())
}

fn code_of(bytes: Vec<u8>) -> &'static str {
    match check_bytes(bytes) {
        Ok(_) => "ok",
        Err(Error::PathEscape(_)) => "escape",
        Err(Error::EntryForbidden(_)) => "forbidden",
        Err(Error::TooLarge(_)) => "too large",
        Err(Error::TooManyEntries(_)) => "too many",
        Err(Error::Malformed(_)) => "malformed",
        Err(err @ (Error::OutOfTime | Error::Unreadable(_))) => panic!("{err:?}"),
    }
}

fn file(name: &str) -> RawEntry {
    RawEntry::stored(name, b"hello")
}

fn with(change: impl FnOnce(&mut RawEntry)) -> RawZip {
    let mut entry = file("main.py");
    change(&mut entry);
    RawZip::of([file("first.py"), entry, file("last.py")])
}

#[test]
fn an_honest_archive_is_taken_and_can_be_read() {
    let large = b"0123456789".repeat(50_000);
    let zip = RawZip::of([
        file("main.py"),
        RawEntry::stored("static/", b""),
        RawEntry::deflated("static/large.txt", &large),
        RawEntry::deflated("streamed.txt", b"streamed").streamed(),
        RawEntry::stored("empty", b""),
    ]);
    let mut archive = check_bytes(zip.bytes()).unwrap();
    let files: Vec<&str> = archive.files().collect();
    assert_eq!(files, ["empty", "main.py", "static/large.txt", "streamed.txt"]);
    assert_eq!(archive.read("static/large.txt", 1 << 20), Ok(Some(large)));
    assert_eq!(archive.read("missing", 10), Ok(None));
    assert_eq!(archive.read("main.py", 4), Err(TooLong));
}

#[test]
fn a_comment_an_empty_archive_and_a_wider_end_record_are_taken() {
    let commented = RawZip { comment: b"made by us".to_vec(), ..RawZip::of([file("a")]) };
    assert_eq!(code(&commented), "ok");
    assert_eq!(code(&RawZip::default()), "ok");
    assert_eq!(code(&RawZip { wide_count: Some(1), ..RawZip::of([file("a")]) }), "ok");
}

#[test]
fn paths_that_lead_out_are_refused() {
    for name in ["../../evil", "/abs", "C:\\x", "a\\..\\..\\b", "....//", "a/../b", "./a"] {
        assert_eq!(code(&RawZip::of([file("ok"), file(name)])), "escape", "{name}");
    }
}

#[test]
fn whatever_is_no_plain_file_or_folder_is_refused() {
    for mode in
        [0o120_777, 0o020_644, 0o060_644, 0o010_644, 0o140_644, 0o104_755, 0o102_755, 0o150_000]
    {
        assert_eq!(code(&with(|entry| entry.mode = mode)), "forbidden", "{mode:o}");
    }
    assert_eq!(code(&with(|entry| entry.extra = vec![0x0d, 0, 2, 0, b'/', b'x'])), "forbidden");
    let through = RawZip::of([
        RawEntry { mode: 0o120_777, ..RawEntry::stored("link", b"/etc") },
        file("link/passwd"),
    ]);
    assert_eq!(code(&through), "forbidden");
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let zeros = RawEntry::deflated("zeros", &vec![0; 12 << 20]);
    assert_eq!(code(&RawZip::of([zeros])), "too large");
    let ten_gib = RawEntry {
        size: 10 << 30,
        extra: wide_size(10 << 30),
        ..RawEntry::deflated("huge", b"small")
    };
    assert_eq!(code(&RawZip::of([ten_gib])), "too large");
    let many = (0..5).map(|n| RawEntry {
        size: 250 << 20,
        data: vec![0; 2 << 20],
        method: 8,
        ..file(&format!("{n}"))
    });
    assert_eq!(code(&RawZip::of(many)), "too large");
    let overlapping = (0..2000).map(|n| RawEntry {
        size: 1 << 20,
        offset: Some(0),
        method: 8,
        data: vec![0; 16],
        ..file(&format!("{n}"))
    });
    assert_eq!(code(&RawZip::of(overlapping)), "too large");
}

fn within(zip: &RawZip) -> RawZip {
    RawZip::of([file("main.py"), RawEntry::deflated("inner.zip", &zip.bytes())])
}

#[test]
fn a_zip_in_the_zip_is_a_plain_file_unless_it_is_a_bomb_at_any_depth() {
    let honest = RawZip::of([file("a"), RawEntry::stored("b.zip", b"no zip at all")]);
    assert_eq!(code(&within(&within(&honest))), "ok");
    let says = RawEntry { size: 2 << 30, ..RawEntry::deflated("0.dll", b"small") };
    let bomb = RawZip::of([says]);
    assert_eq!(code(&within(&bomb)), "too large");
    assert_eq!(code(&within(&within(&within(&bomb)))), "too large");
    let cut = bomb.bytes()[..20].to_vec();
    assert_eq!(code(&RawZip::of([file("main.py"), RawEntry::stored("inner.zip", &cut)])), "ok");
    let lies = RawEntry { size: 9, ..RawEntry::stored("inner.zip", b"") };
    assert_eq!(code(&within(&RawZip::of([lies]))), "ok");
}

#[test]
fn an_entry_that_is_larger_than_it_says_is_stopped_at_once() {
    let content = vec![7; 9 << 20];
    for size in [0, 100, (9 << 20) - 1] {
        let liar = RawEntry { size, ..RawEntry::deflated("liar", &content) };
        assert_eq!(code(&RawZip::of([liar])), "too large", "{size}");
    }
    let short = RawEntry { size: (9 << 20) + 1, ..RawEntry::deflated("short", &content) };
    assert_eq!(code(&RawZip::of([short])), "malformed");
}

#[test]
fn too_many_entries_are_refused_by_their_number() {
    let many = (0..10_001).map(|n| RawEntry::stored(&format!("{n}"), b""));
    assert_eq!(code(&RawZip::of(many)), "too many");
    let honest = RawZip::of([file("a")]);
    assert_eq!(code(&RawZip { count: Some(u16::MAX), ..honest.clone() }), "too many");
    for count in [10_001, u64::MAX, 1 << 40] {
        let absurd = RawZip { wide_count: Some(count), count: Some(u16::MAX), ..honest.clone() };
        assert_eq!(code(&absurd), "too many", "{count}");
    }
    assert_eq!(code(&RawZip::of([file(&"a/".repeat(30_000).replace("//", "/"))])), "too many");
    let comments =
        (0..160).map(|n| RawEntry { comment: vec![b'x'; 65_535], ..file(&format!("{n}")) });
    assert_eq!(code(&RawZip::of(comments)), "too many");
}

#[test]
fn what_is_no_archive_or_more_than_one_is_malformed() {
    let honest = RawZip::of([file("a"), file("b")]);
    let bytes = honest.bytes();
    for not_a_zip in [vec![], b"hello".to_vec(), vec![0; 100_000], b"PK\x03\x04".repeat(50)] {
        assert_eq!(code_of(not_a_zip), "malformed");
    }
    assert_eq!(code_of(bytes[..bytes.len() - 1].to_vec()), "malformed");
    assert_eq!(code_of(bytes[..bytes.len() / 2].to_vec()), "malformed");
    assert_eq!(code_of(bytes.repeat(2)), "malformed");
    let polyglot = RawZip { prefix: b"#!/bin/sh\nexit\n".to_vec(), ..honest.clone() };
    assert_eq!(code(&polyglot), "malformed");
    assert_eq!(code(&RawZip { shifted: true, ..polyglot }), "malformed");
    assert_eq!(code(&RawZip { suffix: b"junk".to_vec(), ..honest.clone() }), "malformed");
    assert_eq!(code(&RawZip { suffix: vec![b'x'; 10 << 20], ..honest.clone() }), "malformed");
    assert_eq!(code(&RawZip { gap: b"junk".to_vec(), ..honest.clone() }), "malformed");
    assert_eq!(code(&RawZip { comment: bytes, ..honest.clone() }), "malformed");
    assert_eq!(code(&RawZip { count: Some(1), ..honest.clone() }), "malformed");
    assert_eq!(code(&RawZip { count: Some(3), ..honest.clone() }), "malformed");
    assert_eq!(code(&RawZip { wide_count: Some(3), ..honest }), "malformed");
}

#[test]
fn encryption_and_strange_methods_are_malformed() {
    assert_eq!(code(&with(|entry| entry.flags = 1)), "malformed");
    assert_eq!(code(&with(|entry| entry.flags = 1 << 13)), "malformed");
    for method in [1, 9, 12, 14, 93, 99] {
        assert_eq!(code(&with(|entry| entry.method = method)), "malformed", "{method}");
    }
}

#[test]
fn names_that_stand_twice_are_malformed() {
    for (one, two) in
        [("a", "a"), ("README", "readme"), ("a", "a/"), ("STRASSE", "straße"), ("a", "A/b")]
    {
        let two = if two.ends_with('/') { RawEntry::stored(two, b"") } else { file(two) };
        let mut zip = RawZip::of([file(one), two]);
        zip.entries[1].flags = 1 << 11;
        assert_eq!(
            code(&zip),
            "malformed",
            "{one} {}",
            String::from_utf8_lossy(&zip.entries[1].name)
        );
    }
}

#[test]
fn headers_that_contradict_each_other_are_malformed() {
    assert_eq!(code(&with(|entry| entry.local_name = Some(b"evil.py".to_vec()))), "malformed");
    assert_eq!(code(&with(|entry| entry.local_sizes = Some([entry.crc, 5, 6]))), "malformed");
    assert_eq!(code(&with(|entry| entry.local_sizes = Some([0, 0, 0]))), "malformed");
    assert_eq!(code(&with(|entry| entry.offset = Some(0))), "malformed");
    assert_eq!(code(&with(|entry| entry.offset = Some(7))), "malformed");
    assert_eq!(code(&with(|entry| entry.offset = Some(u32::MAX - 1))), "malformed");
    assert_eq!(code(&with(|entry| entry.descriptor = vec![0; 16])), "malformed");
    let mut streamed = RawZip::of([RawEntry::deflated("a", b"content").streamed()]);
    assert_eq!(code(&streamed), "ok");
    streamed.entries[0].descriptor[5] ^= 1;
    assert_eq!(code(&streamed), "malformed");
}

#[test]
fn a_wrong_checksum_and_damaged_content_are_malformed() {
    assert_eq!(code(&with(|entry| entry.crc ^= 1)), "malformed");
    let mut damaged = RawEntry::deflated("a", &b"some text, some more text".repeat(20));
    damaged.data[3] ^= 0xff;
    assert_eq!(code(&RawZip::of([damaged])), "malformed");
}

#[test]
fn a_name_that_an_extra_field_replaces_by_another_is_malformed() {
    let replaced = |name: &str| {
        let mut extra = vec![1];
        extra.extend(crc32(b"main.py").to_le_bytes());
        extra.extend(name.as_bytes());
        let length = u16::try_from(extra.len()).unwrap().to_le_bytes();
        [&[0x75, 0x70][..], &length, &extra].concat()
    };
    assert_eq!(code(&with(|entry| entry.extra = replaced("main.py"))), "ok");
    assert_eq!(code(&with(|entry| entry.extra = replaced("../evil"))), "malformed");
}

#[test]
fn work_that_nobody_waits_for_ends() {
    let zip = RawZip::of([file("a")]);
    let refused = check(Cursor::new(zip.bytes()), &Limits::default(), &|| true);
    assert!(matches!(refused, Err(Error::OutOfTime)));
}

fn sample() -> Vec<u8> {
    RawZip {
        comment: b"note".to_vec(),
        ..RawZip::of([
            file("main.py"),
            RawEntry::stored("lib/", b""),
            RawEntry::deflated("lib/a.py", &b"print()\n".repeat(40)),
            RawEntry::deflated("lib/b.py", b"x").streamed(),
        ])
    }
    .bytes()
}

proptest! {
    /// Whatever is done to an archive, it is refused or every file in it can be read back whole.
    #[test]
    fn a_changed_archive_is_refused_or_readable(
        changes in proptest::collection::vec((0..1000_usize, any::<u8>()), 1..4)
    ) {
        let mut bytes = sample();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(mut archive) = check_bytes(bytes) {
            let files: Vec<String> = archive.files().map(str::to_owned).collect();
            for path in files {
                prop_assert!(matches!(archive.read(&path, 1 << 20), Ok(Some(_))));
            }
        }
    }

    #[test]
    fn a_cut_archive_is_refused(length in 0..400_usize) {
        let bytes = sample();
        let length = length.min(bytes.len() - 1);
        prop_assert!(check_bytes(bytes[..length].to_vec()).is_err());
    }

    #[test]
    fn noise_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(check_bytes(noise).is_err());
    }
}
