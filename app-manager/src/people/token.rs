//! Tokens: JWT, HS256, with document 001's claims `username` and `user_type`.

use std::fmt;
use std::time::Duration;

use common::name::UserName;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use crate::domain::access::{Person, Role};

/// How far the clock of who made a token may be from ours.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
const LONGEST: usize = 4096;

/// Makes and reads tokens.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    username: UserName,
    user_type: Role,
    /// Seconds since 1970.
    exp: i64,
    #[serde(default)]
    iat: i64,
}

/// Why a token is not accepted. All are the same to who shows it: sign in again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("the token is not one of this platform")]
    Invalid,
    #[error("the token has expired")]
    Expired,
}

/// A new token.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) expires_at: Timestamp,
}

impl Tokens {
    pub(crate) fn new(secret: &Secret) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is checked here, on the platform's clock; the library would ask the machine's.
        validation.validate_exp = false;
        validation.set_required_spec_claims::<&str>(&[]);
        Tokens {
            encoding: EncodingKey::from_secret(secret.expose()),
            decoding: DecodingKey::from_secret(secret.expose()),
            validation,
        }
    }

    /// A token that is valid from now on for some time.
    pub(crate) fn issue(
        &self,
        person: &Person,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Issued, Error> {
        let expires_at = now.checked_add(lifetime).map_err(|_| Error::Invalid)?;
        let claims = Claims {
            username: person.name.clone(),
            user_type: person.role,
            exp: expires_at.as_second(),
            iat: now.as_second(),
        };
        let header = Header::new(Algorithm::HS256);
        let token = jsonwebtoken::encode(&header, &claims, &self.encoding);
        Ok(Issued { token: token.map_err(|_| Error::Invalid)?, expires_at })
    }

    /// Who shows this token.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Person, Error> {
        if token.len() > LONGEST {
            return Err(Error::Invalid);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| Error::Invalid)?
            .claims;
        let skew = SKEW.as_secs();
        if claims.exp.saturating_add(skew) < now.as_second() {
            return Err(Error::Expired);
        }
        if claims.iat > now.as_second().saturating_add(skew) {
            return Err(Error::Invalid);
        }
        Ok(Person { name: claims.username, role: claims.user_type })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&Secret::new(secret.as_bytes().to_vec()).unwrap())
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn dee() -> Person {
        Person { name: "dee".parse().unwrap(), role: Role::Dev }
    }

    #[test]
    fn a_token_tells_who_shows_it_until_it_expires() {
        let tokens = tokens("0123456789abcdef0123456789abcdef");
        let issued = tokens.issue(&dee(), now(), HOUR).unwrap();
        let at = |seconds| now() + SignedDuration::from_secs(seconds);
        assert_eq!(tokens.verify(&issued.token, at(3600)), Ok(dee()));
        assert_eq!(tokens.verify(&issued.token, at(3660)), Ok(dee()));
        assert_eq!(tokens.verify(&issued.token, at(3661)), Err(Error::Expired));
        assert_eq!(tokens.verify(&issued.token, at(-120)), Err(Error::Invalid));
    }

    #[test]
    fn a_token_of_another_secret_or_algorithm_is_refused() {
        let ours = tokens("0123456789abcdef0123456789abcdef");
        let theirs = tokens("another secret of thirty-two bytes");
        let token = theirs.issue(&dee(), now(), HOUR).unwrap().token;
        assert_eq!(ours.verify(&token, now()), Err(Error::Invalid));
        // {"alg":"none","typ":"JWT"} and the claims of an admin, unsigned.
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJ1c2VybmFtZSI6ImRlZSIsInVzZXJfdHlwZSI6ImFkbWluIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        assert_eq!(ours.verify(unsigned, now()), Err(Error::Invalid));
        for noise in ["", ".", "a.b.c", &"x".repeat(10_000)] {
            assert_eq!(ours.verify(noise, now()), Err(Error::Invalid));
        }
    }

    #[test]
    fn a_changed_claim_breaks_the_token() {
        let tokens = tokens("0123456789abcdef0123456789abcdef");
        let issued = tokens.issue(&dee(), now(), HOUR).unwrap().token;
        let admin = Person { role: Role::Admin, ..dee() };
        let other = tokens.issue(&admin, now(), HOUR).unwrap().token;
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            (issued.split('.').collect(), other.split('.').collect());
        let forged = format!("{}.{}.{}", ours[0], theirs[1], ours[2]);
        assert_eq!(tokens.verify(&forged, now()), Err(Error::Invalid));
    }
}
