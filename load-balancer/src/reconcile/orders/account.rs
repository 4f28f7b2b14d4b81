//! By whom the public authority knows the platform: one account at each authority, made when there is none.

use chassis::records;
use common::port::PublicAuthority;
use common::port::public_authority::Account;
use common::port::store::{Op, Version};
use common::record::path;

use super::{Error, OrderReconciler};
use crate::records::{AuthorityAccount, account};
use crate::seal::Seal;

/// An account, and which record it is from; none just after it was made.
pub(super) struct Known {
    pub(super) account: Account,
    pub(super) version: Option<Version>,
}

impl OrderReconciler {
    /// One for the whole platform, at each authority.
    pub(super) async fn account(
        &self,
        authority: &dyn PublicAuthority,
        seal: &Seal,
    ) -> Result<Known, Error> {
        // Orders that begin together are not to make one account each.
        let _one_at_a_time = self.registering.lock().await;
        let directory = authority.directory();
        let standing = account(&*self.shared.ports.store).await?;
        let known = standing.as_ref().filter(|stored| stored.record.directory == directory);
        // One that was sealed with another secret is of no use.
        if let Some(known) = known
            && let Ok(opened) = seal.open(directory, &known.record.sealed)
        {
            return Ok(Known { account: Account(opened), version: Some(known.version) });
        }
        let made = authority.register().await?;
        let record = AuthorityAccount {
            schema: 1,
            directory: directory.to_owned(),
            sealed: seal.seal(directory, &made.0),
        };
        let version = standing.map(|stored| stored.version);
        let put = records::put(path::authority_account(), &record, version);
        self.shared.seat.commit(vec![put]).await?;
        tracing::info!(directory, "the platform has an account at the public authority");
        Ok(Known { account: made, version: None })
    }

    /// Forgets the account that the authority does not know, unless there is another one by now.
    pub(super) async fn without(&self, used: Option<Version>) -> Result<Option<Op>, Error> {
        let standing = account(&*self.shared.ports.store).await?.map(|stored| stored.version);
        let version = standing.filter(|version| Some(*version) == used);
        Ok(version.map(|version| Op::Delete { path: path::authority_account(), version }))
    }
}
