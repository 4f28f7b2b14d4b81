//! Which specifications an agent takes. Whoever asks: the machine is not endangered.

use std::path::{Component, Path};

use common::port::container::ContainerSpec;

/// The engine refuses less.
const LEAST_MEMORY: u64 = 6 * 1024 * 1024;
const LEAST_CPU_MILLIS: u32 = 10;
/// Lower ports belong to the machine.
const FIRST_HOST_PORT: u16 = 1024;
const FILES_BYTES: usize = 1024 * 1024;

/// What is wrong with a specification: its field, and the rule in words.
pub(crate) fn problem(spec: &ContainerSpec) -> Option<(&'static str, &'static str)> {
    if spec.container_port == 0 {
        return Some(("container_port", "a port is from 1 to 65535"));
    }
    if spec.host_port < FIRST_HOST_PORT {
        return Some(("host_port", "a host port is from 1024 to 65535"));
    }
    if spec.limits.memory_bytes < LEAST_MEMORY || i64::try_from(spec.limits.memory_bytes).is_err() {
        return Some(("limits.memory_bytes", "at least 6 MiB"));
    }
    if spec.limits.cpu_millis < LEAST_CPU_MILLIS || spec.limits.processes == 0 {
        return Some(("limits", "at least 10 thousandths of a core and 1 process"));
    }
    if !spec.environment.iter().all(|(name, value)| is_variable(name) && !value.contains('\0')) {
        return Some(("environment", "names are of letters, digits and _, values without NUL"));
    }
    let bytes: usize = spec.files.iter().map(|file| file.content.len()).sum();
    if bytes > FILES_BYTES || !spec.files.iter().all(|file| is_file_path(&file.path)) {
        return Some(("files", "absolute paths in a folder, without .., at most 1 MiB in all"));
    }
    let is_path =
        |path: &String| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
    if !spec.health_path.iter().all(is_path) {
        return Some(("health_path", "a path begins with / and has no spaces"));
    }
    None
}

pub(super) fn is_variable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(allowed) && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

fn is_file_path(path: &str) -> bool {
    is_plain_path(path, 2)
}

/// Whether a path is absolute and written in the only way there is, with at least so many parts.
pub(super) fn is_plain_path(path: &str, least: usize) -> bool {
    let mut components = Path::new(path).components();
    let absolute = components.next() == Some(Component::RootDir);
    let parts: Vec<Component<'_>> = components.collect();
    let plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    let written_so = path == format!("/{}", parts_text(&parts));
    absolute && plain && written_so && parts.len() >= least && !path.contains('\0')
}

fn parts_text(parts: &[Component<'_>]) -> String {
    parts.iter().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_plain_paths_in_a_folder() {
        for path in ["/etc/avishkar/app.json", "/app/app.json"] {
            assert!(is_file_path(path), "{path}");
        }
        for path in ["", "/", "app.json", "/x", "/a/../b", "/a/./b", "/a//b", "/a/b/", "../a/b"] {
            assert!(!is_file_path(path), "{path}");
        }
    }

    #[test]
    fn variables_have_names_of_variables() {
        assert!(is_variable("PORT") && is_variable("_x9"));
        assert!(
            !is_variable("") && !is_variable("9x") && !is_variable("A=B") && !is_variable("A B")
        );
    }
}
