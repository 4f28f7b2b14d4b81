//! [`Code`]: what an image is built of, said so exactly that it is the same image wherever it is built.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::path::{Folder, Unfit};
use crate::digest::{self, Digest, ImageRef};
use crate::name::{self, ShareName};

/// The repository of what is built of code, on the machine that built it.
const REPOSITORY: &str = "avishkar-code";

/// A folder of a share with one content, written `share://<share>/<folder>@sha256:<64 hexadecimal digits>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code {
    pub share: ShareName,
    pub folder: Folder,
    /// Of the folder as a [`super::Context`].
    pub digest: Digest,
}

/// Why a text does not say which code is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCode {
    #[error("code is named as share://<share>/<folder>@sha256:<64 hexadecimal digits>")]
    Form,
    #[error("the name of a share is not one: {0}")]
    Share(name::Error),
    #[error("the folder of a share is not one: {0}")]
    Folder(Unfit),
    #[error(transparent)]
    Digest(digest::Error),
}

impl Code {
    /// How the text begins.
    pub const SCHEME: &'static str = "share://";

    /// What is built of it, as machines know it: by its content alone, from whatever share it came.
    pub fn image(&self) -> ImageRef {
        ImageRef::new(REPOSITORY, self.digest.clone()).expect("the repository keeps the rule")
    }
}

impl FromStr for Code {
    type Err = NotCode;

    fn from_str(text: &str) -> Result<Self, NotCode> {
        let rest = text.strip_prefix(Code::SCHEME).ok_or(NotCode::Form)?;
        let (place, digest) = rest.rsplit_once('@').ok_or(NotCode::Form)?;
        let (share, folder) = place.split_once('/').unwrap_or((place, ""));
        Ok(Code {
            share: share.parse().map_err(NotCode::Share)?,
            folder: folder.parse().map_err(NotCode::Folder)?,
            digest: digest.parse().map_err(NotCode::Digest)?,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Code { share, folder, digest } = self;
        let slash = if folder.as_str().is_empty() { "" } else { "/" };
        write!(f, "{}{share}{slash}{}@{digest}", Code::SCHEME, folder.as_str())
    }
}

impl TryFrom<String> for Code {
    type Error = NotCode;

    fn try_from(text: String) -> Result<Self, NotCode> {
        text.parse()
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_read_back() {
        let digest = Digest::of(b"x");
        for place in ["code", "code/services/Scheduler", "code/a@b/c d"] {
            let text = format!("share://{place}@{digest}");
            let code: Code = text.parse().unwrap();
            assert_eq!(code.to_string(), text);
            assert_eq!(code.image().to_string(), format!("avishkar-code@{digest}"));
        }
    }

    #[test]
    fn what_does_not_name_one_content_of_one_folder_is_refused() {
        let digest = Digest::of(b"x");
        let code = |place: &str| format!("{place}@{digest}").parse::<Code>();
        assert_eq!(code("code/a"), Err(NotCode::Form));
        assert!(matches!(code("share://"), Err(NotCode::Share(_))));
        assert!(matches!(code("share://Code/a"), Err(NotCode::Share(_))));
        assert_eq!(code("share://code/../a"), Err(NotCode::Folder(Unfit::LeadsOut)));
        assert_eq!(code("share://code/"), Ok(code("share://code").unwrap()));
        assert_eq!("share://code/a".parse::<Code>(), Err(NotCode::Form));
        let tag = "share://code/a@latest".parse::<Code>();
        assert_eq!(tag, Err(NotCode::Digest(digest::Error::Digest)));
    }
}
