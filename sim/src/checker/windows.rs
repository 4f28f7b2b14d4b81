//! I1 and I2 of schedules: each window begins at most once and ends once after it began, whoever crashes and whatever
//! the clocks do; and nothing begins or ends that nobody scheduled.

use std::collections::BTreeMap;

use common::id::RequestId;
use common::name::{AppName, LegacyName};
use jiff::civil::DateTime;
use serde_json::Value;

use super::settled::all;
use super::{Invariant, Violation};
use crate::world::Truth;

/// What was scheduled, and how far it is.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// The requests that schedules may make by themselves.
    due: BTreeMap<RequestId, Due>,
    /// By their starts, which are all different.
    planned: BTreeMap<LegacyName, Vec<DateTime>>,
    /// Those that began, and did not end yet.
    open: BTreeMap<LegacyName, DateTime>,
    /// How many began.
    pub(super) began: u64,
}

/// The begin or the end of a window.
#[derive(Debug, Clone)]
struct Due {
    kind: &'static str,
    app: AppName,
    instance: LegacyName,
    start: DateTime,
    /// When it was scheduled.
    since: u64,
}

/// What a schedule asked for.
pub(super) enum Came {
    /// The newest release since then is to run.
    Begin {
        app: AppName,
        instance: LegacyName,
        since: u64,
    },
    End {
        instance: LegacyName,
    },
}

impl Windows {
    /// A schedule was accepted. It takes over the window of an older one that is open.
    pub(super) fn plan(
        &mut self,
        request: RequestId,
        (app, instance): (AppName, LegacyName),
        start: DateTime,
        now: u64,
    ) {
        let planned = self.planned.entry(instance.clone()).or_default();
        planned.push(start);
        let due = |kind, start| Due {
            kind,
            app: app.clone(),
            instance: instance.clone(),
            start,
            since: now,
        };
        self.due.insert(request.derive(&format!("start {start}")), due("deploy", start));
        for start in planned {
            self.due.insert(request.derive(&format!("end {start}")), due("stop", *start));
        }
    }

    /// A user stopped an instance: its schedule is gone, and whatever is open with it.
    pub(super) fn take_away(&mut self, instance: &LegacyName) {
        self.open.remove(instance);
    }

    /// A request was made that no user made. The error says what is wrong with it.
    pub(super) fn come(&mut self, request: RequestId, kind: &str) -> Result<Came, String> {
        let due = self.due.get(&request).filter(|due| due.kind == kind).cloned();
        let Some(Due { app, instance, start, since, .. }) = due else {
            return Err(format!("the {kind} {request} was asked by nobody"));
        };
        if kind == "deploy" {
            self.began += 1;
            return match self.open.insert(instance.clone(), start) {
                None => Ok(Came::Begin { app, instance, since }),
                Some(other) => Err(format!("{start} of {instance} began before {other} ended")),
            };
        }
        match self.open.remove(&instance) {
            Some(open) if open == start => Ok(Came::End { instance }),
            Some(_) | None => Err(format!("{start} of {instance} ended twice, or never began")),
        }
    }
}

/// Every window began or was passed over, and what began has ended.
pub(super) fn over(windows: &Windows, truth: &Truth) -> Result<(), Violation> {
    if let Some((instance, start)) = windows.open.first_key_value() {
        let what = format!("the window of {start} of {instance} has not ended");
        return Err(Violation::new(Invariant::I1NoLostCommand, what));
    }
    let waits = |schedule: &Value| {
        let progress = schedule.pointer("/wish/progress");
        progress.is_some_and(|progress| progress.get("handled").is_none_or(Value::is_null))
    };
    match all::<Value>(truth, "schedules").into_iter().find(|(_, schedule)| waits(schedule)) {
        None => Ok(()),
        Some((path, _)) => {
            Err(Violation::new(Invariant::I7Converge, format!("{path} has not begun")))
        }
    }
}
