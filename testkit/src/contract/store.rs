//! What every [`Store`] keeps: one clause a sentence of the contract (`design.md` 5 and the port's own words).

mod children;
mod limits;
mod records;
mod sequences;
mod sessions;
mod transactions;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Store;
use common::port::store::{Done, Error, Op, Path, Precondition, Version};

use super::Clause;
use super::clause::{all_hold, clauses};

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the suite finds clients. A function that opens one is such a world, without connections.
#[async_trait(?Send)]
pub trait World {
    /// Another client, with a session of its own, of the same tree. The session ends when the
    /// client is dropped.
    async fn open(&self) -> Arc<dyn Store>;

    /// Cuts the connection of the client that was opened last, which may have another one at once;
    /// false where clients have none.
    fn cut(&self) -> bool {
        false
    }
}

#[async_trait(?Send)]
impl<F: AsyncFn() -> Arc<dyn Store>> World for F {
    async fn open(&self) -> Arc<dyn Store> {
        self().await
    }
}

/// All clauses. Each relies on those before it, and has records of its own in the tree.
pub const CLAUSES: &[Clause<dyn World>] = clauses![
    records::what_was_never_made_is_not_there,
    records::a_record_is_made_once,
    records::a_value_comes_back_byte_for_byte,
    records::a_record_is_changed_only_over_the_version_it_has,
    records::a_change_to_the_same_value_is_a_change,
    records::a_record_is_removed_only_at_the_version_it_has,
    records::a_record_with_children_is_not_removed,
    records::versions_start_again_when_a_record_is_made_anew,
    records::no_version_outside_the_stores_range_matches,
    records::parents_are_made_with_a_record,
    records::any_printable_name_is_a_name,
    children::are_the_names_directly_below,
    children::are_sorted,
    children::are_5000_at_most,
    transactions::what_was_done_is_told_in_order,
    transactions::a_check_changes_nothing,
    transactions::later_operations_see_earlier_ones,
    transactions::records_are_made_below_a_record_of_the_same_transaction,
    transactions::nothing_is_done_when_one_operation_conflicts,
    transactions::a_conflict_names_the_first_operation_that_failed,
    transactions::an_empty_transaction_changes_nothing,
    transactions::clients_exclude_each_other,
    limits::of_a_value_are_64_kib,
    limits::of_a_transaction_are_64_operations,
    limits::of_a_transaction_are_512_kib,
    sequences::numbers_grow_whatever_is_removed,
    sequences::numbers_grow_across_the_names_below_one_record,
    sequences::names_sort_as_their_numbers,
    sessions::a_synced_read_sees_what_others_committed_before,
    sessions::an_ephemeral_record_is_made_once,
    sessions::an_ephemeral_record_is_otherwise_a_record,
    sessions::ephemeral_records_end_with_their_session,
    sessions::numbered_ephemeral_records_end_with_their_session,
    sessions::persistent_records_outlive_their_session,
    sessions::ephemeral_records_outlive_the_sessions_of_others,
    sessions::nothing_is_made_below_an_ephemeral_record,
    watches::hint_at_a_record_that_is_made,
    watches::hint_at_a_change,
    watches::hint_at_a_removal,
    watches::hint_again_and_again,
    watches::hint_at_changes_far_below,
    watches::hint_at_changes_of_their_own_client,
    watches::outlive_the_record,
    watches::hint_at_every_record_of_a_transaction,
    watches::hint_at_a_numbered_record_by_its_name,
    watches::hint_at_the_end_of_a_session,
    watches::that_nobody_reads_keep_a_hint_of_the_last_change,
    watches::of_one_path_are_independent,
    watches::say_that_the_connection_was_rebuilt,
    watches::end_when_their_store_is_dropped,
];

/// Fails unless the stores of `world` keep the contract.
pub async fn holds(world: &(dyn World + 'static)) {
    all_hold(CLAUSES, world).await;
}

fn path(text: &str) -> Path {
    text.parse().expect("the suite's paths are paths")
}

fn text(value: &'static str) -> Bytes {
    Bytes::from_static(value.as_bytes())
}

/// A value of that many bytes.
fn bytes(size: usize) -> Bytes {
    Bytes::from(vec![b'x'; size])
}

fn put(at: &str, value: Bytes) -> Op {
    Op::Put { path: path(at), value, precondition: Precondition::Absent }
}

fn make(at: &str, value: &'static str) -> Op {
    put(at, text(value))
}

fn change(at: &str, value: &'static str, version: i64) -> Op {
    let precondition = Precondition::Version(Version(version));
    Op::Put { path: path(at), value: text(value), precondition }
}

fn check(at: &str, version: i64) -> Op {
    Op::Check { path: path(at), version: Version(version) }
}

fn delete(at: &str, version: i64) -> Op {
    Op::Delete { path: path(at), version: Version(version) }
}

fn ephemeral(at: &str, value: &'static str) -> Op {
    Op::PutEphemeral { path: path(at), value: text(value) }
}

fn written(at: &str, version: i64) -> Done {
    Done::Written { path: path(at), version: Version(version) }
}

/// A record as [`read`] tells it.
fn record(value: &'static str, version: i64) -> (Bytes, Version) {
    (text(value), Version(version))
}

/// What stands at a path, after everything that was committed: value and version.
async fn read(store: &dyn Store, at: &str) -> Option<(Bytes, Version)> {
    store.sync().await.expect("the store can be synced");
    let entry = store.get(&path(at)).await.expect("the store can be read");
    entry.map(|entry| (entry.value, entry.version))
}

async fn names(store: &dyn Store, at: &str) -> Vec<String> {
    store.sync().await.expect("the store can be synced");
    store.children(&path(at)).await.expect("the children can be read")
}

async fn done(store: &dyn Store, ops: Vec<Op>) -> Vec<Done> {
    store.commit(ops).await.expect("the transaction is done")
}

/// Fails with the sentence unless the operation conflicts.
async fn conflicts(store: &dyn Store, op: Op, sentence: &str) {
    let shown = format!("{op:?}");
    let outcome = store.commit(vec![op]).await;
    assert!(
        matches!(outcome, Err(Error::Conflict { index: 0 })),
        "{sentence}: {shown} {outcome:?}"
    );
}

/// Fails with the sentence unless the transaction is refused for ever.
async fn is_refused(store: &dyn Store, ops: Vec<Op>, sentence: &str) {
    let outcome = store.commit(ops).await;
    assert!(matches!(outcome, Err(Error::Refused(_))), "{sentence}: {outcome:?}");
}
