//! What every [`Nodes`] keeps, on a node whose container engine is a [`MemoryContainers`].

use std::any::Any;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::failure::FailureCode;
use common::id::{Epoch, Generation, SlotNumber};
use common::name::ContainerName;
use common::port::container::{Container, ContainerSpec, ContainerState, Limits};
use common::port::containers::Follow;
use common::port::nodes::{Agent, Build, Error, Issuer, Probe, Removal, Sample};
use common::port::{Containers as _, Nodes};
use common::service::ServiceName;
use futures::StreamExt as _;

use crate::containers::{MemoryContainers, MemoryRegistry};

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node and the world around it, as the suite needs it.
#[async_trait]
pub trait World: Sync {
    fn nodes(&self) -> &dyn Nodes;

    fn agent(&self) -> &Agent;

    /// The node's container engine.
    fn engine(&self) -> &MemoryContainers;

    /// Where the engine pulls from.
    fn registry(&self) -> &MemoryRegistry;

    /// A host port that nobody uses.
    fn fresh_port(&self) -> u16;

    /// The app behind a host port answers until the guard is dropped.
    async fn serve(&self, host_port: u16) -> Box<dyn Any + Send>;
}

/// Fails unless the nodes of `world` keep the contract. The node must be empty.
pub async fn holds(world: &dyn World) {
    a_container_is_made_once(world).await;
    a_missing_image_is_told_and_nothing_stays_wanted(world).await;
    a_taken_port_is_told_and_another_may_be_tried(world).await;
    what_was_told_and_is_not_there_has_its_port_until_it_is_removed(world).await;
    other_content_under_the_same_word_is_refused(world).await;
    an_older_generation_is_refused(world).await;
    a_removal_spares_a_newer_container(world).await;
    an_image_is_built_on_one_call(world).await;
    a_port_is_looked_at(world).await;
    output_can_be_read(world).await;
    samples_show_what_runs(world).await;
    a_stale_leader_is_refused(world).await;
    another_node_is_not_this_one(world).await;
}

fn issuer(epoch: u64) -> Issuer {
    Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(epoch) }
}

fn spec(world: &dyn World, app: &str) -> ContainerSpec {
    let image = ImageRef::new(&format!("example.org/{app}"), Digest::of(app.as_bytes()));
    let image = image.expect("it is a name");
    world.registry().offer(&image);
    ContainerSpec {
        instance: app.parse().expect("it is a name"),
        slot: SlotNumber(1),
        generation: Generation(5),
        image,
        container_port: 8080,
        host_port: world.fresh_port(),
        environment: [].into(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    }
}

async fn try_ensure(world: &dyn World, spec: &ContainerSpec) -> Result<Container, Error> {
    world.nodes().ensure(world.agent(), issuer(1), spec).await
}

async fn ensure(world: &dyn World, spec: &ContainerSpec) -> Container {
    try_ensure(world, spec).await.expect("the container can be made to run")
}

async fn remove(world: &dyn World, spec: &ContainerSpec) {
    let removal = Removal { name: spec.name(), generation: spec.generation };
    let removed = world.nodes().remove(world.agent(), issuer(1), &removal).await;
    removed.expect("the container can be removed");
}

async fn find(world: &dyn World, name: &ContainerName) -> Option<Container> {
    let listed = world.nodes().list(world.agent()).await.expect("containers can be listed");
    listed.into_iter().find(|container| container.name == *name)
}

fn code<T>(result: Result<T, Error>) -> Option<FailureCode> {
    match result {
        Err(Error::Failed { failure, .. }) => Some(failure.code),
        Err(Error::Unreachable { .. } | Error::StaleEpoch { .. }) | Ok(_) => None,
    }
}

async fn a_container_is_made_once(world: &dyn World) {
    let spec = spec(world, "once");
    let first = ensure(world, &spec).await;
    assert!(matches!(first.state, ContainerState::Running { .. }), "{first:?}");
    assert_eq!((&first.name, first.epoch), (&spec.name(), Epoch(1)));
    assert_eq!(ensure(world, &spec).await, first);
    assert_eq!(world.engine().starts(&spec.name()), 1);
    assert_eq!(find(world, &spec.name()).await, Some(first));
    remove(world, &spec).await;
    assert_eq!(find(world, &spec.name()).await, None);
    remove(world, &spec).await;
}

async fn a_missing_image_is_told_and_nothing_stays_wanted(world: &dyn World) {
    let spec = spec(world, "missing");
    world.registry().withdraw(&spec.image);
    let refused = code(try_ensure(world, &spec).await);
    assert_eq!(refused, Some(FailureCode::ImageUnavailable));
    let pulled = world.nodes().pull(world.agent(), issuer(1), &spec.image).await;
    assert_eq!(code(pulled), Some(FailureCode::ImageUnavailable));
    world.registry().offer(&spec.image);
    let pulled = world.nodes().pull(world.agent(), issuer(1), &spec.image).await;
    pulled.expect("an image that is offered can be pulled");
    assert_eq!(find(world, &spec.name()).await, None);
    assert_eq!(world.engine().starts(&spec.name()), 0);
}

async fn a_taken_port_is_told_and_another_may_be_tried(world: &dyn World) {
    let spec = spec(world, "taken");
    world.engine().occupy_port(spec.host_port);
    assert_eq!(code(try_ensure(world, &spec).await), Some(FailureCode::PortTaken));
    assert_eq!(find(world, &spec.name()).await, None);
    let other = ContainerSpec { host_port: world.fresh_port(), ..spec.clone() };
    ensure(world, &other).await;
    world.engine().free_port(spec.host_port);
    remove(world, &other).await;
}

async fn what_was_told_and_is_not_there_has_its_port_until_it_is_removed(world: &dyn World) {
    let spec = spec(world, "absent");
    ensure(world, &spec).await;
    world.engine().occupy_port(spec.host_port);
    let gone = world.engine().ensure_absent(&spec.name()).await;
    gone.expect("the engine removes it");
    let listed = find(world, &spec.name()).await;
    assert_eq!(listed, Some(Container::not_made(&spec, Epoch(1))));
    world.engine().free_port(spec.host_port);
    let other = ContainerSpec { host_port: spec.host_port, ..self::spec(world, "after") };
    assert_eq!(code(try_ensure(world, &other).await), Some(FailureCode::PortTaken));
    remove(world, &spec).await;
    assert_eq!(find(world, &spec.name()).await, None);
    ensure(world, &other).await;
    remove(world, &other).await;
}

async fn other_content_under_the_same_word_is_refused(world: &dyn World) {
    let spec = spec(world, "content");
    let first = ensure(world, &spec).await;
    let other = ContainerSpec { host_port: world.fresh_port(), ..spec.clone() };
    assert_eq!(code(try_ensure(world, &other).await), Some(FailureCode::Internal));
    assert_eq!(find(world, &spec.name()).await, Some(first));
    let newer = ContainerSpec { generation: spec.generation.next(), ..other };
    assert_eq!(ensure(world, &newer).await.host_port, newer.host_port);
    remove(world, &newer).await;
}

async fn an_older_generation_is_refused(world: &dyn World) {
    let spec = spec(world, "older");
    ensure(world, &spec).await;
    let older = ContainerSpec { generation: Generation(4), ..spec.clone() };
    assert_eq!(code(try_ensure(world, &older).await), Some(FailureCode::Superseded));
    remove(world, &spec).await;
}

async fn a_removal_spares_a_newer_container(world: &dyn World) {
    let spec = spec(world, "spared");
    let container = ensure(world, &spec).await;
    remove(world, &ContainerSpec { generation: Generation(4), ..spec.clone() }).await;
    assert_eq!(find(world, &spec.name()).await, Some(container));
    remove(world, &spec).await;
    assert_eq!(find(world, &spec.name()).await, None);
}

async fn an_image_is_built_on_one_call(world: &dyn World) {
    let build = Build { repository: "apps/built".to_owned(), context: file(b"FROM scratch") };
    let image = world.nodes().build(world.agent(), issuer(1), build).await;
    let image = image.expect("the image can be built");
    assert!(image.repository().ends_with("apps/built"), "{image}");
    let spec = ContainerSpec { image, ..spec(world, "built") };
    ensure(world, &spec).await;
    remove(world, &spec).await;
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file can be made");
    file.write_all(content).expect("it can be written");
    file.rewind().expect("and read again");
    file
}

async fn a_port_is_looked_at(world: &dyn World) {
    let spec = spec(world, "looked");
    let look = async || world.nodes().probe(world.agent(), &spec.name()).await;
    assert!(matches!(look().await, Ok(Probe::Absent)));
    ensure(world, &spec).await;
    let guard = world.serve(spec.host_port).await;
    let seen = look().await;
    assert!(matches!(seen, Ok(Probe::Healthy)), "{seen:?}");
    drop(guard);
    remove(world, &spec).await;
}

async fn output_can_be_read(world: &dyn World) {
    let spec = spec(world, "output");
    let absent = world.nodes().logs(world.agent(), &spec.name(), 9, Follow::No).await.map(drop);
    assert_eq!(code(absent), Some(FailureCode::UnknownInstance));
    ensure(world, &spec).await;
    for line in ["one", "two", "three"] {
        world.engine().print(&spec.name(), line);
    }
    let lines = world.nodes().logs(world.agent(), &spec.name(), 2, Follow::No).await;
    let lines: Vec<_> = lines.expect("output can be read").collect().await;
    let lines: Vec<Bytes> = lines.into_iter().map(|line| line.expect("it arrives")).collect();
    assert_eq!(lines, ["two\n", "three\n"]);
    remove(world, &spec).await;
}

async fn samples_show_what_runs(world: &dyn World) {
    let samples = world.nodes().samples(world.agent()).await;
    let mut samples = samples.expect("samples can be read");
    let spec = spec(world, "sampled");
    let shows = |sample: &Sample| sample.containers.iter().any(|used| used.name == spec.name());
    let mut until = async |wanted: bool| {
        let found = async {
            loop {
                let sample = samples.next().await.expect("the stream goes on");
                let sample = sample.expect("the node is heard");
                if shows(&sample) == wanted {
                    return sample;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("samples show it in time")
    };
    until(false).await;
    ensure(world, &spec).await;
    let sample = until(true).await;
    let used = sample.containers.iter().find(|used| used.name == spec.name());
    let used = used.expect("it was found a moment ago");
    assert!(used.running && used.host_port == spec.host_port, "{used:?}");
    assert_eq!(sample.node.memory_promised_bytes, spec.limits.memory_bytes);
    remove(world, &spec).await;
    until(false).await;
}

async fn a_stale_leader_is_refused(world: &dyn World) {
    let (nodes, agent) = (world.nodes(), world.agent());
    nodes.announce(agent, issuer(7)).await.expect("a leader may say so");
    nodes.announce(agent, issuer(7)).await.expect("and again");
    let spec = spec(world, "stale");
    let removal = Removal { name: spec.name(), generation: spec.generation };
    let build = Build { repository: "apps/stale".to_owned(), context: file(b"") };
    let refusals = [
        nodes.announce(agent, issuer(6)).await.err(),
        nodes.ensure(agent, issuer(6), &spec).await.err(),
        nodes.remove(agent, issuer(6), &removal).await.err(),
        nodes.pull(agent, issuer(6), &spec.image).await.err(),
        nodes.build(agent, issuer(6), build).await.err(),
    ];
    for refusal in refusals {
        let told = matches!(refusal, Some(Error::StaleEpoch { seen: Epoch(7), .. }));
        assert!(told, "{refusal:?}");
    }
    assert_eq!(find(world, &spec.name()).await, None);
}

async fn another_node_is_not_this_one(world: &dyn World) {
    let address = ([127, 0, 0, 1], 1).into();
    let elsewhere = Agent { address, ..world.agent().clone() };
    let lost = world.nodes().list(&elsewhere).await;
    assert!(matches!(lost, Err(Error::Unreachable { .. })), "{lost:?}");
}
