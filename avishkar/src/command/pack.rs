//! A folder as a zip: what `deploy` uploads.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::failure::Failure;

/// Folders that are made from the others, or that are no part of an app.
const LEFT_OUT: &[&str] =
    &[".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", "target", ".DS_Store"];

/// The zip to upload: the file itself, or a temporary one made from a folder.
pub(crate) fn pack(source: &Path) -> anyhow::Result<File> {
    let about = fs::metadata(source)
        .map_err(|_| Failure::Usage(format!("there is no folder or zip {}", source.display())))?;
    if about.is_file() {
        return File::open(source).with_context(|| format!("{} cannot be read", source.display()));
    }
    let mut archive = ZipWriter::new(tempfile::tempfile()?);
    for path in files_below(source)? {
        let name = path.strip_prefix(source)?.to_str();
        let name =
            name.ok_or_else(|| Failure::Usage(format!("{} is not UTF-8", path.display())))?;
        add(&mut archive, &path, name)?;
    }
    let mut file = archive.finish()?;
    file.flush()?;
    file.rewind()?;
    Ok(file)
}

fn add<W: Write + Seek>(archive: &mut ZipWriter<W>, path: &Path, name: &str) -> anyhow::Result<()> {
    // A fixed time makes the same folder the same zip, so that deploying it again is known to be a repeat.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    archive.start_file(name, options)?;
    let mut file =
        File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    io::copy(&mut file, archive)?;
    Ok(())
}

/// All regular files below a folder, sorted; symbolic links are refused, as the platform would.
fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            } else {
                let path = entry.path();
                return Err(Failure::Usage(format!(
                    "{} is neither a file nor a folder",
                    path.display()
                ))
                .into());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_same_folder_is_the_same_zip_without_what_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("node_modules/x")).unwrap();
        fs::create_dir_all(folder.path().join("static")).unwrap();
        fs::write(folder.path().join("node_modules/x/index.js"), "x").unwrap();
        fs::write(folder.path().join("main.py"), "print()").unwrap();
        fs::write(folder.path().join("static/a.css"), "a").unwrap();
        let bytes = |mut file: File| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let first = bytes(pack(folder.path()).unwrap());
        assert_eq!(first, bytes(pack(folder.path()).unwrap()));
        let archive = zip::ZipArchive::new(io::Cursor::new(first)).unwrap();
        let mut names: Vec<_> = archive.file_names().map(Result::unwrap).collect();
        names.sort_unstable();
        assert_eq!(names, ["main.py", "static/a.css"]);
    }
}
