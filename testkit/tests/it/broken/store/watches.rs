//! Flaws of watches.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::port::Store as _;
use common::port::store::{Change, Done, Error, Op, Path, Precondition};
use futures::StreamExt as _;
use futures::stream;
use testkit::contract::store::World;

use super::super::Planted;
use super::flaw::{Client, Flaw, Hints};
use super::planted as plant;

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    let (below, hinted) = ("watches::hint_at_changes_far_below", "is hinted at");
    vec![
        plant("watches::hint_at_a_record_that_is_made", hinted, || {
            Silent::about("what is made", |_, op| {
                matches!(op, Op::Put { precondition: Precondition::Absent, .. })
            })
        }),
        plant("watches::hint_at_a_change", hinted, || {
            Silent::about("changes", |_, op| {
                matches!(op, Op::Put { precondition: Precondition::Version(_), .. })
            })
        }),
        plant("watches::hint_at_a_removal", hinted, || {
            Silent::about("removals", |_, op| matches!(op, Op::Delete { .. }))
        }),
        plant(below, "/watched/below is hinted at", || Hides(|at, watched| at != watched)),
        plant(below, "/watched/far/below is hinted at", || {
            Hides(|at, watched| at != watched && at.parent().as_ref() != Some(watched))
        }),
        plant("watches::hint_again_and_again", hinted, || Once),
        plant("watches::hint_at_changes_of_their_own_client", hinted, HidesOwn::default),
        plant("watches::outlive_the_record", hinted, || EndsWithTheRecord),
        plant("watches::hint_at_every_record_of_a_transaction", hinted, || {
            Silent::about("all but the first", |index, _| index > 0)
        }),
        plant("watches::hint_at_a_numbered_record_by_its_name", hinted, || SaysWhatWasAsked),
        plant("watches::hint_at_the_end_of_a_session", hinted, || Silent {
            closing: true,
            ..Silent::about("ends of sessions", |_, _| false)
        }),
        plant(
            "watches::that_nobody_reads_keep_a_hint_of_the_last_change",
            hinted,
            DropsWhatIsTooMuch::default,
        ),
        plant("watches::of_one_path_are_independent", hinted, KeepsOneAPath::default),
        plant("watches::say_that_the_connection_was_rebuilt", "all must be read again", || {
            Loses(Reconnect::Word)
        }),
        plant("watches::say_that_the_connection_was_rebuilt", hinted, || Loses(Reconnect::Watch)),
        plant("watches::end_when_their_store_is_dropped", "the watch ends", || NeverEnds),
    ]
}

/// The hints without some.
fn without(hints: Hints, hidden: impl Fn(&Path) -> bool + Send + 'static) -> Hints {
    let shown = move |change: &Change| match change {
        Change::At(path) => ready(!hidden(path)),
        Change::Resync => ready(true),
    };
    hints.filter(shown).boxed()
}

/// Says nothing of some operations, chosen by index and kind.
struct Silent {
    what: &'static str,
    about: fn(usize, &Op) -> bool,
    /// Nor of what ends with a session.
    closing: bool,
    muted: Arc<Mutex<BTreeSet<Path>>>,
}

impl Silent {
    fn about(what: &'static str, about: fn(usize, &Op) -> bool) -> Self {
        Silent { what, about, closing: false, muted: Arc::default() }
    }
}

impl fmt::Debug for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Silent({})", self.what)
    }
}

#[async_trait]
impl Flaw for Silent {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        for (index, op) in ops.iter().enumerate() {
            let mut muted = self.muted.lock().unwrap();
            if (self.about)(index, op) {
                muted.insert(op.path().clone());
            } else {
                muted.remove(op.path());
            }
        }
        client.store.commit(ops).await
    }

    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        let muted = Arc::clone(&self.muted);
        let hints = client.store.watch(path).await?;
        Ok(without(hints, move |path| muted.lock().unwrap().contains(path)))
    }

    fn closing(&self, client: &Client) {
        if self.closing {
            let ended: Path = "/ended".parse().unwrap();
            let all = client.tree.records(&ended).into_iter().map(|(path, _)| path);
            self.muted.lock().unwrap().extend(all);
        }
    }
}

/// Hides changes by where they are and what is watched.
#[derive(Debug)]
struct Hides(fn(&Path, &Path) -> bool);

#[async_trait]
impl Flaw for Hides {
    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        let (hides, watched) = (self.0, path.clone());
        Ok(without(client.store.watch(path).await?, move |at| hides(at, &watched)))
    }
}

/// As with watches that must be set anew after each hint.
#[derive(Debug)]
struct Once;

#[async_trait]
impl Flaw for Once {
    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        Ok(client.store.watch(path).await?.take(1).chain(stream::pending()).boxed())
    }
}

/// Hides from a client what it did itself.
#[derive(Debug, Default)]
struct HidesOwn {
    authors: Arc<Mutex<BTreeMap<Path, u64>>>,
}

#[async_trait]
impl Flaw for HidesOwn {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        let own = ops.iter().map(|op| (op.path().clone(), client.number));
        self.authors.lock().unwrap().extend(own);
        client.store.commit(ops).await
    }

    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        let (authors, own) = (Arc::clone(&self.authors), client.number);
        let hidden = move |path: &Path| authors.lock().unwrap().get(path) == Some(&own);
        Ok(without(client.store.watch(path).await?, hidden))
    }
}

#[derive(Debug)]
struct EndsWithTheRecord;

#[async_trait]
impl Flaw for EndsWithTheRecord {
    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        let hints = client.store.watch(path).await?;
        let (tree, watched) = (client.tree.clone(), path.clone());
        let mut removed = false;
        let hidden = move |path: &Path| {
            let hidden = removed;
            removed |= *path == watched && tree.records(&watched).is_empty();
            hidden
        };
        let hidden = Mutex::new(hidden);
        Ok(without(hints, move |path| hidden.lock().unwrap()(path)))
    }
}

/// Hints at the name that a numbered record was asked for by.
#[derive(Debug)]
struct SaysWhatWasAsked;

#[async_trait]
impl Flaw for SaysWhatWasAsked {
    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        let asked = |change| match change {
            Change::At(path) => {
                let name = path.as_str().trim_end_matches(|digit: char| digit.is_ascii_digit());
                let is_numbered = path.as_str().len() == name.len() + 10;
                Change::At(if is_numbered { name.parse().unwrap() } else { path })
            }
            Change::Resync => Change::Resync,
        };
        Ok(client.store.watch(path).await?.map(asked).boxed())
    }
}

/// Remembers a thousand changes.
#[derive(Debug, Default)]
struct DropsWhatIsTooMuch {
    seen: Arc<AtomicUsize>,
    muted: Arc<Mutex<BTreeSet<Path>>>,
}

#[async_trait]
impl Flaw for DropsWhatIsTooMuch {
    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        if self.seen.fetch_add(ops.len(), Ordering::Relaxed) > 1000 {
            self.muted.lock().unwrap().extend(ops.iter().map(|op| op.path().clone()));
        }
        client.store.commit(ops).await
    }

    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        let muted = Arc::clone(&self.muted);
        let hints = client.store.watch(path).await?;
        Ok(without(hints, move |path| muted.lock().unwrap().contains(path)))
    }
}

/// Another watch of a path takes its place.
#[derive(Debug, Default)]
struct KeepsOneAPath {
    newest: Arc<Mutex<BTreeMap<Path, usize>>>,
}

#[async_trait]
impl Flaw for KeepsOneAPath {
    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        let hints = client.store.watch(path).await?;
        let own = {
            let mut newest = self.newest.lock().unwrap();
            let newest = newest.entry(path.clone()).or_default();
            *newest += 1;
            *newest
        };
        let (newest, watched) = (Arc::clone(&self.newest), path.clone());
        let hidden = move |_: &Path| newest.lock().unwrap().get(&watched) != Some(&own);
        Ok(without(hints, hidden))
    }
}

#[derive(Debug)]
struct NeverEnds;

#[async_trait]
impl Flaw for NeverEnds {
    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        Ok(client.store.watch(path).await?.chain(stream::pending()).boxed())
    }
}

/// What is lost with a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reconnect {
    /// That there was another one.
    Word,
    /// What is watched.
    Watch,
}

#[derive(Debug)]
struct Loses(Reconnect);

#[async_trait]
impl Flaw for Loses {
    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        let hints = client.store.watch(path).await?;
        if self.0 == Reconnect::Word {
            return Ok(hints.filter(|change| ready(*change != Change::Resync)).boxed());
        }
        let mut cut = false;
        let before = move |change: &Change| {
            let before = !cut;
            cut |= *change == Change::Resync;
            ready(before)
        };
        Ok(hints.take_while(before).chain(stream::pending()).boxed())
    }
}
