//! People: passwords, tokens, the first admin, and a brake on guessing.

pub(crate) mod first_admin;
pub(crate) mod password;
pub(crate) mod secret;
pub(crate) mod throttle;
pub(crate) mod token;
