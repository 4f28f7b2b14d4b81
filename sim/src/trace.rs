//! The trace of a run: every port call with its essence, its outcome and its time, folded into one hash;
//! kept as readable lines where a story is wanted.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::call::{CallKind, Fault};

/// Folds what happens into one number (FNV-1a).
#[derive(Debug, Clone, Copy)]
struct Hash(u64);

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl Hash {
    fn take(&mut self, what: fmt::Arguments<'_>) {
        self.write_fmt(what).expect("a number takes every text");
    }
}

/// What happened in one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Hash,
    story: Option<Vec<String>>,
    calls: u64,
    /// How often each kind of larger fault struck.
    pub(crate) blows: BTreeMap<&'static str, u64>,
    /// How often each call met each fault.
    pub(crate) met: BTreeMap<(CallKind, Fault), u64>,
}

/// What a call is about, folded; with its text where a story is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Essence {
    hash: u64,
    text: Option<String>,
}

impl Trace {
    /// `with_story`: whether lines are kept.
    pub(crate) fn new(with_story: bool) -> Self {
        Trace {
            hash: Hash(0xcbf2_9ce4_8422_2325),
            story: with_story.then(Vec::new),
            calls: 0,
            blows: BTreeMap::new(),
            met: BTreeMap::new(),
        }
    }

    pub(crate) fn essence(&self, what: fmt::Arguments<'_>) -> Essence {
        let mut hash = Hash(0xcbf2_9ce4_8422_2325);
        hash.take(what);
        Essence { hash: hash.0, text: self.story.is_some().then(|| what.to_string()) }
    }

    /// A port call ended.
    pub(crate) fn call(&mut self, now: u64, who: &str, what: &Essence, outcome: &str) {
        self.calls += 1;
        self.hash.take(format_args!("{now} {who} {:x} {outcome};", what.hash));
        if let (Some(story), Some(text)) = (&mut self.story, &what.text) {
            story.push(format!("{} {who}: {text}: {outcome}", time(now)));
        }
    }

    /// A fault, or none, had its effect on a call.
    pub(crate) fn meets(&mut self, kind: CallKind, fault: Fault) {
        *self.met.entry((kind, fault)).or_default() += 1;
    }

    /// One of the larger faults struck.
    pub(crate) fn blow_strikes(&mut self, kind: &'static str) {
        *self.blows.entry(kind).or_default() += 1;
    }

    /// Something happened to the world.
    pub(crate) fn event(&mut self, now: u64, what: fmt::Arguments<'_>) {
        self.hash.take(format_args!("{now} {what};"));
        if let Some(story) = &mut self.story {
            story.push(format!("{} -- {what}", time(now)));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) fn story(&self) -> &[String] {
        self.story.as_deref().unwrap_or_default()
    }
}

fn time(micros: u64) -> String {
    format!("{:>4}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
