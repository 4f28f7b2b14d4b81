//! Another image of the base, by the operator's file: who keeps the platform is replaced by those that are kept.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use e2e::docker::docker;
use e2e::fleet::{Fleet, described_as, description};
use e2e::platform::{Ran, User};
use e2e::wait;

use super::super::changes::{Watched, versions, where_is};
use super::super::{LOST_WITHIN, SOON, WHOLE_WITHIN};

/// What is not placed but stands where the file says, and runs from the image of the base.
const BASE: [&str; 2] = ["lifecycle-manager", "platform-initializer"];
/// What stays below it.
const PLATFORM: &str = "avishkar/platform:dev";

/// Another image of the platform's program on this computer: its name and id.
async fn another_image(tag: &str, changes: &[&str]) -> anyhow::Result<(String, String)> {
    let name = format!("avishkar/platform:{tag}");
    let made = docker(&["create", PLATFORM]).await?;
    let label = format!("LABEL org.example.trial={tag}");
    let mut commit = vec!["commit", "--change", &label];
    for change in changes {
        commit.extend(["--change", change]);
    }
    commit.extend([made.trim(), &name]);
    let committed = docker(&commit).await;
    docker(&["rm", made.trim()]).await?;
    Ok((name, committed?.trim().to_owned()))
}

/// Applies the file as it is, or with another image of the base.
async fn applied(user: &User, base: Option<&str>) -> anyhow::Result<Ran> {
    let file = match base {
        None => description()?,
        Some(base) => described_as(|own| {
            own.replacen("[images]\n", &format!("[images]\nbase = {base:?}\n"), 1)
        })?,
    };
    user.run(&["bootstrap", "apply", file.to_str().context("a path is not UTF-8")?]).await
}

/// From what each part of the base runs, over all machines.
async fn base_of(fleet: &Fleet) -> anyhow::Result<Vec<BTreeSet<String>>> {
    let mut images = Vec::new();
    for part in BASE {
        images.push(versions(fleet, part).await?);
    }
    Ok(images)
}

#[tokio::test]
async fn who_keeps_the_platform_is_brought_another_image_and_its_own_again() {
    let watched = Watched::begin("kept").await;
    let fleet = &watched.fleet;
    let user = fleet.admin(SOON).await.unwrap();
    let own = base_of(fleet).await.unwrap();
    let homes = [where_is(fleet, BASE[0]).await, where_is(fleet, BASE[1]).await];
    let (name, id) = another_image("other-base", &[]).await.unwrap();
    let brought = applied(&user, Some(&name)).await.unwrap();
    let other = base_of(fleet).await.unwrap();
    // Whatever went wrong, the next trials need the fleet as it is described.
    let taken_back = applied(&user, None).await.unwrap();
    assert_eq!(brought.code, 0, "{brought:?}");
    assert_eq!(other, [BTreeSet::from([id.clone()]), BTreeSet::from([id])]);
    assert_eq!(taken_back.code, 0, "{taken_back:?}");
    assert_eq!(base_of(fleet).await.unwrap(), own);
    assert_eq!([where_is(fleet, BASE[0]).await, where_is(fleet, BASE[1]).await], homes);
    docker(&["rmi", &name]).await.unwrap();
    watched.are_the_same().await;
    watched.end().await;
}

#[tokio::test]
async fn an_image_of_the_base_that_is_never_ready_is_taken_back() {
    let watched = Watched::begin("kept-well").await;
    let fleet = &watched.fleet;
    let user = fleet.admin(SOON).await.unwrap();
    let own = base_of(fleet).await.unwrap();
    let broken = "ENTRYPOINT [\"/bin/sleep\", \"3600\"]";
    let (name, _) = another_image("never-base", &[broken]).await.unwrap();
    let ran = applied(&user, Some(&name)).await.unwrap();
    let went_back = wait::until("all run from their own again", LOST_WITHIN, async || {
        let now = base_of(fleet).await?;
        ensure!(now == own, "{now:?}");
        fleet.whole(WHOLE_WITHIN).await
    })
    .await;
    let again = applied(&user, None).await.unwrap();
    assert!(ran.code != 0 && ran.stderr.contains("PART_NOT_READY"), "{ran:?}");
    went_back.unwrap();
    assert_eq!(again.code, 0, "{again:?}");
    docker(&["rmi", &name]).await.unwrap();
    watched.are_the_same().await;
    watched.end().await;
}
