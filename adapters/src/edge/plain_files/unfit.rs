//! Whose files nginx refuses, where it refuses those of a table, and the table without them.
//!
//! Owns the search, in which nginx tests tables with fewer changes, one after another. Never tells nginx to read one, and
//! leaves no file behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use common::name::LegacyName;
use common::port::edge::{Error, Table, TableRoute};
use tokio::time::Instant;

use super::conf::{self, Version};
use super::files::Owned;
use super::nginx::Told;
use super::{CONF_REJECTED, FilesEdge};

/// Whoever has changed a route waits meanwhile. What is not found to fit by then waits for the next table.
const MOST_TESTS: usize = 32;

/// What of a table nginx serves, by instance; none before the first that this process told it.
pub(super) type Standing = Option<BTreeMap<LegacyName, TableRoute>>;

impl FilesEdge {
    pub(super) fn stands(&self, table: Option<&Table>) {
        let rows = table.map(|table| {
            let row = |row: &TableRoute| (row.instance.clone(), row.clone());
            table.routes.iter().map(row).collect()
        });
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    /// Whether another row of an app is served than this table's.
    pub(super) fn lacks_some(&self, table: &Table) -> bool {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(standing) = &*standing else { return false };
        table.routes.iter().any(|row| standing.get(&row.instance) != Some(row))
    }

    /// Has a table served that nginx refuses as it is: the apps whose new files do not fit stay as they are.
    pub(super) async fn tell_without_unfit(
        &self,
        table: &Table,
        owned: &Owned,
        last: &mut Option<Instant>,
    ) -> Result<(), Error> {
        let code = CONF_REJECTED.to_owned();
        let instances = self.unfit(table, owned).await?;
        let Some(rest) = self.without(table, &instances, owned) else {
            return Err(Error::Refused { code });
        };
        let conf = self.render(&rest, Version::of(table), owned)?;
        self.tell(&conf, owned, last).await?;
        self.stands(Some(&rest));
        self.visits.are_served(&rest).await?;
        tracing::error!(?instances, "nginx serves a table, and these apps as they were before");
        Err(Error::Without { code, instances })
    }

    /// The smallest part of a table's changes that was found to keep the others from being served.
    async fn unfit(&self, table: &Table, owned: &Owned) -> Result<BTreeSet<LegacyName>, Error> {
        let changed = self.changed(table, owned)?;
        let mut unfit: BTreeSet<LegacyName> = changed.iter().cloned().collect();
        let mut groups = halves(&changed);
        for _ in 0..MOST_TESTS {
            let Some(group) = groups.pop() else { break };
            let without = unfit.iter().filter(|instance| !group.contains(instance));
            let without: BTreeSet<LegacyName> = without.cloned().collect();
            if self.fits(table, &without, owned).await? {
                unfit = without;
            } else {
                groups.extend(halves(&group));
            }
        }
        Ok(unfit)
    }

    fn changed(&self, table: &Table, owned: &Owned) -> Result<Vec<LegacyName>, Error> {
        let mut changed = Vec::new();
        for row in &table.routes {
            let (name, text) =
                conf::file_of(row, owned, &self.settings).map_err(|why| super::invalid(&why))?;
            if owned.bytes(&name) != Some(text.as_bytes()) {
                changed.push(row.instance.clone());
            }
        }
        Ok(changed)
    }

    async fn fits(
        &self,
        table: &Table,
        without: &BTreeSet<LegacyName>,
        owned: &Owned,
    ) -> Result<bool, Error> {
        let Some(rest) = self.without(table, without, owned) else { return Ok(false) };
        let conf = self.render(&rest, Version::of(table), owned)?;
        let undo = self.files.replace(owned, &conf).await?;
        let told = self.nginx.test().await;
        self.files.put_back(&undo).await?;
        Ok(matches!(told?, Told::Done))
    }

    /// The table in which these apps are as they were, or missing where they were not there or somebody has their place
    /// now. None where a file of theirs stands of which nobody knows what it says.
    fn without(
        &self,
        table: &Table,
        instances: &BTreeSet<LegacyName>,
        owned: &Owned,
    ) -> Option<Table> {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = table.clone();
        rest.routes.retain(|row| !instances.contains(&row.instance));
        for row in table.routes.iter().filter(|row| instances.contains(&row.instance)) {
            let known = standing.as_ref().and_then(|rows| rows.get(&row.instance));
            let Some(former) = known else {
                let (name, _) = conf::file_of(row, owned, &self.settings).ok()?;
                if owned.bytes(&name).is_some() {
                    return None;
                }
                continue;
            };
            rest.routes.push(former.clone());
            if conf::check(&rest, &self.settings).is_err() {
                rest.routes.pop();
            }
        }
        Some(rest)
    }
}

/// None of what cannot be parted.
fn halves(group: &[LegacyName]) -> Vec<Vec<LegacyName>> {
    if group.len() < 2 {
        return Vec::new();
    }
    let (first, second) = group.split_at(group.len() / 2);
    vec![first.to_vec(), second.to_vec()]
}
