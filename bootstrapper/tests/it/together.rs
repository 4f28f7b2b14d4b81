//! Several bootstrappers at once.

use std::sync::Arc;
use std::time::Duration;

use bootstrapper::Manner;
use bootstrapper::state::Book as _;

use crate::applying::WHOLE;
use crate::power::Cut;
use crate::world::{MemoryBook, World};

#[tokio::test(start_paused = true)]
async fn two_computers_at_once_make_one_platform_and_one_waits_for_the_other() {
    for _ in 0..4 {
        let world = World::new();
        let (one, two) = (world.computer(1), world.computer(2));
        let (first, second) = futures::join!(one.apply(), two.apply());
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.authority, second.authority);
        assert_eq!(world.shown(), WHOLE);
        let said = [one.heard.sentences(), two.heard.sentences()].concat();
        let waits = said.iter().filter(|said| said.contains("is at work on the platform"));
        assert_eq!(waits.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_the_state_of_one_computer_is_another_computer() {
    let world = World::new();
    let one = world.computer(1);
    one.apply().await.unwrap();
    let copied = Arc::new(MemoryBook::of(one.book.load().unwrap().unwrap()));
    let two = world.computer_with(2, Cut::Never, copied);
    let (first, second) = futures::join!(one.apply(), two.apply());
    first.unwrap();
    second.unwrap();
    let said = [one.heard.sentences(), two.heard.sentences()].concat();
    let waits = said.iter().filter(|said| said.contains("is at work on the platform"));
    assert_eq!(waits.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_want_to_wait_is_told_who_is_at_work() {
    let world = World::new();
    let one = world.computer(1);
    let mut two = world.computer(2);
    two.manner = Manner { who: "ops@two".to_owned(), patience: Duration::ZERO, ..two.manner };
    let (first, second) = futures::join!(one.apply(), two.apply());
    let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
    won.unwrap();
    let troubles = lost.unwrap_err();
    assert_eq!(troubles[0].code, "PLATFORM_HELD");
    assert!(troubles[0].cause.contains("ops@"), "{}", troubles[0].cause);
    assert_eq!(world.shown(), WHOLE);
}

#[tokio::test(start_paused = true)]
async fn where_one_removes_and_another_makes_nothing_is_half_there() {
    let world = World::new();
    let (one, two) = (world.computer(1), world.computer(2));
    one.apply().await.unwrap();
    let (again, gone) = futures::join!(one.apply(), two.destroy());
    gone.unwrap();
    // It came first, or its machine was taken away while it waited.
    if let Err(troubles) = again {
        assert_eq!(troubles[0].code, "MACHINE_UNREACHABLE");
    }
    assert!(world.machines.specs().is_empty());
}
