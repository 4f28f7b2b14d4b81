//! A page of names, as Azure Files writes it.

use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// A page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) files: Vec<Found>,
    pub(super) folders: Vec<String>,
    /// Where the next page begins; empty after the last one.
    pub(super) next: String,
}

/// A file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) size: u64,
    /// Its `ETag`, without quotation marks.
    pub(super) tag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Results {
    #[serde(default)]
    entries: Entries,
    #[serde(default)]
    next_marker: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Entries {
    #[serde(default)]
    file: Vec<File>,
    #[serde(default)]
    directory: Vec<Directory>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    name: Name,
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Directory {
    name: Name,
}

#[derive(Deserialize)]
struct Name {
    /// Whether the text is percent-encoded, because XML cannot hold it otherwise.
    #[serde(rename = "@Encoded", default)]
    encoded: bool,
    #[serde(rename = "$text", default)]
    text: String,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "Content-Length")]
    length: u64,
    #[serde(rename = "Etag")]
    tag: String,
}

impl Name {
    fn decoded(self) -> Result<String, String> {
        if !self.encoded {
            return Ok(self.text);
        }
        let decoded = percent_decode_str(&self.text).decode_utf8();
        Ok(decoded.map_err(|_| "it lists a name that is not text".to_owned())?.into_owned())
    }
}

/// Reads a page; else says what is strange about it.
pub(super) fn read(body: &[u8]) -> Result<Page, String> {
    let strange = || "its list of files is not one".to_owned();
    let text = std::str::from_utf8(body).map_err(|_| strange())?;
    let results: Results =
        quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| strange())?;
    let file = |file: File| {
        let File { name, properties: Properties { length, tag } } = file;
        Ok(Found { name: name.decoded()?, size: length, tag: tag.trim_matches('"').to_owned() })
    };
    Ok(Page {
        files: results.entries.file.into_iter().map(file).collect::<Result<_, String>>()?,
        folders: results
            .entries
            .directory
            .into_iter()
            .map(|folder| folder.name.decoded())
            .collect::<Result<_, String>>()?,
        next: results.next_marker,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_it_is_published() {
        let page = read(
            b"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\
            <EnumerationResults ServiceEndpoint=\"https://examplestore.file.core.windows.net/\" ShareName=\"code\" DirectoryPath=\"a\">\
            <Marker/><MaxResults>3</MaxResults><DirectoryId>1</DirectoryId><Entries>\
            <File><FileId>2</FileId><Name>main &amp; more.py</Name><Properties><Content-Length>12</Content-Length>\
            <CreationTime>2026-01-01T00:00:00.0000000Z</CreationTime><Etag>\"0x8D1\"</Etag></Properties></File>\
            <Directory><FileId>3</FileId><Name>lib</Name><Properties/></Directory>\
            <File><FileId>4</FileId><Name Encoded=\"true\">a%EF%BF%BEb</Name><Properties><Content-Length>0</Content-Length>\
            <Etag>\"0x8D2\"</Etag></Properties></File>\
            </Entries><NextMarker>there</NextMarker></EnumerationResults>",
        )
        .unwrap();
        let found =
            |name: &str, size, tag: &str| Found { name: name.into(), size, tag: tag.into() };
        assert_eq!(
            page.files,
            [found("main & more.py", 12, "0x8D1"), found("a\u{fffe}b", 0, "0x8D2")]
        );
        assert_eq!(page.folders, ["lib"]);
        assert_eq!(page.next, "there");
        let empty = read(b"<EnumerationResults><Entries /><NextMarker /></EnumerationResults>");
        assert_eq!(empty.unwrap(), Page { files: vec![], folders: vec![], next: String::new() });
        for strange in [&b"<html>"[..], b"", b"\xff"] {
            assert!(read(strange).is_err());
        }
    }
}
