//! Panics that are expected and say nothing.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, panics of this thread are not printed.
pub(super) struct Quiet;

pub(super) fn panics() -> Quiet {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
    QUIET.set(true);
    Quiet
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(false);
    }
}
