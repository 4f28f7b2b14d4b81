//! How far a schedule is, and what is due. Each start and each end is due once, whatever the clock does: a window
//! that was started or skipped is known by its local start, and what comes after it is all that can be due.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, Occurrence};

/// How many windows are skipped in one step.
const SKIPPED_AT_ONCE: u32 = 1000;
/// Clocks are put back by less than a day, and starts are some seconds apart.
const MOST_SHOWN_TWICE: usize = 24 * 60 * 60;

/// What was done of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// What was to start before is none of this schedule's business.
    pub(crate) since: Timestamp,
    /// The local start of the last window that was started or skipped.
    pub(crate) handled: Option<DateTime>,
    /// The window that was started and whose end is to come.
    pub(crate) open: Option<Occurrence>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Start(Occurrence),
    End(Occurrence),
    /// These windows are over, and were never started.
    Skip(Skipped),
    /// Nothing until then.
    Wait(Timestamp),
    /// Nothing, ever.
    Over,
}

/// Windows that passed unseen, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) first: Occurrence,
    pub(crate) last: Occurrence,
    pub(crate) count: u32,
}

impl Progress {
    /// Of a schedule that was made now. Its only start may have been a moment before.
    pub(crate) fn new(calendar: &Calendar, now: Timestamp, only: Option<DateTime>) -> Self {
        let start = only.and_then(|local| calendar.instant(local));
        let since = start.map_or(now, |start| start.min(now));
        Progress { since, handled: None, open: None }
    }

    /// The same for a schedule that takes the place of another one, whose window is open: it ends when it was to end,
    /// or when the new schedule starts.
    #[must_use]
    pub(crate) fn after(mut self, before: &Progress, calendar: &Calendar) -> Self {
        self.open = before.open.map(|open| {
            let next = self.upcoming(calendar).map(|next| next.start);
            let end = open.end.map(|end| next.map_or(end, |next| end.min(next)));
            Occurrence { end, ..open }
        });
        self
    }

    /// What is due at a moment.
    pub(crate) fn due(&self, calendar: &Calendar, now: Timestamp) -> Due {
        if let Some(open) = self.open
            && let Some(end) = open.end
        {
            return if end <= now { Due::End(open) } else { Due::Wait(end) };
        }
        let Some(first) = self.upcoming(calendar) else { return Due::Over };
        if first.start > now {
            return Due::Wait(first.start);
        }
        let is_over = |window: &Occurrence| window.end.is_some_and(|end| end <= now);
        if !is_over(&first) {
            return Due::Start(first);
        }
        let mut skipped = Skipped { first, last: first, count: 1 };
        while skipped.count < SKIPPED_AT_ONCE {
            let next = calendar.first_after(skipped.last.local);
            let Some(next) = next.filter(is_over) else { break };
            skipped.last = next;
            skipped.count += 1;
        }
        Due::Skip(skipped)
    }

    /// The window that starts next.
    pub(crate) fn upcoming(&self, calendar: &Calendar) -> Option<Occurrence> {
        if let Some(handled) = self.handled {
            return calendar.first_after(handled);
        }
        let just_before = SignedDuration::from_nanos(1);
        let mut after = calendar.local(self.since).saturating_sub(just_before);
        // While clocks show an hour for the second time, its windows have passed.
        for _ in 0..MOST_SHOWN_TWICE {
            let next = calendar.first_after(after)?;
            if next.start >= self.since {
                return Some(next);
            }
            after = next.local;
        }
        None
    }

    /// A window was started.
    pub(crate) fn started(&mut self, window: Occurrence) {
        self.handled = Some(window.local);
        self.open = window.end.map(|_| window);
    }

    /// The window that was open was ended.
    pub(crate) fn ended(&mut self) {
        self.open = None;
    }

    /// Windows were skipped.
    pub(crate) fn skipped(&mut self, skipped: &Skipped) {
        self.handled = Some(skipped.last.local);
    }
}
