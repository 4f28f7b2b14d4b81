use std::fs::OpenOptions;
use std::io::Write as _;

use super::*;

const LINE: &str = "1795236000.123 2000 shop.example.org 200 0.004 512 ";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("access.log")
    }

    fn renamed(&self) -> PathBuf {
        self.0.path().join("access.log.1")
    }

    fn append(&self, text: &str) {
        append_to(&self.path(), text);
    }

    fn turn(&self) {
        fs::rename(self.path(), self.renamed()).unwrap();
    }

    fn log(&self) -> AccessLog {
        AccessLog::new(self.path())
    }
}

fn append_to(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn line(tried: &str) -> String {
    format!("{LINE}{tried}\n")
}

fn ended(log: &mut AccessLog, port: u16) -> u64 {
    let address = ([192, 0, 2, 1], port).into();
    log.tally().ends.get(&address).copied().unwrap_or_default()
}

#[tokio::test]
async fn each_try_is_an_end() {
    let folder = Folder::new();
    folder.append(&line("192.0.2.1:20000"));
    folder.append(&line("192.0.2.1:20000, 192.0.2.1:20001"));
    folder.append(&line("192.0.2.1:20001 : 192.0.2.1:20002"));
    folder.append(&line("-"));
    folder.append(&line("replicas"));
    folder.append("nonsense\n\n");
    let mut log = folder.log();
    assert_eq!(log.advance().unwrap(), Coverage::Whole);
    assert_eq!((ended(&mut log, 20000), ended(&mut log, 20001), ended(&mut log, 20002)), (2, 2, 1));
    assert_eq!(log.tally().ends.len(), 3);
}

#[tokio::test]
async fn half_a_line_is_waited_for() {
    let folder = Folder::new();
    let mut log = folder.log();
    assert_eq!(log.advance().unwrap(), Coverage::Whole);
    let text = line("192.0.2.1:20000");
    folder.append(&text[..text.len() - 3]);
    log.advance().unwrap();
    assert_eq!(ended(&mut log, 20000), 0);
    folder.append(&text[text.len() - 3..]);
    log.advance().unwrap();
    assert_eq!(ended(&mut log, 20000), 1);
}

#[tokio::test]
async fn no_line_is_lost_or_counted_twice_when_the_log_turns() {
    let folder = Folder::new();
    let mut log = folder.log();
    folder.append(&line("192.0.2.1:20000"));
    assert_eq!(log.advance().unwrap(), Coverage::Whole);
    for turn in 1..4 {
        folder.append(&line("192.0.2.1:20000"));
        folder.turn();
        // Between the two steps of a turn there is no log in place.
        assert_eq!(log.advance().unwrap(), Coverage::Whole);
        folder.append(&line("192.0.2.1:20000"));
        assert_eq!(log.advance().unwrap(), Coverage::Whole);
        // A worker that has not turned yet.
        append_to(&folder.renamed(), &line("192.0.2.1:20000"));
        assert_eq!(log.advance().unwrap(), Coverage::Whole);
        assert_eq!(ended(&mut log, 20000), 1 + 3 * turn);
    }
}

#[tokio::test]
async fn what_was_missed_is_told() {
    let folder = Folder::new();
    let mut log = folder.log();
    folder.append(&line("192.0.2.1:20000"));
    log.advance().unwrap();
    for _ in 0..2 {
        folder.turn();
        folder.append(&line("192.0.2.1:20000"));
    }
    assert_eq!(log.advance().unwrap(), Coverage::Partial);
    fs::write(folder.path(), "").unwrap();
    assert_eq!(log.advance().unwrap(), Coverage::Partial);
    assert_eq!(log.advance().unwrap(), Coverage::Whole);
    // A log that has turned before it was followed.
    assert_eq!(folder.log().advance().unwrap(), Coverage::Partial);
}

#[tokio::test]
async fn a_line_without_an_end_does_not_fill_the_memory() {
    let folder = Folder::new();
    let mut log = folder.log();
    folder.append(&"x".repeat(3 * LONGEST_LINE));
    log.advance().unwrap();
    assert!(log.current.as_ref().unwrap().rest.len() <= LONGEST_LINE);
    folder.append("\n");
    folder.append(&line("192.0.2.1:20000"));
    log.advance().unwrap();
    assert_eq!(ended(&mut log, 20000), 1);
}

#[tokio::test]
async fn replicas_that_the_edge_forgot_are_forgotten() {
    let folder = Folder::new();
    let mut log = folder.log();
    folder.append(&line("192.0.2.1:20000"));
    folder.append(&line("192.0.2.1:20001"));
    log.advance().unwrap();
    log.tally().forget(&[(([192, 0, 2, 1], 20001).into(), 5)].into(), Instant::now());
    assert_eq!((ended(&mut log, 20000), ended(&mut log, 20001)), (0, 1));
}
