//! What every public authority must do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::name::HostName;
use common::port::PublicAuthority;
use common::port::authority::Papers;
use common::port::edge::Challenge;
use common::port::public_authority::{Account, Error, Order, Progress};
use tokio::time::sleep;

/// An authority may ask from several places, and signs when it likes.
const LOOKS: u32 = 200;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Where host names lead to.
#[async_trait]
pub trait Site: Send + Sync {
    /// From now on exactly these are answered, at every host name of `example.org`.
    async fn answers(&self, challenges: Vec<Challenge>);
}

/// A site for authorities that ask by a call. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stage(Arc<Mutex<Vec<Challenge>>>);

impl Stage {
    /// What somebody who asks for a token is told.
    pub fn answer(&self, token: &str) -> Option<String> {
        let answered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answered.iter().find(|one| one.token == token).map(|one| one.answer.clone())
    }
}

#[async_trait]
impl Site for Stage {
    async fn answers(&self, challenges: Vec<Challenge>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = challenges;
    }
}

/// Runs the whole contract on an authority that asks at a site, and has signed for none of its names yet.
pub async fn holds(authority: &dyn PublicAuthority, site: &dyn Site) {
    let world = World { authority, site, account: registered(authority).await };
    world.what_is_answered_is_signed_and_can_be_had_again().await;
    world.each_order_has_a_key_of_its_own().await;
    world.what_is_not_answered_is_refused_with_a_sentence().await;
    world.an_order_that_it_does_not_know_is_refused().await;
}

/// Once it answers: it may be about to begin, and say no for the moment at any time.
pub async fn registered(authority: &dyn PublicAuthority) -> Account {
    patiently(async || authority.register().await).await.expect("an account is made")
}

/// Again while it cannot be reached.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..LOOKS {
        match ask().await {
            Err(err) if err.is_retryable() => sleep(LOOK_AGAIN).await,
            done => return done,
        }
    }
    ask().await
}

/// A certificate of a host name, by all steps of an order, and its key.
pub async fn certified(
    authority: &dyn PublicAuthority,
    account: &Account,
    site: &dyn Site,
    name: &HostName,
) -> Papers {
    let world = World { authority, site, account: account.clone() };
    let order = world.order(name).await;
    let challenges = world.challenges(&order).await;
    site.answers(challenges).await;
    world.answered(&order).await;
    assert_eq!(world.worked(&order).await.expect("it was answered"), Progress::Ready);
    world.sign(name, &order).await;
    match world.worked(&order).await {
        Ok(Progress::Made(certificate)) => Papers { certificate, key: order.key },
        other => panic!("there is no certificate: {other:?}"),
    }
}

struct World<'a> {
    authority: &'a dyn PublicAuthority,
    site: &'a dyn Site,
    account: Account,
}

impl World<'_> {
    async fn order(&self, host: &HostName) -> Order {
        let ordered = patiently(async || self.authority.order(&self.account, host).await).await;
        ordered.expect("an order is taken")
    }

    async fn look(&self, order: &Order) -> Result<Progress, Error> {
        patiently(async || self.authority.look(&self.account, order).await).await
    }

    async fn sign(&self, name: &HostName, order: &Order) {
        let sign = async || self.authority.sign(&self.account, name, order).await;
        patiently(sign).await.expect("it signs");
    }

    async fn answered(&self, order: &Order) {
        let told = patiently(async || self.authority.answered(&self.account, order).await).await;
        told.expect("it asks now");
    }

    /// What it comes to when the authority does not work any more.
    async fn worked(&self, order: &Order) -> Result<Progress, Error> {
        for _ in 0..LOOKS {
            let progress = self.look(order).await?;
            // Some ask without saying so.
            if !matches!(progress, Progress::Works(_) | Progress::Asks(_)) {
                return Ok(progress);
            }
            sleep(LOOK_AGAIN).await;
        }
        panic!("the authority works without end");
    }

    async fn challenges(&self, order: &Order) -> Vec<Challenge> {
        match self.look(order).await {
            Ok(Progress::Asks(challenges)) => challenges,
            other => panic!("it asks for nothing: {other:?}"),
        }
    }

    async fn what_is_answered_is_signed_and_can_be_had_again(&self) {
        let name = host("signed.example.org");
        let order = self.order(&name).await;
        let challenges = self.challenges(&order).await;
        assert_eq!(self.challenges(&order).await, challenges, "looking changes nothing");
        self.site.answers(challenges).await;
        self.answered(&order).await;
        assert_eq!(self.worked(&order).await.expect("it was answered"), Progress::Ready);
        // As after a crash, at each step.
        self.answered(&order).await;
        for _ in 0..2 {
            self.sign(&name, &order).await;
        }
        let made = self.worked(&order).await.expect("it was signed");
        let Progress::Made(chain) = &made else { panic!("there is no certificate: {made:?}") };
        assert!(chain.starts_with("-----BEGIN CERTIFICATE-----") && !chain.contains("KEY"));
        assert_eq!(self.look(&order).await.expect("it is there"), made);
    }

    async fn each_order_has_a_key_of_its_own(&self) {
        let name = host("keys.example.org");
        let (one, other) = (self.order(&name).await, self.order(&name).await);
        assert_ne!(one.key, other.key);
        assert!(
            !format!("{one:?} {:?}", self.account).contains("PRIVATE"),
            "secrets are not shown"
        );
    }

    async fn what_is_not_answered_is_refused_with_a_sentence(&self) {
        let order = self.order(&host("refused.example.org")).await;
        assert!(!self.challenges(&order).await.is_empty());
        self.site.answers(Vec::new()).await;
        self.answered(&order).await;
        let ended = self.worked(&order).await;
        let Err(Error::Refused { kind, detail, .. }) = ended else {
            panic!("nobody answered: {ended:?}")
        };
        assert!(kind == "unauthorized" && detail.contains(' '), "{kind}: {detail}");
    }

    async fn an_order_that_it_does_not_know_is_refused(&self) {
        let mut order = self.order(&host("lost.example.org")).await;
        order.url.push_str("0000");
        let looked = self.look(&order).await;
        assert!(matches!(&looked, Err(Error::Refused { .. })), "{looked:?}");
    }
}

fn host(name: &str) -> HostName {
    name.parse().expect("a test names hosts well")
}
