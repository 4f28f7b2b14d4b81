//! Which images apps are built on, as the deployment manager's configuration says it.

use std::fmt::Write as _;

use crate::platform::{Component, Platform};

const KEYS: [(&str, Component); 5] = [
    ("python_builder", Component::BuilderPython),
    ("python", Component::RuntimePython),
    ("node_builder", Component::BuilderNode),
    ("node", Component::RuntimeNode),
    ("static_site", Component::RuntimeStatic),
];

/// By their names in the registry; an image that is not there is left out, and its kind of app cannot be built.
pub(super) fn images_file(platform: &Platform) -> String {
    let mut text = "[build]\n".to_owned();
    for (key, component) in KEYS {
        let named = platform.images.get(&component).and_then(|image| image.named.as_ref());
        if let Some(named) = named {
            writeln!(text, "{key} = \"{named}\"").expect("a text takes everything");
        }
    }
    text
}
