//! What every [`PartContainers`] keeps.

use std::time::Duration;

use async_trait::async_trait;
use common::digest::Digest;
use common::id::{Epoch, Generation};
use common::name::PartName;
use common::port::PartContainers;
use common::port::container::ContainerState;
use common::port::containers::Error;
use common::port::part::{Part, PartImage, PartSpec};
use common::port::part_containers::{PartEvent, PartSite};
use common::port::share::{Code, Context, Folder};
use futures::StreamExt as _;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine and the world around it, as the suite needs it.
#[async_trait]
pub trait World: Sync {
    fn containers(&self) -> &dyn PartContainers;

    /// An image that is present, has no other name, and runs until it is ended. A registry answers.
    fn image(&self) -> PartImage;

    /// A name that no part has.
    fn fresh_name(&self) -> PartName;

    /// Ends the part's process behind the engine's back.
    async fn crash(&self, name: &PartName);

    /// Makes a container that is not ours, with the name of this part's.
    async fn occupy_name(&self, name: &PartName);

    /// A `Dockerfile` of an image that runs until it is ended, another one each time.
    fn dockerfile(&self) -> String;
}

/// Fails unless the engine of `world` keeps the contract.
pub async fn holds(world: &dyn World) {
    a_part_is_made_once_and_found(world).await;
    another_specification_takes_its_place(world).await;
    a_missing_image_is_told_and_what_runs_goes_on(world).await;
    what_ended_is_started_again_as_it_is(world).await;
    a_part_is_ended_and_stays(world).await;
    absence_is_repeatable(world).await;
    what_happens_is_told(world).await;
    what_belongs_to_others_is_left_alone(world).await;
    output_is_read_only_of_parts(world).await;
    an_image_is_pushed_and_known_by_its_name(world).await;
    an_image_is_built_of_code_and_known_by_its_digest(world).await;
    a_build_that_fails_leaves_no_image(world).await;
}

fn spec(world: &dyn World) -> PartSpec {
    PartSpec {
        name: world.fresh_name(),
        generation: Generation(4),
        image: world.image(),
        command: Vec::new(),
        environment: [].into(),
        files: Vec::new(),
        volumes: Vec::new(),
        user: 10_001,
        memory_bytes: 64 << 20,
        processes: 32,
        health: None,
        stop_seconds: 2,
        rights: Vec::new(),
    }
}

async fn ensure(world: &dyn World, spec: &PartSpec) -> Part {
    let made = world.containers().ensure_part_running(spec, Epoch(2), &PartSite::default()).await;
    made.expect("the part can be made to run")
}

async fn find(world: &dyn World, spec: &PartSpec) -> Option<Part> {
    world.containers().find_part(&spec.name).await.expect("the engine answers")
}

async fn remove(world: &dyn World, spec: &PartSpec) {
    world.containers().ensure_part_absent(&spec.name).await.expect("the part can be removed");
}

fn is_running(part: &Part) -> bool {
    matches!(part.state, ContainerState::Running { .. })
}

async fn a_part_is_made_once_and_found(world: &dyn World) {
    let spec = spec(world);
    let first = ensure(world, &spec).await;
    assert!(is_running(&first), "{first:?}");
    assert_eq!((&first.name, first.generation, first.epoch), (&spec.name, Generation(4), Epoch(2)));
    assert_eq!((&first.spec_hash, first.healthy, first.restarts), (&spec.hash(), None, 0));
    assert_eq!(ensure(world, &spec).await, first, "the repeat found it");
    assert_eq!(find(world, &spec).await, Some(first.clone()));
    let listed = world.containers().list_parts().await.expect("the engine answers");
    assert!(listed.contains(&first) && listed.is_sorted_by_key(|part| part.name.clone()));
    remove(world, &spec).await;
}

async fn another_specification_takes_its_place(world: &dyn World) {
    let old = spec(world);
    ensure(world, &old).await;
    let environment = [("CHANGED".to_owned(), "yes".to_owned())].into();
    let new = PartSpec { environment, generation: Generation(5), ..old.clone() };
    let made = ensure(world, &new).await;
    assert_eq!((made.generation, &made.spec_hash), (Generation(5), &new.hash()));
    assert!(is_running(&made));
    assert_eq!(find(world, &old).await, Some(made));
    remove(world, &new).await;
}

async fn a_missing_image_is_told_and_what_runs_goes_on(world: &dyn World) {
    let old = spec(world);
    let running = ensure(world, &old).await;
    let image = PartImage::Id(Digest::of(b"nobody has it"));
    let new = PartSpec { image: image.clone(), ..old.clone() };
    let refused =
        world.containers().ensure_part_running(&new, Epoch(2), &PartSite::default()).await;
    assert!(matches!(refused, Err(Error::ImageUnavailable { .. })), "{refused:?}");
    assert_eq!(find(world, &old).await, Some(running));
    let fetched = world.containers().fetch_image(&image).await;
    assert!(matches!(fetched, Err(Error::ImageUnavailable { .. })), "{fetched:?}");
    world.containers().fetch_image(&old.image).await.expect("it is there");
    remove(world, &old).await;
}

async fn what_ended_is_started_again_as_it_is(world: &dyn World) {
    let spec = spec(world);
    let first = ensure(world, &spec).await;
    world.crash(&spec.name).await;
    let ended = find(world, &spec).await.expect("it stays");
    assert!(matches!(ended.state, ContainerState::Exited { .. }), "{ended:?}");
    let again = ensure(world, &spec).await;
    assert!(is_running(&again));
    assert_ne!(again.state, first.state, "another run");
    remove(world, &spec).await;
}

async fn a_part_is_ended_and_stays(world: &dyn World) {
    let spec = spec(world);
    ensure(world, &spec).await;
    for _ in 0..2 {
        world.containers().end_part(&spec.name).await.expect("it can be ended");
        let ended = find(world, &spec).await.expect("it stays");
        assert!(matches!(ended.state, ContainerState::Exited { .. }), "{ended:?}");
    }
    remove(world, &spec).await;
    world.containers().end_part(&spec.name).await.expect("there is nothing to be ended");
}

async fn absence_is_repeatable(world: &dyn World) {
    let spec = spec(world);
    remove(world, &spec).await;
    ensure(world, &spec).await;
    remove(world, &spec).await;
    assert_eq!(find(world, &spec).await, None);
    remove(world, &spec).await;
}

async fn what_happens_is_told(world: &dyn World) {
    let spec = spec(world);
    let mut events = world.containers().part_events().await.expect("the engine answers");
    ensure(world, &spec).await;
    let told = PartEvent::Changed(spec.name.clone());
    let mut until_told = async || {
        let heard = async { while events.next().await.is_some_and(|event| event != told) {} };
        tokio::time::timeout(PATIENCE, heard).await.expect("it is told");
    };
    until_told().await;
    world.crash(&spec.name).await;
    until_told().await;
    remove(world, &spec).await;
}

async fn what_belongs_to_others_is_left_alone(world: &dyn World) {
    let spec = spec(world);
    world.occupy_name(&spec.name).await;
    let containers = world.containers();
    let made = containers.ensure_part_running(&spec, Epoch(2), &PartSite::default()).await;
    assert!(matches!(made, Err(Error::Refused(_))), "{made:?}");
    let removed = containers.ensure_part_absent(&spec.name).await;
    assert!(matches!(removed, Err(Error::Refused(_))), "{removed:?}");
    let ended = containers.end_part(&spec.name).await;
    assert!(matches!(ended, Err(Error::Refused(_))), "{ended:?}");
    let listed = containers.list_parts().await.expect("the engine answers");
    assert!(listed.iter().all(|part| part.name != spec.name));
}

async fn output_is_read_only_of_parts(world: &dyn World) {
    let spec = spec(world);
    let output = async || world.containers().part_output(&spec.name, 10).await;
    assert_eq!(output().await.expect("the engine answers"), None);
    ensure(world, &spec).await;
    assert!(output().await.expect("the engine answers").is_some());
    remove(world, &spec).await;
}

async fn an_image_is_pushed_and_known_by_its_name(world: &dyn World) {
    let repository = format!("parts-test/{}", world.fresh_name());
    let containers = world.containers();
    let absent = PartImage::Id(Digest::of(b"nobody has it"));
    let refused = containers.push_image_as(&absent, &repository).await;
    assert!(matches!(refused, Err(Error::ImageUnavailable { .. })), "{refused:?}");
    let pushed = containers.push_image_as(&world.image(), &repository).await.expect("it is pushed");
    assert!(pushed.repository().ends_with(&repository), "{pushed}");
    let named = PartImage::Named(pushed.clone());
    let again = containers.push_image_as(&named, &repository).await.expect("by its name, too");
    assert_eq!(again, pushed);
    let images = containers.registry_images().await.expect("the engine answers");
    assert!(images.contains(&pushed) && images.is_sorted(), "{images:?}");
    containers.fetch_image(&named).await.expect("it is there");
    let spec = PartSpec { image: named, ..spec(world) };
    assert!(is_running(&ensure(world, &spec).await));
    remove(world, &spec).await;
}

/// Code whose `Dockerfile` is this, and what it is built of.
fn code(dockerfile: &str) -> (Code, Context) {
    let name = "Dockerfile".parse().expect("it is a name");
    let context = Context::of(&[(name, dockerfile.to_owned().into())].into());
    let share = "code".parse().expect("it is a name");
    (Code { share, folder: Folder::top(), digest: context.digest.clone() }, context)
}

async fn an_image_is_built_of_code_and_known_by_its_digest(world: &dyn World) {
    let containers = world.containers();
    let (code, context) = code(&world.dockerfile());
    let image = PartImage::Built(code.clone());
    let spec = PartSpec { image: image.clone(), ..spec(world) };
    let absent = containers.ensure_part_running(&spec, Epoch(2), &PartSite::default()).await;
    assert!(matches!(absent, Err(Error::ImageUnavailable { .. })), "{absent:?}");
    let fetched = containers.fetch_image(&image).await;
    assert!(matches!(fetched, Err(Error::ImageUnavailable { .. })), "{fetched:?}");
    for _ in 0..2 {
        containers.build_image(&code, context.archive.clone()).await.expect("it can be built");
    }
    containers.fetch_image(&image).await.expect("it is there");
    let elsewhere = Code { share: "other".parse().expect("it is a name"), ..code };
    containers.fetch_image(&PartImage::Built(elsewhere)).await.expect("the same content");
    assert!(is_running(&ensure(world, &spec).await));
    remove(world, &spec).await;
}

async fn a_build_that_fails_leaves_no_image(world: &dyn World) {
    let containers = world.containers();
    let (code, context) = code(&format!("{}RUN false\n", world.dockerfile()));
    let failed = containers.build_image(&code, context.archive).await;
    assert!(
        matches!(&failed, Err(Error::BuildFailed { output }) if !output.is_empty()),
        "{failed:?}"
    );
    let fetched = containers.fetch_image(&PartImage::Built(code)).await;
    assert!(matches!(fetched, Err(Error::ImageUnavailable { .. })), "{fetched:?}");
}
