//! The platform in one process, on this machine's own Docker: begun after the cluster is gone, as the
//! two do not run side by side. `make test` sees to that.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use e2e::platform::{Ran, sample};
use e2e::single::Single;
use e2e::wait;
use serde_json::Value;

use crate::SOON;

/// As long as a start looks through its files after a crash, and the engine starts an app.
const BACK_WITHIN: Duration = Duration::from_mins(1);

async fn answers(url: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?;
    Ok(client.get(url).send().await?.error_for_status()?.text().await?)
}

/// The id of the container behind a URL, as the app tells it.
async fn container(url: &str) -> anyhow::Result<String> {
    let told: Value = serde_json::from_str(&answers(url).await?)?;
    Ok(told["container"].to_string())
}

fn refused(ran: &Ran, code: i32, word: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.stderr.contains(word), "{ran:?}");
    assert!(ran.stderr.contains("hint"), "{ran:?}");
}

#[tokio::test]
async fn an_app_outlives_the_platform_and_the_engine_and_is_never_started_twice() {
    let platform = Single::new().await.unwrap();
    let user = platform.up().await.unwrap();
    let url = user.deploy(&sample("hello"), "single", 1).await.unwrap();
    let first = container(&url).await.unwrap();

    platform.kill().await.unwrap();
    assert_eq!(container(&url).await.unwrap(), first, "a dead platform stops no app");
    platform.start().await.unwrap();
    let nodes = user.does(&["nodes"]).await.unwrap();
    assert!(nodes.to_string().contains("this-machine"), "{nodes}");
    assert_eq!(container(&url).await.unwrap(), first, "it was adopted");
    assert_eq!(platform.containers_of("single").await.unwrap().len(), 1);

    let running = platform.process().unwrap();
    platform.start().await.unwrap();
    assert_eq!(platform.process().unwrap(), running, "it is not started again for nothing");
    let taken = platform.start_another_build().await.unwrap();
    assert_eq!(taken.code, 0, "{taken:?}");
    assert_ne!(platform.process().unwrap(), running, "another build takes over");
    assert_eq!(container(&url).await.unwrap(), first, "and apps go on");

    // Where the engine is somebody's, this part is for the machines where it is not.
    let _killed: bool = platform.kill_engine().await.unwrap();
    let back = wait::until("the app answers again", BACK_WITHIN, async || container(&url).await);
    assert_eq!(back.await.unwrap(), first, "the same container runs again");
    assert_eq!(platform.containers_of("single").await.unwrap().len(), 1);

    let down = platform.run(&["down"]).await.unwrap();
    assert_eq!(down.code, 0, "{down:?}");
    assert_eq!(platform.everything().await.unwrap(), Vec::<String>::new());
    platform.start().await.unwrap();
    wait::until("its app comes back", BACK_WITHIN, async || answers(&url).await).await.unwrap();

    user.does(&["stop", "single"]).await.unwrap();
    let gone = async || {
        let left = platform.containers_of("single").await?;
        anyhow::ensure!(left.is_empty(), "{left:?}");
        Ok(())
    };
    wait::until("nothing of a stopped app is left", SOON, gone).await.unwrap();
    platform.end().await.unwrap();
}

#[tokio::test]
async fn what_keeps_the_platform_from_starting_is_one_sentence_and_a_code_of_its_own() {
    let platform = Single::new().await.unwrap();
    platform.up().await.unwrap();
    refused(&platform.run(&["up"]).await.unwrap(), 15, "FOLDER_IN_USE");
    let again = platform.run(&["up", "--detach"]).await.unwrap();
    assert_eq!(again.code, 0, "{again:?}");

    // Another folder, which is somebody's, and the ports of the first.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("thesis"), "years").unwrap();
    let folder = other.path().to_str().unwrap();
    refused(&platform.run_in(folder, &["up"]).await.unwrap(), 14, "PORT_IN_USE");
    let purge = platform.run_in(folder, &["down", "--purge"]).await.unwrap();
    refused(&purge, 22, "PLATFORM_ELSEWHERE");
    platform.kill().await.unwrap();
    refused(&platform.run_in(folder, &["up"]).await.unwrap(), 22, "PLATFORM_ELSEWHERE");
    platform.start().await.unwrap();

    let down = platform.run(&["down"]).await.unwrap();
    assert_eq!(down.code, 0, "{down:?}");
    let purge = platform.run_in(folder, &["down", "--purge"]).await.unwrap();
    assert_eq!(purge.code, 0, "{purge:?}");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "what is not the platform's stays");
    let mode = platform.folder().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "what it keeps is not for all");
    let format = platform.folder().join("format");
    let was = fs::read(&format).unwrap();
    fs::write(&format, "99\n").unwrap();
    refused(&platform.run(&["up"]).await.unwrap(), 16, "FOLDER_NEWER");
    fs::write(&format, was).unwrap();

    let store = platform.folder().join("store.redb");
    let whole = fs::read(&store).unwrap();
    for broken in [&whole[..whole.len() / 2], &b"not a database"[..], &[]] {
        fs::write(&store, broken).unwrap();
        refused(&platform.run(&["up"]).await.unwrap(), 17, "FOLDER_DAMAGED");
        assert_eq!(fs::read(&store).unwrap(), broken, "what is damaged is not touched");
    }
    fs::write(&store, whole).unwrap();

    let absent = ["up", "--set", "node-agent.docker.socket=/nowhere/docker.sock"];
    refused(&platform.run(&absent).await.unwrap(), 10, "DOCKER_ABSENT");
    let wrong = platform.run(&["up", "--set", "app-manager.uploads.max_mib=none"]).await.unwrap();
    assert_eq!(wrong.code, 2, "{wrong:?}");
    // Nothing of all that has harmed it.
    platform.start().await.unwrap();
    platform.end().await.unwrap();
    assert!(!Path::new(platform.folder()).exists());
}
