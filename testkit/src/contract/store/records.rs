//! Clauses about single records.

use bytes::Bytes;

use super::{
    World, change, check, conflicts, delete, done, make, names, put, read, record, text, written,
};

pub(super) async fn what_was_never_made_is_not_there(world: &dyn World) {
    let store = world.open().await;
    assert_eq!(read(store.as_ref(), "/absent/record").await, None, "there is no record");
    assert!(names(store.as_ref(), "/absent").await.is_empty(), "there are no children");
}

pub(super) async fn a_record_is_made_once(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    assert_eq!(done(store, vec![make("/once", "first")]).await, [written("/once", 0)]);
    conflicts(store, make("/once", "second"), "it is there").await;
    assert_eq!(read(store, "/once").await, Some(record("first", 0)));
}

pub(super) async fn a_value_comes_back_byte_for_byte(world: &dyn World) {
    let store = world.open().await;
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for (name, value) in [("all", Bytes::from(all)), ("none", Bytes::new())] {
        let at = format!("/bytes/{name}");
        done(store.as_ref(), vec![put(&at, value.clone())]).await;
        let found = read(store.as_ref(), &at).await.map(|(value, _)| value);
        assert_eq!(found, Some(value), "the value is as it was");
    }
}

pub(super) async fn a_record_is_changed_only_over_the_version_it_has(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/changed", "0")]).await;
    assert_eq!(done(store, vec![change("/changed", "1", 0)]).await, [written("/changed", 1)]);
    for version in [0, 2] {
        conflicts(store, change("/changed", "no", version), "it has another version").await;
    }
    conflicts(store, change("/changed-not", "no", 0), "it is not there").await;
    assert_eq!(read(store, "/changed").await, Some(record("1", 1)));
    assert_eq!(read(store, "/changed-not").await, None);
}

/// Whoever compares versions sees that somebody was there.
pub(super) async fn a_change_to_the_same_value_is_a_change(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/same", "same")]).await;
    assert_eq!(done(store, vec![change("/same", "same", 0)]).await, [written("/same", 1)]);
    assert_eq!(read(store, "/same").await, Some(record("same", 1)), "the version has moved");
}

pub(super) async fn a_record_is_removed_only_at_the_version_it_has(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/removed", "0")]).await;
    done(store, vec![change("/removed", "1", 0)]).await;
    for version in [0, 2] {
        conflicts(store, delete("/removed", version), "it has another version").await;
    }
    conflicts(store, delete("/removed-not", 0), "it is not there").await;
    done(store, vec![delete("/removed", 1)]).await;
    assert_eq!(read(store, "/removed").await, None, "it is gone");
}

pub(super) async fn a_record_with_children_is_not_removed(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/parent/child", "child")]).await;
    conflicts(store, delete("/parent", 0), "it has a child").await;
    assert_eq!(read(store, "/parent/child").await, Some(record("child", 0)));
    done(store, vec![delete("/parent/child", 0)]).await;
    done(store, vec![delete("/parent", 0)]).await;
    assert_eq!(read(store, "/parent").await, None);
}

pub(super) async fn versions_start_again_when_a_record_is_made_anew(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/anew", "a")]).await;
    done(store, vec![change("/anew", "b", 0)]).await;
    done(store, vec![delete("/anew", 1)]).await;
    assert_eq!(done(store, vec![make("/anew", "c")]).await, [written("/anew", 0)]);
    assert_eq!(read(store, "/anew").await, Some(record("c", 0)));
}

pub(super) async fn no_version_outside_the_stores_range_matches(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/range", "kept")]).await;
    for version in [-1, i64::MIN, i64::MAX, 1 << 32] {
        let ops =
            [change("/range", "x", version), check("/range", version), delete("/range", version)];
        for op in ops {
            conflicts(store, op, "no record has this version").await;
        }
    }
    assert_eq!(read(store, "/range").await, Some(record("kept", 0)));
}

pub(super) async fn parents_are_made_with_a_record(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    done(store, vec![make("/parents/of/a", "record")]).await;
    for parent in ["/parents", "/parents/of"] {
        let found = read(store, parent).await;
        assert_eq!(found, Some(record("", 0)), "a parent is a record without a value");
    }
    assert_eq!(read(store, "/parents/of/a").await, Some(record("record", 0)));
}

/// What tells two names apart is kept, and nothing in them means anything.
pub(super) async fn any_printable_name_is_a_name(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    let given = ["a:1", "A:1", "100%", "$*?", "-", "...", "~!", "\"'\\"];
    for name in given {
        done(store, vec![put(&format!("/names/{name}"), text(name))]).await;
    }
    for name in given {
        let found = read(store, &format!("/names/{name}")).await;
        assert_eq!(found, Some(record(name, 0)), "each name is a record of its own");
    }
}
