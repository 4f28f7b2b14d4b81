//! Clauses about transactions.

use std::sync::Arc;

use bytes::Bytes;
use common::port::Store;
use common::port::store::{
    Done, Error, MAX_OPS, MAX_TRANSACTION, MAX_VALUE, Op, Path, Precondition, Version,
};
use futures::future::join_all;

use super::{change, check, delete, done, make, names, path, read, text, written};

pub(super) async fn hold(store: &dyn Store) {
    everything_is_done_in_order(store).await;
    nothing_is_done_when_one_operation_conflicts(store).await;
    later_operations_see_earlier_ones(store).await;
    records_may_be_made_below_a_record_of_the_same_transaction(store).await;
    an_empty_transaction_changes_nothing(store).await;
    limits_are_refused(store).await;
}

async fn everything_is_done_in_order(store: &dyn Store) {
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

async fn nothing_is_done_when_one_operation_conflicts(store: &dyn Store) {
    done(store, vec![make("/none/a", "0"), make("/none/b", "0")]).await;
    for failing in
        [check("/none/b", 5), change("/none/b", "1", 5), delete("/none/b", 5), make("/none/b", "1")]
    {
        let ops =
            vec![change("/none/a", "1", 0), make("/none/new/c", "0"), failing, check("/none/a", 9)];
        let outcome = store.commit(ops).await;
        assert!(matches!(outcome, Err(Error::Conflict { index: 2 })), "{outcome:?}");
    }
    assert_eq!(read(store, "/none/a").await, Some((text("0"), Version(0))));
    assert_eq!(read(store, "/none/new/c").await, None);
}

async fn later_operations_see_earlier_ones(store: &dyn Store) {
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
    assert_eq!(read(store, "/seen").await, Some((text("2"), Version(0))));
}

async fn records_may_be_made_below_a_record_of_the_same_transaction(store: &dyn Store) {
    let ops = vec![
        make("/tree/top", "top"),
        make("/tree/top/folder/leaf", "leaf"),
        check("/tree/top", 0),
    ];
    let left = done(store, ops).await;
    assert_eq!(left, [written("/tree/top", 0), written("/tree/top/folder/leaf", 0), Done::Checked]);
    assert_eq!(read(store, "/tree/top").await, Some((text("top"), Version(0))));
    assert_eq!(names(store, "/tree/top").await, ["folder"]);
    let conflict = store
        .commit(vec![make("/tree/2", ""), make("/tree/2/x/y", ""), check("/tree/top", 3)])
        .await;
    assert!(matches!(conflict, Err(Error::Conflict { index: 2 })), "{conflict:?}");
}

async fn an_empty_transaction_changes_nothing(store: &dyn Store) {
    assert!(done(store, Vec::new()).await.is_empty());
}

async fn limits_are_refused(store: &dyn Store) {
    let put = |number: usize, size: usize| Op::Put {
        path: path(&format!("/limits/{number}")),
        value: Bytes::from(vec![b'x'; size]),
        precondition: Precondition::Absent,
    };
    let many: Vec<Op> = (0..MAX_OPS).map(|number| put(number, 1)).collect();
    let too_many: Vec<Op> = (0..=MAX_OPS).map(|number| put(number + 100, 1)).collect();
    let large: Vec<Op> =
        (0..MAX_TRANSACTION / MAX_VALUE).map(|number| put(number + 200, MAX_VALUE)).collect();
    let too_large: Vec<Op> =
        (0..=MAX_TRANSACTION / MAX_VALUE).map(|number| put(number + 300, MAX_VALUE)).collect();
    assert_eq!(done(store, many).await.len(), MAX_OPS);
    done(store, large.clone()).await;
    for refused in [too_many, too_large] {
        let outcome = store.commit(refused).await;
        assert!(matches!(outcome, Err(Error::Refused(_))), "{outcome:?}");
    }
    assert_eq!(names(store, "/limits").await.len(), MAX_OPS + large.len());
}

/// Clients that change one record at once each win in turn: no change is lost.
pub(super) async fn exclude_each_other(open: &impl AsyncFn() -> Arc<dyn Store>) {
    const CLIENTS: usize = 4;
    const TIMES: usize = 10;
    let counter = path("/counter");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(open().await);
    }
    join_all(clients.iter().map(|client| count(client.as_ref(), &counter, TIMES))).await;
    let expected = Bytes::from((CLIENTS * TIMES).to_string());
    let store = open().await;
    assert_eq!(read(store.as_ref(), "/counter").await.map(|(value, _)| value), Some(expected));
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
