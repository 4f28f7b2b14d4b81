//! How a release's image is built: its `Dockerfile`, with the command's variables filled in.

use common::digest::Digest;
use common::record::release::{BuildPlan, Release};

use crate::config::Config;
use crate::domain::dockerfile;
use crate::domain::words::{UnknownVariable, substitute};

/// A rendered `Dockerfile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) dockerfile: String,
}

impl Recipe {
    /// The same for everything that is built in the same way.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.dockerfile.as_bytes())
    }
}

/// An image is built once and run by every replica: the command may name what all of them share.
pub(crate) fn of(
    plan: &BuildPlan,
    release: &Release,
    config: &Config,
) -> Result<Recipe, UnknownVariable> {
    let mut environment = release.environment.clone();
    let shared = [
        ("AVISHKAR_APP", release.app.to_string()),
        ("AVISHKAR_RELEASE", release.number.to_string()),
        ("PORT", release.port.to_string()),
    ];
    environment.extend(shared.map(|(name, value)| (name.to_owned(), value)));
    let command = substitute(&plan.command, &environment)?;
    Ok(Recipe { dockerfile: dockerfile::render(plan, &command, &config.images) })
}
