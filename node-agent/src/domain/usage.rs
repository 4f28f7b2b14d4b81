//! From counters to percentages.

use std::collections::VecDeque;
use std::time::Duration;

/// A use of the processor over one sample is one accounting period of the kernel, hence spiky: it is
/// averaged over so many samples.
const SAMPLES: usize = 5;

/// The last readings of a processor counter.
#[derive(Debug, Clone, Default)]
pub(crate) struct CpuWindow {
    readings: VecDeque<(Duration, u64)>,
}

impl CpuWindow {
    /// `nanoseconds` of processor time used until `at`, since the agent's start.
    pub(crate) fn push(&mut self, at: Duration, nanoseconds: u64) {
        if self.readings.back().is_some_and(|(_, last)| nanoseconds < *last) {
            // The counter began anew: another process under the same name.
            self.readings.clear();
        }
        self.readings.push_back((at, nanoseconds));
        if self.readings.len() > SAMPLES + 1 {
            self.readings.pop_front();
        }
    }

    /// The average use, in percent of `millis` thousandths of a core; 0 before there are two readings.
    pub(crate) fn percent_of(&self, millis: u32) -> f64 {
        let ends = self.readings.front().zip(self.readings.back());
        ends.and_then(|(first, last)| share(*first, *last, millis)).unwrap_or_default()
    }

    /// The use between the last two readings, likewise; none before there are two.
    pub(crate) fn newest_percent_of(&self, millis: u32) -> Option<f64> {
        let mut newest = self.readings.iter().rev();
        let (last, before) = (newest.next()?, newest.next()?);
        share(*before, *last, millis)
    }
}

/// None where no time has passed.
fn share(first: (Duration, u64), last: (Duration, u64), millis: u32) -> Option<f64> {
    let available = last.0.saturating_sub(first.0).as_secs_f64() * f64::from(millis) / 1000.0;
    let used = Duration::from_nanos(last.1.saturating_sub(first.1)).as_secs_f64();
    (available > 0.0).then(|| used / available * 100.0)
}

/// `part` in percent of `whole`.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no 53 bits")]
    let ratio = part as f64 / whole as f64;
    ratio * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(readings: &[(u64, u64)]) -> CpuWindow {
        let mut window = CpuWindow::default();
        for (at, used) in readings {
            window.push(Duration::from_millis(*at), used * 1_000_000);
        }
        window
    }

    #[test]
    fn the_use_is_of_what_is_allowed() {
        let window = pushed(&[(0, 0), (100, 25)]);
        assert!((window.percent_of(500) - 50.0).abs() < 1e-9);
        assert!((window.percent_of(250) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn it_is_averaged_over_five_samples() {
        let window = pushed(&[(0, 0), (100, 100), (200, 100), (300, 100), (400, 100), (500, 100)]);
        assert!((window.percent_of(1000) - 20.0).abs() < 1e-9);
        let mut later = window;
        later.push(Duration::from_millis(600), 100_000_000);
        assert!(later.percent_of(1000).abs() < 1e-9, "the spike has left the window");
    }

    #[test]
    fn the_newest_use_is_that_of_the_last_two_readings_alone() {
        let window = pushed(&[(0, 0), (100, 100), (200, 125)]);
        assert!((window.newest_percent_of(1000).unwrap() - 25.0).abs() < 1e-9);
        assert_eq!(pushed(&[(0, 7)]).newest_percent_of(1000), None);
        assert_eq!(pushed(&[(5, 7), (5, 8)]).newest_percent_of(1000), None);
        assert_eq!(pushed(&[(0, 9), (100, 5)]).newest_percent_of(1000), None, "begun anew");
    }

    #[test]
    fn a_counter_that_begins_anew_gives_no_nonsense() {
        let mut window = pushed(&[(0, 1000), (100, 2000)]);
        window.push(Duration::from_millis(200), 5);
        assert!(window.percent_of(1000).abs() < 1e-9);
    }

    #[test]
    fn nothing_of_nothing_is_nothing() {
        assert!(percent(1, 0).abs() < 1e-9);
        assert!((percent(1, 4) - 25.0).abs() < 1e-9);
    }
}
