//! `[images]`: what each image is called here, or which file it is in, and so which version it is.

use std::path::PathBuf;

use rollout::platform::Component;

use super::here::Paths;
use super::section::{Entry, Section};
use crate::description::{COMPONENTS, ImageSource, key_of};

/// `moves`: there is an address that moves, which takes an image more.
pub(super) fn read(root: &Section<'_>, paths: Paths<'_>, moves: bool) -> Option<ImageSource> {
    let hint = "write an [images]: see config/platform.toml";
    let section = root.required("images", hint)?.section()?;
    let mut known = vec!["socket"];
    known.extend(COMPONENTS.map(key_of));
    known.extend([Component::Base, Component::Address].map(key_of));
    section.only(&known);
    let mut components = COMPONENTS.to_vec();
    if moves || section.optional(key_of(Component::Address)).is_some() {
        components.push(Component::Address);
    }
    if section.optional(key_of(Component::Base)).is_some() {
        components.push(Component::Base);
    }
    let socket = socket(&section, paths, &components);
    let names = components.into_iter().map(|component| {
        let hint = "write the engine's name for it, as \"avishkar/edge:dev\"";
        let entry = section.required(key_of(component), hint)?;
        let name = if entry.is_table() { archive(&entry, paths) } else { name(&entry) };
        Some((component, name?))
    });
    // All of them are looked at, whatever is wrong with the first.
    let names: Vec<_> = names.collect();
    let names = names.into_iter().collect::<Option<_>>();
    match socket {
        Socket::Wrong => None,
        Socket::Unneeded => Some(ImageSource { socket: None, names: names? }),
        Socket::At(path) => Some(ImageSource { socket: Some(path), names: names? }),
    }
}

/// The engine's socket.
enum Socket {
    At(PathBuf),
    /// All images are files.
    Unneeded,
    Wrong,
}

fn socket(section: &Section<'_>, paths: Paths<'_>, components: &[Component]) -> Socket {
    let is_file = |key: &str| section.optional(key).is_some_and(|entry| entry.is_table());
    let needed = !components.iter().copied().map(key_of).all(is_file);
    let hint = "write the engine's socket, as \"/var/run/docker.sock\"";
    let entry = if needed { section.required("socket", hint) } else { section.optional("socket") };
    match entry {
        None if needed => Socket::Wrong,
        None => Socket::Unneeded,
        Some(entry) => paths.socket(&entry).map_or(Socket::Wrong, Socket::At),
    }
}

/// The path of a file, which begins with a slash as no name does.
fn archive(entry: &Entry<'_>, paths: Paths<'_>) -> Option<String> {
    let section = entry.section()?;
    section.only(&["archive"]);
    let hint = "write the file that `docker save` wrote, as { archive = \"edge.tar\" }";
    let file = section.required("archive", hint)?;
    let path = paths.file(&file)?;
    match path.to_str() {
        Some(path) => Some(path.to_owned()),
        None => file.wrong("its path is no text", "move the file to another folder"),
    }
}

fn name(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins && text.bytes().all(allowed) {
        return Some(text.to_owned());
    }
    let hint = if text.starts_with('/') || text.contains(".tar") {
        format!("write a file as {{ archive = {text:?} }}")
    } else {
        "`docker images` shows the names".to_owned()
    };
    entry.wrong(format!("{text:?} is no name of an image"), hint)
}
