//! Letting go of the library's clients: that takes a while, and has been seen to take for ever.

use std::ops::Deref;
use std::thread;

/// Drops what it holds on a thread of its own, so that neither the dropping task nor the end of the
/// process waits for it.
pub(super) struct Closing<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Closing<T> {
    pub(super) fn new(client: T) -> Self {
        Closing(Some(client))
    }
}

impl<T: Send + 'static> Deref for Closing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only dropping takes it")
    }
}

impl<T: Send + 'static> Drop for Closing<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        let closing = thread::Builder::new().name("kafka-close".to_owned());
        if let Err(err) = closing.spawn(move || drop(client)) {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "no thread to close a client on"
            );
        }
    }
}
