//! The releases of one app, each with the time that it needs: a canary beside what is served, which then gets all
//! requests, another share, or goes; a release over what is served, and the way back.

use std::time::Duration;

use common::name::{AppName, InstanceName, LegacyName};
use common::record::course::Share;

use super::{Act, request};
use crate::dice::Dice;
use crate::user::Wish;

/// For how long new releases are made.
const LENGTH: Duration = Duration::from_secs(16);
const SHARES: [i64; 5] = [1, 10, 25, 50, 90];

/// What is asked for, and when.
pub(super) fn train(dice: &mut Dice, app: &AppName) -> Vec<(Duration, Act)> {
    let mut train = Train { dice, app: app.clone(), at: Duration::ZERO, number: 0, acts: vec![] };
    train.release();
    train.wait(100, 400);
    let replicas = u32::try_from(train.dice.between(1, 2)).unwrap_or(1);
    train.wish(Wish::Deploy { app: app.clone(), instance: None, replicas: Some(replicas) });
    train.wait(1500, 4000);
    while train.at < LENGTH {
        train.release();
        train.wait(50, 200);
        train.next();
        train.wait(800, 4500);
    }
    train.release();
    train.wait(50, 200);
    train.last();
    train.acts
}

struct Train<'a> {
    dice: &'a mut Dice,
    app: AppName,
    at: Duration,
    number: u32,
    acts: Vec<(Duration, Act)>,
}

impl Train<'_> {
    fn wait(&mut self, least: u64, most: u64) {
        self.at += self.dice.millis(least, most);
    }

    fn wish(&mut self, wish: Wish) {
        let act = Act::Wish(wish, request(self.dice));
        self.acts.push((self.at, act));
    }

    fn release(&mut self) {
        self.number += 1;
        let (app, number) = (self.app.clone(), self.number);
        self.wish(Wish::Release { app, number, bundle: false });
    }

    fn canary(&mut self) {
        let share = Share::try_from(*self.dice.one_of(&SHARES)).expect("it is a share");
        self.wish(Wish::Canary { app: self.app.clone(), share });
    }

    /// The last canary stays, goes, or gets all requests.
    fn last(&mut self) {
        let instance: LegacyName = InstanceName::from(self.app.clone()).into();
        self.canary();
        self.wait(2500, 5000);
        match self.dice.below(10) {
            0..4 => self.wish(Wish::Rollback { instance }),
            4..6 => self.wish(Wish::Promote { instance }),
            _ => {}
        }
    }

    /// A release comes into service, and something becomes of it.
    fn next(&mut self) {
        let app = self.app.clone();
        let instance: LegacyName = InstanceName::from(app.clone()).into();
        if self.dice.happens(2500) {
            self.wish(Wish::Deploy { app, instance: None, replicas: None });
            self.wait(1500, 8000);
            if self.dice.happens(4000) {
                self.wish(Wish::Rollback { instance });
            }
            return;
        }
        self.canary();
        self.wait(1500, 6000);
        match self.dice.below(10) {
            0..4 => self.wish(Wish::Promote { instance }),
            4..6 => self.wish(Wish::Rollback { instance }),
            6 => self.canary(),
            7 => self.wish(Wish::Deploy { app, instance: None, replicas: None }),
            8 => {
                let replicas = u32::try_from(self.dice.between(1, 3)).unwrap_or(1);
                self.wish(Wish::Scale { instance, replicas });
            }
            _ => {}
        }
    }
}
