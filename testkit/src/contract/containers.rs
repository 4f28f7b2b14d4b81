//! What every [`Containers`] keeps.

use std::any::Any;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::id::{Epoch, Generation, SlotNumber};
use common::name::{ContainerName, InstanceName};
use common::port::Containers;
use common::port::container::{Container, ContainerSpec, ContainerState, Limits};
use common::port::containers::{Error, Event, Follow};
use common::port::disk::{Kind, Removed, StoredImage};
use futures::StreamExt as _;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An engine and the world around it, as the suite needs it.
#[async_trait]
pub trait World: Sync {
    fn containers(&self) -> &dyn Containers;

    /// A present image whose process writes the line `ready` and then runs until it is stopped.
    fn image(&self) -> ImageRef;

    /// An archive with a `Dockerfile` that can be built.
    fn build_context(&self) -> Bytes;

    /// A name nobody else uses.
    fn fresh_instance(&self) -> InstanceName;

    /// A port nobody else uses.
    fn fresh_port(&self) -> u16;

    /// Someone who is not the platform listens on the port until the guard is dropped.
    async fn occupy_port(&self, port: u16) -> Box<dyn Any + Send>;

    /// Someone who is not the platform has a container of this name until the suite is over.
    async fn occupy_name(&self, name: &ContainerName);

    /// The container's process is killed, not by the platform.
    async fn kill(&self, name: &ContainerName);
}

/// Fails unless the engine of `world` keeps the contract.
pub async fn holds(world: &dyn World) {
    a_container_is_made_once(world).await;
    another_specification_replaces_the_container(world).await;
    a_missing_image_is_told_and_leaves_nothing(world).await;
    a_taken_port_is_told_and_leaves_nothing(world).await;
    two_containers_cannot_have_one_port(world).await;
    what_is_not_ours_is_not_touched(world).await;
    a_container_that_ended_is_started_again(world).await;
    a_container_that_is_stopped_stays_and_is_started_again(world).await;
    what_happens_is_told(world).await;
    what_was_removed_is_gone(world).await;
    output_can_be_read(world).await;
    an_image_is_built_pushed_and_run(world).await;
    what_was_built_is_known_and_goes_unless_it_is_used(world).await;
}

fn spec(world: &dyn World) -> ContainerSpec {
    ContainerSpec {
        instance: world.fresh_instance(),
        slot: SlotNumber(1),
        generation: Generation(1),
        image: world.image(),
        container_port: 8080,
        host_port: world.fresh_port(),
        environment: [("GREETING".to_owned(), "hello".to_owned())].into(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    }
}

fn runs(container: &Container) -> bool {
    matches!(container.state, ContainerState::Running { .. })
}

async fn ensure(world: &dyn World, spec: &ContainerSpec) -> Container {
    let ensured = world.containers().ensure_running(spec, Epoch(1)).await;
    ensured.expect("the container can be made to run")
}

async fn remove(world: &dyn World, name: &ContainerName) {
    world.containers().ensure_absent(name).await.expect("the container can be removed");
}

async fn find(world: &dyn World, name: &ContainerName) -> Option<Container> {
    let listed = world.containers().list().await.expect("containers can be listed");
    assert!(listed.is_sorted_by_key(|container| container.name.clone()));
    listed.into_iter().find(|container| container.name == *name)
}

async fn a_container_is_made_once(world: &dyn World) {
    let spec = spec(world);
    let first = ensure(world, &spec).await;
    assert!(runs(&first), "{first:?}");
    assert_eq!(first.name, spec.name());
    assert_eq!((first.generation, first.epoch), (spec.generation, Epoch(1)));
    assert_eq!((first.host_port, &first.image), (spec.host_port, &spec.image));
    assert_eq!(first.spec_hash, spec.hash());
    let second = ensure(world, &spec).await;
    assert_eq!(second, first);
    assert_eq!(find(world, &spec.name()).await, Some(first.clone()));
    let found = world.containers().find(&spec.name()).await;
    assert!(matches!(&found, Ok(Some(found)) if *found == first), "{found:?}");
    let process = world.containers().process_id(&spec.name()).await;
    assert!(matches!(process, Ok(Some(_))), "{process:?}");
    remove(world, &spec.name()).await;
}

async fn another_specification_replaces_the_container(world: &dyn World) {
    let old = spec(world);
    let before = ensure(world, &old).await;
    let new = ContainerSpec { generation: Generation(2), ..old.clone() };
    let after = ensure(world, &new).await;
    assert_ne!(before.id, after.id);
    assert_eq!(after.generation, Generation(2));
    assert_eq!(find(world, &new.name()).await, Some(after));
    remove(world, &new.name()).await;
}

async fn a_missing_image_is_told_and_leaves_nothing(world: &dyn World) {
    let image = ImageRef::new("nobody/built-this", Digest::of(b"nothing")).expect("it is a name");
    let spec = ContainerSpec { image: image.clone(), ..spec(world) };
    let refused = world.containers().ensure_running(&spec, Epoch(1)).await;
    assert!(matches!(refused, Err(Error::ImageUnavailable { .. })), "{refused:?}");
    assert_eq!(find(world, &spec.name()).await, None);
    assert!(matches!(world.containers().has_image(&image).await, Ok(false)));
    let pulled = world.containers().pull(&image).await;
    assert!(matches!(pulled, Err(Error::ImageUnavailable { .. })), "{pulled:?}");
    assert!(matches!(world.containers().has_image(&world.image()).await, Ok(true)));
}

async fn a_taken_port_is_told_and_leaves_nothing(world: &dyn World) {
    let spec = spec(world);
    let guard = world.occupy_port(spec.host_port).await;
    let refused = world.containers().ensure_running(&spec, Epoch(1)).await;
    let port_is_told = matches!(refused, Err(Error::PortTaken { port }) if port == spec.host_port);
    assert!(port_is_told, "{refused:?}");
    assert_eq!(find(world, &spec.name()).await, None);
    drop(guard);
    assert!(runs(&ensure(world, &spec).await));
    remove(world, &spec.name()).await;
}

async fn two_containers_cannot_have_one_port(world: &dyn World) {
    let one = spec(world);
    ensure(world, &one).await;
    let other = ContainerSpec { slot: SlotNumber(2), ..one.clone() };
    let refused = world.containers().ensure_running(&other, Epoch(1)).await;
    assert!(matches!(refused, Err(Error::PortTaken { .. })), "{refused:?}");
    assert!(find(world, &one.name()).await.as_ref().is_some_and(runs));
    remove(world, &one.name()).await;
}

async fn what_is_not_ours_is_not_touched(world: &dyn World) {
    let spec = spec(world);
    let name = spec.name();
    world.occupy_name(&name).await;
    for _ in 0..2 {
        let refused = world.containers().ensure_running(&spec, Epoch(1)).await;
        assert!(matches!(&refused, Err(Error::Foreign(told)) if *told == name), "{refused:?}");
        // It would run if this had removed what has the name.
        remove(world, &name).await;
        assert_eq!(find(world, &name).await, None);
        assert!(matches!(world.containers().find(&name).await, Ok(None)));
    }
    let process = world.containers().process_id(&name).await;
    assert!(matches!(process, Err(Error::Absent(_))), "{process:?}");
}

async fn a_container_that_ended_is_started_again(world: &dyn World) {
    let spec = spec(world);
    let first = ensure(world, &spec).await;
    world.kill(&spec.name()).await;
    let ended = until_ended(world, &spec.name()).await;
    assert!(matches!(ended.state, ContainerState::Exited { code: 137, .. }), "{ended:?}");
    assert!(matches!(world.containers().process_id(&spec.name()).await, Ok(None)));
    let again = ensure(world, &spec).await;
    assert!(runs(&again));
    assert_eq!(again.id, first.id);
    remove(world, &spec.name()).await;
}

async fn a_container_that_is_stopped_stays_and_is_started_again(world: &dyn World) {
    let spec = spec(world);
    let first = ensure(world, &spec).await;
    for _ in 0..2 {
        world.containers().stop(&spec.name()).await.expect("it can be stopped, once and again");
    }
    let ended = find(world, &spec.name()).await.expect("it is there");
    assert!(matches!(ended.state, ContainerState::Exited { .. }), "{ended:?}");
    let again = ensure(world, &spec).await;
    assert_eq!((runs(&again), &again.id), (true, &first.id));
    remove(world, &spec.name()).await;
    world.containers().stop(&spec.name()).await.expect("what is gone does not run");
}

async fn until_ended(world: &dyn World, name: &ContainerName) -> Container {
    let ended = async {
        loop {
            match find(world, name).await {
                Some(container) if !runs(&container) => return container,
                Some(_) | None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("a killed container is seen to have ended")
}

async fn what_happens_is_told(world: &dyn World) {
    let spec = spec(world);
    let name = spec.name();
    let events = world.containers().events().await.expect("events can be read");
    let mut events = events.filter(|event| {
        let about_it = match event {
            Event::Started(told) | Event::Exited(told) => *told == name,
            Event::Resync => false,
        };
        std::future::ready(about_it)
    });
    let mut next = async || {
        let event = tokio::time::timeout(PATIENCE, events.next()).await;
        event.expect("what happens is told in time").expect("the stream goes on")
    };
    ensure(world, &spec).await;
    assert_eq!(next().await, Event::Started(name.clone()));
    world.kill(&name).await;
    assert_eq!(next().await, Event::Exited(name.clone()));
    until_ended(world, &name).await;
    ensure(world, &spec).await;
    assert_eq!(next().await, Event::Started(name.clone()));
    remove(world, &name).await;
    assert_eq!(next().await, Event::Exited(name.clone()));
}

async fn what_was_removed_is_gone(world: &dyn World) {
    let spec = spec(world);
    remove(world, &spec.name()).await;
    ensure(world, &spec).await;
    for _ in 0..2 {
        remove(world, &spec.name()).await;
        assert_eq!(find(world, &spec.name()).await, None);
    }
}

async fn output_can_be_read(world: &dyn World) {
    let spec = spec(world);
    let absent = world.containers().logs(&spec.name(), 10, Follow::No).await.map(drop);
    assert!(matches!(absent, Err(Error::Absent(_))), "{absent:?}");
    ensure(world, &spec).await;
    let follow = world.containers().logs(&spec.name(), 10, Follow::Yes).await;
    let mut lines = follow.expect("output can be followed");
    let line = tokio::time::timeout(PATIENCE, lines.next()).await.expect("there is a line in time");
    let line = line.expect("the output goes on").expect("the output can be read");
    assert_eq!(line.trim_ascii_end(), b"ready");
    let past = world.containers().logs(&spec.name(), 10, Follow::No).await;
    let lines: Vec<_> = past.expect("output can be read").collect().await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    remove(world, &spec.name()).await;
    // What it wrote went with it: the next of its name begins anew.
    let gone = world.containers().logs(&spec.name(), 10, Follow::No).await.map(drop);
    assert!(matches!(gone, Err(Error::Absent(_))), "{gone:?}");
    ensure(world, &spec).await;
    let new = world.containers().logs(&spec.name(), 10, Follow::No).await;
    let lines: Vec<_> = new.expect("output can be read").collect().await;
    assert!(lines.len() <= 1, "{lines:?}");
    remove(world, &spec.name()).await;
}

async fn an_image_is_built_pushed_and_run(world: &dyn World) {
    let containers = world.containers();
    let repository = format!("contract/{}", world.fresh_instance());
    let unbuilt = containers.push("contract/never-built").await;
    assert!(unbuilt.is_err(), "{unbuilt:?}");
    let built = containers.build(&repository, world.build_context()).await;
    let built = built.expect("the image can be built");
    let again = containers.build(&repository, world.build_context()).await;
    assert_eq!(again.expect("the image can be built again"), built);
    let image = containers.push(&repository).await.expect("the image can be pushed");
    assert!(image.repository().ends_with(&repository), "{image}");
    assert!(matches!(containers.has_image(&image).await, Ok(true)));
    containers.pull(&image).await.expect("a present image need not be fetched");
    let spec = ContainerSpec { image, ..spec(world) };
    assert!(runs(&ensure(world, &spec).await));
    remove(world, &spec.name()).await;
}

async fn stored(world: &dyn World, image: &ImageRef) -> Option<StoredImage> {
    let stored = world.containers().stored_images().await.expect("images can be listed");
    assert!(stored.is_sorted_by_key(|image| image.created), "the oldest is the first");
    stored.into_iter().find(|stored| stored.names.contains(image) || stored.id == *image.digest())
}

async fn what_was_built_is_known_and_goes_unless_it_is_used(world: &dyn World) {
    let containers = world.containers();
    let repository = format!("contract/{}", world.fresh_instance());
    containers.build(&repository, world.build_context()).await.expect("the image can be built");
    let image = containers.push(&repository).await.expect("the image can be pushed");
    let found = stored(world, &image).await.expect("what was built is known");
    assert_eq!((found.kind, found.repository.as_deref()), (Kind::Image, Some(repository.as_str())));
    assert!(found.own_bytes <= found.bytes && found.containers.is_empty(), "{found:?}");
    let spec = ContainerSpec { image: image.clone(), ..spec(world) };
    let container = ensure(world, &spec).await;
    let used = stored(world, &image).await.expect("what is used is known");
    assert_eq!(used.containers, [container.name.to_string()]);
    let removed = containers.remove_image(&used.id).await;
    assert!(matches!(removed, Ok(Removed::Stays(_))), "{removed:?}");
    assert!(matches!(containers.has_image(&image).await, Ok(true)));
    remove(world, &spec.name()).await;
    for _ in 0..2 {
        let removed = containers.remove_image(&used.id).await;
        assert!(matches!(removed, Ok(Removed::Gone)), "{removed:?}");
    }
    assert_eq!(stored(world, &image).await, None);
    assert!(matches!(containers.has_image(&image).await, Ok(false)));
}
