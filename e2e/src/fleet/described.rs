//! What `make fleet` keeps of a fleet in its folder: the description that it was brought up from, and the first admin's password.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::platform::state_folder;

/// Says something else of the fleet than its description, and never takes that one's place.
const TRIAL: &str = "trial.toml";

fn folder() -> anyhow::Result<PathBuf> {
    let state = state_folder().context("there is no folder of this user's state")?;
    Ok(state.join("fleet"))
}

/// Where `make fleet` noted the first admin's password.
pub(super) fn password() -> anyhow::Result<PathBuf> {
    Ok(folder()?.join("admin-password"))
}

/// The file that the fleet was brought up from.
pub fn description() -> anyhow::Result<PathBuf> {
    Ok(folder()?.join("platform.toml"))
}

/// Another file of the same fleet, which says what `changed` makes of its description.
pub fn described_as(changed: impl FnOnce(&str) -> String) -> anyhow::Result<PathBuf> {
    let file = folder()?.join(TRIAL);
    let described = std::fs::read_to_string(description()?)?;
    std::fs::write(&file, changed(&described))?;
    Ok(file)
}
