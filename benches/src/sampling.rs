//! What one look of the agent at a thousand containers takes, over bare reads of the same files; and the balance cycle
//! over them.
//!
//! Agent and load balancer are the real ones, in this process: engine, store and edge are simulated ones, the control
//! groups are the kernel's.

mod agent;
mod balancer;

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use node_agent::NodeAgent;
use tokio::time::Instant;

use crate::cgroups::{Form, Groups};
use crate::figure::{Figure, Goal, milliseconds};
use crate::kernel;
use crate::report::progress;

use agent::{APPS, REPLICAS};

const CONTAINERS: usize = (APPS * REPLICAS) as usize;
const PASSES: usize = 300;
const CPU: Goal = Goal::AtMost(2.0);
const P99_MS: Goal = Goal::AtMost(100.0);

pub(crate) async fn measure(figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    progress(&format!("sampling: {CONTAINERS} control groups"));
    let groups = Groups::new()?;
    // What the agent writes down of a thousand containers is not what is measured.
    let data = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let agent = agent::open(data.path(), groups.root())?;
    let ids = agent::start(&agent).await?;
    for id in &ids {
        groups.add(id)?;
    }
    kernel::settled().await?;
    let what = match groups.form {
        Form::First => "control groups of the first version",
        Form::Second => "control groups of the second version",
        Form::Files => "files of the same form, as control groups may not be made here",
    };
    let Passes { cpu, mut wall } = passes(&agent, &Bare::open(&groups, &ids)?)?;
    let note = format!("{PASSES} passes over {CONTAINERS} {what}; milliseconds of processor time");
    figures.push(Figure::of_pairs("sampling_cpu_ms", &cpu, CPU).with_note(note));
    let look = p99(&mut wall);
    let decisions = balancer::p99(&agent).await?;
    let note = format!(
        "{look:.1} of it one look at {CONTAINERS} {what}, and at most {decisions:.1} the decisions on {APPS} apps of \
         {REPLICAS} replicas"
    );
    let figure = Figure::of_value("balance_cycle_p99_ms", look + decisions, P99_MS);
    figures.push(figure.with_note(note));
    Ok(())
}

/// Looks and bare reads in turns; in milliseconds.
#[derive(Debug)]
struct Passes {
    /// Processor time of a look and of a bare read.
    cpu: Vec<(f64, f64)>,
    /// How long a look took.
    wall: Vec<f64>,
}

fn passes(agent: &NodeAgent, floor: &Bare) -> anyhow::Result<Passes> {
    let mut sampler = agent.sampler();
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for pass in 0..=PASSES {
        let (ours, took) = timed(|| drop(sampler.take()))?;
        let (theirs, _) = timed(|| floor.read())?;
        // The first opens the files.
        if pass > 0 {
            cpu.push((milliseconds(ours), milliseconds(theirs)));
            wall.push(milliseconds(took));
        }
    }
    let seen = sampler.take().containers.iter().filter(|one| one.measured.is_some()).count();
    ensure!(seen == CONTAINERS, "only {seen} of {CONTAINERS} are measured");
    Ok(Passes { cpu, wall })
}

/// The 99th of a hundred.
fn p99(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

/// Processor time of this thread, and time.
fn timed(mut work: impl FnMut()) -> anyhow::Result<(Duration, Duration)> {
    let (before, began) = (own_time()?, Instant::now());
    work();
    let took = began.elapsed();
    Ok((own_time()?.saturating_sub(before), took))
}

/// To the nanosecond, unlike what `/proc/<pid>/stat` says.
fn own_time() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("schedstat")?;
    let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.context("schedstat is not understood")?))
}

/// The same files, kept open and read, and nothing made of what they say.
struct Bare(Vec<File>);

impl Bare {
    fn open(groups: &Groups, ids: &[String]) -> anyhow::Result<Self> {
        let files = ids.iter().flat_map(|id| groups.files(id));
        let open = files.map(|file| File::open(&file).with_context(|| file.display().to_string()));
        Ok(Bare(open.collect::<anyhow::Result<_>>()?))
    }

    fn read(&self) {
        let mut buffer = [0; 8192];
        for file in &self.0 {
            drop(file.read_at(&mut buffer, 0));
        }
    }
}
