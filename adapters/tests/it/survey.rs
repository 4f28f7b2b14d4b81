//! Looking at an engine.

use std::os::unix::net::UnixListener;
use std::path::Path;

use adapters::docker::{Unusable, survey};

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests on real servers find them by the environment")]
async fn an_engine_tells_its_version_its_folder_its_time_and_what_runs() {
    assert!(
        std::env::var("AVISHKAR_TEST_DOCKER").is_ok(),
        "this test needs a Docker engine: run `make test`, or set AVISHKAR_TEST_DOCKER=1"
    );
    let socket = Path::new("/var/run/docker.sock");
    let seen = survey(socket).await.unwrap();
    assert!(seen.version.starts_with(|first: char| first.is_ascii_digit()), "{seen:?}");
    assert!(seen.api_version.starts_with("1."), "{seen:?}");
    assert!(seen.root.is_absolute() && seen.time.is_some(), "{seen:?}");
}

#[tokio::test]
async fn where_nobody_listens_the_engine_is_absent() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    assert!(matches!(survey(&socket).await, Err(Unusable::Absent { .. })));
    drop(UnixListener::bind(&socket).unwrap());
    assert!(matches!(survey(&socket).await, Err(Unusable::Absent { .. })));
}
