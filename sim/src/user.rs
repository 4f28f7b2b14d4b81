//! People: each wish is asked for at the app manager's door, again and again under the same id, until it
//! is accepted or refused.

use std::sync::Arc;
use std::time::Duration;

use app_manager::{Door, Refused};
use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::id::RequestId;
use common::message::{DeploymentCommand, LoadBalancerCommand};
use common::name::{AppName, InstanceName, LegacyName};
use common::record::course::Share;
use common::service::ServiceName;
use common::topic::Topic;
use jiff::civil::DateTime;
use testkit::raw_zip::{RawEntry, RawZip};

use crate::call::CallKind;
use crate::fault::Point;
use crate::load::{COOLDOWN, MOST};
use crate::plant::Plant;
use crate::script::{BALANCED, app};
use crate::services::ASK_AGAIN;
use crate::settings::REGISTRY;
use crate::step::Step;
use crate::world::World;

/// How long a user waits for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What somebody asks for.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// Of an image, or of a bundle that has to be built.
    Release {
        app: AppName,
        number: u32,
        bundle: bool,
    },
    Deploy {
        app: AppName,
        instance: Option<InstanceName>,
        replicas: Option<u32>,
    },
    /// The newest release gets a share of the requests of the instance of the app's own name.
    Canary {
        app: AppName,
        share: Share,
    },
    /// The canary gets all requests.
    Promote {
        instance: LegacyName,
    },
    /// From the first to the second of these times, as the app manager's clock shows them.
    Schedule {
        app: AppName,
        instance: Option<InstanceName>,
        times: (DateTime, DateTime),
    },
    Scale {
        instance: LegacyName,
        replicas: u32,
    },
    Stop {
        instance: LegacyName,
    },
    /// To what was in service before; a canary goes.
    Rollback {
        instance: LegacyName,
    },
}

impl Wish {
    /// The kind of its operation record, if it has one.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        match self {
            Wish::Release { .. } => None,
            Wish::Deploy { .. } | Wish::Canary { .. } => Some("deploy"),
            Wish::Promote { .. } => Some("promote"),
            Wish::Schedule { .. } => Some("schedule"),
            Wish::Scale { .. } => Some("scale"),
            Wish::Stop { .. } => Some("stop"),
            Wish::Rollback { .. } => Some("rollback"),
        }
    }
}

/// How a wish ended at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Refused,
}

/// The image of a release.
pub(crate) fn image(app: &AppName, number: u32) -> ImageRef {
    let digest = Digest::of(format!("{app} {number}").as_bytes());
    ImageRef::new(&format!("{REGISTRY}/apps/{app}"), digest).expect("it is a repository's name")
}

/// The bundle of a release: a site of one page.
pub(crate) fn bundle(of: &AppName, number: u32) -> Bytes {
    let page = format!("<p>{of} {number}</p>");
    let mut files = vec![RawEntry::stored("index.html", page.as_bytes())];
    let cooldown = COOLDOWN.as_secs();
    let manifest = format!("[scaling]\nmin = 1\nmax = {MOST}\ncooldown = {cooldown}\n");
    if *of == app(BALANCED) {
        files.push(RawEntry::stored("avishkar.toml", manifest.as_bytes()));
    }
    RawZip::of(files).bytes().into()
}

async fn ask(door: Door, wish: Wish, id: RequestId) -> Result<(), Refused> {
    match wish {
        Wish::Release { app, number, bundle: false } => {
            door.release(&app, image(&app, number)).await.map(drop)
        }
        Wish::Release { app, number, bundle: true } => {
            door.release_bundle(&app, &bundle(&app, number)).await.map(drop)
        }
        Wish::Deploy { app, instance, replicas } => {
            door.deploy(app, instance, replicas, id).await.map(drop)
        }
        Wish::Canary { app, share } => door.canary(app, share, id).await,
        Wish::Promote { instance } => door.promote(&instance, id).await,
        Wish::Schedule { app, instance, times } => {
            door.schedule(app, instance, times, id).await.map(drop)
        }
        Wish::Scale { instance, replicas } => door.scale(&instance, replicas, id).await,
        Wish::Stop { instance } => door.stop(&instance, id).await,
        Wish::Rollback { instance } => door.rollback(&instance, None, id).await,
    }
}

/// Asks until there is an answer.
pub(crate) async fn insist(world: &Arc<World>, wish: Wish, id: RequestId) -> Answer {
    world.checker().wished(id, &wish, world.stage.now());
    loop {
        let living = {
            let lives = world.lives();
            let life = lives.current.get(&ServiceName::AppManager);
            life.and_then(|life| Some((Arc::clone(life), life.entrances().door.clone()?)))
        };
        if let Some((life, door)) = living {
            let owner = life.number;
            if matches!(wish, Wish::Release { bundle: true, .. }) {
                world.springs(&life, CallKind::BlobsPut, Some(Step::StageUpload), Point::Before);
            }
            if world.has(Plant::DoorAnswersFirst) && world.dice().below(10) == 0 {
                return accepted(world, &wish, id);
            }
            let answer = world.stage.call(owner, ask(door, wish.clone(), id));
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Some(Ok(()))) => return accepted(world, &wish, id),
                Ok(Some(Err(Refused::Never(why)))) => {
                    world.tell(format_args!("{wish:?} is refused: {why}"));
                    return Answer::Refused;
                }
                Ok(Some(Err(Refused::NotNow(_))) | None) | Err(_) => {}
            }
        }
        world.stage.sleep(ASK_AGAIN).await;
    }
}

fn accepted(world: &World, wish: &Wish, id: RequestId) -> Answer {
    world.tell(format_args!("{wish:?} is accepted as {id}"));
    world.checker().released(wish, world.stage.now());
    if let Some(kind) = wish.kind() {
        world.checker().check_accepted(&world.truth, id, kind);
    }
    Answer::Accepted
}

/// What other programs put onto the bus by themselves.
pub(crate) fn inject(world: &World, command: &DeploymentCommand, id: RequestId) {
    world.tell(format_args!("another program sends {command:?} as {id}"));
    world.truth.bus.inject(&command.envelope(Topic::FirstTopic, id));
    world.checker().sent_by_others(id, command);
}

/// Somebody asks the load balancer for the state of an instance.
pub(crate) fn ask_status(world: &World, instance: LegacyName, id: RequestId) {
    let command = LoadBalancerCommand::Status { instance };
    world.tell(format_args!("another program sends {command:?} as {id}"));
    world.truth.bus.inject(&command.envelope(Topic::FirstTopic, id));
}
