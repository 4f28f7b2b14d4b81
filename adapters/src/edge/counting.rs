//! Requests under way: picks minus ends.
//!
//! The log is read first and the picks are asked for later than the edge's workers take to hand them
//! over, so the difference is never too low. Of a replica that a new table lacks it is not even where
//! a worker takes longer: each hands them over before it says that it serves the table. It may be too
//! high for a while: by requests of that while, and by lines of the log that were never seen. The
//! latter are found as the lowest difference of a minute.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::port::edge::{Error, FrontPorts, Table, Traffic};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::access_log::{AccessLog, Coverage};
use super::control::Control;

/// Workers hand over their picks every 100 ms.
const HANDED_OVER_AFTER: Duration = Duration::from_millis(150);
/// How long the lowest difference is looked for after lines were missed.
const MINUTE: Duration = Duration::from_mins(1);
/// What was counted longer ago is not how it is now.
const STALE_AFTER: Duration = Duration::from_secs(3);

/// What was counted so far.
#[derive(Debug)]
pub(super) struct Counting {
    log: AccessLog,
    missing: Missing,
    desk: Desk,
}

impl Counting {
    pub(super) fn new(access_log: PathBuf, desk: Desk) -> Self {
        Counting { log: AccessLog::new(access_log), missing: Missing::default(), desk }
    }
}

/// Who counts: one count is under way, and one is next, for all who asked before it began.
#[derive(Debug)]
pub(super) struct Counter {
    counting: Arc<Mutex<Counting>>,
    turns: Turns,
}

impl Counter {
    pub(super) fn new(counting: Counting) -> Self {
        Counter { counting: Arc::new(Mutex::new(counting)), turns: Turns::default() }
    }

    /// How many requests are under way at each replica, counted after this was called.
    pub(super) async fn count(&self, control: &Control) -> Result<InFlight, Error> {
        self.turns.take(count(control, &self.counting)).await
    }
}

type InFlight = BTreeMap<SocketAddr, u64>;

#[derive(Debug, Default)]
struct Turns {
    begun: AtomicU64,
    /// The number of the last count, and what came of it.
    last: Mutex<(u64, Option<Result<InFlight, String>>)>,
}

impl Turns {
    async fn take(
        &self,
        count: impl Future<Output = Result<InFlight, Error>>,
    ) -> Result<InFlight, Error> {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let (number, Some(counted)) = &*last
            && *number > asked
        {
            return counted.clone().map_err(|err| Error::Unavailable(err.into()));
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let counted = count.await;
        let told = counted.as_ref().cloned().map_err(ToString::to_string);
        *last = (number, Some(told));
        counted
    }
}

/// What who counts, and who tells and asks the edge, leave for one another: nobody waits here for anybody.
#[derive(Debug, Clone, Default)]
pub(super) struct Desk(Arc<StdMutex<Papers>>);

#[derive(Debug, Default)]
struct Papers {
    /// The table that the edge serves, until it was heard of.
    table: Option<Table>,
    front_ports: Option<(u16, u16)>,
    counted: Option<(Instant, Traffic)>,
}

impl Desk {
    pub(super) fn edge_serves(&self, table: &Table) {
        self.papers().table = Some(table.clone());
    }

    pub(super) fn edge_has(&self, ports: &FrontPorts) {
        self.papers().front_ports = Some((ports.first, ports.last));
    }

    /// What was counted last.
    pub(super) fn traffic(&self) -> Result<Traffic, Error> {
        let papers = self.papers();
        let counted = papers.counted.as_ref();
        let fresh = counted.filter(|(at, _)| at.elapsed() <= STALE_AFTER);
        let (_, traffic) =
            fresh.ok_or_else(|| Error::Unavailable("its requests cannot be counted".into()))?;
        Ok(traffic.clone())
    }

    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts once. Calls wait for one another.
async fn count(control: &Control, counting: &Arc<Mutex<Counting>>) -> Result<InFlight, Error> {
    let counting = Arc::clone(counting).lock_owned().await;
    let reading = move || {
        let mut counting = counting;
        let (table, front_ports) = {
            let mut papers = counting.desk.papers();
            (papers.table.take(), papers.front_ports)
        };
        let tally = counting.log.tally();
        tally.has_front_ports(front_ports);
        if let Some(table) = table {
            tally.serves(&table, Instant::now());
        }
        let coverage = counting.log.advance();
        (counting, coverage)
    };
    #[expect(clippy::disallowed_methods, reason = "files are read by blocking calls")]
    let read = tokio::task::spawn_blocking(reading).await;
    let (mut counting, coverage) = read.map_err(|err| Error::Unavailable(err.into()))?;
    if coverage.map_err(|err: io::Error| Error::Unavailable(err.into()))? == Coverage::Partial {
        counting.missing.look_for_a_minute(Instant::now());
    }
    tokio::time::sleep(HANDED_OVER_AFTER).await;
    let picks = control.picks().await?;
    let counting = &mut *counting;
    let (now, tally) = (Instant::now(), counting.log.tally());
    tally.forget(&picks, now);
    let in_flight = counting.missing.under_way(&picks, &tally.ends, now);
    let traffic = tally.traffic.with_in_flight(&in_flight);
    counting.desk.papers().counted = Some((now, traffic));
    Ok(in_flight)
}

/// How many ends of each replica's requests were never seen in the log.
#[derive(Debug, Default)]
struct Missing {
    known: BTreeMap<SocketAddr, i128>,
    looking: Option<Looking>,
}

#[derive(Debug)]
struct Looking {
    until: Instant,
    lowest: BTreeMap<SocketAddr, i128>,
}

impl Missing {
    fn look_for_a_minute(&mut self, now: Instant) {
        self.looking = Some(Looking { until: now + MINUTE, lowest: BTreeMap::new() });
    }

    fn under_way(
        &mut self,
        picks: &BTreeMap<SocketAddr, u64>,
        ends: &BTreeMap<SocketAddr, u64>,
        now: Instant,
    ) -> BTreeMap<SocketAddr, u64> {
        self.known.retain(|address, _| picks.contains_key(address));
        let ended = |address| i128::from(ends.get(address).copied().unwrap_or_default());
        let differences: BTreeMap<SocketAddr, i128> = picks
            .iter()
            .map(|(address, picked)| (*address, i128::from(*picked) - ended(address)))
            .collect();
        self.learn(&differences, now);
        let missing = |address| self.known.get(address).copied().unwrap_or_default();
        differences
            .iter()
            .map(|(address, difference)| {
                let count = difference - missing(address);
                (*address, u64::try_from(count).unwrap_or_default())
            })
            .collect()
    }

    fn learn(&mut self, differences: &BTreeMap<SocketAddr, i128>, now: Instant) {
        for (address, difference) in differences {
            // Below what was known: the edge has started again and counts from 0.
            let known = self.known.entry(*address).or_default();
            *known = (*known).min(*difference);
        }
        let Some(looking) = &mut self.looking else { return };
        for (address, difference) in differences {
            let lowest = looking.lowest.entry(*address).or_insert(*difference);
            *lowest = (*lowest).min(*difference);
        }
        if now >= looking.until {
            self.known.append(&mut looking.lowest);
            self.looking = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn counts(counts: &[(u16, u64)]) -> BTreeMap<SocketAddr, u64> {
        counts.iter().map(|(port, count)| (at(*port), *count)).collect()
    }

    fn under_way(missing: &mut Missing, picks: u64, ends: u64) -> u64 {
        let counted =
            missing.under_way(&counts(&[(1, picks)]), &counts(&[(1, ends)]), Instant::now());
        counted[&at(1)]
    }

    #[tokio::test(start_paused = true)]
    async fn who_ask_at_once_share_a_count_that_began_after_they_asked() {
        let (turns, counts) = (Turns::default(), AtomicU64::new(0));
        let ask = async || {
            let count = async {
                let number = counts.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::time::sleep(HANDED_OVER_AFTER).await;
                Ok(InFlight::from([(at(1), number)]))
            };
            turns.take(count).await.unwrap()[&at(1)]
        };
        let began = Instant::now();
        let many = async {
            tokio::time::sleep(HANDED_OVER_AFTER / 2).await;
            futures::future::join_all((0..16).map(|_| ask())).await
        };
        let (first, many) = tokio::join!(ask(), many);
        assert_eq!((first, many), (1, vec![2; 16]));
        assert_eq!(began.elapsed(), HANDED_OVER_AFTER * 2);
        assert_eq!(ask().await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_picked_and_has_not_ended_is_under_way() {
        let mut missing = Missing::default();
        assert_eq!(under_way(&mut missing, 7, 4), 3);
        assert_eq!(under_way(&mut missing, 7, 7), 0);
        assert_eq!(missing.under_way(&counts(&[(2, 1)]), &counts(&[]), Instant::now())[&at(2)], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_edge_that_starts_again_counts_from_zero() {
        let mut missing = Missing::default();
        assert_eq!(under_way(&mut missing, 1000, 1000), 0);
        assert_eq!(under_way(&mut missing, 0, 1000), 0);
        assert_eq!(under_way(&mut missing, 3, 1001), 2);
        assert_eq!(under_way(&mut missing, 3, 1003), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_were_never_seen_are_forgiven_after_a_minute_and_not_before() {
        let mut missing = Missing::default();
        missing.look_for_a_minute(Instant::now());
        assert_eq!(under_way(&mut missing, 100, 10), 90);
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(under_way(&mut missing, 103, 12), 91);
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(under_way(&mut missing, 104, 14), 0);
        assert_eq!(under_way(&mut missing, 106, 14), 2);
    }
}
