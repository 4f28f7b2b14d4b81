//! The frame: stand by, win, start, work, resign; and out at once where the lead is lost.

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use async_trait::async_trait;
use common::port::Store;
use tokio::time::sleep;

use super::Seat;
use crate::leader::{Election, Leadership, Lost};
use crate::lifecycle::{Condition, Lifecycle};
use crate::readiness::watch_store;
use crate::{registry, service};

/// How long until a start that failed is tried again; the wait doubles from the first to the last.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(1);
/// How long a start may take: all that the store has is read, each part of it with a deadline of its own.
const START_WITHIN: Duration = Duration::from_mins(5);

/// What an instance of a service does once it leads.
#[async_trait]
pub trait Leader: Send + Sync {
    /// What an instance does that does not lead yet: dropped before it does. It writes no record.
    async fn stand_by(&self, _: &Lifecycle) {
        pending::<()>().await;
    }

    /// Takes in what the store has, before any loop runs. An error means "not yet": it is tried again until it
    /// succeeds, so it may be done any number of times.
    async fn start(&self) -> Result<(), service::Error> {
        Ok(())
    }

    /// Runs the loops until `lifecycle` says stop; where it ends, the lead is given away. It is dropped, as in a
    /// crash, where the lead is lost.
    async fn work(&self, lifecycle: &Lifecycle);
}

/// Leads once, from `seat`: until the process stops, which is no error, or until the lead is lost. Then the
/// process has to end: what the leader knows was true only for its epoch.
///
/// The condition `store` says what is in the way of the lead, of the start, and later whether the store answers.
pub async fn run_until_lost(
    leader: &dyn Leader,
    seat: &Seat,
    lifecycle: &Lifecycle,
) -> Result<(), Lost> {
    let condition = lifecycle.condition("store");
    let election = seat.election();
    let standing_by = async {
        leader.stand_by(lifecycle).await;
        pending().await
    };
    let won = tokio::select! {
        biased;
        won = win(&election, &condition, lifecycle) => won,
        none = standing_by => none,
    };
    let Some(leadership) = won else { return Ok(()) };
    seat.take(leadership.lead().clone());
    let work = async {
        if starts(leader, &election, &condition, lifecycle).await {
            tokio::select! {
                biased;
                () = leader.work(lifecycle) => {}
                () = watch_for_ever(election.store, &condition, lifecycle) => {}
            }
        }
    };
    tokio::select! {
        biased;
        () = seat.deposed() => Err(leadership.deposed()),
        led = leadership.during(work) => led,
    }
}

/// Leads whenever it is this instance's turn, until the process stops: for a service whose leader knows and writes
/// nothing that depends on the lead. Where that is lost it stands by again.
///
/// The condition `lead` says what is in the way of the lead or of the start.
pub async fn run_whenever_won(leader: &dyn Leader, election: &Election<'_>, lifecycle: &Lifecycle) {
    let condition = lifecycle.condition("lead");
    while let Some(leadership) = win(election, &condition, lifecycle).await {
        let work = async {
            if starts(leader, election, &condition, lifecycle).await {
                leader.work(lifecycle).await;
            }
        };
        if let Err(lost) = leadership.during(work).await {
            condition.fails(lost.to_string());
        }
    }
}

/// None where the process stops before.
async fn win<'a>(
    election: &Election<'a>,
    condition: &Condition,
    lifecycle: &Lifecycle,
) -> Option<Leadership<'a>> {
    tokio::select! {
        biased;
        () = lifecycle.stopping() => None,
        leadership = election.win(condition, lifecycle) => Some(leadership),
    }
}

/// Starts the leader, as often as it takes; says whether it did. It did not where the process stops before.
async fn starts(
    leader: &dyn Leader,
    election: &Election<'_>,
    condition: &Condition,
    lifecycle: &Lifecycle,
) -> bool {
    let beat = lifecycle.beat("start");
    let starting = async {
        let mut retry = FIRST_RETRY;
        beat.busy_for(START_WITHIN);
        while let Err(err) = start(leader, election).await {
            beat.busy_for(START_WITHIN);
            condition.fails(err.to_string());
            tracing::warn!(
                error = &*err as &dyn Error,
                service = %election.service,
                "the leader cannot start yet; trying again"
            );
            sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
        condition.holds();
    };
    tokio::select! {
        biased;
        () = lifecycle.stopping() => false,
        () = starting => true,
    }
}

/// Beside work that ends in its own time.
async fn watch_for_ever(store: &dyn Store, condition: &Condition, lifecycle: &Lifecycle) {
    watch_store(store, condition, lifecycle).await;
    pending::<()>().await;
}

/// Once it is ready for work, the leader appears in document 001's registry.
async fn start(leader: &dyn Leader, election: &Election<'_>) -> Result<(), service::Error> {
    leader.start().await?;
    let Election { store, service, advertised } = *election;
    Ok(registry::register(store, service, &advertised.plain).await?)
}
