//! Who may read.

use std::error::Error as StdError;

use common::port::share::{Error, Limits};

use super::{World, put, within};

pub(super) async fn is_for_those_whom_the_share_knows(world: &dyn World) {
    let Some(refused) = world.refused() else { return };
    let folder = world.fresh_folder();
    put(world, &folder, "file", "x").await;
    let listed = within(refused.list(&folder, &Limits::default())).await;
    let Err(err) = listed else { panic!("they are not let in: {listed:?}") };
    assert!(
        matches!(err, Error::CredentialsRefused { .. }),
        "it is about the credentials: {err:?}"
    );
    assert!(!err.is_retryable(), "asking again does not help");
    assert!(err.hint().contains("key"), "somebody is told what to do: {}", err.hint());
}

pub(super) async fn shows_no_secret(world: &dyn World) {
    let folder = world.fresh_folder();
    let mut shown = vec![format!("{:?} {}", world.share(), world.share().place())];
    let missing = within(world.share().list(&folder, &Limits::default())).await;
    shown.extend(missing.as_ref().err().map(all_of));
    if let Some(refused) = world.refused() {
        shown.push(format!("{refused:?}"));
        let failed = within(refused.list(&folder, &Limits::default())).await;
        shown.extend(failed.as_ref().err().map(all_of));
    }
    for secret in world.secrets() {
        assert!(!shown.iter().any(|text| text.contains(&secret)), "a secret is shown: {shown:?}");
    }
}

/// Everything that an error says.
fn all_of(err: &Error) -> String {
    let mut text = format!("{err:?} {err} {}", err.hint());
    let mut cause: Option<&dyn StdError> = err.source();
    while let Some(source) = cause {
        text = format!("{text} {source} {source:?}");
        cause = source.source();
    }
    text
}
