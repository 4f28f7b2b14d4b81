//! What an operator does to a platform that runs: stop and start it, bring its services other versions and to other
//! machines, and have more of them. Visitors notice nothing of any of it.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use common::topic::Topic;
use e2e::bus::new_request;
use e2e::fleet::{Fleet, Machine, SERVICES};
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth::{self, Container};
use e2e::wait;

use super::{SOON, WHOLE_WITHIN, all_is_true, fleet_with_app, homes};

/// What is changed: no visitor and no other trial needs it for a moment.
pub(super) const CHANGED: &str = "monitoring";
/// Services that a stop of the platform leaves: who keeps machines up, and who starts the others again.
const KEPT: [&str; 2] = ["lifecycle-manager", "platform-initializer"];

async fn containers_of(fleet: &Fleet, app: &str) -> BTreeSet<Container> {
    let sources = fleet.sources().await.unwrap();
    truth::read_from(&sources).await.unwrap().of(app)
}

/// Two replicas, visitors, and what was there before something is changed.
pub(super) struct Watched {
    pub(super) fleet: Fleet,
    app: &'static str,
    before: BTreeSet<Container>,
    crowd: Crowd,
}

impl Watched {
    pub(super) async fn begin(app: &'static str) -> Self {
        let (fleet, url) = fleet_with_app(app).await;
        let before = containers_of(&fleet, app).await;
        assert_eq!(before.len(), 2, "{before:?}");
        Watched { fleet, app, before, crowd: Crowd::start(&url, 2, app) }
    }

    /// The containers are those that were there.
    pub(super) async fn are_the_same(&self) {
        assert_eq!(containers_of(&self.fleet, self.app).await, self.before);
    }

    /// Nobody noticed anything, and the platform works.
    pub(super) async fn end(self) {
        self.fleet.whole(WHOLE_WITHIN).await.unwrap();
        all_is_true(&self.fleet).await;
        let tally = self.crowd.finish_without_failure().await.unwrap();
        assert!(tally.answered > 100, "{tally:?}");
        let user = self.fleet.admin(SOON).await.unwrap();
        user.deploy(&sample("hello"), self.app, 2).await.unwrap();
        user.does(&["stop", self.app]).await.unwrap();
    }
}

/// The machines on which a service stands.
pub(super) async fn where_is(fleet: &Fleet, service: &str) -> Vec<String> {
    let machines = fleet.machines_with(service).await.unwrap();
    machines.into_iter().map(|machine| machine.name).collect()
}

/// The versions of all instances of a service, as their containers have them.
pub(super) async fn versions(fleet: &Fleet, service: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut versions = BTreeSet::new();
    for machine in &fleet.machines {
        if let Some(part) = machine.part(service).await? {
            let said = machine.exec(&["docker", "inspect", "-f", "{{.Image}}", &part]).await?;
            versions.insert(said.trim().to_owned());
        }
    }
    Ok(versions)
}

/// Another version of what a part runs, in the platform's registry: the same with a label and these changes.
pub(super) async fn another_version(machine: &Machine, tag: &str, changes: &[&str]) -> String {
    let part = machine.part(CHANGED).await.unwrap().unwrap();
    let name = format!("127.0.0.1:5000/avishkar/platform:{tag}");
    let label = format!("LABEL org.example.trial={tag}");
    let mut commit = vec!["docker", "commit", "--pause=false", "--change", &label];
    for change in changes {
        commit.extend(["--change", change]);
    }
    commit.extend([part.as_str(), &name]);
    machine.exec(&commit).await.unwrap();
    machine.exec(&["docker", "push", "-q", &name]).await.unwrap();
    let format = "{{index .RepoDigests 0}}";
    let said = machine.exec(&["docker", "inspect", "-f", format, &name]).await.unwrap();
    machine.exec(&["docker", "rmi", &name]).await.unwrap();
    said.trim().to_owned()
}

pub(super) async fn one_with(fleet: &Fleet) -> Machine {
    fleet.machine_with(CHANGED).await.unwrap().clone()
}

#[tokio::test]
async fn a_platform_that_is_stopped_and_started_again_leaves_apps_alone() {
    let watched = Watched::begin("lasting").await;
    let fleet = &watched.fleet;
    let user = fleet.admin(SOON).await.unwrap();
    let asked_to_stop = user.does(&["platform", "stop", "--confirm", "stop platform"]).await;
    let stopped = wait::until("all services are stopped", WHOLE_WITHIN, async || {
        let all = SERVICES.iter().map(|(service, _)| *service);
        for service in all.filter(|service| !KEPT.contains(service)) {
            let stands = fleet.machines_with(service).await?;
            ensure!(stands.is_empty(), "{service} stands on {stands:?}");
        }
        Ok(())
    })
    .await;
    let asked = watched.crowd.answered();
    let served = wait::until("apps answer while it is stopped", SOON, async || {
        ensure!(watched.crowd.answered() > asked + 200, "{:?}", watched.crowd.first_failure());
        Ok(())
    })
    .await;
    // Whatever went wrong, the next trials need it.
    let bus = fleet.bus().await.unwrap();
    let (from, request) = (bus.end(&Topic::FirstTopic.into()).await.unwrap(), new_request());
    bus.send(Topic::Bootstrapper, request, "start platform").await.unwrap();
    let answer = bus.answer(request, from, WHOLE_WITHIN).await.unwrap();
    asked_to_stop.unwrap();
    stopped.unwrap();
    served.unwrap();
    assert!(answer.starts_with("Bootstrapper start response - YES"), "{answer}");
    watched.are_the_same().await;
    watched.end().await;
}

#[tokio::test]
async fn a_version_is_rolled_out_and_the_platforms_own_again() {
    let watched = Watched::begin("versioned").await;
    let fleet = &watched.fleet;
    let user = fleet.admin(SOON).await.unwrap();
    let own = versions(fleet, CHANGED).await.unwrap();
    assert_eq!(own.len(), 1, "{own:?}");
    let newer = another_version(&one_with(fleet).await, "newer", &[]).await;
    let instances = where_is(fleet, CHANGED).await;
    user.does(&["platform", "upgrade", CHANGED, &newer]).await.unwrap();
    let now = versions(fleet, CHANGED).await.unwrap();
    assert!(now.len() == 1 && now != own, "{now:?}");
    assert_eq!(where_is(fleet, CHANGED).await, instances);
    all_is_true(fleet).await;
    user.does(&["platform", "upgrade", CHANGED, "platform"]).await.unwrap();
    assert_eq!(versions(fleet, CHANGED).await.unwrap(), own);
    watched.end().await;
}

#[tokio::test]
async fn a_service_is_moved_to_another_machine_and_back() {
    let watched = Watched::begin("still").await;
    let fleet = &watched.fleet;
    let user = fleet.admin(SOON).await.unwrap();
    let instances = where_is(fleet, CHANGED).await;
    let from = instances.first().unwrap();
    let mut others = fleet.machines.iter().map(|machine| &machine.name);
    let to = others.find(|name| !instances.contains(name)).unwrap();
    for (from, to) in [(from, to), (to, from)] {
        user.does(&["platform", "move", CHANGED, from, to]).await.unwrap();
        let now = where_is(fleet, CHANGED).await;
        assert!(now.len() == instances.len() && now.contains(to) && !now.contains(from), "{now:?}");
        all_is_true(fleet).await;
    }
    assert_eq!(homes(&user, "still").await.unwrap().len(), 2);
    watched.end().await;
}

/// Waits until so many instances are said to be ready, and stand where that is said. Where that is.
async fn stand_as_told(fleet: &Fleet, user: &User, many: usize) -> anyhow::Result<Vec<String>> {
    wait::until("so many are ready", WHOLE_WITHIN, async || {
        let told = user.does(&["platform", "status"]).await?;
        let services = told["services"].as_array().into_iter().flatten();
        let mut changed = services.filter(|one| one["service"] == CHANGED);
        let instances = changed.next().context("nothing is told of it")?["instances"].clone();
        let ready =
            instances.as_array().into_iter().flatten().filter(|one| one["state"] == "ready");
        let ready = ready.filter_map(|one| one["node"].as_str());
        let ready: BTreeSet<String> = ready.map(str::to_owned).collect();
        let stands = fleet.machines_with(CHANGED).await?;
        let stands: Vec<String> = stands.into_iter().map(|machine| machine.name).collect();
        let is_so = stands.len() == many && ready == stands.iter().cloned().collect();
        ensure!(is_so, "it stands on {stands:?}, and of {instances} on {ready:?} are ready");
        Ok(stands)
    })
    .await
}

#[tokio::test]
async fn a_service_is_scaled_to_three_instances_and_back_to_two() {
    let watched = Watched::begin("scaled").await;
    let fleet = &watched.fleet;
    let user = fleet.admin(SOON).await.unwrap();
    let before = where_is(fleet, CHANGED).await;
    assert_eq!(before.len(), 2, "{before:?}");
    let asked_for_more = user.does(&["platform", "scale", CHANGED, "3"]).await;
    let three = stand_as_told(fleet, &user, 3).await;
    // Whatever went wrong, the next trials need two of it.
    let asked_for_fewer = user.does(&["platform", "scale", CHANGED, "2"]).await;
    let two = stand_as_told(fleet, &user, 2).await;
    asked_for_more.unwrap();
    asked_for_fewer.unwrap();
    let (three, two) = (three.unwrap(), two.unwrap());
    assert!(before.iter().all(|one| three.contains(one)), "{three:?} instead of {before:?}");
    assert_eq!(two, before, "what is new is what goes");
    watched.are_the_same().await;
    watched.end().await;
}
