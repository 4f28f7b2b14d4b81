//! Signing in: name and password for a token.

use std::time::Duration;

use chassis::blocking;
use common::name::UserName;

use super::{Error, users as accounts};
use crate::context::Context;
use crate::domain::access::Person;
use crate::people::password;
use crate::people::token::Issued;
use crate::records::users;

const VERIFY_WITHIN: Duration = Duration::from_secs(20);

/// Who will use the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Session {
    Browser,
    #[default]
    CommandLine,
}

/// A token for a person who knows the password.
pub(crate) async fn sign_in(
    context: &Context,
    name: &UserName,
    given: String,
    session: Session,
) -> Result<(Person, Issued), Error> {
    let result = check(context, name, given).await;
    let label = match &result {
        Ok(_) => "ok",
        Err(Error::TooManyAttempts(_)) => "throttled",
        Err(Error::WrongCredentials) => "wrong",
        Err(_) => "failed",
    };
    context.metrics.sign_ins.with_label_values(&[label]).inc();
    let person = result?;
    let issued = token(context, &person, session)?;
    Ok((person, issued))
}

/// A token for a person who has shown to be who they are.
pub(crate) fn token(context: &Context, person: &Person, session: Session) -> Result<Issued, Error> {
    let lifetime = match session {
        Session::Browser => context.config.token_lifetime,
        Session::CommandLine => context.config.command_line_token_lifetime,
    };
    context.tokens.issue(person, context.ports.clock.now(), lifetime).map_err(Error::Token)
}

async fn check(context: &Context, name: &UserName, given: String) -> Result<Person, Error> {
    // In turn first: attempts that only wait are not counted.
    let _turn = accounts::hashing(context).await?;
    context.throttle.attempt(name.as_str()).map_err(Error::TooManyAttempts)?;
    let user = users::load(context.ports.store.as_ref(), name).await?.map(|stored| stored.record);
    let kept = user.as_ref().map(|user| user.password.clone());
    // Done for an account that does not exist as well: the answer must not come sooner for it.
    let right = blocking::run(VERIFY_WITHIN, move |_| password::verify(&given, kept.as_deref()));
    let right = right.await?;
    let user = user.filter(|_| right).ok_or(Error::WrongCredentials)?;
    context.throttle.forgive(name.as_str());
    Ok(Person { name: user.name, role: user.role })
}
