//! Versions of services that come to nothing: how long one is waited for is the platform's own, and longer than a short trial.

use e2e::platform::User;

use super::super::SOON;
use super::super::changes::{CHANGED, Watched, another_version, one_with, versions};

/// What is told of the changed service's last version that was tried in vain.
async fn backed_out(user: &User) -> serde_json::Value {
    let told = user.does(&["platform", "status"]).await.unwrap();
    let mut services = told["services"].as_array().unwrap().iter();
    services.find(|one| one["service"] == CHANGED).unwrap()["backed_out"].clone()
}

#[tokio::test]
async fn a_version_that_is_never_ready_is_backed_out_of() {
    let watched = Watched::begin("unharmed").await;
    let fleet = &watched.fleet;
    let user = fleet.admin(SOON).await.unwrap();
    let before = fleet.starts_of(CHANGED).await.unwrap();
    let own = versions(fleet, CHANGED).await.unwrap();
    let broken = "ENTRYPOINT [\"/bin/sleep\", \"3600\"]";
    let never = another_version(&one_with(fleet).await, "never", &[broken]).await;
    let ran = user.run(&["platform", "upgrade", CHANGED, &never]).await.unwrap();
    assert!(ran.code != 0 && ran.stderr.contains("HEALTH_TIMEOUT"), "{ran:?}");
    let told = backed_out(&user).await;
    assert_eq!(told["image"], never, "{told}");
    assert_eq!(versions(fleet, CHANGED).await.unwrap(), own);
    // The first instance was tried; the other one was never touched.
    let after = fleet.starts_of(CHANGED).await.unwrap();
    assert!(after.values().any(|start| before.values().any(|one| one == start)), "{after:?}");
    watched.end().await;
}
