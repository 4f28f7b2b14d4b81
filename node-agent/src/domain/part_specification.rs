//! Which specifications of parts an agent takes. Whoever asks: the machine is not endangered by mistake.

use std::collections::BTreeSet;

use common::port::part::PartSpec;

use super::specification::{is_plain_path, is_variable};

/// The engine refuses less.
const LEAST_MEMORY: u64 = 6 * 1024 * 1024;
const FILES_BYTES: usize = 1024 * 1024;
const MOST_MOUNTS: usize = 64;
const MOST_SAID: usize = 64;
/// Callers wait for it.
const LONGEST_STOP: u32 = 120;

/// What is wrong with a specification: its field, and the rule in words.
pub(crate) fn problem(spec: &PartSpec) -> Option<(&'static str, &'static str)> {
    if spec.memory_bytes < LEAST_MEMORY || i64::try_from(spec.memory_bytes).is_err() {
        return Some(("memory_bytes", "at least 6 MiB"));
    }
    if spec.processes == 0 {
        return Some(("processes", "at least 1"));
    }
    if spec.stop_seconds > LONGEST_STOP {
        return Some(("stop_seconds", "at most 120"));
    }
    if !spec.environment.iter().all(|(name, value)| is_variable(name) && !value.contains('\0')) {
        return Some(("environment", "names are of letters, digits and _, values without NUL"));
    }
    if spec.command.iter().any(|word| word.contains('\0')) {
        return Some(("command", "words without NUL"));
    }
    let bytes: usize = spec.files.iter().map(|file| file.content.len()).sum();
    if bytes > FILES_BYTES || !spec.files.iter().all(|file| is_plain_path(&file.path, 2)) {
        return Some(("files", "absolute paths in a folder, without .., at most 1 MiB in all"));
    }
    let volumes = || spec.volumes.iter().map(|volume| volume.path.as_str());
    if !volumes().all(|path| is_plain_path(path, 1)) {
        return Some(("volumes", "absolute paths without .."));
    }
    let files = spec.files.iter().map(|file| file.path.as_str());
    let places: Vec<&str> = files.chain(volumes()).collect();
    if places.len() > MOST_MOUNTS || places.iter().collect::<BTreeSet<_>>().len() < places.len() {
        return Some(("volumes", "with the files at most 64, each path once"));
    }
    let health = spec.health.as_ref();
    let is_path =
        |path: &String| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
    if health.is_some_and(|health| health.says.len() > MOST_SAID) {
        return Some(("health", "what is said is at most 64 bytes long"));
    }
    if health.is_some_and(|health| health.port == 0 || !health.path.iter().all(is_path)) {
        return Some(("health", "a port from 1 to 65535; a path begins with / and has no spaces"));
    }
    None
}

#[cfg(test)]
mod tests {
    use common::digest::Digest;
    use common::id::Generation;
    use common::port::part::{PartFile, PartHealth, PartImage, PartVolume, VolumeSource};

    use super::*;

    fn spec() -> PartSpec {
        PartSpec {
            name: "kafka".parse().unwrap(),
            generation: Generation(1),
            image: PartImage::Id(Digest::of(b"")),
            command: vec!["--x".to_owned()],
            environment: [("A".to_owned(), "b c".to_owned())].into(),
            files: vec![file("/etc/kafka/server.properties")],
            volumes: vec![volume("/data")],
            user: 10_001,
            memory_bytes: 64 << 20,
            processes: 100,
            health: Some(PartHealth::listens(9092)),
            stop_seconds: 30,
            rights: Vec::new(),
        }
    }

    fn file(path: &str) -> PartFile {
        PartFile { path: path.to_owned(), content: String::new() }
    }

    fn volume(path: &str) -> PartVolume {
        let from = VolumeSource::Own("data".parse().unwrap());
        PartVolume { from, path: path.to_owned(), read_only: false }
    }

    #[test]
    fn each_field_has_its_rule() {
        assert_eq!(problem(&spec()), None);
        let health = |port, path: &str| {
            Some(PartHealth { path: Some(path.to_owned()), ..PartHealth::listens(port) })
        };
        for (field, wrong) in [
            ("memory_bytes", PartSpec { memory_bytes: 1, ..spec() }),
            ("processes", PartSpec { processes: 0, ..spec() }),
            ("stop_seconds", PartSpec { stop_seconds: 121, ..spec() }),
            (
                "environment",
                PartSpec { environment: [("A B".to_owned(), String::new())].into(), ..spec() },
            ),
            ("command", PartSpec { command: vec!["\0".to_owned()], ..spec() }),
            ("files", PartSpec { files: vec![file("/etc/../shadow")], ..spec() }),
            ("files", PartSpec { files: vec![file("relative")], ..spec() }),
            ("volumes", PartSpec { volumes: vec![volume("/")], ..spec() }),
            ("volumes", PartSpec { volumes: vec![volume("/a"), volume("/a")], ..spec() }),
            ("health", PartSpec { health: health(0, "/"), ..spec() }),
            ("health", PartSpec { health: health(80, "ready"), ..spec() }),
        ] {
            assert_eq!(problem(&wrong).map(|(field, _)| field), Some(field));
        }
    }
}
