//! What is asked of the platform in one run, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::id::RequestId;
use common::message::DeploymentCommand;
use common::name::{AppName, InstanceName, LegacyName};
use uuid::{Builder, Uuid};

use crate::dice::Dice;
use crate::user::{self, Answer, Wish, ask_status, inject};
use crate::world::World;

/// One thing that happens to the platform from outside.
#[derive(Debug, Clone)]
enum Act {
    Wish(Wish, RequestId),
    Message(DeploymentCommand, RequestId),
    Status(LegacyName, RequestId),
}

/// All of them, with the time between one and the next.
#[derive(Debug)]
pub(crate) struct Script {
    acts: Vec<(Duration, Act)>,
    apps: Vec<AppName>,
}

/// What became of a script.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) commands: AtomicU64,
    /// Those that changed what is wanted.
    pub(crate) effective: AtomicU64,
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

/// Draws a script while it keeps in mind what was asked before.
struct Author<'a> {
    dice: &'a mut Dice,
    apps: Vec<AppName>,
    releases: Vec<u32>,
    instances: Vec<LegacyName>,
    past: Vec<Act>,
    most_replicas: u32,
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
        let bundle = self.dice.happens(4000);
        Act::Wish(Wish::Release { app: name, number, bundle }, request(self.dice))
    }

    fn deploy(&mut self, app: usize) -> Act {
        let name = self.apps.get(app).cloned().unwrap_or_else(|| self::app(1));
        let replicas = self.dice.happens(5000).then(|| self.replicas());
        let instance = self.dice.happens(800).then(|| {
            let uuid = Uuid::from_u128(u128::from(self.dice.below(3) + 1));
            InstanceName::with_uuid(&name, uuid)
        });
        let shown = instance.clone().unwrap_or_else(|| name.clone().into()).into();
        if !self.instances.contains(&shown) {
            self.instances.push(shown);
        }
        Act::Wish(Wish::Deploy { app: name, instance, replicas }, request(self.dice))
    }

    fn next(&mut self) -> Act {
        let app = self.pick();
        let instance = self.dice.one_of(&self.instances).clone();
        match self.dice.below(100) {
            0..34 => self.deploy(app),
            34..46 => self.release(app),
            46..64 => {
                let replicas = self.replicas();
                Act::Wish(Wish::Scale { instance, replicas }, request(self.dice))
            }
            64..78 => Act::Wish(Wish::Stop { instance }, request(self.dice)),
            78..84 => Act::Message(DeploymentCommand::Deploy { instance }, request(self.dice)),
            84..88 => Act::Message(DeploymentCommand::Stop { instance }, request(self.dice)),
            88..91 => Act::Status(instance, request(self.dice)),
            _ => self.dice.one_of(&self.past).clone(),
        }
    }
}

impl Script {
    /// Five apps, and as many commands as are wanted at least.
    pub(crate) fn drawn(dice: &mut Dice, commands: usize, most_replicas: u32) -> Self {
        let apps: Vec<AppName> = (1..=5).map(app).collect();
        let mut author = Author {
            releases: vec![0; apps.len()],
            apps: apps.clone(),
            instances: Vec::new(),
            past: Vec::new(),
            most_replicas,
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
            let act = author.next();
            acts.push((pause, act));
        }
        Script { acts, apps }
    }

    /// One app: released, as an image or as a bundle, deployed, stopped.
    pub(crate) fn single(dice: &mut Dice, bundle: bool, replicas: u32, stop: bool) -> Self {
        let app = app(1);
        let instance = LegacyName::from(InstanceName::from(app.clone()));
        let mut acts = vec![
            (
                Duration::ZERO,
                Act::Wish(Wish::Release { app: app.clone(), number: 1, bundle }, request(dice)),
            ),
            (
                Duration::from_secs(2),
                Act::Wish(
                    Wish::Deploy { app: app.clone(), instance: None, replicas: Some(replicas) },
                    request(dice),
                ),
            ),
        ];
        if stop {
            let wish = Wish::Stop { instance };
            acts.push((Duration::from_secs(8), Act::Wish(wish, request(dice))));
        }
        Script { acts, apps: vec![app] }
    }

    /// Every instance is stopped.
    pub(crate) fn stops(dice: &mut Dice, instances: Vec<LegacyName>) -> Self {
        let stop = |instance| (Duration::ZERO, Act::Wish(Wish::Stop { instance }, request(dice)));
        Script { acts: instances.into_iter().map(stop).collect(), apps: Vec::new() }
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
        for (pause, act) in self.acts {
            if !pause.is_zero() {
                world.stage.sleep(pause).await;
            }
            tally.commands.fetch_add(1, Ordering::Relaxed);
            match act {
                Act::Wish(wish, id) => {
                    let (world, tally) = (Arc::clone(&world), Arc::clone(&tally));
                    let first = matches!(wish, Wish::Release { .. });
                    tally.open.fetch_add(1, Ordering::Relaxed);
                    let stage = Arc::clone(&world.stage);
                    let insisting = async move {
                        if user::insist(&world, wish, id).await == Answer::Accepted {
                            tally.effective.fetch_add(1, Ordering::Relaxed);
                        }
                        tally.open.fetch_sub(1, Ordering::Relaxed);
                    };
                    if first {
                        // Who deploys an app has released it before.
                        insisting.await;
                    } else {
                        stage.spawn(0, insisting);
                    }
                }
                Act::Message(command, id) => {
                    tally.effective.fetch_add(1, Ordering::Relaxed);
                    inject(&world, &command, id);
                }
                Act::Status(instance, id) => ask_status(&world, instance, id),
            }
        }
    }
}
