//! `users/<name>`: accounts; and `first-admin`, the mark that the first of them was made.

use bytes::Bytes;
use chassis::records::{self, Error, Stored};
use common::name::UserName;
use common::port::Store;
use common::port::store::{self, Op, Path, Precondition};
use common::record::path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::access::Role;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) schema: u32,
    pub(crate) name: UserName,
    pub(crate) role: Role,
    /// argon2id, with its parameters and salt.
    pub(crate) password: String,
    pub(crate) created_at: Timestamp,
}

pub(crate) async fn load(
    store: &dyn Store,
    name: &UserName,
) -> Result<Option<Stored<User>>, Error> {
    super::find(store, &path::user(name)).await
}

/// All accounts, by name.
pub(crate) async fn all(store: &dyn Store) -> Result<Vec<User>, Error> {
    let mut users = Vec::new();
    for name in store.children(&path::folder("users")).await? {
        let Ok(name) = name.parse::<UserName>() else { continue };
        if let Some(stored) = records::load::<User>(store, &path::user(&name)).await? {
            users.push(stored.record);
        }
    }
    Ok(users)
}

/// Whether an account was made. A lost answer is looked up.
pub(crate) enum Made {
    Yes,
    /// There is an account of this name already.
    NameTaken,
    /// There has been a first admin already.
    NotFirst,
}

/// Makes an account.
pub(crate) async fn make(store: &dyn Store, user: &User) -> Result<Made, Error> {
    commit(store, user, Vec::new()).await
}

/// Makes the first admin: only once, whoever else tries at the same time.
pub(crate) async fn make_first(store: &dyn Store, user: &User) -> Result<Made, Error> {
    let mark = Op::Put {
        path: first_admin(),
        value: Bytes::from(user.name.as_str().to_owned()),
        precondition: Precondition::Absent,
    };
    commit(store, user, vec![mark]).await
}

/// Whether there has ever been an admin.
pub(crate) async fn has_admin(store: &dyn Store) -> Result<bool, Error> {
    store.sync().await?;
    if store.get(&first_admin()).await?.is_some() {
        return Ok(true);
    }
    Ok(all(store).await?.iter().any(|user| user.role == Role::Admin))
}

fn first_admin() -> Path {
    path::folder("first-admin")
}

async fn commit(store: &dyn Store, user: &User, more: Vec<Op>) -> Result<Made, Error> {
    let path = path::user(&user.name);
    let mut ops = vec![records::put(path.clone(), user, None)];
    ops.extend(more);
    match store.commit(ops).await {
        Ok(_) => Ok(Made::Yes),
        Err(store::Error::Conflict { index: 0 }) => Ok(Made::NameTaken),
        Err(store::Error::Conflict { .. }) => Ok(Made::NotFirst),
        Err(store::Error::OutcomeUnknown(source)) => {
            store.sync().await?;
            match records::load::<User>(store, &path).await? {
                // The salt is new each time: the same record was written by this very call.
                Some(stored) if stored.record == *user => Ok(Made::Yes),
                Some(_) => Ok(Made::NameTaken),
                None => Err(store::Error::Unavailable(source).into()),
            }
        }
        Err(err) => Err(err.into()),
    }
}
