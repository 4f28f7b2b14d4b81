//! Clauses about single records.

use bytes::Bytes;
use common::port::Store;
use common::port::store::{Done, Error, Lifetime, MAX_VALUE, Op, Precondition, Version};

use super::{change, check, delete, done, make, names, path, read, text, written};

pub(super) async fn hold(store: &dyn Store) {
    what_was_never_made_is_not_there(store).await;
    a_record_is_made_once(store).await;
    a_record_is_changed_only_over_the_version_it_has(store).await;
    a_record_is_removed_only_at_the_version_it_has_and_without_children(store).await;
    versions_start_again_when_a_record_is_made_anew(store).await;
    no_version_outside_the_stores_range_matches(store).await;
    parents_are_made_with_a_record(store).await;
    children_are_the_names_directly_below_in_order(store).await;
    sequential_records_get_ever_higher_numbers(store).await;
    a_value_may_have_its_largest_size_and_no_more(store).await;
}

async fn what_was_never_made_is_not_there(store: &dyn Store) {
    assert_eq!(read(store, "/absent/record").await, None);
    assert!(names(store, "/absent").await.is_empty());
}

async fn a_record_is_made_once(store: &dyn Store) {
    assert_eq!(done(store, vec![make("/once", "first")]).await, [written("/once", 0)]);
    let again = store.commit(vec![make("/once", "second")]).await;
    assert!(matches!(again, Err(Error::Conflict { index: 0 })), "{again:?}");
    assert_eq!(read(store, "/once").await, Some((text("first"), Version(0))));
}

async fn a_record_is_changed_only_over_the_version_it_has(store: &dyn Store) {
    done(store, vec![make("/changed", "0")]).await;
    assert_eq!(done(store, vec![change("/changed", "1", 0)]).await, [written("/changed", 1)]);
    for version in [0, 2] {
        let other = store.commit(vec![change("/changed", "no", version)]).await;
        assert!(matches!(other, Err(Error::Conflict { index: 0 })), "{other:?}");
    }
    let absent = store.commit(vec![change("/changed-not", "no", 0)]).await;
    assert!(matches!(absent, Err(Error::Conflict { index: 0 })), "{absent:?}");
    assert_eq!(read(store, "/changed").await, Some((text("1"), Version(1))));
}

async fn a_record_is_removed_only_at_the_version_it_has_and_without_children(store: &dyn Store) {
    done(store, vec![make("/removed/child", "")]).await;
    for refused in [delete("/removed", 0), delete("/removed/child", 7), delete("/removed-not", 0)] {
        let outcome = store.commit(vec![refused]).await;
        assert!(matches!(outcome, Err(Error::Conflict { index: 0 })), "{outcome:?}");
    }
    done(store, vec![delete("/removed/child", 0)]).await;
    done(store, vec![delete("/removed", 0)]).await;
    assert_eq!(read(store, "/removed").await, None);
}

async fn versions_start_again_when_a_record_is_made_anew(store: &dyn Store) {
    done(store, vec![make("/anew", "a")]).await;
    done(store, vec![change("/anew", "b", 0)]).await;
    done(store, vec![delete("/anew", 1)]).await;
    assert_eq!(done(store, vec![make("/anew", "c")]).await, [written("/anew", 0)]);
    assert_eq!(read(store, "/anew").await, Some((text("c"), Version(0))));
}

async fn no_version_outside_the_stores_range_matches(store: &dyn Store) {
    done(store, vec![make("/range", "")]).await;
    for version in [-1, i64::MIN, i64::MAX, 1 << 32] {
        for op in
            [change("/range", "x", version), check("/range", version), delete("/range", version)]
        {
            let outcome = store.commit(vec![op]).await;
            assert!(matches!(outcome, Err(Error::Conflict { index: 0 })), "{version}: {outcome:?}");
        }
    }
    assert_eq!(read(store, "/range").await, Some((text(""), Version(0))));
}

async fn parents_are_made_with_a_record(store: &dyn Store) {
    done(store, vec![make("/parents/of/a", "record")]).await;
    assert_eq!(read(store, "/parents/of").await, Some((Bytes::new(), Version(0))));
    assert_eq!(names(store, "/parents").await, ["of"]);
}

async fn children_are_the_names_directly_below_in_order(store: &dyn Store) {
    let made = ["/list/b", "/list/a", "/list/c/below", "/list-beside"];
    done(store, made.map(|at| make(at, "")).to_vec()).await;
    assert_eq!(names(store, "/list").await, ["a", "b", "c"]);
}

async fn sequential_records_get_ever_higher_numbers(store: &dyn Store) {
    let mut last = path("/queue/n-");
    for _ in 0..3 {
        let op = Op::PutSequential {
            path: path("/queue/n-"),
            value: text("queued"),
            lifetime: Lifetime::Persistent,
        };
        let left = done(store, vec![op]).await;
        let made = match left.as_slice() {
            [Done::Written { path, version: Version(0) }] => path.clone(),
            other => unreachable!("one record is written: {other:?}"),
        };
        assert!(made > last, "{made} comes after {last}");
        let number = made.as_str().strip_prefix("/queue/n-").map(str::parse::<u64>);
        assert!(matches!(number, Some(Ok(_))), "{made}");
        assert_eq!(read(store, made.as_str()).await, Some((text("queued"), Version(0))));
        // The newest is removed: its number is not given out again.
        done(store, vec![delete(made.as_str(), 0)]).await;
        last = made;
    }
}

async fn a_value_may_have_its_largest_size_and_no_more(store: &dyn Store) {
    let sized = |at: &str, size: usize| Op::Put {
        path: path(at),
        value: Bytes::from(vec![b'x'; size]),
        precondition: Precondition::Absent,
    };
    done(store, vec![sized("/size/largest", MAX_VALUE)]).await;
    let larger = store.commit(vec![sized("/size/larger", MAX_VALUE + 1)]).await;
    assert!(matches!(larger, Err(Error::Refused(_))), "{larger:?}");
    assert_eq!(names(store, "/size").await, ["largest"]);
}
