//! Apps of which a simulated edge takes nothing new, as a stock nginx does with files that it refuses.

use std::collections::BTreeSet;

use common::name::LegacyName;
use common::port::edge::{Error, Table};

use super::{MemoryEdge, State};

impl MemoryEdge {
    /// From now on it serves this app as before, whatever a table says of it.
    pub fn refuse_changes_of(&self, instance: &LegacyName) {
        self.state().unfit.insert(instance.clone());
    }

    pub fn refuse_nothing(&self) {
        self.state().unfit.clear();
    }
}

impl State {
    /// What it serves of a table, and whose rows are others than the table's.
    pub(super) fn fitting(&self, table: &Table) -> (Table, BTreeSet<LegacyName>) {
        let (mut fitting, mut without) = (table.clone(), BTreeSet::new());
        fitting.routes.clear();
        for row in &table.routes {
            let mut standing = self.table.iter().flat_map(|table| &table.routes);
            let former = standing.find(|former| former.instance == row.instance);
            if !self.unfit.contains(&row.instance) || former == Some(row) {
                fitting.routes.push(row.clone());
            } else {
                without.insert(row.instance.clone());
                fitting.routes.extend(former.cloned());
            }
        }
        (fitting, without)
    }
}

pub(super) fn told(without: BTreeSet<LegacyName>) -> Result<(), Error> {
    if without.is_empty() {
        return Ok(());
    }
    Err(Error::Without { code: "LB_CONF_REJECTED".to_owned(), instances: without })
}
