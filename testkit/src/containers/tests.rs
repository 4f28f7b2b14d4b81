//! The fake keeps the contract, and its faults are the faults they say.

use std::any::Any;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use common::digest::Digest;
use common::name::InstanceName;
use common::port::Containers;
use common::port::containers::Error;
use common::port::disk::Removed;
use futures::StreamExt as _;

use super::*;
use crate::clock::ManualClock;
use crate::contract::containers::{World, holds};

struct Simulated {
    containers: MemoryContainers,
    image: ImageRef,
    next: AtomicU16,
}

struct PortGuard(MemoryContainers, u16);

impl Drop for PortGuard {
    fn drop(&mut self) {
        self.0.free_port(self.1);
    }
}

#[async_trait]
impl World for Simulated {
    fn containers(&self) -> &dyn Containers {
        &self.containers
    }

    fn image(&self) -> ImageRef {
        self.image.clone()
    }

    fn build_context(&self) -> Bytes {
        Bytes::from_static(b"FROM scratch")
    }

    fn fresh_instance(&self) -> InstanceName {
        format!("app-{}", self.next.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
    }

    fn fresh_port(&self) -> u16 {
        20_000 + self.next.fetch_add(1, Ordering::Relaxed)
    }

    async fn occupy_port(&self, port: u16) -> Box<dyn Any + Send> {
        self.containers.occupy_port(port);
        Box::new(PortGuard(self.containers.clone(), port))
    }

    async fn occupy_name(&self, name: &ContainerName) {
        self.containers.occupy_name(name);
    }

    async fn kill(&self, name: &ContainerName) {
        self.containers.exit(name, 137);
    }
}

fn simulated() -> Simulated {
    let image = ImageRef::new("apps/ready", Digest::of(b"ready")).unwrap();
    let containers =
        MemoryContainers::new(Arc::new(ManualClock::default()), MemoryRegistry::default());
    containers.place_image(&image);
    containers.greet(&image, "ready");
    Simulated { containers, image, next: AtomicU16::new(1) }
}

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept() {
    holds(&simulated()).await;
}

#[tokio::test]
async fn an_engine_that_is_down_says_so_and_tells_when_it_is_back() {
    let world = simulated();
    let mut events = world.containers.events().await.unwrap();
    world.containers.set_health(Health::Down);
    assert!(matches!(world.containers.list().await, Err(Error::Unavailable(_))));
    world.containers.set_health(Health::Answers);
    assert_eq!(events.next().await, Some(Event::Resync));
    assert!(world.containers.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_full_disk_takes_nothing_new() {
    let world = simulated();
    world.containers.set_health(Health::Full);
    let built = world.containers.build("apps/x", Bytes::new()).await;
    assert!(matches!(built, Err(Error::Full(_))), "{built:?}");
}

#[tokio::test]
async fn what_the_platform_did_not_build_is_not_told_of_and_stays() {
    let world = simulated();
    world.containers.build("shop", Bytes::from_static(b"shop")).await.unwrap();
    let built = world.containers.push("shop").await.unwrap();
    let stored = world.containers.stored_images().await.unwrap();
    let ids: Vec<&Digest> = stored.iter().map(|image| &image.id).collect();
    assert_eq!(ids, [built.digest()]);
    let foreign = world.containers.remove_image(world.image.digest()).await;
    assert!(matches!(foreign, Ok(Removed::Stays(_))), "{foreign:?}");
    assert!(world.containers.has_image(&world.image).await.unwrap());
}

#[tokio::test]
async fn a_disk_with_room_for_few_takes_more_once_one_went() {
    let world = simulated();
    world.containers.set_room(2);
    world.containers.build("shop", Bytes::from_static(b"shop")).await.unwrap();
    let built = world.containers.push("shop").await.unwrap();
    let refused = world.containers.build("other", Bytes::new()).await;
    assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    world.containers.remove_image(built.digest()).await.unwrap();
    world.containers.pull(&built).await.unwrap();
    let stored = world.containers.stored_images().await.unwrap();
    assert_eq!(stored.len(), 1, "it carries its label wherever it is");
}
