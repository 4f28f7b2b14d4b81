//! What every [`Parts`] keeps, on a node whose container engine is a [`MemoryPartContainers`].

use std::time::Duration;

use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::failure::FailureCode;
use common::id::{Epoch, Generation};
use common::name::ShareName;
use common::port::container::ContainerState;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartFolders, PartImage, PartRemoval, PartSpec};
use common::port::share::{Access, Code, Description, Folder, FolderPlace};
use common::port::{PartContainers as _, Parts};
use common::service::ServiceName;
use futures::TryStreamExt as _;

use crate::containers::MemoryRegistry;
use crate::part_containers::MemoryPartContainers;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node and the world around it, as the suite needs it.
pub trait World: Sync {
    fn parts(&self) -> &dyn Parts;

    fn agent(&self) -> &Agent;

    /// The node's container engine.
    fn engine(&self) -> &MemoryPartContainers;

    /// Where the engine fetches images from.
    fn registry(&self) -> &MemoryRegistry;
}

/// Fails unless the nodes of `world` keep the contract. The node must be empty.
pub async fn holds(world: &dyn World) {
    a_part_is_made_once(world).await;
    a_missing_image_is_fetched_or_told(world).await;
    another_specification_takes_its_place(world).await;
    what_cannot_be_started_is_not_wanted_any_more(world).await;
    before_anybody_leads_the_last_word_counts(world).await;
    an_older_generation_is_refused(world).await;
    a_removal_spares_a_newer_part(world).await;
    a_part_is_restarted_as_it_is(world).await;
    health_is_looked_at(world).await;
    output_can_be_read(world).await;
    images_go_to_the_registry_and_are_known_by_their_names(world).await;
    an_image_is_given_as_an_archive_or_told_to_be_missing(world).await;
    code_on_a_share_that_nobody_told_of_is_refused(world).await;
    who_speaks_before_anybody_leads_is_refused_once_somebody_does(world).await;
    another_node_is_not_this_one(world).await;
}

/// A part that asks for nothing.
pub fn spec(name: &str, image: PartImage) -> PartSpec {
    PartSpec {
        name: name.parse().expect("it is a name"),
        generation: Generation(5),
        image,
        command: Vec::new(),
        environment: [].into(),
        files: Vec::new(),
        volumes: Vec::new(),
        user: 0,
        memory_bytes: 64 << 20,
        processes: 32,
        health: None,
        stop_seconds: 2,
        rights: Vec::new(),
    }
}

fn issuer(epoch: u64) -> Issuer {
    Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(epoch) }
}

/// A part whose image is on the node.
fn ready(world: &dyn World, name: &str) -> PartSpec {
    let image = PartImage::Id(Digest::of(name.as_bytes()));
    world.engine().place_image(&image);
    spec(name, image)
}

async fn try_ensure(world: &dyn World, spec: &PartSpec) -> Result<Part, Error> {
    world.parts().ensure_part(world.agent(), issuer(0), spec).await
}

async fn ensure(world: &dyn World, spec: &PartSpec) -> Part {
    try_ensure(world, spec).await.expect("the part can be made to run")
}

async fn remove(world: &dyn World, spec: &PartSpec) {
    let removal = PartRemoval {
        name: spec.name.clone(),
        generation: spec.generation,
        data: PartFolders::Keep,
    };
    let removed = world.parts().remove_part(world.agent(), issuer(0), &removal).await;
    removed.expect("the part can be removed");
}

async fn find(world: &dyn World, spec: &PartSpec) -> Option<Part> {
    let listed = world.parts().parts(world.agent()).await.expect("parts can be listed");
    assert!(listed.is_sorted_by_key(|part| part.name.clone()));
    listed.into_iter().find(|part| part.name == spec.name)
}

fn code<T>(result: Result<T, Error>) -> Option<FailureCode> {
    match result {
        Err(Error::Failed { failure, .. }) => Some(failure.code),
        Err(Error::Unreachable { .. } | Error::StaleEpoch { .. }) | Ok(_) => None,
    }
}

fn is_running(part: &Part) -> bool {
    matches!(part.state, ContainerState::Running { .. })
}

async fn a_part_is_made_once(world: &dyn World) {
    let spec = ready(world, "once");
    let first = ensure(world, &spec).await;
    assert!(is_running(&first), "{first:?}");
    assert_eq!((&first.name, first.generation, first.epoch), (&spec.name, Generation(5), Epoch(0)));
    assert_eq!(first.spec_hash, spec.hash());
    let again = ensure(world, &spec).await;
    assert_eq!((again.state, again.restarts), (first.state, 0));
    assert_eq!(world.engine().starts(&spec.name), 1);
    assert!(find(world, &spec).await.is_some());
    remove(world, &spec).await;
    assert_eq!(find(world, &spec).await, None);
    remove(world, &spec).await;
}

async fn a_missing_image_is_fetched_or_told(world: &dyn World) {
    let named = ImageRef::new("127.0.0.1:5000/avishkar/fetched", Digest::of(b"fetched"));
    let named = named.expect("it is a name");
    let spec = spec("fetched", PartImage::Named(named.clone()));
    assert_eq!(code(try_ensure(world, &spec).await), Some(FailureCode::ImageUnavailable));
    assert_eq!(find(world, &spec).await, None);
    world.registry().offer(&named);
    assert!(is_running(&ensure(world, &spec).await));
    remove(world, &spec).await;
}

async fn another_specification_takes_its_place(world: &dyn World) {
    let old = ready(world, "replaced");
    ensure(world, &old).await;
    let new = PartSpec { generation: Generation(6), processes: 33, ..old };
    let made = ensure(world, &new).await;
    assert_eq!((made.spec_hash, made.generation), (new.hash(), Generation(6)));
    assert_eq!(world.engine().starts(&new.name), 2);
    remove(world, &new).await;
}

async fn what_cannot_be_started_is_not_wanted_any_more(world: &dyn World) {
    let spec = ready(world, "broken");
    world.engine().refuse_to_start(&spec.name, Some("exec format error"));
    let refused = try_ensure(world, &spec).await;
    let told = matches!(&refused, Err(Error::Failed { failure, .. }) if failure.message.contains("exec format error"));
    assert!(told, "{refused:?}");
    assert_eq!(find(world, &spec).await, None);
    world.engine().refuse_to_start(&spec.name, None);
    let unknown = world.parts().restart_part(world.agent(), issuer(0), &spec.name).await;
    assert_eq!(code(unknown), Some(FailureCode::UnknownInstance));
}

async fn before_anybody_leads_the_last_word_counts(world: &dyn World) {
    let spec = ready(world, "word");
    ensure(world, &spec).await;
    let other = PartSpec { processes: 33, ..spec.clone() };
    let made = ensure(world, &other).await;
    assert_eq!(made.spec_hash, other.hash());
    remove(world, &other).await;
}

async fn an_older_generation_is_refused(world: &dyn World) {
    let spec = ready(world, "older");
    ensure(world, &spec).await;
    let older = PartSpec { generation: Generation(4), ..spec.clone() };
    assert_eq!(code(try_ensure(world, &older).await), Some(FailureCode::Superseded));
    assert_eq!(find(world, &spec).await.map(|part| part.generation), Some(Generation(5)));
    remove(world, &spec).await;
}

async fn a_removal_spares_a_newer_part(world: &dyn World) {
    let spec = ready(world, "newer");
    ensure(world, &spec).await;
    remove(world, &PartSpec { generation: Generation(4), ..spec.clone() }).await;
    assert!(find(world, &spec).await.is_some());
    remove(world, &spec).await;
}

async fn a_part_is_restarted_as_it_is(world: &dyn World) {
    let spec = ready(world, "again");
    let first = ensure(world, &spec).await;
    assert_eq!(world.engine().starts(&spec.name), 1);
    let restarted = world.parts().restart_part(world.agent(), issuer(0), &spec.name).await;
    let restarted = restarted.expect("the part can be restarted");
    assert!(is_running(&restarted), "{restarted:?}");
    assert_eq!(world.engine().starts(&spec.name), 2);
    assert_eq!((restarted.spec_hash, restarted.restarts), (first.spec_hash, 1));
    remove(world, &spec).await;
}

async fn health_is_looked_at(world: &dyn World) {
    let spec = ready(world, "healthy");
    assert_eq!(ensure(world, &spec).await.healthy, None);
    let healthy = async {
        while find(world, &spec).await.and_then(|part| part.healthy) != Some(true) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, healthy).await.expect("somebody looks");
    remove(world, &spec).await;
}

async fn output_can_be_read(world: &dyn World) {
    let spec = ready(world, "output");
    let read = async |tail| world.parts().part_logs(world.agent(), &spec.name, tail).await;
    assert_eq!(code(read(1).await), Some(FailureCode::UnknownInstance));
    ensure(world, &spec).await;
    for line in ["one", "two", "three"] {
        world.engine().print(&spec.name, line);
    }
    assert_eq!(read(2).await.expect("output can be read"), ["two", "three"]);
    remove(world, &spec).await;
}

async fn images_go_to_the_registry_and_are_known_by_their_names(world: &dyn World) {
    let (parts, agent) = (world.parts(), world.agent());
    let absent = PartImage::Id(Digest::of(b"nobody has it"));
    let refused = parts.push_image(agent, issuer(0), &absent, "avishkar/pushed").await;
    assert_eq!(code(refused), Some(FailureCode::ImageUnavailable));
    let image = ready(world, "pushed").image;
    let pushed = parts.push_image(agent, issuer(0), &image, "avishkar/pushed").await;
    let pushed = pushed.expect("it can be pushed");
    assert!(world.registry().has(&pushed));
    assert!(parts.images(agent).await.expect("images can be listed").contains(&pushed));
    let registry = "192.0.2.7:5000".parse().expect("it is an address");
    parts.registry_at(agent, issuer(0), registry).await.expect("it is taken note of");
}

async fn an_image_is_given_as_an_archive_or_told_to_be_missing(world: &dyn World) {
    let (parts, agent) = (world.parts(), world.agent());
    let absent = Digest::of(b"nobody has it");
    let refused = parts.image_archive(agent, &absent).await;
    assert_eq!(code(refused), Some(FailureCode::ImageUnavailable));
    let image = Digest::of(b"archived");
    world.engine().place_image(&PartImage::Id(image.clone()));
    let kept = world.engine().image_archive(&image).await.expect("it is on the node");
    let given = parts.image_archive(agent, &image).await.expect("it is given");
    let kept: Vec<Bytes> = kept.try_collect().await.expect("it is whole");
    let given: Vec<Bytes> = given.try_collect().await.expect("it arrives whole");
    assert_eq!(given.concat(), kept.concat());
    assert!(!given.is_empty());
}

fn folder() -> Access {
    let share = Description::Folder(FolderPlace { path: "/nowhere".into() });
    Access { share, secret: None }
}

async fn code_on_a_share_that_nobody_told_of_is_refused(world: &dyn World) {
    let (parts, agent) = (world.parts(), world.agent());
    let share = "unheard".parse().expect("it is a name");
    let code_of = Code { share, folder: Folder::top(), digest: Digest::of(b"code") };
    let spec = spec("built", PartImage::Built(code_of));
    let refused = parts.ensure_part(agent, issuer(0), &spec).await;
    assert_eq!(code(refused), Some(FailureCode::ShareUnknown));
    assert_eq!(find(world, &spec).await, None);
    let told = "told".parse().expect("it is a name");
    for _ in 0..2 {
        parts.share_is(agent, issuer(0), &told, &folder()).await.expect("it may be said again");
    }
}

/// The last clause that needs epoch 0.
async fn who_speaks_before_anybody_leads_is_refused_once_somebody_does(world: &dyn World) {
    let (parts, agent) = (world.parts(), world.agent());
    let spec = ready(world, "led");
    let first = ensure(world, &spec).await;
    let led = parts.ensure_part(agent, issuer(3), &spec).await.expect("a leader says the same");
    assert_eq!(led.state, first.state, "nothing is started for it");
    let other = PartSpec { processes: 33, ..spec.clone() };
    let conflict = parts.ensure_part(agent, issuer(3), &other).await;
    assert_eq!(code(conflict), Some(FailureCode::Internal), "the same word, another content");
    let removal =
        PartRemoval { name: spec.name.clone(), generation: Generation(5), data: PartFolders::Keep };
    let registry = "192.0.2.7:5000".parse().expect("it is an address");
    let share: ShareName = "told".parse().expect("it is a name");
    let code_of = Code { share: share.clone(), folder: Folder::top(), digest: Digest::of(b"code") };
    let refusals = [
        parts.build_code(agent, issuer(2), &code_of).await.err(),
        parts.share_is(agent, issuer(2), &share, &folder()).await.err(),
        parts.ensure_part(agent, issuer(0), &spec).await.err(),
        parts.remove_part(agent, issuer(2), &removal).await.err(),
        parts.restart_part(agent, issuer(2), &spec.name).await.err(),
        parts.registry_at(agent, issuer(2), registry).await.err(),
        parts.push_image(agent, issuer(2), &spec.image, "avishkar/x").await.err(),
    ];
    for refusal in refusals {
        let told = matches!(refusal, Some(Error::StaleEpoch { seen: Epoch(3), .. }));
        assert!(told, "{refusal:?}");
    }
    assert_eq!(find(world, &spec).await.map(|part| part.state), Some(first.state));
}

async fn another_node_is_not_this_one(world: &dyn World) {
    let address = ([127, 0, 0, 1], 1).into();
    let elsewhere = Agent { address, ..world.agent().clone() };
    let lost = world.parts().parts(&elsewhere).await;
    assert!(matches!(lost, Err(Error::Unreachable { .. })), "{lost:?}");
}
