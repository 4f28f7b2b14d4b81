//! What planted bugs do at the ports. Without one, every function here is the fake itself.

mod courses;
mod edge;
mod memory;
mod nodes;
mod parts;
mod records;
mod samples;

pub(super) use self::edge::{load, set_route, status};
pub(super) use self::memory::{again, is_before_memory};
pub(super) use self::nodes::{ensure, listed, remove, sampled};
pub(super) use self::parts::{ensure_part, listed_parts, remove_part, restart_part};
pub(crate) use self::records::lose_leases;
pub(super) use self::records::{commit, publish};
pub(super) use self::samples::spoken_for;

use crate::gate::Gate;

/// Once in so many times.
pub(super) fn now_and_then(gate: &Gate, in_so_many: u64) -> bool {
    gate.world.dice().below(in_so_many) == 0
}
