//! Accounts: made by an admin, the first one by the one-time token.

use std::time::Duration;

use chassis::blocking;
use common::name::UserName;
use tokio::sync::SemaphorePermit;

use super::Error;
use super::turn::turn;
use crate::context::Context;
use crate::domain::access::{Person, Role};
use crate::people::password;
use crate::records::users::{self, Made, User};

/// The account under which attempts with the one-time token are counted; no user has this name.
const ONE_TIME: &str = "(one-time token)";
const HASH_WITHIN: Duration = Duration::from_secs(20);
const TURN_WITHIN: Duration = Duration::from_secs(20);

/// Makes an account.
pub(crate) async fn make(
    context: &Context,
    name: UserName,
    role: Role,
    chosen: String,
) -> Result<User, Error> {
    let user = account(context, name, role, chosen).await?;
    match users::make(context.ports.store.as_ref(), &user).await? {
        Made::Yes => Ok(user),
        Made::NameTaken | Made::NotFirst => Err(Error::NameTaken),
    }
}

/// Makes the first admin, against the one-time token, which is used up by it.
pub(crate) async fn make_first(
    context: &Context,
    token: &str,
    name: UserName,
    chosen: String,
) -> Result<Person, Error> {
    let turn = hashing(context).await?;
    context.throttle.attempt(ONE_TIME).map_err(Error::TooManyAttempts)?;
    drop(turn);
    let store = context.ports.store.as_ref();
    if !context.token_file.matches(token) || users::has_admin(store).await? {
        return Err(Error::TokenWrong);
    }
    let user = account(context, name, Role::Admin, chosen).await?;
    match users::make_first(store, &user).await? {
        Made::Yes => {}
        Made::NameTaken => return Err(Error::NameTaken),
        Made::NotFirst => return Err(Error::TokenWrong),
    }
    context.token_file.withdraw().map_err(Error::File)?;
    context.throttle.forgive(ONE_TIME);
    tracing::info!(user = %user.name, "the first admin was made; the one-time token is used up");
    Ok(Person { name: user.name, role: Role::Admin })
}

/// Sees to it that the one-time token is there exactly as long as there has been no admin.
pub(crate) async fn offer_first(context: &Context) -> Result<(), Error> {
    let file = &context.token_file;
    if users::has_admin(context.ports.store.as_ref()).await? {
        return file.withdraw().map_err(Error::File);
    }
    file.offer(&context.ports.entropy.secret()).map_err(Error::File)?;
    tracing::info!(path = %file.path().display(), "there is no admin yet; this file holds the one-time token");
    Ok(())
}

/// A turn at hashing, which takes memory and time.
pub(super) async fn hashing(context: &Context) -> Result<SemaphorePermit<'_>, Error> {
    turn(&context.hashing, TURN_WITHIN).await
}

async fn account(
    context: &Context,
    name: UserName,
    role: Role,
    chosen: String,
) -> Result<User, Error> {
    if !password::is_acceptable(&chosen) {
        return Err(Error::PasswordUnfit);
    }
    let salt = context.ports.entropy.secret();
    let _turn = hashing(context).await?;
    let hash = blocking::run(HASH_WITHIN, move |_| password::hash(&chosen, &salt)).await??;
    Ok(User { schema: 1, name, role, password: hash, created_at: context.ports.clock.now() })
}
