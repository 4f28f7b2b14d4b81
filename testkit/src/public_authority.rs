//! A simulated public authority: [`MemoryAuthority`].
//!
//! It keeps the port's contract: accounts are its own, it asks at the host name before it signs, and what it signed can be
//! had again. It asks where a test says; its faults are silence, refusal, a limit, a loss of its accounts, and work that
//! does not end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::name::HostName;
use common::port::edge::Challenge;
use common::port::public_authority::{Account, Error, Order, Progress};
use common::port::{Clock, PublicAuthority};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

/// What somebody is told at a host name who asks for a token.
pub type Answers = dyn Fn(&HostName, &str) -> Option<String> + Send + Sync;

/// How long its certificates count.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

const WORKS: Duration = Duration::from_secs(1);

/// An authority in memory. Clones are the same one.
#[derive(Clone)]
pub struct MemoryAuthority {
    clock: Arc<dyn Clock>,
    answers: Arc<Answers>,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for MemoryAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAuthority").finish_non_exhaustive()
    }
}

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Answers,
    Silent,
    /// It takes no orders.
    Refuses,
    /// It was asked too often, and wants to be left alone for so long.
    Limits(Duration),
    /// It takes orders, and never gets further with any.
    Dawdles,
    /// The same, and wants to be looked at again after so long.
    Works(Duration),
    /// It looks at answers for so many looks, and does not say that it does.
    Ponders(u32),
    /// What it signs is for another name.
    Errs,
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    /// Those that count, and how many there ever were.
    accounts: Vec<String>,
    registered: u32,
    orders: BTreeMap<String, Taken>,
    /// Everything that was ordered, in order.
    ordered: Vec<HostName>,
    looked: u32,
    asked: u32,
    signed: u32,
}

#[derive(Debug)]
struct Taken {
    host: HostName,
    challenge: Challenge,
    stage: Stage,
    /// How many looks find it asking although it was answered.
    pondered: u32,
}

#[derive(Debug, Clone)]
enum Stage {
    Asks,
    Ready,
    Made(String),
    Over(String),
}

impl MemoryAuthority {
    /// `answers`: what the world answers at host names.
    pub fn new(
        clock: Arc<dyn Clock>,
        answers: impl Fn(&HostName, &str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        MemoryAuthority { clock, answers: Arc::new(answers), state: Arc::default() }
    }

    pub fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// It has forgotten every account and order.
    pub fn forget(&self) {
        let mut state = self.state();
        state.accounts.clear();
        state.orders.clear();
    }

    /// How many accounts were ever made.
    pub fn registered(&self) -> u32 {
        self.state().registered
    }

    /// The host names that certificates were ordered for, in order.
    pub fn ordered(&self) -> Vec<HostName> {
        self.state().ordered.clone()
    }

    /// How often it has asked at a host name, and signed.
    pub fn worked(&self) -> (u32, u32) {
        let state = self.state();
        (state.asked, state.signed)
    }

    /// How often orders were looked at.
    pub fn looked(&self) -> u32 {
        self.state().looked
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn admitted(&self) -> Result<MutexGuard<'_, State>, Error> {
        tokio::task::yield_now().await;
        let state = self.state();
        match state.mood {
            Mood::Answers
            | Mood::Refuses
            | Mood::Dawdles
            | Mood::Works(_)
            | Mood::Ponders(_)
            | Mood::Errs => Ok(state),
            Mood::Silent => Err(Error::unavailable("connection refused")),
            Mood::Limits(wait) => Err(Error::Refused {
                kind: "rateLimited".to_owned(),
                detail: "too many certificates already issued".to_owned(),
                wait: Some(wait),
            }),
        }
    }

    /// PEM of a certificate for this name and key.
    fn certificate(&self, host: &str, key: &str) -> String {
        let key = KeyPair::from_pem(key).expect("an order has a key");
        let mut wanted = CertificateParams::new(vec![host.to_owned()]).expect("it is a name");
        let now = self.clock.now();
        let day = |moment: Timestamp| {
            let date = moment.to_zoned(TimeZone::UTC).date();
            let part = |number: i8| u8::try_from(number).expect("dates are counted from 1");
            date_time_ymd(date.year().into(), part(date.month()), part(date.day()))
        };
        (wanted.not_before, wanted.not_after) = (day(now), day(now + LIFETIME));
        wanted.self_signed(&key).expect("it can be signed").pem()
    }
}

fn refused(kind: &str, detail: String) -> Error {
    Error::Refused { kind: kind.to_owned(), detail, wait: None }
}

impl State {
    fn known(&self, account: &Account) -> Result<(), Error> {
        if self.accounts.contains(&account.0) {
            return Ok(());
        }
        Err(refused("accountDoesNotExist", "there is no such account".to_owned()))
    }

    fn taken(&mut self, account: &Account, order: &Order) -> Result<&mut Taken, Error> {
        self.known(account)?;
        let none = || refused("malformed", "there is no such order".to_owned());
        self.orders.get_mut(&order.url).ok_or_else(none)
    }
}

#[async_trait]
impl PublicAuthority for MemoryAuthority {
    fn directory(&self) -> &'static str {
        "https://authority.example.org/directory"
    }

    async fn register(&self) -> Result<Account, Error> {
        let mut state = self.admitted().await?;
        state.registered += 1;
        let account = format!("account {}", state.registered);
        state.accounts.push(account.clone());
        Ok(Account(account))
    }

    async fn order(&self, account: &Account, host: &HostName) -> Result<Order, Error> {
        let mut state = self.admitted().await?;
        state.known(account)?;
        if state.mood == Mood::Refuses {
            let detail = format!("the authority makes no certificates for {host}");
            return Err(refused("rejectedIdentifier", detail));
        }
        state.ordered.push(host.clone());
        let number = state.ordered.len();
        let url = format!("https://authority.example.org/orders/{number}");
        let (token, answer) = (format!("token-{number}"), format!("token-{number}.{}", account.0));
        let challenge = Challenge { token, answer };
        let taken = Taken { host: host.clone(), challenge, stage: Stage::Asks, pondered: 0 };
        state.orders.insert(url.clone(), taken);
        let key = KeyPair::generate().expect("a key can be made").serialize_pem();
        Ok(Order { url, key })
    }

    async fn look(&self, account: &Account, order: &Order) -> Result<Progress, Error> {
        let mut state = self.admitted().await?;
        state.looked += 1;
        let works = match state.mood {
            Mood::Dawdles => Some(WORKS),
            Mood::Works(again) => Some(again),
            Mood::Answers
            | Mood::Silent
            | Mood::Refuses
            | Mood::Limits(_)
            | Mood::Ponders(_)
            | Mood::Errs => None,
        };
        let taken = state.taken(account, order)?;
        if let Some(again) = works {
            return Ok(Progress::Works(again));
        }
        if taken.pondered > 0 {
            taken.pondered -= 1;
            return Ok(Progress::Asks(vec![taken.challenge.clone()]));
        }
        Ok(match &taken.stage {
            Stage::Asks => Progress::Asks(vec![taken.challenge.clone()]),
            Stage::Ready => Progress::Ready,
            Stage::Made(chain) => Progress::Made(chain.clone()),
            Stage::Over(why) => return Err(refused("unauthorized", why.clone())),
        })
    }

    async fn answered(&self, account: &Account, order: &Order) -> Result<(), Error> {
        let (host, challenge) = {
            let mut state = self.admitted().await?;
            let taken = state.taken(account, order)?;
            if !matches!(taken.stage, Stage::Asks) && taken.pondered == 0 {
                return Ok(());
            }
            (taken.host.clone(), taken.challenge.clone())
        };
        let told = (self.answers)(&host, &challenge.token);
        let mut state = self.state();
        state.asked += 1;
        let why = match told {
            Some(told) if told == challenge.answer => None,
            Some(_) => Some(format!("the answer at {host} was not the one that was wanted")),
            None => Some(format!("nobody answers at {host}")),
        };
        let pondered = if let Mood::Ponders(looks) = state.mood { looks } else { 0 };
        let taken = state.taken(account, order)?;
        taken.stage = why.map_or(Stage::Ready, Stage::Over);
        taken.pondered = pondered;
        Ok(())
    }

    async fn sign(&self, account: &Account, host: &HostName, order: &Order) -> Result<(), Error> {
        let mut state = self.admitted().await?;
        let name = if state.mood == Mood::Errs { "another.example.org" } else { host.as_str() };
        let chain = self.certificate(name, &order.key);
        let taken = state.taken(account, order)?;
        if matches!(taken.stage, Stage::Ready) {
            taken.stage = Stage::Made(chain);
            state.signed += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;
    use crate::contract::public_authority::{Stage as Site, holds};

    #[tokio::test(start_paused = true)]
    async fn the_authority_in_memory_keeps_the_contract() {
        let site = Site::default();
        let answers = site.clone();
        let clock = Arc::new(ManualClock::ticking());
        let authority = MemoryAuthority::new(clock, move |_, token| answers.answer(token));
        holds(&authority, &site).await;
        // The same where it does not say that it looks.
        authority.set_mood(Mood::Ponders(3));
        holds(&authority, &site).await;
    }
}
