//! Names on shares: folders below the top of a share, and files below a folder.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// More bytes no segment has: it could not be unpacked.
const LONGEST_SEGMENT: usize = 255;
const LONGEST_PATH: usize = 1024;
const DEEPEST: usize = 32;

/// Why a text is no name of a folder or a file on a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is empty")]
    Empty,
    #[error("it begins or ends with a slash, or has two side by side")]
    Slashes,
    #[error("it leads out of its folder")]
    LeadsOut,
    #[error("it has a backslash in it")]
    Backslash,
    #[error("it has a control character in it")]
    ControlCharacter,
    #[error("it is not text in UTF-8")]
    NotText,
    #[error("it is too long or too deep")]
    TooLong,
    #[error("one of its names begins with a dot")]
    Hidden,
    #[error("it is a file and a folder at once, or there twice")]
    Twice,
    #[error("it is neither a file nor a folder: a link or a device")]
    NotAFile,
}

/// Whether every segment of a path is a plain name.
fn check(text: &str) -> Result<(), Unfit> {
    if text.len() > LONGEST_PATH || text.split('/').count() > DEEPEST {
        return Err(Unfit::TooLong);
    }
    for segment in text.split('/') {
        if segment.is_empty() {
            return Err(Unfit::Slashes);
        }
        if matches!(segment, "." | "..") {
            return Err(Unfit::LeadsOut);
        }
        if segment.len() > LONGEST_SEGMENT {
            return Err(Unfit::TooLong);
        }
        if segment.contains('\\') {
            return Err(Unfit::Backslash);
        }
        if segment.chars().any(char::is_control) {
            return Err(Unfit::ControlCharacter);
        }
    }
    Ok(())
}

/// A folder of a share, `services/Scheduler`; the empty one is the whole share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Folder(String);

impl Folder {
    /// The whole share.
    pub fn top() -> Self {
        Folder(String::new())
    }

    /// Without slashes at its ends; empty for the whole share.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// The path of a file of this folder, from the top of the share.
    pub fn path_of(&self, name: &FileName) -> String {
        if self.0.is_empty() { name.0.clone() } else { format!("{}/{}", self.0, name.0) }
    }
}

impl FromStr for Folder {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Unfit> {
        if !text.is_empty() {
            check(text)?;
        }
        Ok(Folder(text.to_owned()))
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

impl TryFrom<String> for Folder {
    type Error = Unfit;

    fn try_from(text: String) -> Result<Self, Unfit> {
        text.parse()
    }
}

impl From<Folder> for String {
    fn from(folder: Folder) -> Self {
        folder.0
    }
}

/// A file below its folder, `app/main.py`. None of its names begins with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders it is in, the outermost first: `a/b/c` is in `a` and `a/b`.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(end, _)| self.0.get(..end))
    }
}

impl FromStr for FileName {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Unfit> {
        if text.is_empty() {
            return Err(Unfit::Empty);
        }
        check(text)?;
        if text.split('/').any(|segment| segment.starts_with('.')) {
            return Err(Unfit::Hidden);
        }
        Ok(FileName(text.to_owned()))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_below_the_top_of_its_share() {
        for text in ["", "a", "services/Scheduler", "a b/é", "..a", ".hidden"] {
            assert_eq!(text.parse::<Folder>().unwrap().as_str(), text);
        }
        for (text, why) in [
            ("/", Unfit::Slashes),
            ("/a", Unfit::Slashes),
            ("a/", Unfit::Slashes),
            ("a//b", Unfit::Slashes),
            (".", Unfit::LeadsOut),
            ("a/../b", Unfit::LeadsOut),
            ("a\\b", Unfit::Backslash),
            ("a\nb", Unfit::ControlCharacter),
            ("a\u{85}b", Unfit::ControlCharacter),
        ] {
            assert_eq!(text.parse::<Folder>(), Err(why), "{text:?}");
        }
        assert_eq!("x".repeat(256).parse::<Folder>(), Err(Unfit::TooLong));
        assert_eq!(["d"; 33].join("/").parse::<Folder>(), Err(Unfit::TooLong));
    }

    #[test]
    fn a_file_is_below_its_folder_and_is_not_hidden() {
        let name = |text: &str| text.parse::<FileName>();
        assert_eq!(name("a/b/c").unwrap().folders().collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(name(""), Err(Unfit::Empty));
        assert_eq!(name(".git/config"), Err(Unfit::Hidden));
        assert_eq!(name("a/.env"), Err(Unfit::Hidden));
        assert_eq!(name("a/.."), Err(Unfit::LeadsOut));
        assert_eq!(Folder::top().path_of(&name("a").unwrap()), "a");
        assert_eq!("x/y".parse::<Folder>().unwrap().path_of(&name("a/b").unwrap()), "x/y/a/b");
    }
}
