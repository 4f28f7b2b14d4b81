//! An app that nobody asks for has no replica, and one for the first request, which waits for it.

use std::time::Duration;

use e2e::platform::User;
use e2e::scripted::Scripted;
use e2e::wait;
use serde_json::{Value, json};

use crate::cluster_is_ready;

/// The idle time, the end of a replica, and a machine that has other things to do.
const WITHIN: Duration = Duration::from_mins(2);
const APP: &str = "sleeper";
/// Gives back what it is sent.
const METHODS: &str = r#"
    def do_POST(self):
        self.answer(200, self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self):
        self.answer(200, b"")
"#;
const SETTINGS: &str = "[scaling]\nmin = 0\nmax = 2\nidle = 5\ncooldown = 1\n";

/// That it has no replica. It is not asked for: that would wake it.
async fn it_rests(user: &User) {
    let rests = async || {
        let status = user.does(&["status", APP]).await?;
        let replicas = status["replicas"].as_array().map_or(0, Vec::len);
        anyhow::ensure!(replicas == 0, "{status}");
        Ok(())
    };
    wait::until("the app is at rest", WITHIN, rests).await.unwrap();
}

#[tokio::test]
async fn an_app_that_nobody_asks_for_rests_and_the_first_request_waits_for_a_replica() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let app = Scripted::new(METHODS).unwrap().with_settings(SETTINGS).unwrap();
    let url = user.deploy(app.path(), APP, 1).await.unwrap();
    it_rests(&user).await;
    let body = "held ".repeat(20_000);
    let answer = reqwest::Client::new().post(&url).body(body.clone()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), body);
    it_rests(&user).await;
    let why = user.does(&["why", APP]).await.unwrap();
    let decisions = why["decisions"].as_array().unwrap();
    let kinds: Vec<&Value> = decisions.iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, [&json!("rested"), &json!("woken"), &json!("rested")], "{why}");
    user.does(&["stop", APP]).await.unwrap();
}
