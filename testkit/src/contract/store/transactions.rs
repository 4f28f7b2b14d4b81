//! Clauses about transactions.

use bytes::Bytes;
use common::port::Store;
use common::port::store::{Done, Error, Op, Path, Precondition};
use futures::future::join_all;

use super::{World, change, check, delete, done, make, names, path, read, record, written};

pub(super) async fn what_was_done_is_told_in_order(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/all/a", "0"), make("/all/b", "0"), make("/all/c", "0")]).await;
    let ops = vec![
        check("/all/a", 0),
        change("/all/b", "1", 0),
        delete("/all/c", 0),
        make("/all/d", "0"),
    ];
    let left = done(store, ops).await;
    assert_eq!(left, [Done::Checked, written("/all/b", 1), Done::Deleted, written("/all/d", 0)]);
    assert_eq!(names(store, "/all").await, ["a", "b", "d"]);
}

pub(super) async fn later_operations_see_earlier_ones(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    let ops = vec![
        make("/seen", "0"),
        change("/seen", "1", 0),
        check("/seen", 1),
        delete("/seen", 1),
        make("/seen", "2"),
    ];
    let left = done(store, ops).await;
    let expected = [
        written("/seen", 0),
        written("/seen", 1),
        Done::Checked,
        Done::Deleted,
        written("/seen", 0),
    ];
    assert_eq!(left, expected);
    assert_eq!(read(store, "/seen").await, Some(record("2", 0)));
    done(store, vec![make("/seen/child", "")]).await;
    done(store, vec![delete("/seen/child", 0), delete("/seen", 0)]).await;
    assert_eq!(read(store, "/seen").await, None, "a child that is removed before is no child");
}

pub(super) async fn records_are_made_below_a_record_of_the_same_transaction(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    let ops = vec![
        make("/tree/top", "top"),
        make("/tree/top/folder/leaf", "leaf"),
        check("/tree/top", 0),
    ];
    let left = done(store, ops).await;
    assert_eq!(left, [written("/tree/top", 0), written("/tree/top/folder/leaf", 0), Done::Checked]);
    assert_eq!(read(store, "/tree/top").await, Some(record("top", 0)));
    assert_eq!(names(store, "/tree/top").await, ["folder"]);
}

pub(super) async fn nothing_is_done_when_one_operation_conflicts(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/none/a", "0"), make("/none/b", "0"), make("/none/c", "0")]).await;
    for failing in
        [check("/none/b", 5), change("/none/b", "1", 5), delete("/none/b", 5), make("/none/b", "1")]
    {
        let before = vec![change("/none/a", "1", 0), make("/none/d", "0"), delete("/none/c", 0)];
        let outcome = store.commit([before, vec![failing]].concat()).await;
        assert!(matches!(outcome, Err(Error::Conflict { .. })), "{outcome:?}");
        assert_eq!(read(store, "/none/a").await, Some(record("0", 0)), "nothing is changed");
        assert_eq!(read(store, "/none/d").await, None, "nothing is made");
        assert_eq!(read(store, "/none/c").await, Some(record("0", 0)), "nothing is removed");
    }
}

pub(super) async fn a_conflict_names_the_first_operation_that_failed(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/index/a", "0"), make("/index/b", "0")]).await;
    for failing in [
        check("/index/b", 5),
        change("/index/b", "1", 5),
        delete("/index/b", 5),
        make("/index/b", "1"),
    ] {
        // Parents that are made on the way do not count.
        let ops = vec![
            change("/index/a", "1", 0),
            make("/index/top", "0"),
            make("/index/top/folder/leaf", "0"),
            failing,
            check("/index/a", 9),
        ];
        let outcome = store.commit(ops).await;
        let is_named = matches!(outcome, Err(Error::Conflict { index: 3 }));
        assert!(is_named, "operation 3 is the first that fails: {outcome:?}");
    }
}

pub(super) async fn a_check_changes_nothing(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/checked", "0")]).await;
    for _ in 0..2 {
        assert_eq!(done(store, vec![check("/checked", 0)]).await, [Done::Checked]);
        assert_eq!(read(store, "/checked").await, Some(record("0", 0)), "it is as it was");
    }
}

pub(super) async fn an_empty_transaction_changes_nothing(world: &dyn World) {
    let store = world.open().await;
    assert!(done(store.as_ref(), Vec::new()).await.is_empty());
}

/// Those that change one record at once win in turn: no change is lost.
pub(super) async fn clients_exclude_each_other(world: &dyn World) {
    const CLIENTS: usize = 4;
    const TIMES: usize = 10;
    let counter = path("/counter");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(world.open().await);
    }
    join_all(clients.iter().map(|client| count(client.as_ref(), &counter, TIMES))).await;
    let expected = Bytes::from((CLIENTS * TIMES).to_string());
    let store = world.open().await;
    let counted = read(store.as_ref(), "/counter").await.map(|(value, _)| value);
    assert_eq!(counted, Some(expected), "every change counts");
}

async fn count(store: &dyn Store, counter: &Path, times: usize) {
    let mut left = times;
    while left > 0 {
        let entry = store.get(counter).await.expect("the store can be read");
        let (value, precondition) = match entry {
            None => (0, Precondition::Absent),
            Some(entry) => {
                let text = std::str::from_utf8(&entry.value).expect("the counter is a number");
                let value: usize = text.parse().expect("the counter is a number");
                (value, Precondition::Version(entry.version))
            }
        };
        let value = Bytes::from((value + 1).to_string());
        match store.commit(vec![Op::Put { path: counter.clone(), value, precondition }]).await {
            Ok(_) => left -= 1,
            Err(Error::Conflict { .. }) => store.sync().await.expect("the store can be synced"),
            Err(err) => unreachable!("the store serves: {err}"),
        }
    }
}
