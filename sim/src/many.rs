//! Many seeds, on several threads: each run is a thread's own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::coverage::Coverage;
use crate::run::{Plan, Report, run};

/// How many seeds run at once.
pub const THREADS: usize = 2;

/// What became of many runs.
#[derive(Debug, Default)]
pub struct Sum {
    pub coverage: Coverage,
    pub runs: u64,
    pub calls: u64,
    /// Those in which something was wrong.
    pub failed: Vec<Report>,
}

/// Runs the plans of these seeds. `enough` ends it early: after the first failure, for instance.
pub fn run_all(
    seeds: std::ops::Range<u64>,
    plan: impl Fn(u64) -> Plan + Sync,
    enough: impl Fn(&Sum) -> bool + Sync,
) -> Sum {
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let report = run(&plan(seed));
                    let mut sum = sum.lock().expect("no run panics");
                    sum.add(report);
                    if enough(&sum) {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut sum = sum.into_inner().expect("no run panics");
    sum.failed.sort_by_key(|report| report.seed);
    sum
}

impl Sum {
    fn add(&mut self, report: Report) {
        self.coverage.add(&report.coverage, report.commands, report.effective);
        self.runs += 1;
        self.calls += report.calls;
        if !report.violations.is_empty() {
            self.failed.push(report);
        }
    }
}
