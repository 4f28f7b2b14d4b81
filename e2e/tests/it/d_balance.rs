//! An app that takes all of its processor is given a second replica, and loses it when it takes little.

use std::time::Duration;

use anyhow::Context as _;
use e2e::platform::User;
use e2e::scripted::Scripted;
use e2e::truth;
use e2e::wait;
use serde_json::{Value, json};

use crate::cluster_is_ready;

/// The burning, ten cooldowns, and what the removal takes; a gap in the samples begins the cooldowns anew.
const WITHIN: Duration = Duration::from_mins(5);
const APP: &str = "burner";
/// Burns for twenty seconds after a request for it, and goes on answering.
const METHODS: &str = r#"
    def do_GET(self):
        if self.path == "/burn":
            until = time.monotonic() + 20
            threading.Thread(target=self.burn, args=(until,), daemon=True).start()
        self.answer(200, b"ok\n")

    def burn(self, until):
        while time.monotonic() < until:
            pass
"#;
/// A tenth of the usual cooldown: a removal takes half a minute without need.
const SETTINGS: &str = "cpus = 0.3\n[scaling]\nmin = 1\nmax = 2\ncooldown = 3\n";

/// That so many replicas serve, and no others are left.
async fn serve(replicas: usize) {
    let there = async || {
        let truth = truth::read().await?;
        let ours = truth.of(APP);
        anyhow::ensure!(ours.len() == replicas, "{ours:?}");
        truth.is_consistent()
    };
    wait::until(&format!("{replicas} of {APP} serve"), WITHIN, there).await.unwrap();
}

/// What the load balancer shows of the app's requests of a class of status.
async fn requests_shown(class: &str) -> anyhow::Result<u64> {
    let metrics = reqwest::get("http://127.0.0.1:8050/metrics").await?.error_for_status()?;
    let series = format!(r#"load_balancer_app_requests_total{{app="{APP}",status="{class}"}} "#);
    let text = metrics.text().await?;
    let shown = text.lines().find_map(|line| line.strip_prefix(&series));
    Ok(shown.with_context(|| format!("there is no {series}"))?.parse()?)
}

#[tokio::test]
async fn an_app_that_burns_is_given_a_second_replica_and_loses_it_again() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let app = Scripted::new(METHODS).unwrap().with_settings(SETTINGS).unwrap();
    let url = user.deploy(app.path(), APP, 1).await.unwrap();
    serve(1).await;
    let burns = reqwest::get(format!("{url}/burn")).await.unwrap();
    assert_eq!(burns.status(), 200);
    let counted = async || {
        let answered = requests_shown("2xx").await?;
        anyhow::ensure!(answered >= 1, "{answered} requests are shown");
        Ok(())
    };
    wait::until("its requests are shown", WITHIN, counted).await.unwrap();
    serve(2).await;
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    serve(1).await;
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    let why = user.does(&["why", APP]).await.unwrap();
    assert_eq!(why["wanted_replicas"], 1, "{why}");
    assert_eq!(why["scaling"]["max"], 2, "{why}");
    let decisions = why["decisions"].as_array().unwrap();
    let kinds: Vec<&Value> = decisions.iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, [&json!("idle"), &json!("processor")], "{why}");
    let busiest = decisions[1]["load"]["cpu_percent"].as_u64().unwrap();
    // It was more than that, and is recorded rounded.
    assert!(busiest >= 80, "{why}");
    user.does(&["stop", APP]).await.unwrap();
    let gone = async || {
        anyhow::ensure!(requests_shown("2xx").await.is_err(), "its requests are still shown");
        Ok(())
    };
    wait::until("its requests are not shown any more", WITHIN, gone).await.unwrap();
}
