//! What is lost for good, and what lived only there: a machine with its disk, the registry's machine, a copy of a bundle.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use e2e::fleet::{Fleet, Machine, description};
use e2e::load::Crowd;
use e2e::platform::sample;
use e2e::scripted::Scripted;
use e2e::wait;
use reqwest::Method;
use serde_json::json;

use super::super::asked::told;
use super::super::{
    LOST_WITHIN, SOON, WHOLE_WITHIN, all_is_true, fleet_with_app, nearly_nothing_was_missed,
    two_replicas_off, whole_fleet,
};

/// Where an agent keeps bundles, by their digests.
const BLOBS: &str = "/var/lib/avishkar/agent/blobs/sha256";

/// The bundles of a fleet, and the machines that have each.
async fn blobs(fleet: &Fleet) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut blobs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for machine in &fleet.machines {
        // One that is dead has none.
        let listed = machine.exec(&["ls", BLOBS]).await.unwrap_or_default();
        for digest in listed.split_whitespace() {
            blobs.entry(digest.to_owned()).or_default().push(machine.name.clone());
        }
    }
    Ok(blobs)
}

/// The platform starts a machine again that has lost its power: this one loses it each time.
async fn stays_off(machine: &Machine) -> anyhow::Result<()> {
    match machine.exec(&["true"]).await {
        Ok(_) => machine.power_off().await,
        Err(_) => Ok(()),
    }
}

/// A machine with a member of each ensemble and without an edge, gone with its disk: another is made by its description,
/// becomes a node, and the members on it have what the others have.
#[tokio::test]
async fn a_deleted_machine_is_made_anew() {
    let (fleet, url) = fleet_with_app("survivor").await;
    let edges = fleet.machines_with("edge").await.unwrap();
    let members = fleet.machines_with("kafka").await.unwrap();
    let mut candidates = members.iter().rev().filter(|machine| !edges.contains(machine));
    let machine = candidates.next().unwrap();
    let crowd = Crowd::start(&url, 2, "survivor");
    machine.delete().await.unwrap();
    let anew = wait::until("it is made anew", LOST_WITHIN, async || {
        let fleet = Fleet::find().await?;
        let anew = fleet.machine(&machine.name)?;
        ensure!(anew != machine, "it is the same");
        let user = fleet.admin(SOON).await?;
        let told = told(&user, &machine.name).await?;
        ensure!(told["state"] == "ready", "{told}");
        Ok(fleet)
    });
    let fleet = anew.await.unwrap();
    fleet.whole(LOST_WITHIN).await.unwrap();
    assert!(fleet.machines_with("kafka").await.unwrap().iter().any(|one| one.name == machine.name));
    all_is_true(&fleet).await;
    let socket = ["test", "-S", "/run/avishkar/machines.sock"];
    let anew = fleet.machine(&machine.name).unwrap();
    anew.exec(&socket).await.expect("its lifecycle manager can make machines, too");
    nearly_nothing_was_missed(crowd.finish().await, "a machine was deleted");
    let user = fleet.admin(SOON).await.unwrap();
    // It has another host key than the one that was pinned where the file is.
    let file = description().unwrap();
    let again = user.run(&["bootstrap", "apply", file.to_str().unwrap()]).await.unwrap();
    assert_eq!(again.code, 0, "{again:?}");
    user.deploy(&sample("hello"), "survivor", 2).await.unwrap();
    user.does(&["stop", "survivor"]).await.unwrap();
}

/// While the registry's machine is away it is made elsewhere, with what nodes have; nobody who deploys notices which.
#[tokio::test]
async fn a_registry_whose_machine_is_away_is_made_elsewhere() {
    let (fleet, url) = fleet_with_app("stored").await;
    let machine = fleet.machine_with("registry").await.unwrap().clone();
    let crowd = Crowd::start(&url, 2, "stored");
    let elsewhere = wait::until("there is another registry", LOST_WITHIN, async || {
        stays_off(&machine).await?;
        let mut found = None;
        for other in fleet.machines.iter().filter(|other| **other != machine) {
            if other.runs("registry").await.is_ok() {
                found = Some(other.clone());
            }
        }
        found.context("there is none")
    });
    let elsewhere = elsewhere.await.unwrap();
    two_replicas_off(&fleet, "stored", &machine).await;
    // Built there anew, on images that only nodes had.
    let user = fleet.admin(SOON).await.unwrap();
    let scripted = Scripted::new(&answers("built")).unwrap();
    let built = wait::until("a new app is deployed", LOST_WITHIN, async || {
        user.deploy(scripted.path(), "built", 2).await
    });
    let built = reqwest::get(&built.await.unwrap()).await.unwrap().text().await.unwrap();
    assert_eq!(built, "built");
    machine.power_on().await.unwrap();
    fleet.whole(LOST_WITHIN).await.unwrap();
    all_is_true(&fleet).await;
    // The former one, if its machine was back before the other had all images of the nodes.
    let there = fleet.machines_with("registry").await.unwrap();
    assert!(there == [elsewhere] || there == [machine], "one registry is left: {there:?}");
    nearly_nothing_was_missed(crowd.finish().await, "the registry's machine was away");
    for app in ["built", "stored"] {
        user.does(&["stop", app]).await.unwrap();
    }
}

/// The digest of an app's image, as a machine that has it knows it.
async fn image_of(fleet: &Fleet, app: &str) -> anyhow::Result<String> {
    let repository = format!("127.0.0.1:5000/apps/{app}");
    let list = ["docker", "images", "--digests", "--format", "{{.Digest}}", &repository];
    for machine in &fleet.machines {
        let listed = machine.exec(&list).await?;
        if let Some(digest) = listed.lines().find(|digest| digest.starts_with("sha256:")) {
            return Ok(digest.to_owned());
        }
    }
    anyhow::bail!("no machine has an image of {app}")
}

/// The app's image goes from every machine that runs and from the registry: whoever wants it has to build it.
async fn lose_image(fleet: &Fleet, app: &str, digest: &str) {
    let name = format!("127.0.0.1:5000/apps/{app}@{digest}");
    for machine in &fleet.machines {
        // Not all of them have it, or run.
        drop(machine.exec(&["docker", "rmi", "--force", &name]).await);
    }
    let registry = fleet.machine_with("registry").await.unwrap();
    let url = format!("http://127.0.0.1:5000/v2/apps/{app}/manifests/{digest}");
    registry.exec(&["curl", "-s", "-f", "-X", "DELETE", &url]).await.unwrap();
}

/// Each bundle is on two machines: when one of them dies another gets a copy, and what was lost of the image is built of it.
#[tokio::test]
async fn a_bundle_outlives_a_machine_that_had_it() {
    let fleet = whole_fleet().await;
    let user = fleet.admin(SOON).await.unwrap();
    let before = blobs(&fleet).await.unwrap();
    let scripted = Scripted::new(&answers("bundled")).unwrap();
    user.deploy(scripted.path(), "bundled", 1).await.unwrap();
    let mut after = blobs(&fleet).await.unwrap();
    after.retain(|digest, _| !before.contains_key(digest));
    assert_eq!(after.len(), 1, "{after:?}");
    let (digest, holders) = after.pop_first().unwrap();
    assert_eq!(holders.len(), 2, "{holders:?}");
    let image = image_of(&fleet, "bundled").await.unwrap();
    user.does(&["stop", "bundled"]).await.unwrap();

    let registry = fleet.machine_with("registry").await.unwrap();
    let holds = |machine: &&Machine| holders.contains(&machine.name) && *machine != registry;
    let machine = fleet.machines.iter().find(holds).unwrap();
    wait::until("there are two copies again", LOST_WITHIN, async || {
        stays_off(machine).await?;
        let now = blobs(&fleet).await?.remove(&digest).unwrap_or_default();
        ensure!(now.len() == 2 && !now.contains(&machine.name), "{now:?}");
        Ok(())
    })
    .await
    .unwrap();
    lose_image(&fleet, "bundled", &image).await;
    let user = fleet.admin(SOON).await.unwrap();
    let again = user.request(Method::POST, "/api/v1/apps/bundled/deployments");
    let accepted = again.json(&json!({ "release": 1 })).send().await.unwrap();
    assert!(accepted.status().is_success(), "{}", accepted.text().await.unwrap());
    wait::until("it is built again", LOST_WITHIN, async || {
        let told = user.does(&["status", "bundled"]).await?;
        ensure!(told["state"] == "deployed", "{told}");
        let url = told["url"].as_str().context("it has no URL")?;
        let said = reqwest::get(url).await?.text().await?;
        ensure!(said == "bundled", "{said}");
        Ok(())
    })
    .await
    .unwrap();
    machine.power_on().await.unwrap();
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    all_is_true(&fleet).await;
    fleet.admin(SOON).await.unwrap().does(&["stop", "bundled"]).await.unwrap();
}

fn answers(word: &str) -> String {
    format!("    def do_GET(self):\n        self.answer(200, b'{word}')\n")
}
