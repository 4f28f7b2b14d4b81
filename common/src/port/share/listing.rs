//! [`Listing`]: what a share says is in a folder becomes what may be taken from it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, Error, FileName, Folder, Limits, Unfit, Version};

/// So many names that do not count are passed over for each one that may: then nobody looks any further.
const PASSED_OVER: usize = 20;

/// Collects the files of one folder, as every share does it.
#[derive(Debug)]
pub struct Listing {
    place: String,
    folder: Folder,
    limits: Limits,
    entries: BTreeMap<FileName, (u64, Version)>,
    total: u64,
    passed_over: usize,
}

impl Listing {
    pub fn begin(place: &str, folder: &Folder, limits: &Limits) -> Self {
        Listing {
            place: place.to_owned(),
            folder: folder.clone(),
            limits: *limits,
            entries: BTreeMap::new(),
            total: 0,
            passed_over: 0,
        }
    }

    /// Whether a name, or one of the names in a path, begins with a dot and is a plain name otherwise.
    pub fn is_hidden(path: &str) -> bool {
        path.split('/').any(|name| name.starts_with('.') && !matches!(name, "." | ".."))
    }

    /// Passes over something that does not count.
    pub fn pass_over(&mut self) -> Result<(), Error> {
        self.passed_over += 1;
        if self.passed_over > self.limits.files.saturating_mul(PASSED_OVER) {
            return Err(self.too_many());
        }
        Ok(())
    }

    /// Takes a file, by its path below the folder. Hidden ones are passed over.
    pub fn add(&mut self, path: &str, size: u64, version: Version) -> Result<(), Error> {
        let name: FileName = match path.parse() {
            Ok(name) => name,
            Err(Unfit::Hidden) => return self.pass_over(),
            Err(why) => return Err(self.refused(path, why)),
        };
        if size > self.limits.file_bytes {
            let (place, limit) = (self.place.clone(), self.limits.file_bytes);
            return Err(Error::FileTooLarge { place, name, limit });
        }
        self.total = self.total.saturating_add(size);
        if self.total > self.limits.total_bytes {
            let (place, folder) = (self.place.clone(), self.folder.clone());
            return Err(Error::TooLarge { place, folder, limit: self.limits.total_bytes });
        }
        self.room_for(0)?;
        if self.entries.insert(name, (size, version)).is_some() {
            return Err(self.refused(path, Unfit::Twice));
        }
        Ok(())
    }

    /// Something in the folder that is no file of it.
    pub fn refused(&self, path: &str, why: Unfit) -> Error {
        /// Enough to find it; who named it chose the length.
        const SHOWN: usize = 200;
        let name = path.chars().take(SHOWN).collect();
        Error::HostileName { place: self.place.clone(), name, why }
    }

    /// Whether there may be another file besides those that were added, with `waiting` that will be.
    pub fn room_for(&self, waiting: usize) -> Result<(), Error> {
        if self.entries.len() + waiting < self.limits.files { Ok(()) } else { Err(self.too_many()) }
    }

    /// Whether a file was added that is in this folder, at any depth.
    pub fn has_folder(&self, path: &str) -> bool {
        self.entries.keys().any(|name| name.folders().any(|folder| folder == path))
    }

    fn too_many(&self) -> Error {
        let (place, folder) = (self.place.clone(), self.folder.clone());
        Error::TooManyFiles { place, folder, limit: self.limits.files }
    }

    /// The files, sorted.
    pub fn finish(self) -> Result<Vec<Entry>, Error> {
        if self.entries.is_empty() {
            return Err(Error::NotFound { place: self.place, folder: self.folder });
        }
        let folders: BTreeSet<&str> = self.entries.keys().flat_map(FileName::folders).collect();
        if let Some(name) = self.entries.keys().find(|name| folders.contains(name.as_str())) {
            return Err(self.refused(name.as_str(), Unfit::Twice));
        }
        let entry = |(name, (size, version))| Entry { name, size, version };
        Ok(self.entries.into_iter().map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { files: 2, file_bytes: 10, total_bytes: 15 };

    fn listed(files: &[(&str, u64)]) -> Result<Vec<String>, Error> {
        let mut listing = Listing::begin("here", &Folder::top(), &LIMITS);
        for (path, size) in files {
            listing.add(path, *size, Version::new("1"))?;
        }
        let entries = listing.finish()?;
        Ok(entries.into_iter().map(|entry| entry.name.to_string()).collect())
    }

    #[test]
    fn files_are_sorted_and_hidden_ones_left_out() {
        let files = [("b", 1), (".env", 99), ("a/c", 1), ("a/.git/x", 99)];
        assert_eq!(listed(&files).unwrap(), ["a/c", "b"]);
        assert!(matches!(listed(&[(".env", 1)]), Err(Error::NotFound { .. })));
        let endless = vec![(".x", 0); 41];
        assert!(matches!(listed(&endless), Err(Error::TooManyFiles { limit: 2, .. })));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        assert!(matches!(listed(&[("a", 11)]), Err(Error::FileTooLarge { limit: 10, .. })));
        assert!(matches!(listed(&[("a", 8), ("b", 8)]), Err(Error::TooLarge { limit: 15, .. })));
        let many = [("a", 1), ("b", 1), ("c", 1)];
        assert!(matches!(listed(&many), Err(Error::TooManyFiles { limit: 2, .. })));
        assert_eq!(listed(&[("a", 10), ("b", 5)]).unwrap(), ["a", "b"]);
        assert!(matches!(listed(&[("a", u64::MAX)]), Err(Error::FileTooLarge { .. })));
    }

    #[test]
    fn names_that_cannot_be_unpacked_are_refused() {
        for (path, wanted) in
            [("../a", Unfit::LeadsOut), ("/a", Unfit::Slashes), ("", Unfit::Empty)]
        {
            let refused = listed(&[(path, 1)]).unwrap_err();
            assert!(
                matches!(refused, Error::HostileName { why, .. } if why == wanted),
                "{refused}"
            );
        }
        for clash in [[("a", 1), ("a/b", 1)], [("a", 1), ("a", 1)]] {
            let refused = listed(&clash).unwrap_err();
            assert!(matches!(refused, Error::HostileName { why: Unfit::Twice, .. }), "{refused}");
        }
    }
}
