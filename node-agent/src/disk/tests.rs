//! Collections on a simulated engine.

mod bundles;

use std::sync::Arc;

use bytes::Bytes;
use common::digest::ImageRef;
use common::id::{Epoch, Generation, SlotNumber};
use common::name::ContainerName;
use common::port::Containers as _;
use common::port::container::{ContainerSpec, Limits};
use common::port::nodes::Removal;
use common::service::ServiceName;
use jiff::SignedDuration;
use tempfile::TempDir;
use testkit::{
    ManualClock, MemoryBlobs, MemoryContainers, MemoryPartContainers, MemoryRegistry, MemoryShares,
};

use super::*;
use crate::config::Config;
use crate::ports::{Alone, Firewall, Ports, Rules};

#[derive(Debug)]
struct NoFirewall;

#[async_trait::async_trait]
impl Firewall for NoFirewall {
    async fn apply(&self, _: &Rules) -> Result<(), common::port::Cause> {
        Ok(())
    }
}

const DEPLOYER: Issuer = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };
const PINNER: Issuer = Issuer { service: ServiceName::NodeManager, epoch: Epoch(1) };
const EVERYTHING: Collection = Collection { until_free_bytes: None, mode: Mode::Remove };

/// A machine: what outlives its agent.
struct Machine {
    engine: MemoryContainers,
    registry: MemoryRegistry,
    blobs: MemoryBlobs,
    clock: Arc<ManualClock>,
    data: TempDir,
}

impl Machine {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let registry = MemoryRegistry::default();
        let engine = MemoryContainers::new(Arc::clone(&clock) as _, registry.clone());
        let (blobs, data) = (MemoryBlobs::new(), tempfile::tempdir().unwrap());
        Machine { engine, registry, blobs, clock, data }
    }

    fn agent(&self) -> Agent {
        self.agent_with(self.config())
    }

    fn agent_with(&self, config: Config) -> Agent {
        let clock = || Arc::clone(&self.clock) as Arc<dyn common::port::Clock>;
        let parts = MemoryPartContainers::new(clock(), MemoryRegistry::default());
        let ports = Ports {
            containers: Arc::new(self.engine.clone()),
            parts: Arc::new(parts),
            shares: Arc::new(MemoryShares::default()),
            blobs: Arc::new(self.blobs.clone()),
            firewall: Arc::new(NoFirewall),
            neighbours: Arc::new(Alone),
            clock: clock(),
        };
        Agent::open(ports, config).unwrap()
    }

    fn config(&self) -> Config {
        let folder = self.data.path().to_owned();
        Config { keep_newest: 1, blob_bytes: 1024, ..Config::in_one_folder(folder) }
    }

    /// An image of an app that was built long ago, later than those before it.
    async fn built(&self, app: &str, content: &'static str) -> ImageRef {
        let repository = format!("apps/{app}");
        self.engine.build(&repository, Bytes::from_static(content.as_bytes())).await.unwrap();
        let image = self.engine.push(&repository).await.unwrap();
        self.clock.advance(SignedDuration::from_hours(1));
        image
    }

    async fn has(&self, image: &ImageRef) -> bool {
        self.engine.has_image(image).await.unwrap()
    }
}

fn spec(instance: &str, image: &ImageRef, generation: u64) -> ContainerSpec {
    ContainerSpec {
        instance: instance.parse().unwrap(),
        slot: SlotNumber(1),
        generation: Generation(generation),
        image: image.clone(),
        container_port: 8080,
        host_port: 20_000,
        environment: [].into(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    }
}

fn pinned(image: &ImageRef) -> Vec<Pin> {
    vec![Pin { image: image.clone(), by: "shop release 1".to_owned() }]
}

fn gone(collected: &Collected) -> Vec<ImageRef> {
    let gone = collected.items.iter().filter(|item| item.stays.is_none());
    gone.flat_map(|item| item.names.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn everybody_who_refers_to_an_image_is_told_and_the_rest_goes() {
    let machine = Machine::new();
    let agent = machine.agent();
    let kept = machine.built("shop", "release 1").await;
    let unused = machine.built("shop", "release 2").await;
    let runs = machine.built("shop", "release 3").await;
    let newest = machine.built("shop", "release 4").await;
    let former = machine.built("blog", "of another app").await;
    agent.ensure(DEPLOYER, &spec("shop", &runs, 1)).await.unwrap();
    pin(&agent, PINNER, pinned(&kept)).await.unwrap();
    tokio::time::advance(std::time::Duration::from_hours(1)).await;

    let disk = look(&agent).await.unwrap();
    let told: Vec<String> = disk
        .images
        .iter()
        .map(|item| item.references.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        .collect();
    let container = ContainerName::new(&"shop".parse().unwrap(), SlotNumber(1));
    let expected = [
        "shop release 1".to_owned(),
        String::new(),
        format!("container {container}, to run as {container}"),
        "one of the newest of apps/shop".to_owned(),
        String::new(),
    ];
    assert_eq!(told, expected);

    let plan = collect(&agent, Collection { mode: Mode::Plan, ..EVERYTHING }).await.unwrap();
    assert_eq!(gone(&plan), [unused.clone(), former.clone()]);
    assert_eq!(plan.freed_bytes(), disk.collectable_bytes());
    assert!(machine.has(&unused).await, "a plan removes nothing");
    let collected = collect(&agent, EVERYTHING).await.unwrap();
    assert_eq!(gone(&collected), gone(&plan));
    for (image, stays) in
        [(&kept, true), (&unused, false), (&runs, true), (&newest, true), (&former, false)]
    {
        assert_eq!(machine.has(image).await, stays, "{image}");
    }
    assert_eq!(collect(&agent, EVERYTHING).await.unwrap().items, [], "nothing is left to do");
}

#[tokio::test(start_paused = true)]
async fn enough_is_enough() {
    let machine = Machine::new();
    let agent = machine.agent();
    pin(&agent, PINNER, Vec::new()).await.unwrap();
    let mut images = Vec::new();
    for content in ["release 1", "release 2", "release 3"] {
        images.push(machine.built("shop", content).await);
    }
    let free_bytes = std::cell::Cell::new(100);
    let measure = || {
        free_bytes.set(free_bytes.get() + 100);
        Ok(Space { total_bytes: 1000, free_bytes: free_bytes.get() })
    };
    let outcomes = remove(&agent, Goal::Free(400), measure).await.unwrap();
    assert_eq!(outcomes.len(), 2);
    assert!(!machine.has(&images[1]).await && machine.has(&images[2]).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_told_to_run_between_the_plan_and_the_removal_stays() {
    let machine = Machine::new();
    let agent = machine.agent();
    let image = machine.built("shop", "release 1").await;
    pin(&agent, PINNER, Vec::new()).await.unwrap();
    let disk = look(&agent).await.unwrap();
    let item = &disk.images[0];
    assert!(item.is_collectable());
    pin(&agent, PINNER, pinned(&image)).await.unwrap();
    let stays = remove_one(&agent, item).await.unwrap();
    assert_eq!(stays.as_deref(), Some("shop release 1"));
    pin(&agent, PINNER, Vec::new()).await.unwrap();
    let hold = agent.holds.hold(image.digest()).await;
    let stays = remove_one(&agent, item).await.unwrap();
    assert_eq!(stays.as_deref(), Some("it is being started"));
    drop(hold);
    assert!(machine.has(&image).await);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_collected_is_fetched_again_when_it_is_to_run() {
    let machine = Machine::new();
    let agent = machine.agent();
    let image = machine.built("shop", "release 1").await;
    pin(&agent, PINNER, Vec::new()).await.unwrap();
    collect(&agent, EVERYTHING).await.unwrap();
    assert!(!machine.has(&image).await);
    agent.ensure(DEPLOYER, &spec("shop", &image, 1)).await.unwrap();
    assert!(machine.has(&image).await);
    let name = spec("shop", &image, 1).name();
    agent.remove(DEPLOYER, &Removal { name, generation: Generation(1) }).await.unwrap();
    assert_eq!(collect(&agent, EVERYTHING).await.unwrap().items, [], "it was used a moment ago");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_is_relieved_and_what_did_not_fit_fits() {
    let machine = Machine::new();
    let agent = machine.agent();
    let former = machine.built("former", "of a former app").await;
    let kept = machine.built("kept", "of an app that is kept").await;
    let wanted = machine.built("shop", "release 1").await;
    machine.engine.remove_image(wanted.digest()).await.unwrap();
    pin(&agent, PINNER, pinned(&kept)).await.unwrap();
    machine.engine.set_room(2);
    agent.ensure(DEPLOYER, &spec("shop", &wanted, 1)).await.unwrap();
    assert!(!machine.has(&former).await && machine.has(&kept).await);
    // Now nobody can make room: it is told as it is.
    let other = machine.built_elsewhere("other").await;
    let other = ContainerSpec { host_port: 20_001, ..spec("other", &other, 1) };
    let refused = agent.ensure(DEPLOYER, &other).await;
    assert!(matches!(refused, Err(Error::Start(containers::Error::Full(_)))), "{refused:?}");
    assert!(machine.has(&wanted).await && machine.has(&kept).await);
}

impl Machine {
    async fn built_elsewhere(&self, app: &str) -> ImageRef {
        let elsewhere = MemoryContainers::new(Arc::clone(&self.clock) as _, self.registry.clone());
        elsewhere.build(app, Bytes::from(app.to_owned())).await.unwrap();
        elsewhere.push(app).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_collection_that_broke_off_anywhere_is_finished_by_the_next() {
    let mut broken = 0;
    for calls in 0..8 {
        let machine = Machine::new();
        let kept = machine.built("shop", "release 1").await;
        let mut others = Vec::new();
        for content in ["release 2", "release 3", "release 4"] {
            others.push(machine.built("blog", content).await);
        }
        let agent = machine.agent();
        pin(&agent, PINNER, pinned(&kept)).await.unwrap();
        machine.engine.answer_only(Some(calls));
        broken += u32::from(collect(&agent, EVERYTHING).await.is_err());
        machine.engine.answer_only(None);
        drop(agent);
        let agent = machine.agent();
        assert_eq!(agent.pins.now().as_deref(), Some(&*pinned(&kept)), "what is kept outlives it");
        collect(&agent, EVERYTHING).await.unwrap();
        assert!(machine.has(&kept).await, "after {calls} calls");
        for other in &others {
            assert!(!machine.has(other).await, "{other} after {calls} calls");
        }
    }
    assert_eq!(broken, 4, "one look, and three removals");
}
