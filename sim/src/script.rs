//! What is asked of the platform in one run, and when.

mod operation;
mod train;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::id::RequestId;
use common::message::DeploymentCommand;
use common::name::{AppName, InstanceName, LegacyName};
use common::record::course::Share;
use jiff::civil::{Date, date};
use testkit::nodes::Reach;
use uuid::{Builder, Uuid};

pub(crate) use self::operation::Armed;
pub use self::operation::Operation;
use self::operation::turn_node;
use crate::dice::Dice;
use crate::user::{self, Wish, ask_status, inject};
use crate::world::World;

/// The day that the simulated clocks begin with.
const FIRST_DAY: Date = date(2026, 1, 1);

/// The app whose replicas follow its load, in some storms.
pub(crate) const BALANCED: usize = 4;
/// The app of whose visitors the edge hears.
pub(crate) const HEARD: usize = 5;

/// One thing that happens to the platform from outside.
#[derive(Debug, Clone)]
enum Act {
    Wish(Wish, RequestId),
    Message(DeploymentCommand, RequestId),
    Status(LegacyName, RequestId),
    /// From here on the faults of a scenario hold: the operation begins that they are for.
    Begin,
    /// A node that has containers goes away, or the one that went comes back.
    Node(Reach),
}

/// All of them, with the time between one and the next.
#[derive(Debug)]
pub(crate) struct Script {
    acts: Vec<(Duration, Act)>,
    apps: Vec<AppName>,
    faults: Armed,
}

/// What became of a script.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) commands: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) forced_met: AtomicBool,
}

pub(crate) fn app(number: usize) -> AppName {
    format!("app-{number}").parse().expect("it is an app's name")
}

pub(crate) fn request(dice: &mut Dice) -> RequestId {
    let bytes = u128::from(dice.draw()) << 64 | u128::from(dice.draw());
    RequestId(Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid())
}

/// How much a script asks for.
#[derive(Debug)]
pub(crate) struct Extent {
    pub(crate) commands: usize,
    pub(crate) most_replicas: u32,
    /// Whether the replicas of one app follow its load.
    pub(crate) balances: bool,
}

/// Draws a script while it keeps in mind what was asked before.
struct Author<'a> {
    dice: &'a mut Dice,
    apps: Vec<AppName>,
    releases: Vec<u32>,
    instances: Vec<LegacyName>,
    past: Vec<Act>,
    most_replicas: u32,
    /// Whether the replicas of one app follow its load.
    balances: bool,
    /// How long what was written takes.
    length: Duration,
}

impl Author<'_> {
    fn pick(&mut self) -> usize {
        usize::try_from(self.dice.below(self.apps.len() as u64)).unwrap_or_default()
    }

    fn replicas(&mut self) -> u32 {
        u32::try_from(self.dice.between(1, u64::from(self.most_replicas.min(3)))).unwrap_or(1)
    }

    fn release(&mut self, app: usize) -> Act {
        let name = self.apps.get(app).cloned().unwrap_or_else(|| self::app(1));
        let number = self.releases.get_mut(app).map_or(1, |count| {
            *count += 1;
            *count
        });
        let bundle =
            if name == self::app(BALANCED) { self.balances } else { self.dice.happens(4000) };
        Act::Wish(Wish::Release { app: name, number, bundle }, request(self.dice))
    }

    /// An instance of an app: of its own name, or of one of a few others.
    fn instance(&mut self, name: &AppName) -> Option<InstanceName> {
        let instance = self.dice.happens(800).then(|| {
            let uuid = Uuid::from_u128(u128::from(self.dice.below(3) + 1));
            InstanceName::with_uuid(name, uuid)
        });
        let shown = instance.clone().unwrap_or_else(|| name.clone().into()).into();
        if !self.instances.contains(&shown) {
            self.instances.push(shown);
        }
        instance
    }

    fn schedule(&mut self, app: usize) -> Act {
        let name = self.apps.get(app).cloned().unwrap_or_else(|| self::app(1));
        let instance = self.instance(&name);
        let start = FIRST_DAY.at(0, 0, 0, 0) + self.length + self.dice.millis(300, 4000);
        let times = (start, start + self.dice.millis(1500, 7000));
        Act::Wish(Wish::Schedule { app: name, instance, times }, request(self.dice))
    }

    fn deploy(&mut self, app: usize) -> Act {
        let name = self.apps.get(app).cloned().unwrap_or_else(|| self::app(1));
        let replicas = self.dice.happens(5000).then(|| self.replicas());
        let instance = self.instance(&name);
        Act::Wish(Wish::Deploy { app: name, instance, replicas }, request(self.dice))
    }

    fn next(&mut self) -> Act {
        let app = self.pick();
        let instance = self.dice.one_of(&self.instances).clone();
        match self.dice.below(100) {
            0..28 => self.deploy(app),
            28..32 => self.schedule(app),
            32..43 => self.release(app),
            43..59 => {
                let replicas = self.replicas();
                Act::Wish(Wish::Scale { instance, replicas }, request(self.dice))
            }
            59..72 => Act::Wish(Wish::Stop { instance }, request(self.dice)),
            72..78 => Act::Message(DeploymentCommand::Deploy { instance }, request(self.dice)),
            78..82 => Act::Message(DeploymentCommand::Stop { instance }, request(self.dice)),
            82..85 => Act::Status(instance, request(self.dice)),
            85..88 => self.canary(app),
            88..90 => Act::Wish(Wish::Promote { instance }, request(self.dice)),
            90..92 => Act::Wish(Wish::Rollback { instance }, request(self.dice)),
            _ => self.dice.one_of(&self.past).clone(),
        }
    }

    fn canary(&mut self, app: usize) -> Act {
        let name = self.apps.get(app).cloned().unwrap_or_else(|| self::app(1));
        let percent = self.dice.between(1, 99).cast_signed();
        let share = Share::try_from(percent).expect("it is a share");
        Act::Wish(Wish::Canary { app: name, share }, request(self.dice))
    }
}

/// With the time between one and the next instead of the time of each.
fn one_after_the_other(acts: Vec<(Duration, Act)>) -> Vec<(Duration, Act)> {
    let mut last = Duration::ZERO;
    let mut pause = |at: Duration| at.saturating_sub(std::mem::replace(&mut last, at));
    acts.into_iter().map(|(at, act)| (pause(at), act)).collect()
}

impl Script {
    /// Five apps, and as many commands as are wanted at least. Four apps have all kinds of wishes, in a hurry; the
    /// releases of the fifth have the time that they need.
    pub(crate) fn drawn(dice: &mut Dice, extent: &Extent) -> Self {
        let Extent { commands, most_replicas, balances } = *extent;
        let mut train = train::train(dice, &self::app(HEARD));
        let commands = commands.saturating_sub(train.len());
        let apps: Vec<AppName> = (1..HEARD).map(app).collect();
        let mut author = Author {
            releases: vec![0; apps.len()],
            apps: apps.clone(),
            instances: Vec::new(),
            past: Vec::new(),
            most_replicas,
            balances,
            length: Duration::ZERO,
            dice,
        };
        let mut acts = Vec::new();
        for app in 0..apps.len() {
            acts.push((Duration::ZERO, author.release(app)));
        }
        for app in 0..apps.len() {
            acts.push((author.dice.millis(0, 300), author.deploy(app)));
        }
        while acts.len() < commands {
            let hurried = author.dice.happens(3000);
            let pause = author.dice.millis(0, if hurried { 60 } else { 500 });
            author.past.extend(acts.last().map(|(_, act)| act.clone()));
            author.length += pause;
            let act = author.next();
            acts.push((pause, act));
        }
        let mut at = Duration::ZERO;
        train.extend(acts.into_iter().map(|(pause, act)| {
            at += pause;
            (at, act)
        }));
        train.sort_by_key(|(at, _)| *at);
        let apps = (1..=HEARD).map(app).collect();
        Script { acts: one_after_the_other(train), apps, faults: Armed::default() }
    }

    /// Every instance is stopped.
    pub(crate) fn stops(dice: &mut Dice, instances: Vec<LegacyName>) -> Self {
        let stop = |instance| (Duration::ZERO, Act::Wish(Wish::Stop { instance }, request(dice)));
        let acts = instances.into_iter().map(stop).collect();
        Script { acts, apps: Vec::new(), faults: Armed::default() }
    }

    pub(crate) fn apps(&self) -> &[AppName] {
        &self.apps
    }

    /// How long it takes to ask for all of it.
    pub(crate) fn length(&self) -> Duration {
        self.acts.iter().map(|(pause, _)| *pause).sum()
    }

    /// Plays it: each wish is insisted upon by somebody of its own.
    pub(crate) async fn play(self, world: Arc<World>, tally: Arc<Tally>) {
        let Script { acts, faults, .. } = self;
        for (pause, act) in acts {
            if !pause.is_zero() {
                world.stage.sleep(pause).await;
            }
            let is_command = !matches!(act, Act::Begin | Act::Node(_));
            tally.commands.fetch_add(u64::from(is_command), Ordering::Relaxed);
            match act {
                Act::Begin => faults.arm(&world),
                Act::Node(reach) => turn_node(&world, reach).await,
                Act::Wish(wish, id) => {
                    let (world, tally) = (Arc::clone(&world), Arc::clone(&tally));
                    let first = matches!(wish, Wish::Release { .. });
                    tally.open.fetch_add(1, Ordering::Relaxed);
                    let stage = Arc::clone(&world.stage);
                    let insisting = async move {
                        user::insist(&world, wish, id).await;
                        tally.open.fetch_sub(1, Ordering::Relaxed);
                    };
                    if first {
                        // Who deploys an app has released it before.
                        insisting.await;
                    } else {
                        stage.spawn(0, insisting);
                    }
                }
                Act::Message(command, id) => inject(&world, &command, id),
                Act::Status(instance, id) => ask_status(&world, instance, id),
            }
        }
    }
}
