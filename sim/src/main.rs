//! `sim seed N` tells the story of a seed; `sim long [COUNT]` runs many and says what they visited;
//! `sim plants` shows that each planted bug is caught; `sim law OPERATION CALL` tells of one run of a law.
#![expect(clippy::print_stdout, reason = "it is a program for people")]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use sim::laws::plan;
use sim::many::{Sum, THREADS, run_all};
use sim::plant::Plant;
use sim::proof::{self, Found};
use sim::{Fault, Operation, Plan, Report, run};

/// Within so many seeds a planted bug is to be caught.
const CAUGHT_WITHIN: u64 = 1000;
/// How many seeds a full run has.
const FULL: u64 = 10_000;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().ok();
    let done = match words.as_slice() {
        ["seed", seed] => number(seed).map(story),
        ["seed", seed, plant] => number(seed).and_then(|seed| planted(seed, plant)),
        ["long"] => Some(long(0, FULL, Plan::of)),
        ["long", count] => number(count).map(|count| long(0, count, Plan::of)),
        ["long", first, count] => {
            number(first).zip(number(count)).map(|(first, count)| long(first, count, Plan::of))
        }
        ["fleet", seed] => {
            number(seed).map(|seed| tell(&run(&Plan { story: true, ..Plan::fleet(seed) })))
        }
        ["fleets", first, count] => {
            number(first).zip(number(count)).map(|(first, count)| long(first, count, Plan::fleet))
        }
        ["plants"] => Some(plants()),
        ["matrix"] => Some(matrix()),
        ["law", operation, at] => number(at).and_then(|at| law(operation, at)),
        _ => None,
    };
    match done {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            println!(
                "usage: sim seed N [PLANT] | sim long [[FIRST] COUNT] | sim fleet N | sim fleets FIRST COUNT | sim plants | sim matrix | sim law OPERATION CALL"
            );
            ExitCode::from(2)
        }
    }
}

fn tell(report: &Report) -> bool {
    for line in &report.story {
        println!("{line}");
    }
    println!(
        "seed {}: hash {:016x}, {} calls, {} commands, {} with an effect, {} blows, {:?} simulated",
        report.seed,
        report.hash,
        report.calls,
        report.commands,
        report.effective,
        report.blows,
        report.lasted
    );
    for violation in &report.violations {
        println!("VIOLATION {violation}");
    }
    report.violations.is_empty()
}

fn story(seed: u64) -> bool {
    tell(&run(&Plan { story: true, ..Plan::of(seed) }))
}

fn planted(seed: u64, name: &str) -> Option<bool> {
    let plant = Plant::ALL.iter().find(|plant| plant.to_string() == name)?;
    Some(tell(&run(&Plan { story: true, ..proof::planted(*plant, seed) })))
}

fn long(first: u64, count: u64, plan: fn(u64) -> Plan) -> bool {
    let began = tokio::time::Instant::now();
    let sum = run_all(first..first + count, plan, |_| false);
    let took = began.elapsed();
    println!("{}", sum.coverage);
    let each = took.checked_div(u32::try_from(sum.runs).unwrap_or(1)).unwrap_or_default();
    println!(
        "{} seeds in {took:.1?} on {THREADS} threads: {:.1?} of one core a seed, {} calls a seed",
        sum.runs,
        each * u32::try_from(THREADS).unwrap_or(1),
        sum.calls.checked_div(sum.runs).unwrap_or_default()
    );
    failures(&sum) && (count < FULL || visited(&sum))
}

/// What a run of so many seeds visits has to be all that there is.
fn visited(sum: &Sum) -> bool {
    let (edges, pairs) = (sum.coverage.unvisited_edges(), sum.coverage.unmet_faults());
    if !edges.is_empty() || !pairs.is_empty() {
        println!("{} changes of state and {} faults were not visited", edges.len(), pairs.len());
    }
    edges.is_empty() && pairs.is_empty()
}

fn failures(sum: &Sum) -> bool {
    for report in sum.failed.iter().take(40) {
        for violation in &report.violations {
            println!("seed {}: {violation}", report.seed);
        }
    }
    println!("{} seeds failed", sum.failed.len());
    sum.failed.is_empty()
}

fn plants() -> bool {
    let mut all = true;
    for plant in Plant::ALL {
        match proof::within(*plant, CAUGHT_WITHIN) {
            Some(Found { seed, violation }) => println!("{plant} {seed}: {violation}"),
            None => {
                all = false;
                println!("{plant}: NOT CAUGHT ({})", plant.sentence());
            }
        }
    }
    all
}

/// Tells of an operation whose call number `at` is done while its answer is lost.
fn law(name: &str, at: u64) -> Option<bool> {
    let operation = Operation::ALL.into_iter().find(|one| format!("{one:?}") == name)?;
    Some(tell(&run(&Plan { story: true, ..plan(operation, at, Fault::AnswerLost) })))
}

fn matrix() -> bool {
    let mut all = true;
    let mut sprung = 0;
    let mut took = Duration::ZERO;
    for cell in sim::matrix::cells() {
        let report = cell.run(false);
        took += report.lasted;
        sprung += u64::from(report.traps_left == 0);
        if !report.violations.is_empty() || report.traps_left > 0 {
            println!("{cell:?}: {} traps left, {:?}", report.traps_left, report.violations);
            all = all && report.violations.is_empty();
        }
    }
    println!("{sprung} cells sprung");
    all
}
