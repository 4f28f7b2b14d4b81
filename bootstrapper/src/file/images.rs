//! `[images]`: what each image is called here, and so which version it is.

use super::here::Paths;
use super::section::{Entry, Section};
use crate::description::{COMPONENTS, ImageSource, key_of};

pub(super) fn read(root: &Section<'_>, paths: Paths<'_>) -> Option<ImageSource> {
    let hint = "write an [images]: see config/platform.toml";
    let section = root.required("images", hint)?.section()?;
    let mut known = vec!["socket"];
    known.extend(COMPONENTS.map(key_of));
    section.only(&known);
    let socket =
        section.required("socket", "write the engine's socket, as \"/var/run/docker.sock\"");
    let socket = socket.and_then(|entry| paths.socket(&entry));
    let names = COMPONENTS.map(|component| {
        let hint = "write the engine's name for it, as \"avishkar/edge:dev\"";
        let entry = section.required(key_of(component), hint)?;
        Some((component, name(&entry)?))
    });
    Some(ImageSource { socket: socket?, names: names.into_iter().collect::<Option<_>>()? })
}

fn name(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    if text.bytes().all(allowed) && !text.starts_with('-') {
        return Some(text.to_owned());
    }
    entry.wrong(format!("{text:?} is no name of an image"), "`docker images` shows the names")
}
