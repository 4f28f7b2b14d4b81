//! Why a number was decided on, in one sentence with its numbers.

use common::id::RequestId;
use common::record::scale::{DecisionKind, Load, Scaling};

/// The sentence for a decision of the load balancer's own.
pub(crate) fn reason(
    kind: DecisionKind,
    (from, to): (u32, u32),
    load: Option<Load>,
    scaling: &Scaling,
) -> String {
    let load = load.unwrap_or_default();
    let Load { cpu_percent: cpu, memory_percent: memory, .. } = load;
    let replicas = count(from);
    match kind {
        DecisionKind::Asked => format!("{} asked for", were(to)),
        DecisionKind::Minimum => format!("{} are the least of its description", count(scaling.min)),
        DecisionKind::Maximum => format!("{} are the most of its description", count(scaling.max)),
        DecisionKind::Processor => format!(
            "the busiest of {replicas} took {cpu} % of its processor, more than {} %",
            scaling.cpu_percent
        ),
        DecisionKind::Memory => format!(
            "the fullest of {replicas} took {memory} % of its memory, more than {} %",
            scaling.memory_percent
        ),
        DecisionKind::Requests => format!(
            "{} requests a second came to each of {replicas}, more than {}",
            load.requests_per_second.unwrap_or_default(),
            scaling.requests_per_second.unwrap_or_default()
        ),
        DecisionKind::Latency => format!(
            "one of twenty requests to {replicas} took longer than {} ms, more than {} ms",
            load.latency_ms.unwrap_or_default(),
            scaling.latency_ms.unwrap_or_default()
        ),
        DecisionKind::Idle => format!(
            "for {} s {} would have done: the busiest of {replicas} takes {cpu} % of its processor, {memory} % of its memory{}",
            idle_seconds(scaling),
            count(to),
            asked_of_each(load)
        ),
        DecisionKind::Rested => {
            format!("nobody asked for {} s", scaling.idle_seconds.unwrap_or_default())
        }
        DecisionKind::Woken => "a request waits for a replica".to_owned(),
        DecisionKind::Unplaced => {
            format!("not all of {replicas} could be placed, and the load does not need them")
        }
        DecisionKind::Brake => format!(
            "more replicas do not lower the load of each: the busiest of {replicas} still takes {cpu} % of its processor, {memory} % of its memory{}; it stays so until the load falls, a release or a scale",
            asked_of_each(load)
        ),
    }
}

/// What visitors asked, where the app is balanced by it.
fn asked_of_each(load: Load) -> String {
    let requests = load.requests_per_second.map(|count| format!(", {count} requests a second"));
    let latency = load.latency_ms.map(|time| format!(", one of twenty above {time} ms"));
    requests.into_iter().chain(latency).collect()
}

/// The sentence for a number that somebody asked for.
pub(crate) fn asked(request: RequestId, replicas: u32) -> String {
    format!("{} asked for by request {request}", were(replicas))
}

fn were(replicas: u32) -> String {
    if replicas == 1 { "1 replica was".to_owned() } else { format!("{replicas} replicas were") }
}

fn count(replicas: u32) -> String {
    if replicas == 1 { "1 replica".to_owned() } else { format!("{replicas} replicas") }
}

fn idle_seconds(scaling: &Scaling) -> u64 {
    super::course::idle_after(scaling).as_secs()
}
