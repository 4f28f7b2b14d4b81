//! What the machine itself uses: a real one, or one in a container.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::port::container::Limits;
use common::port::nodes::NodeUse;

use super::cgroup::Group;
use crate::domain::usage::{CpuWindow, percent};

#[derive(Debug)]
pub(super) struct Machine {
    /// The root of the control groups as this machine sees it: all of it, also in a container.
    group: Option<Group>,
    proc_folder: PathBuf,
    disk: PathBuf,
    cpu_millis: u32,
    window: CpuWindow,
    slow: Option<Slow>,
}

/// What changes slowly and costs more to read.
#[derive(Debug, Clone, Copy)]
struct Slow {
    read_at: Duration,
    memory: Memory,
    disk_percent: f64,
}

/// The memory of a machine, in bytes.
#[derive(Debug, Clone, Copy)]
struct Memory {
    used: u64,
    total: u64,
}

/// How long [`Slow`] is used.
const SLOW: Duration = Duration::from_secs(1);

impl Machine {
    /// `disk` is a folder of the disk that fills up.
    pub(super) fn new(cgroup_root: &Path, proc_folder: &Path, disk: &Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Machine {
            group: Group::open(cgroup_root, ""),
            proc_folder: proc_folder.to_owned(),
            disk: disk.to_owned(),
            cpu_millis: u32::try_from(cores * 1000).unwrap_or(u32::MAX),
            window: CpuWindow::default(),
            slow: None,
        }
    }

    pub(super) fn measure<'a>(
        &mut self,
        now: Duration,
        promised: impl Iterator<Item = &'a Limits>,
    ) -> NodeUse {
        let Slow { memory, disk_percent, .. } = self.slow(now);
        if let Some(used) = self.cpu_nanoseconds() {
            self.window.push(now, used);
        }
        let (mut memory_promised_bytes, mut cpu_millis_promised) = (0_u64, 0_u32);
        for limits in promised {
            memory_promised_bytes = memory_promised_bytes.saturating_add(limits.memory_bytes);
            cpu_millis_promised = cpu_millis_promised.saturating_add(limits.cpu_millis);
        }
        NodeUse {
            cpu_percent: self.window.percent_of(self.cpu_millis),
            memory_percent: percent(memory.used, memory.total),
            disk_percent,
            memory_total_bytes: memory.total,
            cpu_millis_total: self.cpu_millis,
            memory_promised_bytes,
            cpu_millis_promised,
        }
    }

    fn slow(&mut self, now: Duration) -> Slow {
        match self.slow {
            Some(slow) if now.saturating_sub(slow.read_at) < SLOW => slow,
            Some(_) | None => {
                let disk_percent = disk_percent(&self.disk).unwrap_or_default();
                let slow = Slow { read_at: now, memory: self.memory(), disk_percent };
                *self.slow.insert(slow)
            }
        }
    }

    fn cpu_nanoseconds(&self) -> Option<u64> {
        let group = self.group.as_ref().and_then(|group| group.read().ok());
        match group {
            Some(reading) => Some(reading.cpu_nanoseconds),
            None => busy_nanoseconds(&fs::read_to_string(self.proc_folder.join("stat")).ok()?),
        }
    }

    /// A machine in a container has the memory of its limit, not that of its host.
    fn memory(&self) -> Memory {
        let text = fs::read_to_string(self.proc_folder.join("meminfo")).unwrap_or_default();
        let total = kibibytes(&text, "MemTotal:").unwrap_or_default();
        let available = kibibytes(&text, "MemAvailable:").unwrap_or_default();
        let host = Memory { used: total.saturating_sub(available), total };
        let Some(group) = &self.group else { return host };
        match (group.limits.memory_bytes, group.read()) {
            (Some(limit), Ok(reading)) if limit < total => {
                Memory { used: reading.memory_bytes, total: limit }
            }
            (Some(_) | None, Ok(_) | Err(_)) => host,
        }
    }
}

/// How full the disk of a folder is.
pub(crate) fn disk_percent(folder: &Path) -> Option<f64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    // What is kept for the system is neither used nor free.
    Some(percent(used, used + disk.f_bavail))
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The busy time in the first line of `/proc/stat`, whose unit is a hundredth of a second.
fn busy_nanoseconds(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let all: u64 = times.iter().take(8).sum();
    let idle: u64 = times.iter().skip(3).take(2).sum();
    Some(all.saturating_sub(idle) * 10_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_all_but_idle_and_waiting() {
        let text = "cpu  10 20 30 1000 5 1 2 3 7 7\ncpu0 1 2 3\n";
        assert_eq!(busy_nanoseconds(text), Some(66 * 10_000_000));
        assert_eq!(busy_nanoseconds("intr 5\n"), None);
    }

    #[test]
    fn a_machine_in_a_container_has_the_memory_of_its_limit() {
        let (cgroup, proc) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(proc.path().join("meminfo"), "MemTotal: 1000 kB\nMemAvailable: 600 kB\n")
            .unwrap();
        let mut bare = Machine::new(cgroup.path(), proc.path(), Path::new("/"));
        let measured = bare.measure(Duration::ZERO, [].iter());
        assert_eq!(measured.memory_total_bytes, 1000 * 1024);
        assert!((measured.memory_percent - 40.0).abs() < 1e-9);

        for (name, text) in [
            ("memory.current", "51200"),
            ("memory.stat", "inactive_file 0"),
            ("memory.max", "512000"),
            ("cpu.stat", "usage_usec 1"),
        ] {
            fs::write(cgroup.path().join(name), text).unwrap();
        }
        let mut contained = Machine::new(cgroup.path(), proc.path(), Path::new("/"));
        let limits = [Limits::default(), Limits::default()];
        let measured = contained.measure(Duration::ZERO, limits.iter());
        assert_eq!(measured.memory_total_bytes, 512_000);
        assert!((measured.memory_percent - 10.0).abs() < 1e-9);
        assert_eq!(measured.memory_promised_bytes, 512 * 1024 * 1024);
        assert_eq!(measured.cpu_millis_promised, 1000);
        assert!((0.0..=100.0).contains(&measured.disk_percent));
    }
}
