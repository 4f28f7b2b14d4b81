//! Which node takes one more container: filter, then rank.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::container::Limits;
use common::port::nodes::NodeUse;
use common::record::node::Verdict;

use super::load;
use super::room::Room;
use crate::config::Strategy;

/// A node as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) name: NodeName,
    /// None before the first verdict.
    pub(crate) verdict: Option<Verdict>,
    /// None before the first sample.
    pub(crate) used: Option<NodeUse>,
    /// What was promised to containers that the measured use does not know yet.
    pub(crate) underway: Promised,
    /// How many replicas of the same instance it has or is about to get.
    pub(crate) replicas: u32,
    /// Whether it has to fetch an image that may be gone from the registry: of a release that is gone back to, or of a
    /// replica that could not be started where it was placed first.
    pub(crate) fetches: bool,
    /// Whether the replica is to come here at all: one that moves only where it is better off.
    pub(crate) suits: bool,
    /// None where the node says nothing of its disk: then it is not asked for.
    pub(crate) room: Option<Room>,
    /// The port that would be leased; none if all are taken.
    pub(crate) port: Option<u16>,
}

/// How many times its processor a node promises away. A limit bounds a burst and reserves nothing, and
/// what apps really use is in the score; memory that is promised twice would end in killed apps.
const CPU_OVERCOMMIT: u32 = 4;

/// Limits promised away.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Promised {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_millis: u32,
}

impl Promised {
    pub(crate) fn add(&mut self, limits: &Limits) {
        self.memory_bytes = self.memory_bytes.saturating_add(limits.memory_bytes);
        self.cpu_millis = self.cpu_millis.saturating_add(limits.cpu_millis);
    }
}

/// Why a node does not take the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Misfit {
    Unheard,
    Suspect,
    Dead,
    Draining,
    Memory,
    Cpu,
    Disk,
    Ports,
    Unsuited,
}

impl Misfit {
    /// Whether the same node may fit in a moment without anybody doing anything.
    fn passes(self) -> bool {
        match self {
            Misfit::Unheard | Misfit::Suspect => true,
            Misfit::Dead
            | Misfit::Draining
            | Misfit::Memory
            | Misfit::Cpu
            | Misfit::Disk
            | Misfit::Ports
            | Misfit::Unsuited => false,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Misfit::Unheard => "not heard yet",
            Misfit::Suspect => "suspect",
            Misfit::Dead => "dead",
            Misfit::Draining => "being emptied",
            Misfit::Memory => "without enough memory left to promise",
            Misfit::Cpu => "without enough processor left to promise",
            Misfit::Disk => "without enough room on the disk",
            Misfit::Ports => "without a free port",
            Misfit::Unsuited => "where what moves is no better off",
        }
    }
}

/// The node that takes the container, and the port it is reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) node: NodeName,
    pub(crate) port: u16,
}

/// What somebody is told who asks for a node for nothing that is deployed.
pub(crate) fn unknown_instance() -> Failure {
    Failure::new(FailureCode::UnknownInstance, "the instance is not deployed")
}

/// No node takes the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unplaced {
    misfits: BTreeMap<Misfit, usize>,
    /// Of those without room on the disk, the one that lacks the least.
    closest: Option<(NodeName, Room)>,
}

impl Unplaced {
    /// Whether waiting a moment may help.
    pub(crate) fn passes(&self) -> bool {
        self.misfits.keys().any(|misfit| misfit.passes())
    }

    /// What the asker is told.
    pub(crate) fn failure(&self) -> Failure {
        let has = |misfit| self.misfits.contains_key(&misfit);
        let code = if has(Misfit::Memory) || has(Misfit::Cpu) {
            FailureCode::NoNodeFits
        } else if has(Misfit::Disk) {
            FailureCode::InsufficientStorage
        } else if has(Misfit::Ports) {
            FailureCode::PortsExhausted
        } else {
            FailureCode::NoNodeFits
        };
        Failure::new(code, self.to_string())
    }
}

impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.misfits.is_empty() {
            return f.write_str("the platform has no nodes");
        }
        f.write_str("no node takes the container: ")?;
        for (number, (misfit, count)) in self.misfits.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{count} {}", misfit.as_str())?;
        }
        match &self.closest {
            Some((node, room)) => write!(f, "; {node} comes closest: {room}"),
            None => Ok(()),
        }
    }
}

/// How good a node is; the lowest is the best. The order is that of the fields.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    /// A node that has what was gone back to needs no registry.
    fetches: bool,
    /// Replicas of the same instance it has, or, if they should keep together, does not have.
    replicas: u32,
    score: Reverse<u32>,
    /// Makes the choice the same every time.
    name: &'a NodeName,
}

/// Chooses the best node that takes a container of these limits.
pub(crate) fn choose(
    candidates: &[Candidate],
    needs: &Limits,
    strategy: Strategy,
) -> Result<Chosen, Unplaced> {
    let mut misfits: BTreeMap<Misfit, usize> = BTreeMap::new();
    let mut best: Option<(Rank<'_>, u16)> = None;
    let mut closest: Option<(u64, &NodeName, Room)> = None;
    for candidate in candidates {
        match fits(candidate, needs) {
            Err(misfit) => {
                *misfits.entry(misfit).or_default() += 1;
                if let Some(room) = candidate.room.filter(|_| misfit == Misfit::Disk) {
                    let found = (room.lacking_bytes(), &candidate.name, room);
                    closest = Some(closest.map_or(found, |closest| closest.min(found)));
                }
            }
            Ok((used, port)) => {
                let replicas = match strategy {
                    Strategy::Spread => candidate.replicas,
                    Strategy::SameNode => u32::MAX - candidate.replicas,
                };
                let score = Reverse(load::score(used));
                let rank =
                    Rank { fetches: candidate.fetches, replicas, score, name: &candidate.name };
                if best.as_ref().is_none_or(|(best, _)| rank < *best) {
                    best = Some((rank, port));
                }
            }
        }
    }
    match best {
        Some((rank, port)) => Ok(Chosen { node: rank.name.clone(), port }),
        None => {
            let closest = closest.map(|(_, node, room)| (node.clone(), room));
            Err(Unplaced { misfits, closest })
        }
    }
}

/// What a node that takes the container measured, and the port it would give.
fn fits<'a>(candidate: &'a Candidate, needs: &Limits) -> Result<(&'a NodeUse, u16), Misfit> {
    if !candidate.suits {
        return Err(Misfit::Unsuited);
    }
    match candidate.verdict {
        None => return Err(Misfit::Unheard),
        Some(Verdict::Suspect) => return Err(Misfit::Suspect),
        Some(Verdict::Dead) => return Err(Misfit::Dead),
        Some(Verdict::Draining) => return Err(Misfit::Draining),
        Some(Verdict::Live) => {}
    }
    let used = candidate.used.as_ref().ok_or(Misfit::Unheard)?;
    let mut promised = candidate.underway;
    promised.memory_bytes = promised.memory_bytes.saturating_add(used.memory_promised_bytes);
    promised.cpu_millis = promised.cpu_millis.saturating_add(used.cpu_millis_promised);
    promised.add(needs);
    if promised.memory_bytes > used.memory_total_bytes {
        return Err(Misfit::Memory);
    }
    if promised.cpu_millis > used.cpu_millis_total.saturating_mul(CPU_OVERCOMMIT) {
        return Err(Misfit::Cpu);
    }
    if candidate.room.is_some_and(|room| room.lacking_bytes() > 0) {
        return Err(Misfit::Disk);
    }
    Ok((used, candidate.port.ok_or(Misfit::Ports)?))
}

#[cfg(test)]
mod tests;
