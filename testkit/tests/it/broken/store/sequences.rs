//! Flaws of numbered records.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use common::port::Store as _;
use common::port::store::{Done, Error, Op, Path, Precondition};
use testkit::contract::store::World;

use super::super::Planted;
use super::flaw::{Client, Flaw};
use super::planted as plant;
use super::records::put;

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    let across = "sequences::numbers_grow_across_the_names_below_one_record";
    vec![
        plant("sequences::numbers_grow_whatever_is_removed", "is higher than", || CountsSiblings),
        plant(across, "is higher than", || Numbers::by(Path::clone, padded)),
        plant("sequences::names_sort_as_their_numbers", "the later the greater", || {
            Numbers::by(|path| path.parent().unwrap(), |path, number| format!("{path}{number}"))
        }),
    ]
}

fn padded(path: &Path, number: u64) -> String {
    format!("{path}{number:010}")
}

/// Makes plain records instead of numbered ones.
async fn numbered(
    client: &Client,
    ops: Vec<Op>,
    name: impl Fn(&Path) -> String,
) -> Result<Vec<Done>, Error> {
    let numbered = |op| {
        let Op::PutSequential { path, value, .. } = op else { return op };
        put(name(&path).parse().unwrap(), value, Precondition::Absent)
    };
    let ops = ops.into_iter().map(numbered).collect();
    client.store.commit(ops).await
}

/// The number is how many there are.
#[derive(Debug)]
struct CountsSiblings;

#[async_trait]
impl Flaw for CountsSiblings {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let parent = ops.first().and_then(|op| op.path().parent());
        let siblings = match parent {
            Some(parent) => client.tree.children(&parent).await?.len(),
            None => 0,
        };
        numbered(client, ops, |path| format!("{path}{siblings:010}")).await
    }
}

/// Counts otherwise, or writes the number otherwise.
#[derive(Debug)]
struct Numbers {
    row: fn(&Path) -> Path,
    name: fn(&Path, u64) -> String,
    next: Mutex<BTreeMap<Path, u64>>,
}

impl Numbers {
    fn by(row: fn(&Path) -> Path, name: fn(&Path, u64) -> String) -> Self {
        Numbers { row, name, next: Mutex::default() }
    }
}

#[async_trait]
impl Flaw for Numbers {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let name = |path: &Path| {
            let mut next = self.next.lock().unwrap();
            let next = next.entry((self.row)(path)).or_default();
            *next += 1;
            (self.name)(path, *next)
        };
        numbered(client, ops, name).await
    }
}
