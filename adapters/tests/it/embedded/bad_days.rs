//! Folders that are taken, newer, damaged, not writable or full: each said plainly, nothing lost.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use adapters::embedded::{Error, Folder, Retention};
use adapters::{EmbeddedBus, EmbeddedStore};
use bytes::Bytes;
use common::port::bus::{Error as BusError, Offset};
use common::port::store::{Error as StoreError, Op, Precondition};
use common::port::{Bus, Store};

use super::disk::Disk;
use super::seed::{self, Choices};
use super::{WallClock, make, open_bus, path, payload, record, topic, within};

const FOLDER: &str = "AVISHKAR_TEST_HELD_FOLDER";

/// The child of the test below; by itself it does nothing.
#[test]
#[expect(clippy::disallowed_methods, reason = "so the parent tells its child what to do")]
fn a_child_holds_a_folder() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let _folder = Folder::open(Path::new(&folder)).unwrap();
    std::io::stderr().write_all(b"held\n").unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test kills a process of its own")]
fn a_second_process_is_refused_until_the_first_has_ended() {
    let place = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["embedded::bad_days::a_child_holds_a_folder", "--exact"])
        .args(["--nocapture", "--test-threads=1"])
        .env(FOLDER, place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "held\n");
    let refused = Folder::open(place.path()).unwrap_err().to_string();
    let expected = format!(
        "{} is in use by another process, {}: stop that one, or choose another folder",
        place.path().display(),
        child.id()
    );
    assert_eq!(refused, expected);
    child.kill().unwrap();
    child.wait().unwrap();
    Folder::open(place.path()).unwrap();
}

#[test]
fn one_process_opens_each_of_the_two_once() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let _bus = open_bus(&folder);
    let second = EmbeddedBus::open(&folder, Arc::new(WallClock), Retention::default());
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
}

#[test]
fn a_folder_that_cannot_be_written_is_said_to_be_so() {
    let refused = Folder::open(Path::new("/sys/avishkar-test")).unwrap_err();
    assert!(matches!(refused, Error::NotWritable { .. }), "{refused:?}");
}

const RECORDS: i64 = 150;
/// This byte alone says which of the two newest states is the present one, and whether it was left
/// in order.
const STATE_BYTE: usize = 9;

fn text(number: i64) -> Bytes {
    let mut choices = Choices::new(number.unsigned_abs());
    let length = choices.index(2_000) / 8;
    (0..=length).flat_map(|_| choices.next().to_le_bytes()).collect()
}

/// The files of a folder with records, as they are after a crash or after they were closed.
async fn files(closed: bool) -> [Vec<u8>; 2] {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let (bus, store) = (open_bus(&folder), EmbeddedStore::open(&folder).unwrap());
    bus.ensure_topics(&[topic()]).await.unwrap();
    for number in 0..RECORDS {
        bus.publish(&topic(), record(text(number))).await.unwrap();
        let (path, value) = (path(&format!("/records/{number}")), text(number));
        let precondition = Precondition::Absent;
        store.commit(vec![Op::Put { path, value, precondition }]).await.unwrap();
    }
    if closed {
        bus.close().await.unwrap();
        store.close().await.unwrap();
    }
    ["bus.redb", "store.redb"].map(|file| fs::read(place.path().join(file)).unwrap())
}

fn damage(file: &mut Vec<u8>, choices: &mut Choices) {
    let at = loop {
        let at = choices.index(file.len());
        if at != STATE_BYTE {
            break at;
        }
    };
    let mut overwrite = |from: usize, count: usize, mask: u8, flipped: u8| {
        for byte in file.iter_mut().skip(from).take(count) {
            *byte = (*byte & mask) ^ flipped;
        }
    };
    match choices.below(5) {
        0 => overwrite(at, 1, 0xff, 1 << choices.below(8)),
        1 => overwrite(at & !4095, 4096, 0, 0),
        2 => overwrite(at, 64, 0, 0xff),
        3 => file.truncate(at),
        _ => file.extend(vec![0; at]),
    }
}

async fn check_bus(folder: &Folder) -> Result<(), Error> {
    let bus = EmbeddedBus::open(folder, Arc::new(WallClock), Retention::default())?;
    assert_eq!(bus.end(&topic()).await.unwrap(), Offset(RECORDS));
    let mut reader = bus.read(&topic(), Offset(0)).await.unwrap();
    for number in 0..RECORDS {
        assert!(payload(reader.as_mut()).await == text(number), "record {number}");
    }
    bus.close().await
}

async fn check_store(folder: &Folder) -> Result<(), Error> {
    let store = EmbeddedStore::open(folder)?;
    for number in 0..RECORDS {
        let entry = store.get(&path(&format!("/records/{number}"))).await.unwrap().unwrap();
        assert!(entry.value == text(number), "record {number}");
    }
    store.close().await
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_alone_or_harmless() {
    let first = seed::of_run();
    for closed in [true, false] {
        let files = files(closed).await;
        let mut refusals = 0;
        for seed in (0..150).map(|number| first.wrapping_add(number)) {
            let mut choices = Choices::new(seed);
            let which = choices.index(2);
            let mut file = files.get(which).unwrap().clone();
            damage(&mut file, &mut choices);
            let place = tempfile::tempdir().unwrap();
            let folder = Folder::open(place.path()).unwrap();
            let name = place.path().join(if which == 0 { "bus.redb" } else { "store.redb" });
            fs::write(&name, &file).unwrap();
            let checked = match which {
                0 => check_bus(&folder).await,
                _ => check_store(&folder).await,
            };
            match checked {
                Ok(()) => {}
                Err(Error::Damaged { .. }) => {
                    refusals += 1;
                    let mut left = fs::read(&name).unwrap();
                    // redb notes there that somebody has begun to look at the file.
                    left.iter_mut().zip(&file).skip(STATE_BYTE).take(1).for_each(|(l, f)| *l = *f);
                    assert!(left == file, "it was changed; seed {seed}");
                }
                Err(other) => unreachable!("{other:?}; AVISHKAR_TEST_SEED={seed}"),
            }
        }
        assert!(refusals > 50, "only {refusals} were noticed");
    }
}

#[tokio::test]
async fn a_file_that_is_empty_or_gone_is_damaged_and_is_made_anew_only_where_it_is_set_aside() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    fs::write(place.path().join("store.redb"), "").unwrap();
    let refused = EmbeddedStore::open(&folder).unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused:?}");
    fs::remove_file(place.path().join("store.redb")).unwrap();
    fs::remove_file(place.path().join("store.made")).unwrap();
    // What somebody began and did not finish.
    fs::write(place.path().join("store.new"), "half").unwrap();
    let store = EmbeddedStore::open(&folder).unwrap();
    store.commit(vec![make("/made")]).await.unwrap();
    store.close().await.unwrap();
    let file = place.path().join("store.redb");
    fs::rename(&file, place.path().join("elsewhere")).unwrap();
    for refused in [EmbeddedStore::open(&folder).map(drop), EmbeddedStore::open(&folder).map(drop)]
    {
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
        assert!(!file.exists(), "it is not made in silence");
    }
    assert_eq!(folder.set_aside(&file).unwrap(), None, "nothing was left of it");
    let store = EmbeddedStore::open(&folder).unwrap();
    assert!(store.get(&path("/made")).await.unwrap().is_none());
    store.close().await.unwrap();
    let aside = folder.set_aside(&file).unwrap().unwrap();
    assert!(aside.exists() && !file.exists(), "{}", aside.display());
    assert_eq!(folder.set_aside(&place.path().join("format")).unwrap(), None);
    EmbeddedStore::open(&folder).unwrap();
}

#[tokio::test]
async fn a_disk_that_fails_is_told_to_everybody_who_waits() {
    let disk = Disk::default();
    let retention = Retention::default();
    let bus = EmbeddedBus::on(disk.clone(), Arc::new(WallClock), retention).unwrap();
    bus.ensure_topics(&[topic()]).await.unwrap();
    let mut consumer = bus.consume(&topic(), "group").await.unwrap();
    disk.fail_after(0);
    let publishing = async { bus.publish(&topic(), record("lost")).await };
    let (waited, published) = within(async { tokio::join!(consumer.next(), publishing) }).await;
    for refused in [waited.map(drop), published.map(drop), bus.end(&topic()).await.map(drop)] {
        let Err(BusError::Unavailable(cause)) = refused else { unreachable!("{refused:?}") };
        let expected = "the disk of the test cannot be used: check its disk, then start again";
        assert_eq!(cause.to_string(), expected);
    }
    let ended = within(bus.failed()).await;
    assert!(matches!(*ended, Error::Failed { .. }), "whoever runs it is told: {ended:?}");
    let disk = Disk::default();
    let store = EmbeddedStore::on(disk.clone()).unwrap();
    disk.fail_after(0);
    store.commit(vec![make("/lost")]).await.unwrap_err();
    assert!(matches!(*within(store.failed()).await, Error::Failed { .. }));
}

#[tokio::test]
async fn a_full_disk_is_no_end() {
    let disk = Disk::default();
    let store = EmbeddedStore::on(disk.clone()).unwrap();
    disk.bound(Some(disk.size()));
    let value = Bytes::from(vec![0; 50_000]);
    let mut number = 0;
    loop {
        let (path, value) = (path(&format!("/full/{number}")), value.clone());
        let put = Op::Put { path, value, precondition: Precondition::Absent };
        if store.commit(vec![put]).await.is_err() {
            break;
        }
        number += 1;
    }
    let ended = tokio::time::timeout(std::time::Duration::from_millis(700), store.failed()).await;
    assert!(ended.is_err(), "{ended:?}");
}

const FULL: &str = "the disk of the disk of the test is full: make room on it";

#[tokio::test]
async fn a_bus_on_a_full_disk_is_read_and_goes_on_once_there_is_room() {
    let disk = Disk::default();
    let retention = Retention::default();
    let bus = EmbeddedBus::on(disk.clone(), Arc::new(WallClock), retention).unwrap();
    bus.ensure_topics(&[topic()]).await.unwrap();
    disk.bound(Some(disk.size()));
    let publish = async |number: i64| {
        let payload = format!("{number} {}", "x".repeat(50_000));
        within(bus.publish(&topic(), record(payload))).await
    };
    let mut published = Vec::new();
    let refused = loop {
        let number = i64::try_from(published.len()).unwrap();
        match publish(number).await {
            Ok(offset) => published.push(offset),
            Err(BusError::Unavailable(cause)) => break cause,
            Err(other) => unreachable!("{other:?}"),
        }
    };
    assert_eq!(refused.to_string(), FULL);
    let read_all = async || {
        let mut reader = bus.read(&topic(), Offset(0)).await.unwrap();
        for offset in &published {
            let delivery = within(reader.next()).await.unwrap();
            assert_eq!(delivery.offset, *offset);
            assert!(delivery.record.payload.starts_with(format!("{} ", offset.0).as_bytes()));
        }
    };
    read_all().await;
    disk.bound(None);
    within(async { while publish(-1).await.is_err() {} }).await;
    read_all().await;
}

#[tokio::test]
async fn a_store_on_a_full_disk_is_read_and_goes_on_once_there_is_room() {
    let disk = Disk::default();
    let store = EmbeddedStore::on(disk.clone()).unwrap();
    let session = store.session();
    session.commit(vec![super::ephemeral("/alive/one")]).await.unwrap();
    disk.bound(Some(disk.size()));
    let put = async |number: usize| {
        let (path, value) = (path(&format!("/full/{number}")), Bytes::from(vec![0; 50_000]));
        store.commit(vec![Op::Put { path, value, precondition: Precondition::Absent }]).await
    };
    let mut number = 0;
    let refused = loop {
        match put(number).await {
            Ok(_) => number += 1,
            Err(StoreError::OutcomeUnknown(cause) | StoreError::Unavailable(cause)) => break cause,
            Err(other) => unreachable!("{other:?}"),
        }
    };
    assert_eq!(refused.to_string(), FULL);
    // After a failure nothing is tried for a while, and that is certain.
    let resting = async {
        loop {
            match put(number).await {
                Ok(_) => number += 1,
                Err(StoreError::Unavailable(_)) => break,
                Err(StoreError::OutcomeUnknown(_)) => {}
                Err(other) => unreachable!("{other:?}"),
            }
        }
    };
    within(resting).await;
    assert_eq!(store.children(&path("/full")).await.unwrap().len(), number);
    assert_eq!(store.children(&path("/alive")).await.unwrap(), ["one"], "its session lives");
    drop(session);
    disk.bound(None);
    within(async { while put(number).await.is_err() {} }).await;
    assert!(store.children(&path("/alive")).await.unwrap().is_empty(), "its session ended");
    assert_eq!(store.children(&path("/full")).await.unwrap().len(), number + 1);
}
