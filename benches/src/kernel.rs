//! What the kernel says of processes and of the machine, by `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use e2e::docker::docker;
use tokio::time::{Instant, sleep};

/// The unit of `/proc/<pid>/stat`: fixed for programs, whatever the kernel counts in.
const TICKS_A_SECOND: u64 = 100;
/// A machine is idle when less of it is in use.
const IDLE_BELOW: f64 = 0.15;
const LOOK_FOR: Duration = Duration::from_millis(300);
const IDLE_WITHIN: Duration = Duration::from_secs(10);

/// Memory of one process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// All that is resident, pages of the program's own file included.
    pub(crate) resident: u64,
    /// What the process wrote itself.
    pub(crate) anonymous: u64,
}

/// The processes of a container, as this machine counts them, with their names.
pub(crate) async fn processes(container: &str) -> anyhow::Result<Vec<(u32, String)>> {
    let listed = docker(&["top", container, "-o", "pid,comm"]).await?;
    listed.lines().skip(1).map(|line| process(line).with_context(|| line.to_owned())).collect()
}

fn process(line: &str) -> Option<(u32, String)> {
    let (pid, name) = line.trim().split_once(char::is_whitespace)?;
    Some((pid.parse().ok()?, name.trim().to_owned()))
}

/// Processor time that these processes have used so far.
pub(crate) fn cpu_time(pids: &[u32]) -> anyhow::Result<Duration> {
    let mut ticks = 0;
    for pid in pids {
        let file = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&file).with_context(|| file.clone())?;
        ticks += ticks_of(&text).with_context(|| format!("{file} is not understood"))?;
    }
    Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}

/// In user mode and in the kernel: the 14th and 15th field. The second may hold anything, in parentheses.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

/// What a process holds in memory now.
pub(crate) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).with_context(|| file.clone())?;
    memory_of(&text).with_context(|| format!("{file} is not understood"))
}

fn memory_of(status: &str) -> Option<Memory> {
    let bytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    };
    Some(Memory { resident: bytes("VmRSS:")?, anonymous: bytes("RssAnon:")? })
}

/// Waits until the machine is idle, for a while; tells which share of it is still in use.
pub(crate) async fn settled() -> anyhow::Result<f64> {
    let give_up = Instant::now() + IDLE_WITHIN;
    loop {
        let before = clock()?;
        sleep(LOOK_FOR).await;
        let busy = share(before, clock()?);
        if busy < IDLE_BELOW || Instant::now() > give_up {
            return Ok(busy);
        }
    }
}

/// Ticks of all processors since the start: in use, and all.
fn clock() -> anyhow::Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    clock_of(&text).context("/proc/stat is not understood")
}

fn clock_of(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // User, nice, system, idle, waiting for disks, interrupts twice, stolen; guests are in the first already.
    let ticks: Vec<u64> = line.split_whitespace().take(8).flat_map(str::parse).collect();
    let all: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((all - idle, all))
}

#[expect(clippy::cast_precision_loss, reason = "ticks of some milliseconds")]
fn share(before: (u64, u64), after: (u64, u64)) -> f64 {
    let all = after.1.saturating_sub(before.1).max(1);
    after.0.saturating_sub(before.0) as f64 / all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "42 (a) b 1 (c) S 1 2 3 4 5 6 7 8 9 10 500 25 0 0 20 0";
        assert_eq!(ticks_of(stat), Some(525));
        assert_eq!(ticks_of("42 (a) S 1"), None);
    }

    #[test]
    fn memory_is_bytes() {
        let status = "Name:\tavishkar\nVmRSS:\t   20 kB\nRssAnon:\t   8 kB\n";
        let memory = memory_of(status);
        assert_eq!(memory, Some(Memory { resident: 20 * 1024, anonymous: 8 * 1024 }));
        assert_eq!(memory_of("Name:\ta\n"), None);
    }

    #[test]
    fn waiting_for_disks_is_not_use() {
        let ticks = clock_of("cpu  10 0 10 70 10 0 0 0 5 5\ncpu0 1\n");
        assert_eq!(ticks, Some((20, 100)));
        assert!((share((20, 100), (30, 140)) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn processes_have_a_number_and_a_name() {
        assert_eq!(process("  4144 avishkar"), Some((4144, "avishkar".to_owned())));
        assert_eq!(process("PID"), None);
    }
}
