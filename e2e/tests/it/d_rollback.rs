//! A release is gone back from while its users go on, and the registry is away: nothing is built, and nobody notices.

use e2e::load::Crowd;
use e2e::platform::User;
use e2e::scripted::Scripted;
use e2e::{cluster, wait};

use crate::{SOON, cluster_is_ready};

const APP: &str = "undone";

fn methods(release: u32) -> String {
    format!(
        r#"
    def do_GET(self):
        self.answer(200, b"one of them: release {release}\n")
"#
    )
}

async fn answers(url: &str, release: u32) -> anyhow::Result<()> {
    let told = async || {
        let body = reqwest::get(url).await?.text().await?;
        anyhow::ensure!(body.contains(&format!("release {release}\n")), "{body}");
        Ok(())
    };
    wait::until(&format!("release {release} answers"), SOON, told).await
}

#[tokio::test]
async fn a_release_is_gone_back_from_under_load_while_the_registry_is_away() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let app = Scripted::new(&methods(1)).unwrap();
    user.deploy(app.path(), APP, 2).await.unwrap();
    app.rewrite(&methods(2)).unwrap();
    let url = user.deploy(app.path(), APP, 2).await.unwrap();
    answers(&url, 2).await.unwrap();

    let away = cluster::stop("registry").await;
    let crowd = Crowd::start(&url, 8, "one of them");
    let back = user.does(&["rollback", APP]).await;
    let first = answers(&url, 1).await;
    let tally = crowd.finish_without_failure().await;
    // Whatever went wrong, the next tests need it.
    cluster::start("registry").await.unwrap();
    away.unwrap();
    first.unwrap();
    assert_eq!(back.unwrap()["release"], 1);
    let tally = tally.unwrap();
    assert!(tally.answered > 100, "{tally:?}");

    let kept = user.does(&["releases", APP]).await.unwrap();
    let states: Vec<(u64, &str)> = kept
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["number"].as_u64().unwrap(), one["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, [(1, "serving"), (2, "rolled_back")], "{kept}");
    let again = user.run(&["rollback", APP]).await.unwrap();
    assert_ne!(again.code, 0, "{again:?}");
    assert!(again.stderr.contains("NOTHING_TO_ROLL_BACK_TO"), "{again:?}");
    user.does(&["stop", APP]).await.unwrap();
}
