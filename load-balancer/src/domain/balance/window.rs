//! The last measurements of one replica.

use std::collections::VecDeque;
use std::time::Duration;

use common::port::nodes::Measured;

/// A replica that was not heard of for so long is not known to have any load: ten samples.
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(1);

/// What a replica took, averaged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    /// Both in percent of the replica's own limit.
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
}

/// The last measurements without a gap between them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    loads: VecDeque<Load>,
    heard: Duration,
}

impl Window {
    /// A sample came in. One without a measurement, or with one that cannot be, begins the window anew.
    pub(crate) fn push(&mut self, now: Duration, measured: Option<Measured>, samples: usize) {
        if self.is_silent(now) {
            self.loads.clear();
        }
        self.heard = now;
        let Some(load) = measured.and_then(believed) else { return self.loads.clear() };
        self.loads.push_back(load);
        while self.loads.len() > samples {
            self.loads.pop_front();
        }
    }

    /// The average over so many samples; none before there are as many, and none of old ones.
    pub(crate) fn mean(&self, now: Duration, samples: usize) -> Option<Load> {
        if self.is_silent(now) || self.loads.is_empty() || self.loads.len() < samples {
            return None;
        }
        let count = f64::from(u32::try_from(self.loads.len()).ok()?);
        let sum = |of: fn(&Load) -> f64| self.loads.iter().map(of).sum::<f64>() / count;
        Some(Load { cpu: sum(|load| load.cpu), memory: sum(|load| load.memory) })
    }

    fn is_silent(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard) > SILENT_AFTER
    }
}

/// A negative use, or none that is a number, was not measured.
fn believed(measured: Measured) -> Option<Load> {
    let Measured { cpu_percent: cpu, memory_percent: memory } = measured;
    let is_use = |percent: f64| percent.is_finite() && percent >= 0.0;
    (is_use(cpu) && is_use(memory)).then_some(Load { cpu, memory })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: usize = 5;

    fn at(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    fn used(cpu: f64) -> Measured {
        Measured { cpu_percent: cpu, memory_percent: 20.0 }
    }

    fn filled(cpu: f64) -> Window {
        let mut window = Window::default();
        for tenth in 1..=5 {
            window.push(at(tenth), Some(used(cpu)), SAMPLES);
        }
        window
    }

    #[test]
    fn it_is_an_average_over_as_many_samples_as_it_holds() {
        let mut window = filled(10.0);
        window.push(at(6), Some(used(60.0)), SAMPLES);
        let mean = window.mean(at(6), SAMPLES).unwrap();
        assert!((mean.cpu - 20.0).abs() < 1e-9 && (mean.memory - 20.0).abs() < 1e-9);
    }

    #[test]
    fn it_says_nothing_before_it_is_full() {
        let mut window = Window::default();
        for tenth in 1..=4 {
            window.push(at(tenth), Some(used(99.0)), SAMPLES);
            assert_eq!(window.mean(at(tenth), SAMPLES), None);
        }
        window.push(at(5), Some(used(99.0)), SAMPLES);
        assert!(window.mean(at(5), SAMPLES).is_some());
    }

    #[test]
    fn what_is_old_says_nothing_and_is_not_averaged_with_what_is_new() {
        let mut window = filled(99.0);
        assert!(window.mean(at(15), SAMPLES).is_some());
        assert_eq!(window.mean(at(16), SAMPLES), None);
        window.push(at(40), Some(used(1.0)), SAMPLES);
        assert_eq!(window.mean(at(40), SAMPLES), None);
    }

    #[test]
    fn what_was_not_measured_or_cannot_be_begins_it_anew() {
        for wrong in [None, Some(used(f64::NAN)), Some(used(f64::INFINITY)), Some(used(-1.0))] {
            let mut window = filled(99.0);
            window.push(at(6), wrong, SAMPLES);
            assert_eq!(window.mean(at(6), SAMPLES), None, "{wrong:?}");
        }
    }
}
