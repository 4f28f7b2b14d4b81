//! A process that is killed loses nothing that it has acknowledged.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use adapters::EmbeddedStore;
use adapters::embedded::Folder;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::open_bus;
use super::scenario::{self, Ack, Expected};
use super::seed::{self, Choices};

const KILLS: u64 = 200;
/// After so many kills the next one begins with an empty folder, as what is there is all looked at.
const KILLS_A_FOLDER: u64 = 10;
const FOLDER: &str = "AVISHKAR_TEST_CHILD_FOLDER";
const ROUND: &str = "AVISHKAR_TEST_CHILD_ROUND";

/// The child of the test below; by itself it does nothing.
#[test]
#[expect(clippy::disallowed_methods, reason = "so the parent tells its child what to do")]
fn a_child_writes_until_it_is_killed() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else { return };
    let folder = Folder::open(Path::new(&folder)).unwrap();
    let (bus, store) = (open_bus(&folder), EmbeddedStore::open(&folder).unwrap());
    let told = |ack: Ack| std::io::stderr().write_all(ack.to_line().as_bytes()).unwrap();
    let writing = scenario::write(&bus, &store, round.parse().unwrap(), &told);
    Runtime::new().unwrap().block_on(writing);
}

#[expect(clippy::disallowed_methods, reason = "the test kills a process of its own")]
fn child(folder: &Path, round: u64) -> (Child, BufReader<ChildStderr>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["embedded::kill::a_child_writes_until_it_is_killed", "--exact"])
        .args(["--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = BufReader::new(child.stderr.take().unwrap());
    (child, pipe)
}

/// Waits without giving up the processor: the moment is what matters.
fn spin(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Kills the child some time after it has acknowledged so much, and notes all that it has.
fn kill_after(
    (mut child, mut pipe): (Child, BufReader<ChildStderr>),
    acks: u64,
    expected: &mut Expected,
    choices: &mut Choices,
) {
    let mut line = String::new();
    let mut seen = 0;
    while seen < acks && pipe.read_line(&mut line).unwrap() > 0 {
        let ack = Ack::of_line(&line).unwrap_or_else(|| unreachable!("the child said {line}"));
        expected.note(ack);
        seen += 1;
        line.clear();
    }
    assert_eq!(seen, acks, "the child ended by itself");
    spin(Duration::from_micros(choices.below(3_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    expected.note_crash();
    while pipe.read_line(&mut line).unwrap() > 0 {
        if let Some(ack) = Ack::of_line(&line) {
            expected.note(ack);
        }
        line.clear();
    }
}

fn check(folder: &Path, expected: &mut Expected) {
    let folder = Folder::open(folder).unwrap();
    let (bus, store) = (open_bus(&folder), EmbeddedStore::open(&folder).unwrap());
    Runtime::new().unwrap().block_on(async {
        expected.check(&bus, &store).await;
        bus.close().await.unwrap();
        store.close().await.unwrap();
    });
}

fn kill_again_and_again(seed: u64) {
    let mut choices = Choices::new(seed);
    let mut acknowledged = 0;
    for folder in 0..KILLS / KILLS_A_FOLDER {
        let place = tempfile::tempdir().unwrap();
        let mut expected = Expected::default();
        for kill in 0..KILLS_A_FOLDER {
            let round = folder * KILLS_A_FOLDER + kill;
            let acks = 1 + choices.below(150);
            kill_after(child(place.path(), round), acks, &mut expected, &mut choices);
            if choices.below(4) == 0 {
                // Once more while it recovers, if it is not faster; not counted.
                let mut recovering = child(place.path(), 1_000 + round);
                spin(Duration::from_micros(choices.below(40_000)));
                recovering.0.kill().unwrap();
                kill_after(recovering, 0, &mut expected, &mut choices);
            }
            check(place.path(), &mut expected);
        }
        acknowledged += expected.acknowledged();
    }
    assert!(acknowledged > 10_000, "only {acknowledged} acknowledgements");
}

#[test]
fn nothing_that_was_acknowledged_is_lost_in_200_kills() {
    let seed = seed::of_run();
    let result = std::panic::catch_unwind(|| kill_again_and_again(seed));
    assert!(result.is_ok(), "run it again with AVISHKAR_TEST_SEED={seed}");
}
