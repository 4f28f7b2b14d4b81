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
    let Load { cpu_percent: cpu, memory_percent: memory } =
        load.unwrap_or(Load { cpu_percent: 0, memory_percent: 0 });
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
        DecisionKind::Idle => format!(
            "for {} s {} would have done: the busiest of {replicas} takes {cpu} % of its processor, {memory} % of its memory",
            idle_seconds(scaling),
            count(to)
        ),
        DecisionKind::Unplaced => {
            format!("not all of {replicas} could be placed, and the load does not need them")
        }
        DecisionKind::Brake => format!(
            "more replicas do not lower the load of each: the busiest of {replicas} still takes {cpu} % of its processor, {memory} % of its memory; it stays so until the load falls, a release or a scale"
        ),
    }
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
