//! Reading the machine. Nothing is changed: no file is made, no port is opened, no container is touched.

use std::env::current_exe;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use adapters::docker::{Survey, survey};
use adapters::embedded::{self, Look, look};
use chassis::system::SystemClock;
use common::port::Clock as _;
use jiff::Timestamp;
use rustix::fs::{Access, access, statvfs};

use super::check::Check;
use super::engine;
use super::folder::{Folder, Seen};
use super::left::Left;
use super::ports::Listening;
use super::settings::Settings;

/// Where programs for administrators are; not every user's PATH has these folders.
const PROGRAMS: [&str; 5] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"];
/// What systemd's time service says of itself; other services have no such place.
const TIME_SERVICE: &str = "/run/systemd/timesync";

/// What was seen.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) engine: Result<Survey, Check>,
    /// How many bytes of the disk of images and containers are free, if it is a disk of this machine.
    pub(super) engine_room: Option<u64>,
    pub(super) folder: Folder,
    pub(super) listening: Listening,
    pub(super) left: Option<Left>,
    pub(super) clocks: Clocks,
    /// None where the kernel does not tell.
    pub(super) memory: Option<Memory>,
    pub(super) has_iptables: bool,
    pub(super) has_control_groups: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    pub(super) now: Timestamp,
    /// When the newest file of the platform was written: the clock was there already.
    pub(super) latest_file: Option<Timestamp>,
    /// Whether a time service has set the clock; none where none tells.
    pub(super) is_synchronised: Option<bool>,
}

/// In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) available: u64,
    pub(super) free_swap: u64,
}

pub(super) async fn machine(settings: &Settings) -> Observed {
    let engine = survey(&settings.socket).await.map_err(|err| engine::unusable(err.into()));
    let now = SystemClock.now();
    let engine_room = engine.as_ref().ok().and_then(|survey| room(&survey.root));
    Observed {
        engine_room,
        engine,
        folder: folder(&settings.folder),
        listening: Listening::of_machine(settings),
        left: Left::load(&settings.folder),
        clocks: Clocks {
            now,
            latest_file: latest_file(&settings.folder),
            is_synchronised: is_synchronised(Path::new(TIME_SERVICE)),
        },
        memory: fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text)),
        has_iptables: PROGRAMS.iter().any(|folder| Path::new(folder).join("iptables").exists()),
        has_control_groups: has_control_groups(Path::new("/sys/fs/cgroup")),
    }
}

fn folder(path: &Path) -> Folder {
    let existing = existing(path);
    let look = look(path).map_err(Seen::from).and_then(|look| writable(existing, look));
    Folder { path: path.to_owned(), look, free: room(existing) }
}

/// The folder itself, or the one above it in which it would be made.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|folder| folder.exists()).unwrap_or(path)
}

fn writable(folder: &Path, look: Look) -> Result<Look, Seen> {
    let refused = |source: io::Error| {
        Seen::from(embedded::Error::NotWritable { path: folder.to_owned(), source })
    };
    if !folder.is_dir() {
        return Err(refused(io::ErrorKind::NotADirectory.into()));
    }
    let needed = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    access(folder, needed).map_err(|errno| refused(errno.into()))?;
    Ok(look)
}

/// How many bytes of its disk may still be filled.
fn room(folder: &Path) -> Option<u64> {
    let disk = statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The program itself, and what is in the folder.
fn latest_file(folder: &Path) -> Option<Timestamp> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let written = |file: PathBuf| {
        let modified = fs::metadata(file).ok()?.modified().ok()?;
        Timestamp::try_from(modified).ok()
    };
    files.chain(current_exe().ok()).filter_map(written).max()
}

fn is_synchronised(time_service: &Path) -> Option<bool> {
    time_service.is_dir().then(|| time_service.join("synchronized").exists())
}

/// Reads a text of `/proc/meminfo`.
fn memory(text: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kibibytes * 1024)
    };
    let available = bytes("MemAvailable:")?;
    Some(Memory { available, free_swap: bytes("SwapFree:").unwrap_or_default() })
}

/// Of the one tree of the newer kind, or of one of the older kind.
fn has_control_groups(root: &Path) -> bool {
    let files = ["cgroup.controllers", "memory/memory.usage_in_bytes"];
    files.iter().any(|file| fs::read(root.join(file)).is_ok())
}

#[cfg(test)]
mod tests {
    use adapters::embedded::Folder as Held;

    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_judged_by_where_it_would_be() {
        let place = tempfile::tempdir().unwrap();
        let seen = folder(&place.path().join("deep/below"));
        assert_eq!(seen.look, Ok(Look::New));
        assert!(seen.free.is_some_and(|free| free > 0));
        assert!(!place.path().join("deep").exists());
    }

    #[test]
    fn a_folder_in_use_is_seen_to_be() {
        let place = tempfile::tempdir().unwrap();
        let held = Held::open(place.path()).unwrap();
        let by = Some(std::process::id());
        assert_eq!(folder(place.path()).look, Err(Seen::InUse { by }));
        drop(held);
        assert_eq!(folder(place.path()).look, Ok(Look::Known { format: 1 }));
    }

    #[test]
    fn a_file_where_the_folder_should_be_is_told() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "x").unwrap();
        for path in [path.clone(), path.join("below")] {
            assert!(matches!(folder(&path).look, Err(Seen::Unusable(_))), "{}", path.display());
        }
    }

    #[test]
    fn a_folder_is_as_new_as_its_newest_file() {
        let place = tempfile::tempdir().unwrap();
        let file = fs::File::create(place.path().join("store.redb")).unwrap();
        let later: Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
        file.set_modified(later.into()).unwrap();
        assert_eq!(latest_file(place.path()), Some(later));
        assert!(latest_file(&place.path().join("missing")).is_some_and(|time| time < later));
    }

    #[test]
    fn only_systemds_time_service_tells_whether_it_has_set_the_clock() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(is_synchronised(&place.path().join("missing")), None);
        assert_eq!(is_synchronised(place.path()), Some(false));
        fs::write(place.path().join("synchronized"), "").unwrap();
        assert_eq!(is_synchronised(place.path()), Some(true));
    }

    #[test]
    fn memory_is_what_the_kernel_says_is_available() {
        let text = "MemTotal: 16000 kB\nMemFree: 1 kB\nMemAvailable: 8000 kB\nSwapFree: 4 kB\n";
        assert_eq!(memory(text), Some(Memory { available: 8_192_000, free_swap: 4096 }));
        assert_eq!(memory("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn control_groups_of_both_kinds_are_known() {
        let place = tempfile::tempdir().unwrap();
        assert!(!has_control_groups(place.path()));
        fs::create_dir(place.path().join("memory")).unwrap();
        fs::write(place.path().join("memory/memory.usage_in_bytes"), "1").unwrap();
        assert!(has_control_groups(place.path()));
    }
}
