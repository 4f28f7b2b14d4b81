//! Flaws of single records.

use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Store as _;
use common::port::store::{Done, Entry, Error, Op, Path, Precondition, Version};
use testkit::contract::store::World;

use super::super::Planted;
use super::flaw::{Client, Flaw};
use super::planted as plant;

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    let (absent, once) =
        ("records::what_was_never_made_is_not_there", "records::a_record_is_made_once");
    let changed = "records::a_record_is_changed_only_over_the_version_it_has";
    let removed = "records::a_record_is_removed_only_at_the_version_it_has";
    let range = "records::no_version_outside_the_stores_range_matches";
    let parents = "records::parents_are_made_with_a_record";
    let names = "records::any_printable_name_is_a_name";
    let (there, no_version) = ("it is there", "no record has this version");
    let (not_there, other) = ("it is not there", "it has another version");
    vec![
        plant(absent, "there is no record", || FindsWhatIsNotThere),
        plant(absent, "the children can be read", || DemandsARecordAboveChildren),
        plant(once, there, || Overwrites),
        plant(once, there, || SaysThatItMadeIt),
        plant("records::a_value_comes_back_byte_for_byte", "as it was", || {
            Reads(|entry| {
                let text = String::from_utf8_lossy(&entry.value).into_owned();
                Some(Entry { value: text.into(), ..entry })
            })
        }),
        plant("records::a_value_comes_back_byte_for_byte", "as it was", || {
            Reads(|entry| (!entry.value.is_empty()).then_some(entry))
        }),
        plant(changed, other, || TakesVersions(|op| matches!(op, Op::Put { .. }), |_, now| now)),
        plant(changed, other, || {
            // Who sends the version that the record is to get.
            TakesVersions(
                |op| matches!(op, Op::Put { .. }),
                |given, now| {
                    if given.0 == now.0 + 1 { now } else { given }
                },
            )
        }),
        plant(changed, not_there, || MakesWhatIsToBeChanged),
        plant("records::a_change_to_the_same_value_is_a_change", "left == right", || {
            SkipsEqualValues
        }),
        plant(removed, other, || TakesVersions(|op| matches!(op, Op::Delete { .. }), |_, now| now)),
        plant(removed, not_there, || RemovesWhatIsNotThere),
        plant("records::a_record_with_children_is_not_removed", "it has a child", || {
            RemovesChildrenToo
        }),
        plant(
            "records::versions_start_again_when_a_record_is_made_anew",
            "left == right",
            CountsOn::default,
        ),
        plant(range, no_version, || {
            TakesVersions(|_| true, |given, now| if given.0 == -1 { now } else { given })
        }),
        plant(range, no_version, || {
            TakesVersions(|_| true, |given, _| Version(given.0 & 0xffff_ffff))
        }),
        plant(parents, "the transaction is done", || MakesOneParent),
        plant(parents, "a parent is a record without a value", || GivesParentsAValue),
        plant(names, "Conflict", || FoldsCase),
        plant(names, "the transaction is done", || RefusesPunctuation),
    ]
}

/// The same transaction, each operation at another path.
pub(super) fn moved(ops: Vec<Op>, to: impl Fn(&Path) -> Path) -> Vec<Op> {
    let moved = |op| match op {
        Op::Put { path, value, precondition } => Op::Put { path: to(&path), value, precondition },
        Op::PutEphemeral { path, value } => Op::PutEphemeral { path: to(&path), value },
        Op::PutSequential { path, value, lifetime } => {
            Op::PutSequential { path: to(&path), value, lifetime }
        }
        Op::Delete { path, version } => Op::Delete { path: to(&path), version },
        Op::Check { path, version } => Op::Check { path: to(&path), version },
    };
    ops.into_iter().map(moved).collect()
}

/// The path and value of a transaction that makes one record.
pub(super) fn made(ops: &[Op]) -> Option<(&Path, &Bytes)> {
    match ops {
        [Op::Put { path, value, precondition: Precondition::Absent }] => Some((path, value)),
        _ => None,
    }
}

pub(super) fn put(path: Path, value: Bytes, precondition: Precondition) -> Op {
    Op::Put { path, value, precondition }
}

/// What is really there.
pub(super) async fn there(client: &Client, path: &Path) -> Option<Entry> {
    client.tree.get(path).await.unwrap()
}

#[derive(Debug)]
struct FindsWhatIsNotThere;

#[async_trait]
impl Flaw for FindsWhatIsNotThere {
    async fn get(&self, client: &Client, path: &Path) -> Result<Option<Entry>, Error> {
        let empty = Entry { value: Bytes::new(), version: Version(0) };
        Ok(Some(client.store.get(path).await?.unwrap_or(empty)))
    }
}

#[derive(Debug)]
struct DemandsARecordAboveChildren;

#[async_trait]
impl Flaw for DemandsARecordAboveChildren {
    async fn children(&self, client: &Client, path: &Path) -> Result<Vec<String>, Error> {
        match client.store.get(path).await? {
            Some(_) => client.store.children(path).await,
            None => Err(Error::Refused(format!("there is no {path}"))),
        }
    }
}

#[derive(Debug)]
struct Overwrites;

#[async_trait]
impl Flaw for Overwrites {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let Some((path, value)) = made(&ops) else { return client.store.commit(ops).await };
        let now = there(client, path).await.map(|entry| Precondition::Version(entry.version));
        let precondition = now.unwrap_or(Precondition::Absent);
        client.store.commit(vec![put(path.clone(), value.clone(), precondition)]).await
    }
}

#[derive(Debug)]
struct SaysThatItMadeIt;

#[async_trait]
impl Flaw for SaysThatItMadeIt {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let made = made(&ops).map(|(path, _)| path.clone());
        match (client.store.commit(ops).await, made) {
            (Err(Error::Conflict { .. }), Some(path)) => {
                Ok(vec![Done::Written { path, version: Version(0) }])
            }
            (committed, _) => committed,
        }
    }
}

/// Takes values for something that not all of them are.
#[derive(Debug)]
struct Reads(fn(Entry) -> Option<Entry>);

#[async_trait]
impl Flaw for Reads {
    async fn get(&self, client: &Client, path: &Path) -> Result<Option<Entry>, Error> {
        Ok(client.store.get(path).await?.and_then(self.0))
    }
}

/// Replaces the version of some operations: from the one given and the one that the record has.
#[derive(Debug)]
struct TakesVersions(fn(&Op) -> bool, fn(Version, Version) -> Version);

#[async_trait]
impl Flaw for TakesVersions {
    async fn commit(&self, client: &Client, mut ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        for op in ops.iter_mut().filter(|op| (self.0)(op)) {
            let now = there(client, op.path()).await;
            let given = match op {
                Op::Put { precondition: Precondition::Version(version), .. }
                | Op::Delete { version, .. }
                | Op::Check { version, .. } => version,
                Op::Put { .. } | Op::PutEphemeral { .. } | Op::PutSequential { .. } => continue,
            };
            if let Some(now) = now {
                *given = (self.1)(*given, now.version);
            }
        }
        client.store.commit(ops).await
    }
}

#[derive(Debug)]
struct MakesWhatIsToBeChanged;

#[async_trait]
impl Flaw for MakesWhatIsToBeChanged {
    async fn commit(&self, client: &Client, mut ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        for op in &mut ops {
            let is_there = there(client, op.path()).await.is_some();
            if let (Op::Put { precondition, .. }, false) = (op, is_there) {
                *precondition = Precondition::Absent;
            }
        }
        client.store.commit(ops).await
    }
}

#[derive(Debug)]
struct SkipsEqualValues;

#[async_trait]
impl Flaw for SkipsEqualValues {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if let [Op::Put { path, value, precondition: Precondition::Version(version) }] = &ops[..]
            && there(client, path).await.is_some_and(|entry| entry.value == *value)
        {
            return Ok(vec![Done::Written { path: path.clone(), version: *version }]);
        }
        client.store.commit(ops).await
    }
}

#[derive(Debug)]
struct RemovesWhatIsNotThere;

#[async_trait]
impl Flaw for RemovesWhatIsNotThere {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if let [Op::Delete { path, .. }] = &ops[..]
            && there(client, path).await.is_none()
        {
            return Ok(vec![Done::Deleted]);
        }
        client.store.commit(ops).await
    }
}

#[derive(Debug)]
struct RemovesChildrenToo;

#[async_trait]
impl Flaw for RemovesChildrenToo {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if let [Op::Delete { path, .. }] = &ops[..] {
            for name in client.tree.children(path).await? {
                let path = path.join(&name).unwrap();
                let version = there(client, &path).await.unwrap().version;
                client.store.commit(vec![Op::Delete { path, version }]).await?;
            }
        }
        client.store.commit(ops).await
    }
}

/// A record that is made anew begins where the former one ended.
#[derive(Debug, Default)]
struct CountsOn {
    removed: Mutex<BTreeSet<Path>>,
}

#[async_trait]
impl Flaw for CountsOn {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let [op] = &ops[..] else { return client.store.commit(ops).await };
        let op = op.clone();
        let done = client.store.commit(ops).await?;
        match op {
            Op::Delete { path, .. } => {
                self.removed.lock().unwrap().insert(path);
            }
            Op::Put { path, value, .. } if self.removed.lock().unwrap().remove(&path) => {
                let again = put(path, value, Precondition::Version(Version(0)));
                return client.store.commit(vec![again]).await;
            }
            Op::Put { .. }
            | Op::PutEphemeral { .. }
            | Op::PutSequential { .. }
            | Op::Check { .. } => {}
        }
        Ok(done)
    }
}

#[derive(Debug)]
struct MakesOneParent;

#[async_trait]
impl Flaw for MakesOneParent {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let above = made(&ops).and_then(|(path, _)| path.parent()?.parent());
        if let Some(above) = above
            && there(client, &above).await.is_none()
        {
            return Err(Error::Refused(format!("there is no {above}")));
        }
        client.store.commit(ops).await
    }
}

#[derive(Debug)]
struct GivesParentsAValue;

#[async_trait]
impl Flaw for GivesParentsAValue {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let parent = made(&ops).and_then(|(path, _)| path.parent());
        if let Some(parent) = parent
            && there(client, &parent).await.is_none()
        {
            let folder = put(parent, Bytes::from_static(b"folder"), Precondition::Absent);
            client.store.commit(vec![folder]).await?;
        }
        client.store.commit(ops).await
    }
}

#[derive(Debug)]
struct FoldsCase;

#[async_trait]
impl Flaw for FoldsCase {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let to = |path: &Path| path.as_str().to_lowercase().parse().unwrap();
        client.store.commit(moved(ops, to)).await
    }
}

#[derive(Debug)]
struct RefusesPunctuation;

#[async_trait]
impl Flaw for RefusesPunctuation {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'/';
        match ops.iter().find(|op| !op.path().as_str().bytes().all(is_plain)) {
            Some(op) => Err(Error::Refused(format!("{} is no path", op.path()))),
            None => client.store.commit(ops).await,
        }
    }
}
