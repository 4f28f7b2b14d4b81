//! Which network belongs to which instance, and which are free: pure.

use std::collections::{BTreeMap, BTreeSet};

use common::name::InstanceName;

/// How many free networks are made ahead.
const SPARES: usize = 2;
/// How many free networks are kept when instances go.
const KEPT: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Table {
    held: BTreeMap<InstanceName, Held>,
    free: BTreeSet<u32>,
    /// Numbers that cannot be used: others have their addresses, or a container of an instance that
    /// has another network by now.
    shunned: BTreeSet<u32>,
}

#[derive(Debug)]
struct Held {
    number: u32,
    /// How often it was claimed.
    claims: u64,
    /// How many claims are open.
    open: u32,
}

/// What became of a network that was let go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// It is still needed, or free for the next instance.
    Kept,
    /// There are free ones enough: it should be removed.
    Surplus(u32),
}

impl Table {
    /// `there`: the numbers of all networks. `used`: those that a container is attached to.
    pub(super) fn new(there: &BTreeSet<u32>, used: BTreeMap<u32, InstanceName>) -> Self {
        let mut table = Table::default();
        for (number, instance) in used {
            let held = Held { number, claims: 0, open: 0 };
            if let Some(before) = table.held.insert(instance, held) {
                table.shunned.insert(before.number);
            }
        }
        let taken: BTreeSet<u32> = table.held.values().map(|held| held.number).collect();
        table.free = &(there - &taken) - &table.shunned;
        table
    }

    pub(super) fn claim(&mut self, instance: &InstanceName) -> Option<u32> {
        if !self.held.contains_key(instance) {
            let number = self.free.pop_first()?;
            self.held.insert(instance.clone(), Held { number, claims: 0, open: 0 });
        }
        let held = self.held.get_mut(instance)?;
        held.claims += 1;
        held.open += 1;
        Some(held.number)
    }

    pub(super) fn let_go(&mut self, instance: &InstanceName) {
        if let Some(held) = self.held.get_mut(instance) {
            held.open = held.open.saturating_sub(1);
        }
    }

    pub(super) fn claims(&self, instance: &InstanceName) -> u64 {
        self.held.get(instance).map_or(0, |held| held.claims)
    }

    pub(super) fn release(&mut self, instance: &InstanceName, claims: u64) -> Released {
        let untouched = |held: &Held| held.open == 0 && held.claims == claims;
        if !self.held.get(instance).is_some_and(untouched) {
            return Released::Kept;
        }
        match self.held.remove(instance) {
            Some(held) if self.free.len() >= KEPT => Released::Surplus(held.number),
            Some(held) => {
                self.free.insert(held.number);
                Released::Kept
            }
            None => Released::Kept,
        }
    }

    pub(super) fn has_spares(&self) -> bool {
        self.free.len() >= SPARES
    }

    pub(super) fn wants_spares(&self) -> bool {
        !self.has_spares()
    }

    pub(super) fn unused_number(&self, count: u32) -> Option<u32> {
        let held: BTreeSet<u32> = self.held.values().map(|held| held.number).collect();
        (0..count).find(|number| {
            !held.contains(number) && !self.free.contains(number) && !self.shunned.contains(number)
        })
    }

    pub(super) fn add(&mut self, number: u32) {
        self.free.insert(number);
    }

    pub(super) fn shun(&mut self, number: u32) {
        self.shunned.insert(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(name: &str) -> InstanceName {
        name.parse().unwrap()
    }

    #[test]
    fn instances_never_share_a_network() {
        let mut table = Table::new(&[0, 1, 2].into(), [(1, instance("shop"))].into());
        assert_eq!(table.claim(&instance("shop")), Some(1));
        assert_eq!(table.claim(&instance("blog")), Some(0));
        assert_eq!(table.claim(&instance("wiki")), Some(2));
        assert_eq!(table.claim(&instance("mail")), None);
        assert_eq!(table.unused_number(8), Some(3));
    }

    #[test]
    fn a_network_is_free_after_the_last_container() {
        let mut table = Table::new(&[0].into(), BTreeMap::new());
        let shop = instance("shop");
        table.claim(&shop);
        table.let_go(&shop);
        assert_eq!(table.release(&shop, table.claims(&shop)), Released::Kept);
        assert_eq!(table.claim(&instance("blog")), Some(0));
    }

    #[test]
    fn a_claim_after_the_look_keeps_the_network() {
        let mut table = Table::new(&[0].into(), BTreeMap::new());
        let shop = instance("shop");
        table.claim(&shop);
        table.let_go(&shop);
        let seen = table.claims(&shop);
        table.claim(&shop);
        assert_eq!(table.release(&shop, seen), Released::Kept, "it is being used");
        table.let_go(&shop);
        assert_eq!(table.release(&shop, seen), Released::Kept, "it was used since");
        assert_eq!(table.claim(&instance("blog")), None);
    }

    #[test]
    fn surplus_networks_are_removed() {
        let mut table = Table::new(&[0, 1, 2, 3, 4].into(), BTreeMap::new());
        let shop = instance("shop");
        let number = table.claim(&shop).unwrap();
        table.let_go(&shop);
        assert_eq!(table.release(&shop, 1), Released::Surplus(number));
    }

    #[test]
    fn what_a_container_of_another_time_uses_is_left_alone() {
        let used = [(0, instance("shop")), (1, instance("shop"))].into();
        let mut table = Table::new(&[0, 1].into(), used);
        assert_eq!(table.claim(&instance("shop")), Some(1));
        assert_eq!(table.claim(&instance("blog")), None);
        assert_eq!(table.unused_number(8), Some(2));
    }
}
