//! Why a share did not give what was asked for, and what to do about it.

use super::{FileName, Folder, Unfit};
use crate::port::Cause;

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder, or the share itself, is not there or holds nothing that counts.
    #[error("there are no files in {folder} of {place}")]
    NotFound { place: String, folder: Folder },
    /// Who asks is not known, or may not read it. `said` is the share's own code for it.
    #[error("{place} refused the credentials ({said})")]
    CredentialsRefused { place: String, said: String },
    /// The share holds something that must not be unpacked. Nothing of the folder is given.
    #[error("{name:?} on {place} is refused: {why}")]
    HostileName { place: String, name: String, why: Unfit },
    #[error("{folder} of {place} holds more than {limit} files")]
    TooManyFiles { place: String, folder: Folder, limit: usize },
    #[error("{name} on {place} has more than {limit} bytes")]
    FileTooLarge { place: String, name: FileName, limit: u64 },
    #[error("the files in {folder} of {place} have more than {limit} bytes together")]
    TooLarge { place: String, folder: Folder, limit: u64 },
    /// What was given of it so far is not the file.
    #[error("{name} on {place} is not what was listed any more")]
    Changed { place: String, name: FileName },
    #[error("{place} is unavailable")]
    Unavailable {
        place: String,
        #[source]
        source: Cause,
    },
}

impl Error {
    /// Whether listing and reading the folder again may work without anybody's help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Changed { .. } | Error::Unavailable { .. } => true,
            Error::NotFound { .. }
            | Error::CredentialsRefused { .. }
            | Error::HostileName { .. }
            | Error::TooManyFiles { .. }
            | Error::FileTooLarge { .. }
            | Error::TooLarge { .. } => false,
        }
    }

    /// One sentence: what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Error::NotFound { folder, place } => {
                format!("put the service's files into {folder} of {place}, or name the right folder")
            }
            Error::CredentialsRefused { .. } => {
                "see whether the key or the token is the current one, may list and read, and has not expired, and whether this machine's clock is right".to_owned()
            }
            Error::HostileName { .. } => {
                "rename or remove it on the share; a name that begins with a dot is left out".to_owned()
            }
            Error::TooManyFiles { .. } | Error::TooLarge { .. } => {
                "keep only what the service is built of in its folder".to_owned()
            }
            Error::FileTooLarge { .. } => "see whether it belongs to the service".to_owned(),
            Error::Changed { .. } => "read the folder again when nobody writes to it".to_owned(),
            Error::Unavailable { place, .. } => {
                format!("see whether {place} is right and can be reached from here, then try again")
            }
        }
    }
}
