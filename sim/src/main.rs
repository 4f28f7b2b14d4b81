//! `sim seed N` tells the story of a seed; `sim long [COUNT]` runs many and says what they visited;
//! `sim plants` shows that each planted bug is caught; `sim law OPERATION CALL [FAULT]` tells of one run of
//! a law, `sim laws OPERATION` tries all.
#![expect(clippy::print_stdout, reason = "it is a program for people")]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use sim::many::{Sum, THREADS, run_all};
use sim::plant::Plant;
use sim::proof::{self, Found};
use sim::{
    Fault, Lawful, Plan, Report, end_at_every_step, fail_every_step, repeat_every_step, run,
};

/// Within so many seeds a planted bug is to be caught.
const CAUGHT_WITHIN: u64 = 1000;
/// How many seeds a full run has: four of five are storms, which is 10,000 of them.
const FULL: u64 = 12_500;
/// So many of a hundred commands change what is wanted, at least.
const EFFECTIVE: u64 = 60;

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
        ["law", operation, at] => number(at).and_then(|at| law(operation, at, Fault::AnswerLost)),
        ["law", operation, at, fault] => {
            number(at).zip(named(fault)).and_then(|(at, fault)| law(operation, at, fault))
        }
        ["laws", operation] => laws(operation),
        _ => None,
    };
    match done {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            println!(
                "usage: sim seed N [PLANT] | sim long [[FIRST] COUNT] | sim fleet N | sim fleets FIRST COUNT | sim plants | sim matrix | sim law OPERATION CALL [FAULT] | sim laws OPERATION"
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
    let coverage = &sum.coverage;
    let (edges, pairs) = (coverage.unvisited_edges().len(), coverage.unmet_faults().len());
    let (blows, effective) = (coverage.idle_blows().len(), coverage.effective_percent());
    if edges + pairs + blows > 0 {
        println!("{edges} changes of state, {pairs} faults and {blows} blows were not visited");
    }
    if effective < EFFECTIVE {
        println!("of the commands only {effective} % had an effect, not {EFFECTIVE} %");
    }
    edges + pairs + blows == 0 && effective >= EFFECTIVE
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
        // What is told then is what `plants.txt` should say.
        let first = proof::known(*plant).and_then(|seed| proof::with_seed(*plant, seed));
        match first.or_else(|| proof::within(*plant, CAUGHT_WITHIN)) {
            Some(Found { seed, violation }) => println!("{plant} {seed}: {violation}"),
            None => {
                all = false;
                println!("{plant}: NOT CAUGHT ({})", plant.sentence());
            }
        }
    }
    all
}

fn named(fault: &str) -> Option<Fault> {
    Fault::ALL.into_iter().find(|one| format!("{one:?}") == fault)
}

/// Tells of an operation whose call number `at` meets a fault.
fn law(name: &str, at: u64, fault: Fault) -> Option<bool> {
    let of = Lawful::named(name)?;
    Some(tell(&run(&Plan { story: true, ..of.plan(at, fault) })))
}

/// Tries all laws of an operation, and says how many steps it has.
fn laws(name: &str) -> Option<bool> {
    let of = Lawful::named(name)?;
    let (repeated, failed) = (repeat_every_step(of), fail_every_step(of));
    let ended = match of {
        Lawful::Fleet(errand) => end_at_every_step(errand),
        Lawful::App(_) => Vec::new(),
    };
    println!("{name}: {} repeated, {} failed, {} ended", repeated.len(), failed.len(), ended.len());
    let wrong = repeated.iter().chain(&failed).chain(&ended).filter(|one| {
        one.violations.iter().for_each(|violation| println!("call {}: {violation}", one.seed));
        !one.violations.is_empty()
    });
    Some(wrong.count() == 0)
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
