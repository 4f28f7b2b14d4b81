//! Folders and files of a share.

use std::collections::BTreeMap;

use bytes::Bytes;

/// A file.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) content: Bytes,
    /// With its quotation marks.
    pub(super) tag: String,
}

/// What a folder holds, by name; sorted, as pages are.
#[derive(Debug, Clone)]
pub(super) enum Node {
    File(File),
    Folder(BTreeMap<String, Node>),
}

/// All of a share.
#[derive(Debug, Default)]
pub(super) struct Tree {
    top: BTreeMap<String, Node>,
    writes: u64,
}

impl Tree {
    pub(super) fn put(&mut self, path: &str, content: Bytes) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.plant(folder, name, content);
    }

    pub(super) fn plant(&mut self, folder: &str, name: &str, content: Bytes) {
        self.writes += 1;
        let tag = format!("\"0x8DE{:012X}\"", self.writes);
        let mut at = &mut self.top;
        for segment in folder.split('/').filter(|segment| !segment.is_empty()) {
            let next = at.entry(segment.to_owned());
            match next.or_insert_with(|| Node::Folder(BTreeMap::new())) {
                Node::Folder(inner) => at = inner,
                Node::File(_) => panic!("{segment} of {folder} is a file"),
            }
        }
        at.insert(name.to_owned(), Node::File(File { content, tag }));
    }

    /// Folders stay, as they do there.
    pub(super) fn remove(&mut self, path: &str) {
        let mut at = &mut self.top;
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            if segments.peek().is_none() {
                at.remove(segment);
                return;
            }
            match at.get_mut(segment) {
                Some(Node::Folder(inner)) => at = inner,
                Some(Node::File(_)) | None => return,
            }
        }
    }

    /// The folder at a path; none if it is a file or not there.
    pub(super) fn folder(&self, path: &[String]) -> Option<&BTreeMap<String, Node>> {
        let mut at = &self.top;
        for segment in path {
            match at.get(segment)? {
                Node::Folder(inner) => at = inner,
                Node::File(_) => return None,
            }
        }
        Some(at)
    }

    pub(super) fn file(&self, path: &[String]) -> Option<&File> {
        let (name, folder) = path.split_last()?;
        match self.folder(folder)?.get(name)? {
            Node::File(file) => Some(file),
            Node::Folder(_) => None,
        }
    }
}
