//! Settings of services: what the operator's file says of them is brought to a platform that runs, by `apply`.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use e2e::fleet::{Fleet, described_as, description};
use e2e::platform::User;
use e2e::wait;
use futures::future;

use super::changes::{CHANGED, Watched, versions, where_is};
use super::{LOST_WITHIN, SOON, WHOLE_WITHIN};

/// Another value than the service's own, which no trial waits for.
const SAID: &str = "[settings.monitoring.probes]\napps_every_ms = 9000";
const TOLD: &str = "AVISHKAR_PROBES__APPS_EVERY_MS=9000";

/// Whether every instance, one, or none was told it; none of it where no instance is there.
async fn who_was_told(fleet: &Fleet) -> anyhow::Result<Vec<bool>> {
    let mut told = Vec::new();
    for machine in fleet.machines_with(CHANGED).await? {
        told.push(machine.told(CHANGED).await?.iter().any(|one| one == TOLD));
    }
    Ok(told)
}

/// No instance runs. Twice: while machines are looked at one after the other, the turn may pass from one to the next.
async fn is_away(fleet: &Fleet) -> anyhow::Result<bool> {
    Ok(fleet.starts_of(CHANGED).await?.is_empty() && fleet.starts_of(CHANGED).await?.is_empty())
}

/// Waits until each of so many instances was told the setting, or none was; one of them is there at any time.
async fn all_go_by_it(fleet: &Fleet, many: usize, is_said: bool) -> anyhow::Result<()> {
    let seen = wait::until("all instances go by it", LOST_WITHIN, async || {
        if is_away(fleet).await? {
            return Ok(false);
        }
        let told = who_was_told(fleet).await?;
        ensure!(told.len() == many && told.iter().all(|one| *one == is_said), "{told:?}");
        Ok(true)
    });
    if seen.await? { Ok(()) } else { bail!("all instances were away at once") }
}

/// Applies a file of the fleet, and waits until so many instances go by what it says.
async fn applied(
    file: &Path,
    (fleet, user): (&Fleet, &User),
    many: usize,
    is_said: bool,
) -> anyhow::Result<()> {
    let path = file.to_str().context("a path is not UTF-8")?;
    let words = ["bootstrap", "apply", path];
    let (ran, seen) = future::join(user.run(&words), all_go_by_it(fleet, many, is_said)).await;
    let ran = ran?;
    ensure!(ran.code == 0, "{ran:?}");
    seen?;
    fleet.whole(WHOLE_WITHIN).await
}

#[tokio::test]
async fn a_setting_of_a_service_is_brought_to_one_instance_after_the_other_and_taken_back() {
    let watched = Watched::begin("tuned").await;
    let fleet = &watched.fleet;
    let instances = where_is(fleet, CHANGED).await;
    let version = versions(fleet, CHANGED).await.unwrap();
    let own = description().unwrap();
    let other = described_as(|own| format!("{own}\n{SAID}\n")).unwrap();
    let by = (fleet, &fleet.admin(SOON).await.unwrap());
    let said = applied(&other, by, instances.len(), true).await;
    // Whatever went wrong, the next trials need the fleet as it is described.
    let unsaid = applied(&own, by, instances.len(), false).await;
    said.unwrap();
    unsaid.unwrap();
    assert_eq!(where_is(fleet, CHANGED).await, instances);
    assert_eq!(versions(fleet, CHANGED).await.unwrap(), version);
    watched.are_the_same().await;
    watched.end().await;
}
