//! When a container that ended is started again. Times are since the agent's start.

use std::collections::VecDeque;
use std::time::Duration;

use common::port::container::ContainerState;
use jiff::Timestamp;

/// Exits that are older no longer count.
const WINDOW: Duration = Duration::from_mins(10);
/// So many exits within the window are a loop.
const LOOP: usize = 5;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(1);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: i64,
    pub(crate) out_of_memory: bool,
    /// By the engine's clock: two looks at one exit see the same time.
    pub(crate) at: Timestamp,
}

impl Exit {
    pub(crate) fn of(state: &ContainerState) -> Option<Self> {
        match state {
            ContainerState::Exited { code, out_of_memory, at } => {
                Some(Exit { code: *code, out_of_memory: *out_of_memory, at: *at })
            }
            ContainerState::Created | ContainerState::Running { .. } => None,
        }
    }
}

/// The ends and new starts of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// When it ended, within the window.
    exits: VecDeque<Duration>,
    last: Option<Exit>,
    restarts: u32,
}

impl History {
    /// Notes an exit; one that was noted before changes nothing.
    pub(crate) fn ended(&mut self, exit: Exit, now: Duration) {
        if self.last == Some(exit) {
            return;
        }
        self.last = Some(exit);
        self.exits.push_back(now);
        while self.exits.front().is_some_and(|at| now.saturating_sub(*at) > WINDOW) {
            self.exits.pop_front();
        }
    }

    pub(crate) fn restarted(&mut self) {
        self.restarts += 1;
    }

    pub(crate) fn restarts(&self) -> u32 {
        self.restarts
    }

    pub(crate) fn last_exit(&self) -> Option<Exit> {
        self.last
    }

    /// When it is to be started again: at once after the first exit, then after 1 s, doubling to 60 s.
    pub(crate) fn restart_at(&self) -> Duration {
        let Some(last) = self.exits.back() else { return Duration::ZERO };
        let wait = match u32::try_from(self.exits.len()).unwrap_or(u32::MAX) {
            0 | 1 => Duration::ZERO,
            exits => FIRST_WAIT.saturating_mul(2_u32.saturating_pow(exits.min(32) - 2)),
        };
        *last + wait.min(LAST_WAIT)
    }

    pub(crate) fn is_loop(&self, now: Duration) -> bool {
        let recent = self.exits.iter().filter(|at| now.saturating_sub(**at) <= WINDOW);
        recent.count() >= LOOP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(number: i64) -> Exit {
        let at = Timestamp::from_second(number).unwrap();
        Exit { code: 1, out_of_memory: false, at }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_longer() {
        let mut history = History::default();
        let mut now = seconds(100);
        let mut waits = Vec::new();
        for number in 0..10 {
            history.ended(exit(number), now);
            let wait = history.restart_at().saturating_sub(now);
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn five_exits_in_ten_minutes_are_a_loop_until_they_are_old() {
        let mut history = History::default();
        for number in 0..4 {
            history.ended(exit(number), seconds(1));
        }
        assert!(!history.is_loop(seconds(1)));
        history.ended(exit(4), seconds(100));
        assert!(history.is_loop(seconds(601)));
        assert!(!history.is_loop(seconds(602)));
    }

    #[test]
    fn one_exit_seen_twice_counts_once() {
        let mut history = History::default();
        history.ended(exit(1), seconds(1));
        history.ended(exit(1), seconds(2));
        assert_eq!(history.restart_at(), seconds(1));
    }

    #[test]
    fn an_app_that_ran_well_for_long_starts_anew() {
        let mut history = History::default();
        for number in 0..5 {
            history.ended(exit(number), seconds(1));
        }
        history.ended(exit(9), seconds(1000));
        assert_eq!(history.restart_at(), seconds(1000));
    }
}
