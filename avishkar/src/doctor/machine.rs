//! The machine itself: its clock, its memory, its firewall, its control groups.

use jiff::{SignedDuration, Timestamp};

use super::check::Check;
use super::folder::size;
use super::observe::{Clocks, Memory, Observed};

pub(super) const MIB: u64 = 1024 * 1024;
/// Less than this is not enough for the platform and an app.
const SCARCE: u64 = 512 * MIB;
/// Clocks that are read one after the other differ by as long as that takes, at most.
const APART: SignedDuration = SignedDuration::from_secs(5);
/// So far in the future a file may be.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn clock(observed: &Observed) -> Check {
    let Clocks { now, latest_file, is_synchronised } = observed.clocks;
    let engine = observed.engine.as_ref().ok().and_then(|survey| survey.time);
    judge(now, engine, latest_file, is_synchronised)
}

fn judge(
    now: Timestamp,
    engine: Option<Timestamp>,
    latest_file: Option<Timestamp>,
    is_synchronised: Option<bool>,
) -> Check {
    let name = "clock";
    let advice = "set it, and have it follow a time server: `sudo timedatectl set-ntp true`";
    if let Some(file) = latest_file.filter(|file| file.duration_since(now) > AHEAD) {
        let sentence =
            format!("the clock says {now:.0}, and a file of the platform is of {file:.0}");
        return Check::warning(name, sentence, advice);
    }
    if let Some(engine) = engine.filter(|engine| engine.duration_since(now).abs() > APART) {
        let sentence = format!("the clock says {now:.0}, and the container engine's {engine:.0}");
        return Check::warning(name, sentence, advice);
    }
    let agrees = match engine {
        Some(_) => "it agrees with the container engine's",
        None => "nothing contradicts it",
    };
    match is_synchronised {
        Some(true) => Check::fine(name, format!("{agrees}, and follows a time server")),
        Some(false) => {
            Check::warning(name, format!("{agrees}, and does not follow a time server"), advice)
        }
        None => Check::fine(
            name,
            format!("{agrees}; whether it follows a time server cannot be seen here"),
        ),
    }
}

pub(super) fn memory(memory: Option<Memory>) -> Check {
    let name = "memory";
    let Some(memory) = memory else {
        return Check::fine(name, "how much is free cannot be seen here");
    };
    let swap = match memory.free_swap {
        0 => "without swap".to_owned(),
        free => format!("with {} of swap", size(free)),
    };
    let sentence = format!("{} are available, {swap}", size(memory.available));
    if memory.available >= SCARCE {
        return Check::fine(name, sentence);
    }
    let advice = "stop what is not needed: with less than 512 MiB apps may be ended by the kernel";
    Check::warning(name, sentence, advice)
}

pub(super) fn iptables(is_there: bool) -> Check {
    let name = "iptables";
    if is_there {
        return Check::fine(
            name,
            "it is installed: apps can be kept from this machine's own ports",
        );
    }
    Check::warning(
        name,
        "it is missing: apps are not kept from this machine's own ports",
        "install it: `sudo apt-get install iptables`",
    )
}

pub(super) fn control_groups(are_readable: bool) -> Check {
    let name = "cgroups";
    if are_readable {
        return Check::fine(name, "what containers use can be seen");
    }
    Check::warning(
        name,
        "what containers use cannot be seen: no control groups can be read in /sys/fs/cgroup",
        "mount them: `sudo mount -t cgroup2 none /sys/fs/cgroup`",
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn a_clock_is_wrong_that_is_behind_files_or_apart_from_the_engines() {
        let now: Timestamp = "2026-01-01T12:00:00.25Z".parse().unwrap();
        let after = |seconds| Some(now + SignedDuration::from_secs(seconds));
        let cases = [
            (None, None, None, Verdict::Fine),
            (after(1), after(-9_000_000), Some(true), Verdict::Fine),
            (after(-5), after(59), None, Verdict::Fine),
            (after(-6), None, None, Verdict::Warning),
            (after(6), None, Some(true), Verdict::Warning),
            (after(0), after(61), Some(true), Verdict::Warning),
            (after(0), None, Some(false), Verdict::Warning),
        ];
        for (engine, file, is_synchronised, verdict) in cases {
            let check = judge(now, engine, file, is_synchronised);
            assert_eq!(check.verdict, verdict, "{engine:?} {file:?} {is_synchronised:?}");
            assert_eq!(check.advice.is_some(), verdict == Verdict::Warning);
        }
        let told = judge(now, None, after(61), None).sentence;
        assert!(told.contains("2026-01-01T12:00:00Z"), "{told}");
    }

    #[test]
    fn little_memory_is_warned_of() {
        let verdict = |available| memory(Some(Memory { available, free_swap: 0 })).verdict;
        assert_eq!([SCARCE - 1, SCARCE].map(verdict), [Verdict::Warning, Verdict::Fine]);
        let told = memory(Some(Memory { available: 3 * 1024 * MIB, free_swap: 100 * MIB }));
        assert_eq!(told.sentence, "3.0 GiB are available, with 100 MiB of swap");
        assert_eq!(memory(None).verdict, Verdict::Fine);
    }

    #[test]
    fn what_is_missing_is_warned_of() {
        for check in [iptables, control_groups] {
            assert_eq!(check(true).verdict, Verdict::Fine);
            assert_eq!(check(false).verdict, Verdict::Warning);
            assert!(check(false).advice.is_some());
        }
    }
}
