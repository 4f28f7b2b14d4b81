//! Clauses about what is too much.

use common::port::store::{
    Lifetime, MAX_OPS, MAX_TRANSACTION, MAX_VALUE, Op, Precondition, Version,
};

use super::{World, bytes, done, is_refused, make, path, put, read};

pub(super) async fn of_a_value_are_64_kib(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    let all = |name: &str, size: usize| {
        let (at, value) = (path(&format!("/size/{name}")), bytes(size));
        let over = Precondition::Version(Version(0));
        [
            Op::Put { path: at.clone(), value: value.clone(), precondition: Precondition::Absent },
            Op::Put { path: path("/size/there"), value: value.clone(), precondition: over },
            Op::PutEphemeral { path: path(&format!("/size/{name}-e")), value: value.clone() },
            Op::PutSequential { path: at, value, lifetime: Lifetime::Persistent },
        ]
    };
    done(store, vec![make("/size/there", "")]).await;
    for larger in all("larger", MAX_VALUE + 1) {
        is_refused(store, vec![larger], "a value is too large").await;
    }
    assert_eq!(read(store, "/size/larger").await, None, "what is refused is not kept");
    for largest in all("largest", MAX_VALUE) {
        done(store, vec![largest]).await;
    }
    let kept = read(store, "/size/largest").await.map(|(value, _)| value);
    assert!(kept == Some(bytes(MAX_VALUE)), "the largest value is as it was");
}

pub(super) async fn of_a_transaction_are_64_operations(world: &dyn World) {
    let store = world.open().await;
    let many =
        |count: usize| (0..count).map(|number| make(&format!("/ops/{number}"), "")).collect();
    is_refused(store.as_ref(), many(MAX_OPS + 1), "there are too many operations").await;
    assert_eq!(read(store.as_ref(), "/ops/0").await, None, "nothing of it is done");
    assert_eq!(done(store.as_ref(), many(MAX_OPS)).await.len(), MAX_OPS);
}

pub(super) async fn of_a_transaction_are_512_kib(world: &dyn World) {
    let store = world.open().await;
    let store = store.as_ref();
    let full = || {
        let numbers = 0..MAX_TRANSACTION / MAX_VALUE;
        numbers.map(|number| put(&format!("/total/{number}"), bytes(MAX_VALUE))).collect::<Vec<_>>()
    };
    let too_much = [full(), vec![put("/total/more", bytes(1))]].concat();
    is_refused(store, too_much, "there are too many bytes").await;
    assert_eq!(read(store, "/total/0").await, None, "nothing of it is done");
    assert_eq!(done(store, full()).await.len(), MAX_TRANSACTION / MAX_VALUE);
}
