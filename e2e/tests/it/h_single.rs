//! The platform in one process, on this machine's own Docker: begun after the cluster is gone, as the
//! two do not run side by side. `make test` sees to that.

mod files;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::docker::docker;
use e2e::platform::{Ran, User, sample};
use e2e::single::Single;
use e2e::wait;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::SOON;

/// As long as a start looks through its files after a crash, and the engine starts an app.
const BACK_WITHIN: Duration = Duration::from_mins(1);

/// What a restart may take, with the time in which requests that come together are gathered.
const RESTARTED_WITHIN: Duration = Duration::from_secs(6);
/// The services that are started as a set.
const PLACED: usize = 5;
const LIFECYCLE: &str = "http://127.0.0.1:8080";
const INITIALIZER: &str = "http://127.0.0.1:9050";

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

    let back =
        async || wait::until("it answers again", BACK_WITHIN, async || container(&url).await).await;
    // A container that ends while nobody is there to start it again.
    platform.kill().await.unwrap();
    docker(&["kill", &platform.containers_of("single").await.unwrap()[0]]).await.unwrap();
    answers(&url).await.unwrap_err();
    platform.start().await.unwrap();
    assert_eq!(back().await.unwrap(), first, "the same container runs again");
    platform.kill_engine().await.unwrap();
    assert_eq!(back().await.unwrap(), first, "the same container runs again");
    assert_eq!(platform.containers_of("single").await.unwrap().len(), 1);
    // As in a power cut: nobody is left who knows.
    platform.kill().await.unwrap();
    platform.kill_engine().await.unwrap();
    platform.start().await.unwrap();
    assert_eq!(back().await.unwrap(), first, "the same container runs again");
    assert_eq!(platform.containers_of("single").await.unwrap().len(), 1);

    let down = platform.run(&["down"]).await.unwrap();
    assert_eq!(down.code, 0, "{down:?}");
    assert_eq!(platform.everything().await.unwrap(), Vec::<String>::new());
    platform.start().await.unwrap();
    wait::until("its app comes back", BACK_WITHIN, async || answers(&url).await).await.unwrap();

    // By a message, as in the cluster.
    let stop = ["bus", "send", "DeploymentManager", "stop app$single"];
    let sent = user.does(&stop).await.unwrap();
    assert_eq!(sent["topic"], "DeploymentManager", "{sent}");
    let gone = async || {
        let left = platform.containers_of("single").await?;
        anyhow::ensure!(left.is_empty(), "{left:?}");
        Ok(())
    };
    wait::until("nothing of a stopped app is left", SOON, gone).await.unwrap();
    platform.end().await.unwrap();
}

/// Does what is printed where a folder cannot be used, letter by letter; it only stays in the background.
async fn follow_the_advice(platform: &Single, refused: &Ran) {
    let folder = platform.folder().display();
    let advice = format!("`avishkar up --accept-restore --data {folder}`");
    assert!(refused.stderr.contains(&advice), "{refused:?}");
    let up = platform.run(&["up", "--accept-restore", "--detach"]).await.unwrap();
    assert_eq!(up.code, 0, "{up:?}");
}

/// Waits until the platform has looked for containers that nobody wants, and says that it leaves some.
async fn left_alone(platform: &Single, name: &str) {
    let log = platform.folder().join("logs/avishkar_logs.log");
    let said = async || {
        let log = fs::read_to_string(&log)?;
        let says = log.lines().any(|line| {
            line.contains("the store does not know these containers") && line.contains(name)
        });
        anyhow::ensure!(says, "nothing is said of it");
        Ok(())
    };
    wait::until("it is named", BACK_WITHIN, said).await.unwrap();
    let doctor = platform.run(&["doctor"]).await.unwrap();
    assert!(doctor.stdout.contains("the store does not know what runs here as"), "{doctor:?}");
}

#[tokio::test]
async fn a_store_that_is_lost_costs_no_app_and_no_url() {
    let platform = Single::new().await.unwrap();
    let user = platform.up().await.unwrap();
    let url = user.deploy(&sample("hello"), "single", 1).await.unwrap();
    let first = container(&url).await.unwrap();
    for _ in 0..2 {
        platform.kill().await.unwrap();
        platform.start().await.unwrap();
    }
    platform.kill().await.unwrap();

    let store = platform.folder().join("store.redb");
    let half = fs::metadata(&store).unwrap().len() / 2;
    fs::OpenOptions::new().write(true).open(&store).unwrap().set_len(half).unwrap();
    let damaged = platform.run(&["up"]).await.unwrap();
    refused(&damaged, 17, "FOLDER_DAMAGED");
    let doctor = platform.run(&["doctor"]).await.unwrap();
    assert_eq!(doctor.code, 8, "it did not start: {doctor:?}");
    // As somebody may who reads no further.
    fs::rename(&store, platform.folder().join("store.old")).unwrap();
    let gone = platform.run(&["up"]).await.unwrap();
    refused(&gone, 17, "FOLDER_DAMAGED");
    assert_eq!(container(&url).await.unwrap(), first, "nothing was touched");
    follow_the_advice(&platform, &gone).await;
    assert_eq!(container(&url).await.unwrap(), first, "it goes on");
    left_alone(&platform, "single").await;
    assert_eq!(container(&url).await.unwrap(), first, "and is not taken away later");

    // What it does not know is taken over once it is deployed again.
    let token = platform.folder().join("app-manager").join("one-time-token");
    let user = User::first(&token).await.unwrap();
    assert_eq!(user.deploy(&sample("hello"), "single", 1).await.unwrap(), url);
    assert_ne!(container(&url).await.unwrap(), first);
    assert_eq!(platform.containers_of("single").await.unwrap().len(), 1, "never twice");

    // The whole folder is another one, while the edge has the old one.
    let second = container(&url).await.unwrap();
    platform.kill().await.unwrap();
    platform.move_away().unwrap();
    let replaced = platform.run(&["up"]).await.unwrap();
    refused(&replaced, 24, "STORE_REPLACED");
    assert_eq!(container(&url).await.unwrap(), second, "nothing was touched");
    follow_the_advice(&platform, &replaced).await;
    let back = wait::until("its URL is back", BACK_WITHIN, async || container(&url).await);
    assert_eq!(back.await.unwrap(), second, "it goes on, behind an edge on today's folder");
    left_alone(&platform, "single").await;
    assert_eq!(container(&url).await.unwrap(), second, "and is not taken away later");
    assert_eq!(platform.containers_of("single").await.unwrap().len(), 1, "never twice");
    platform.kill().await.unwrap();
    platform.start().await.unwrap();
    assert_eq!(container(&url).await.unwrap(), second, "what was accepted is accepted");
    platform.end().await.unwrap();
}

#[tokio::test]
async fn other_settings_take_over_and_are_those_that_down_means() {
    let platform = Single::new().await.unwrap();
    platform.up().await.unwrap();
    let running = platform.process().unwrap();
    let other = ["up", "--detach", "--set", "load-balancer.scaling.max_replicas=19"];
    let taken = platform.run(&other).await.unwrap();
    assert_eq!(taken.code, 0, "{taken:?}");
    let second = platform.process().unwrap();
    assert_ne!(second, running, "it runs with them");
    platform.run(&other).await.unwrap();
    assert_eq!(platform.process().unwrap(), second, "it is not started again for nothing");
    let wrong =
        platform.run(&["--json", "up", "--detach", "--set", "up.edge.image=example.org/none"]);
    let wrong = wrong.await.unwrap();
    assert_eq!(wrong.code, 1, "{wrong:?}");
    let told: Value = serde_json::from_str(&wrong.stderr).unwrap();
    assert_eq!(told["hint"], "`make images` makes it", "{told}");
    platform.end().await.unwrap();
}

async fn told(url: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&answers(url).await?)?)
}

/// Asks by one of document 000's paths, and waits for its answer.
async fn asked(path: &str, body: &Value) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().timeout(BACK_WITHIN).build()?;
    let answer = client.post(format!("{LIFECYCLE}{path}")).json(body).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{path} {body}: {status} {text}");
    Ok(text)
}

/// The services with an instance that is ready, once the whole platform runs.
async fn placed(user: &User) -> anyhow::Result<Vec<String>> {
    let status = user.does(&["platform", "status"]).await?;
    ensure!(status["state"] == "running", "{status}");
    let services = status["services"].as_array().context("no services")?.iter();
    let ready = services.filter(|one| one["instances"][0]["state"] == "ready");
    Ok(ready.filter_map(|one| one["service"].as_str()).map(str::to_owned).collect())
}

/// How often a service was begun in all lives of the platform.
fn begun(platform: &Single, service: &str) -> usize {
    let log = fs::read_to_string(platform.folder().join("logs/avishkar_logs.log")).unwrap();
    log.lines().filter(|line| line.contains(&format!("started service={service} "))).count()
}

/// A service is restarted for them; the machine is the only one, and nobody's to restart or to take away.
async fn people_ask(user: &User) {
    let machines = user.does(&["machines"]).await.unwrap();
    let machine = machines[0]["name"].as_str().unwrap();
    assert_eq!(machines.as_array().unwrap().len(), 1, "{machines}");
    let restarted = async || user.does(&["restart", "service", "deployment_manager"]).await;
    let ended = wait::until("it is restarted", BACK_WITHIN, restarted).await.unwrap();
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let cases: [(&[&str], &str); 3] = [
        (&["machines", "add"], "SINGLE_PROCESS"),
        (&["machines", "remove", machine], "SINGLE_PROCESS"),
        (&["restart", "machine", machine], "NODE_UNAVAILABLE"),
    ];
    for (words, code) in cases {
        let refused = user.run(words).await.unwrap();
        assert!(refused.code != 0 && refused.stderr.contains(code), "{words:?}: {refused:?}");
    }
}

#[tokio::test]
async fn services_are_begun_anew_one_at_a_time_and_end_together() {
    let platform = Single::new().await.unwrap();
    let user = platform.up().await.unwrap();
    let url = user.deploy(&sample("hello"), "single", 1).await.unwrap();
    let all = async || {
        let placed = placed(&user).await?;
        ensure!(placed.len() == PLACED, "{placed:?}");
        Ok(())
    };
    wait::until("all services are placed", SOON, all).await.unwrap();
    let status = platform.run(&["--json", "status"]).await.unwrap();
    let services: Value = serde_json::from_str(&status.stdout).unwrap();
    let ready = services.as_array().unwrap().iter().filter(|one| one["state"] == "ready").count();
    assert_eq!(ready, PLACED + 2, "with the lifecycle manager and the initializer: {services}");
    let status = told(&format!("{INITIALIZER}/status")).await.unwrap();
    assert_eq!(status["status"], "running");
    let file = fs::read(platform.folder().join("logs/platform_status.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&file).unwrap(), status);
    let registry = told(&format!("{INITIALIZER}/all_services")).await.unwrap();
    let balancer = json!({ "service": "load_balancer", "ip": "127.0.0.1", "port": 8050 });
    assert!(registry.as_array().unwrap().contains(&balancer), "{registry}");

    let (process, app) = (platform.process().unwrap(), container(&url).await.unwrap());
    for service in ["load_balancer", "lifecycle_manager"] {
        // What was started a moment ago is not restarted on the word of a program.
        let restarted = async || {
            let began = Instant::now();
            asked("/Deploy", &json!({ "name": service, "url": "" })).await?;
            Ok(began.elapsed())
        };
        let took = wait::until("it is restarted", BACK_WITHIN, restarted).await.unwrap();
        assert!(took < RESTARTED_WITHIN, "{took:?}");
        assert_eq!(container(&url).await.unwrap(), app, "apps notice nothing");
    }
    let others = async || {
        let counts = ["load-balancer", "lifecycle-manager", "monitoring"]
            .map(|service| begun(&platform, service));
        ensure!(counts == [2, 2, 1], "{counts:?}");
        Ok(())
    };
    wait::until("each is begun anew once, and no other", SOON, others).await.unwrap();
    assert_eq!(platform.process().unwrap(), process, "the others go on");
    let again = async || {
        // Who was begun anew itself looks for a moment before it restarts anything.
        asked("/deployApp", &json!({ "app_id": "single", "username": "admin" })).await
    };
    assert_eq!(wait::until("an app is restarted", BACK_WITHIN, again).await.unwrap(), "ok");
    assert_ne!(container(&url).await.unwrap(), app);
    let one_is_left = async || {
        let left = platform.containers_of("single").await?;
        ensure!(left.len() == 1, "{left:?}");
        Ok(())
    };
    wait::until("the former one is drained and gone", SOON, one_is_left).await.unwrap();

    let stop = user.run(&["platform", "stop", "--confirm", "stop platform"]).await.unwrap();
    assert_eq!(stop.code, 6, "{stop:?}");
    assert!(stop.stderr.contains("SINGLE_PROCESS"), "{stop:?}");
    assert!(stop.stderr.contains("`avishkar down`"), "{stop:?}");
    all().await.unwrap();
    people_ask(&user).await;
    platform.kill().await.unwrap();
    platform.start().await.unwrap();
    wait::until("it is as before", SOON, all).await.unwrap();
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
