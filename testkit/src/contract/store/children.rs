//! Clauses about the names below a record.

use super::{World, done, make, names};

pub(super) async fn are_the_names_directly_below(world: &dyn World) {
    let store = world.open().await;
    let made = ["/list/b", "/list/a", "/list/c/below", "/list-beside"];
    done(store.as_ref(), made.map(|at| make(at, "")).to_vec()).await;
    let mut found = names(store.as_ref(), "/list").await;
    found.sort_unstable();
    assert_eq!(found, ["a", "b", "c"], "the names, and no others");
    assert!(names(store.as_ref(), "/list/a").await.is_empty(), "nothing is below");
}

pub(super) async fn are_sorted(world: &dyn World) {
    let store = world.open().await;
    let made = ["/sorted/b", "/sorted/10", "/sorted/B", "/sorted/9", "/sorted/a"];
    done(store.as_ref(), made.map(|at| make(at, "")).to_vec()).await;
    assert_eq!(names(store.as_ref(), "/sorted").await, ["10", "9", "B", "a", "b"]);
}

pub(super) async fn are_5000_at_most(world: &dyn World) {
    const CHILDREN: usize = 5000;
    const AT_ONCE: usize = 50;
    let store = world.open().await;
    let name = |number: usize| format!("a-record-with-a-longer-name-{number:04}");
    for first in (0..CHILDREN).step_by(AT_ONCE) {
        let numbers = first..first + AT_ONCE;
        let ops = numbers.map(|number| make(&format!("/many/{}", name(number)), "")).collect();
        done(store.as_ref(), ops).await;
    }
    let found = names(store.as_ref(), "/many").await;
    assert_eq!(found.len(), CHILDREN, "so many can be listed");
    assert!(found.iter().enumerate().all(|(number, found)| *found == name(number)));
}
