//! Going round: look at everything, take it in, write down what follows, again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::leading::Error;
use chassis::lifecycle::{Beat, Lifecycle};
use chassis::records::Stored;
use tokio::time::{Instant, sleep, sleep_until};

use crate::act;
use crate::discover::{self, KnownApps};
use crate::domain::backoff::Restarts;
use crate::domain::board::{Board, Watched};
use crate::domain::budget::Budget;
use crate::domain::target::Kind;
use crate::look::{self, Apps};
use crate::records::{self, Incident, TargetRecord};
use crate::shared::Shared;

const RETRY: Duration = Duration::from_secs(1);
/// How long it may take to read what there is to look at, or what was said before, one record after the other from a store
/// that is slow: each has a deadline of its own.
const READ_WITHIN: Duration = Duration::from_mins(10);
/// How much later than it should a round may begin.
const LATE: Duration = Duration::from_mins(1);
/// A round that took longer than it may is followed by the next after this.
const BREATH: Duration = Duration::from_millis(100);
/// What is done can ask for more, not for ever.
const PASSES: usize = 5;

/// Never ends.
pub(crate) async fn watch(shared: &Shared, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("rounds");
    let mut board = loop {
        beat.busy_for(READ_WITHIN);
        match resume(shared).await {
            Ok(board) => break board,
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "what was said before cannot be read; trying again"
                );
                sleep(RETRY).await;
            }
        }
    };
    let mut known = KnownApps::default();
    let mut apps_at = Instant::now();
    loop {
        let began = Instant::now();
        beat.busy_for(READ_WITHIN);
        let apps = if began >= apps_at { Apps::Asked } else { Apps::Left };
        if apps == Apps::Asked {
            apps_at = began + shared.config.apps_every;
        }
        if let Err(err) = round(shared, &mut board, &mut known, apps, &beat).await {
            // What nobody has seen lately is not acted on.
            shared.lose_sight();
            shared.metrics.rounds_failed.inc();
            tracing::warn!(error = &err as &dyn std::error::Error, "a round was not finished");
        }
        shared.metrics.round_seconds.observe(began.elapsed().as_secs_f64());
        beat.busy_for(shared.config.every + LATE);
        sleep_until((began + shared.config.every).max(Instant::now() + BREATH)).await;
    }
}

/// The board as a process before this one left it.
async fn resume(shared: &Shared) -> Result<Board, Error> {
    shared.ports.store.sync().await?;
    let now = shared.now();
    let rules = shared.config.rules;
    let mut targets = BTreeMap::new();
    for stored in records::all::<TargetRecord>(shared, &records::targets()).await? {
        let record: TargetRecord = stored.record;
        let restarts = Restarts::resumed(record.restarts, &rules.waits, now);
        let watched = Watched::resumed(record.verdict, record.incident, restarts, now);
        targets.insert(record.target, watched);
    }
    let incidents = records::all::<Incident>(shared, &records::incidents()).await?;
    shared.owes_notices(incidents.iter().map(|stored| stored.record.notices.len()).sum());
    let budget = match records::budget(shared).await? {
        Some(Stored { record, .. }) => {
            let ages = record.ages(shared.ports.clock.now());
            Budget::resumed(shared.config.limit, ages, now)
        }
        None => Budget::resumed(shared.config.limit, std::iter::empty(), now),
    };
    Ok(Board::new(rules, budget, targets))
}

async fn round(
    shared: &Shared,
    board: &mut Board,
    known: &mut KnownApps,
    apps: Apps,
    beat: &Beat,
) -> Result<(), Error> {
    let found = discover::all(shared, known).await?;
    beat.now();
    let round = look::at_all(shared, &found, apps, beat).await;
    for (target, at) in shared.take_sent() {
        board.sent(&target, at);
    }
    board.observe(&round, shared.now());
    shared.saw(board.sight());
    show(shared, board);
    for _ in 0..PASSES {
        let steps = board.plan(shared.now());
        if steps.is_empty() {
            break;
        }
        for step in steps {
            beat.now();
            let done = act::carry_out(shared, &step).await?;
            board.did(&step, done, shared.now());
        }
    }
    show(shared, board);
    Ok(())
}

fn show(shared: &Shared, board: &Board) {
    shared.metrics.targets_are(&board.tally());
    for kind in Kind::ALL {
        shared.metrics.brake_is(kind, board.brakes(kind));
    }
    let held_back = i64::try_from(board.held_back(shared.now())).unwrap_or(i64::MAX);
    shared.metrics.held_back.set(held_back);
}
