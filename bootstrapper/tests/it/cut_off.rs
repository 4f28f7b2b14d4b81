//! The power goes at every moment of `apply`, and of `destroy`; then it is done again.

use std::sync::Arc;

use bootstrapper::state::{Book as _, Phase};

use crate::applying::WHOLE;
use crate::power::Cut;
use crate::world::{Computer, World};

/// Whether it came to its end before its power went.
pub(crate) async fn until_the_power_goes(computer: &Computer, work: Work) -> bool {
    let doing = async {
        match work {
            Work::Apply => computer.apply().await.is_ok(),
            Work::Destroy => computer.destroy().await.is_ok(),
        }
    };
    tokio::select! {
        biased;
        () = computer.power.gone() => false,
        done = doing => done,
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    Apply,
    Destroy,
}

#[tokio::test(start_paused = true)]
async fn whenever_apply_is_cut_off_the_next_one_makes_the_same_platform_and_nothing_twice() {
    let steady = World::new();
    let computer = steady.computer(1);
    computer.apply().await.unwrap();
    let calls = computer.power.calls();
    assert!(calls > 100, "{calls}");
    for call in 0..calls {
        for cut in [Cut::Before(call), Cut::After(call)] {
            let world = World::new();
            let computer = world.computer_with(1, cut, Arc::default());
            let done = until_the_power_goes(&computer, Work::Apply).await;
            // All that was made is known, so that it can be removed as well.
            let made = world.machines.specs().len();
            let known = computer.book.load().unwrap().map_or(0, |state| state.machines.len());
            assert!(known >= made, "{cut:?}: {known} of {made}");
            let again = world.computer_with(1, Cut::Never, computer.book);
            let state = again.apply().await.unwrap_or_else(|err| panic!("{cut:?} {done}: {err:?}"));
            assert_eq!(state.phase, Phase::Applied, "{cut:?}");
            assert_eq!(world.shown(), WHOLE, "{cut:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_destroy_is_cut_off_the_next_one_leaves_nothing() {
    let steady = World::new();
    steady.computer(1).apply().await.unwrap();
    let computer = steady.computer(1);
    computer.destroy().await.unwrap();
    let calls = computer.power.calls();
    for call in 0..calls {
        for cut in [Cut::Before(call), Cut::After(call)] {
            let world = World::new();
            let made = world.computer(1);
            made.apply().await.unwrap();
            let computer = world.computer_with(1, cut, made.book);
            until_the_power_goes(&computer, Work::Destroy).await;
            let again = world.computer_with(1, Cut::Never, computer.book);
            again.destroy().await.unwrap_or_else(|err| panic!("{cut:?}: {err:?}"));
            assert!(world.machines.specs().is_empty(), "{cut:?}");
            assert!(again.book.load().unwrap().is_none(), "{cut:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_half_made_is_found_and_removed() {
    let steady = World::new();
    let computer = steady.computer(1);
    computer.apply().await.unwrap();
    let calls = computer.power.calls();
    for call in (0..calls).step_by(7) {
        let world = World::new();
        let computer = world.computer_with(1, Cut::After(call), Arc::default());
        until_the_power_goes(&computer, Work::Apply).await;
        let again = world.computer_with(1, Cut::Never, computer.book);
        again.destroy().await.unwrap_or_else(|err| panic!("after {call}: {err:?}"));
        assert!(world.machines.specs().is_empty(), "after {call}");
    }
}
