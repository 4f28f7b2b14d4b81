//! What a node's measured use says: its score, and whether somebody should look.

use std::fmt;

use common::port::nodes::NodeUse;

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alert {
    Cpu,
    Memory,
    Disk,
}

impl Alert {
    pub(crate) const ALL: [Alert; 3] = [Alert::Cpu, Alert::Memory, Alert::Disk];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Alert::Cpu => "cpu",
            Alert::Memory => "memory",
            Alert::Disk => "disk",
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alert::Cpu => f.write_str("CPU usage is too high"),
            Alert::Memory => f.write_str("memory usage is too high"),
            Alert::Disk => f.write_str("disk usage is too high"),
        }
    }
}

/// The processor, else the memory, else the disk, if it is used above `percent`.
pub(crate) fn alert(used: &NodeUse, percent: f64) -> Option<Alert> {
    if used.cpu_percent > percent {
        Some(Alert::Cpu)
    } else if used.memory_percent > percent {
        Some(Alert::Memory)
    } else if used.disk_percent > percent {
        Some(Alert::Disk)
    } else {
        None
    }
}

/// The mean of what is free of processor, memory and disk, in hundredths of a percent: 0 to 10000.
/// What could not be measured counts as not free.
pub(crate) fn score(used: &NodeUse) -> u32 {
    let measured = [used.cpu_percent, used.memory_percent, used.disk_percent];
    let free = measured
        .map(|percent| if percent.is_finite() { 100.0 - percent.clamp(0.0, 100.0) } else { 0.0 });
    let mean = free.iter().sum::<f64>() / 3.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to 10000"
    )]
    let hundredths = (mean * 100.0).round() as u32;
    hundredths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(cpu_percent: f64, memory_percent: f64, disk_percent: f64) -> NodeUse {
        NodeUse {
            cpu_percent,
            memory_percent,
            disk_percent,
            memory_total_bytes: 1,
            cpu_millis_total: 1,
            memory_promised_bytes: 0,
            cpu_millis_promised: 0,
        }
    }

    #[test]
    fn the_first_of_processor_memory_and_disk_is_alerted_about() {
        assert_eq!(alert(&used(90.0, 90.0, 90.0), 90.0), None);
        assert_eq!(alert(&used(91.0, 99.0, 99.0), 90.0), Some(Alert::Cpu));
        assert_eq!(alert(&used(90.0, 91.0, 99.0), 90.0), Some(Alert::Memory));
        assert_eq!(alert(&used(0.0, 0.0, 91.0), 90.0), Some(Alert::Disk));
        assert_eq!(alert(&used(f64::NAN, 0.0, 0.0), 90.0), None);
    }

    #[test]
    fn the_score_is_the_mean_of_what_is_free() {
        assert_eq!(score(&used(0.0, 0.0, 0.0)), 10_000);
        assert_eq!(score(&used(100.0, 100.0, 100.0)), 0);
        assert_eq!(score(&used(10.0, 20.0, 30.0)), 8000);
        assert_eq!(score(&used(f64::NAN, 0.0, 250.0)), 3333);
    }
}
