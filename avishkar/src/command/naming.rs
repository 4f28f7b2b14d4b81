//! The name that an app gets where none is typed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use common::name::AppName;
use serde::Deserialize;
use zip::ZipArchive;

use crate::failure::Failure;

const MANIFEST: &str = "avishkar.toml";
/// The platform takes no larger one.
const LARGEST: u64 = 64 * 1024;

/// `name` of the `avishkar.toml` in the folder or zip, else the name of the folder or zip.
///
/// A manifest or zip that cannot be read has no name here: the platform says what is wrong with it.
pub(super) fn name_of(source: &Path) -> anyhow::Result<AppName> {
    let manifest = if source.is_dir() {
        fs::read_to_string(source.join(MANIFEST)).ok()
    } else {
        zipped(source)
    };
    let name = manifest.as_deref().and_then(named).unwrap_or_else(|| file_name(source));
    let wrong = |err| {
        Failure::Usage(format!("{name:?} cannot be the app's name ({err}); give one with --name"))
    };
    Ok(name.parse().map_err(wrong)?)
}

fn named(manifest: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Manifest {
        name: Option<String>,
    }
    toml::from_str::<Manifest>(manifest).ok()?.name
}

/// The manifest of a zip: at its top, or in the one folder that holds everything.
fn zipped(source: &Path) -> Option<String> {
    let mut archive = ZipArchive::new(File::open(source).ok()?).ok()?;
    let tops: BTreeSet<String> = archive
        .file_names()
        .filter_map(Result::ok)
        // What macOS adds to every zip.
        .filter(|path| !path.starts_with("__MACOSX/") && path != ".DS_Store")
        .map(|path| path.split_once('/').map_or("", |(folder, _)| folder).to_owned())
        .collect();
    let path = match tops.first() {
        Some(folder) if tops.len() == 1 && !folder.is_empty() => format!("{folder}/{MANIFEST}"),
        Some(_) | None => MANIFEST.to_owned(),
    };
    let mut manifest = String::new();
    archive.by_name(&path).ok()?.take(LARGEST).read_to_string(&mut manifest).ok()?;
    Some(manifest)
}

/// The last part of a path, in lower case, without `.zip`; a folder may have other dots in its name.
fn file_name(source: &Path) -> String {
    let path = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default();
    name.strip_suffix(".zip").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn name(source: &Path) -> Result<String, String> {
        name_of(source).map(|name| name.to_string()).map_err(|err| err.to_string())
    }

    fn zip(path: &Path, files: &[(&str, &str)]) {
        let mut archive = ZipWriter::new(File::create(path).unwrap());
        for (name, text) in files {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
    }

    #[test]
    fn a_folder_names_its_app_unless_its_manifest_does() {
        let top = tempfile::tempdir().unwrap();
        let shop = top.path().join("Shop");
        fs::create_dir(&shop).unwrap();
        assert_eq!(name(&shop).unwrap(), "shop");
        fs::write(shop.join(MANIFEST), "port = 9000\n").unwrap();
        assert_eq!(name(&shop).unwrap(), "shop");
        fs::write(shop.join(MANIFEST), "name = \"store\"\n").unwrap();
        assert_eq!(name(&shop).unwrap(), "store");
    }

    #[test]
    fn a_dot_in_a_folders_name_is_told_and_not_cut_off() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("shop.v2");
        fs::create_dir(&folder).unwrap();
        let told = name(&folder).unwrap_err();
        assert!(told.contains("\"shop.v2\"") && told.contains("--name"), "{told}");
    }

    #[test]
    fn a_zip_names_its_app_unless_its_manifest_does_wherever_the_app_is_in_it() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("shop.zip");
        zip(&path, &[("main.py", "")]);
        assert_eq!(name(&path).unwrap(), "shop");
        zip(&path, &[("main.py", ""), ("avishkar.toml", "name = \"store\"")]);
        assert_eq!(name(&path).unwrap(), "store");
        zip(
            &path,
            &[("in/main.py", ""), ("in/avishkar.toml", "name = \"store\""), ("__MACOSX/x", "")],
        );
        assert_eq!(name(&path).unwrap(), "store");
        zip(&path, &[("a/main.py", ""), ("b/avishkar.toml", "name = \"store\"")]);
        assert_eq!(name(&path).unwrap(), "shop");
    }

    #[test]
    fn what_is_no_zip_is_left_to_the_platform_to_refuse() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("shop.zip");
        fs::write(&path, "not a zip").unwrap();
        assert_eq!(name(&path).unwrap(), "shop");
    }
}
