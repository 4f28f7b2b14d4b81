//! Clauses about records that are numbered.

use common::port::Store;
use common::port::store::{Done, Lifetime, Op, Path, Version};

use super::{World, delete, done, names, path, read, record, text};

fn numbered(at: &str) -> Op {
    Op::PutSequential { path: path(at), value: text("queued"), lifetime: Lifetime::Persistent }
}

/// Makes a numbered record; returns what it is called and its number.
async fn queue(store: &dyn Store, at: &str) -> (Path, u64) {
    let left = done(store, vec![numbered(at)]).await;
    let made = match left.as_slice() {
        [Done::Written { path, version: Version(0) }] => path.clone(),
        other => unreachable!("one record is written: {other:?}"),
    };
    let number = made.as_str().strip_prefix(at).map(str::parse);
    let Some(Ok(number)) = number else { unreachable!("{made} is {at} and a number") };
    (made, number)
}

/// Also those of the newest are not given out again.
pub(super) async fn numbers_grow_whatever_is_removed(world: &dyn World) {
    let store = world.open().await;
    let mut last = None;
    for _ in 0..3 {
        let (made, number) = queue(store.as_ref(), "/queue/n-").await;
        assert!(Some(number) > last, "{number} is higher than {last:?}");
        assert_eq!(read(store.as_ref(), made.as_str()).await, Some(record("queued", 0)));
        done(store.as_ref(), vec![delete(made.as_str(), 0)]).await;
        last = Some(number);
    }
}

pub(super) async fn numbers_grow_across_the_names_below_one_record(world: &dyn World) {
    let store = world.open().await;
    let mut last = None;
    for at in ["/row/b-", "/row/a-", "/row/b-", "/row/c-"] {
        let (_, number) = queue(store.as_ref(), at).await;
        assert!(Some(number) > last, "{number} is higher than {last:?}");
        last = Some(number);
    }
}

/// Of one transaction too.
pub(super) async fn names_sort_as_their_numbers(world: &dyn World) {
    let store = world.open().await;
    let left = done(store.as_ref(), vec![numbered("/turns/n-"); 12]).await;
    let name = |left| match left {
        Done::Written { path, .. } => path.name().to_owned(),
        other @ (Done::Deleted | Done::Checked) => unreachable!("records are made: {other:?}"),
    };
    let made: Vec<String> = left.into_iter().map(name).collect();
    assert_eq!(made.len(), 12);
    assert_eq!(names(store.as_ref(), "/turns").await, made, "the later the greater");
}
