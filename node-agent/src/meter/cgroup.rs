//! The kernel's accounting of one control group, versions 1 and 2.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Long enough for every file that is read.
const BUFFER: usize = 8192;
/// Limits above this are the kernel's way to say that there is none.
const NO_LIMIT: u64 = 1 << 60;

/// What a group used, and what it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) cpu_nanoseconds: u64,
    /// Without the page cache that the kernel would give back at once.
    pub(super) memory_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu_millis: Option<u32>,
}

/// The open files of one group.
#[derive(Debug)]
pub(super) struct Group {
    memory: File,
    statistics: File,
    cpu: File,
    version: Version,
    pub(super) limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Group {
    /// The group of a container, below `root`, wherever the engine's driver puts it.
    pub(super) fn of_container(root: &Path, id: &str) -> Option<Self> {
        let places = [format!("docker/{id}"), format!("system.slice/docker-{id}.scope")];
        places.iter().find_map(|place| Group::open(root, place))
    }

    /// The group at a path below the root of every hierarchy; the empty path is the machine's own.
    pub(super) fn open(root: &Path, place: &str) -> Option<Self> {
        Group::open_one(root, place).or_else(|_| Group::open_two(&root.join(place))).ok()
    }

    fn open_one(root: &Path, place: &str) -> io::Result<Self> {
        let at = |controller: &str| root.join(controller).join(place);
        let memory = at("memory");
        let quota = number(&at("cpu").join("cpu.cfs_quota_us"));
        let period = number(&at("cpu").join("cpu.cfs_period_us"));
        Ok(Group {
            memory: File::open(memory.join("memory.usage_in_bytes"))?,
            statistics: File::open(memory.join("memory.stat"))?,
            cpu: File::open(at("cpuacct").join("cpuacct.usage"))?,
            version: Version::One,
            limits: Limits {
                memory_bytes: number(&memory.join("memory.limit_in_bytes"))
                    .filter(|bytes| is_limit(*bytes)),
                cpu_millis: millis(quota, period),
            },
        })
    }

    fn open_two(folder: &Path) -> io::Result<Self> {
        let allowed = fs::read_to_string(folder.join("cpu.max")).unwrap_or_default();
        let mut words = allowed.split_whitespace().map(|word| word.parse().ok());
        let (quota, period) = (words.next().flatten(), words.next().flatten());
        Ok(Group {
            memory: File::open(folder.join("memory.current"))?,
            statistics: File::open(folder.join("memory.stat"))?,
            cpu: File::open(folder.join("cpu.stat"))?,
            version: Version::Two,
            limits: Limits {
                memory_bytes: number(&folder.join("memory.max")).filter(|bytes| is_limit(*bytes)),
                cpu_millis: millis(quota, period),
            },
        })
    }

    pub(super) fn read(&self) -> io::Result<Reading> {
        let mut buffer = [0; BUFFER];
        let used = whole_number(text(&self.memory, &mut buffer)?)?;
        let cache_name = match self.version {
            Version::One => "total_inactive_file",
            Version::Two => "inactive_file",
        };
        let cache = field(text(&self.statistics, &mut buffer)?, cache_name).unwrap_or_default();
        let cpu = text(&self.cpu, &mut buffer)?;
        let cpu_nanoseconds = match self.version {
            Version::One => whole_number(cpu)?,
            Version::Two => field(cpu, "usage_usec").unwrap_or_default() * 1000,
        };
        Ok(Reading { cpu_nanoseconds, memory_bytes: used.saturating_sub(cache) })
    }
}

/// Reads from the beginning, whatever was read before.
fn text<'a>(file: &File, buffer: &'a mut [u8]) -> io::Result<&'a str> {
    let length = file.read_at(buffer, 0)?;
    let bytes = buffer.get(..length).unwrap_or_default();
    std::str::from_utf8(bytes).map_err(io::Error::other)
}

fn whole_number(text: &str) -> io::Result<u64> {
    text.trim().parse().map_err(io::Error::other)
}

/// The value of a line `name value`.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn number(path: &PathBuf) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn is_limit(bytes: u64) -> bool {
    bytes < NO_LIMIT
}

fn millis(quota: Option<u64>, period: Option<u64>) -> Option<u32> {
    let millis = quota?.checked_mul(1000)?.checked_div(period?)?;
    u32::try_from(millis).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn the_first_version_is_read_from_its_hierarchies() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("memory/docker/abc/memory.usage_in_bytes", "1000\n"),
                (
                    "memory/docker/abc/memory.stat",
                    "cache 7\ntotal_cache 9\ntotal_inactive_file 300\n",
                ),
                ("memory/docker/abc/memory.limit_in_bytes", "2000\n"),
                ("cpuacct/docker/abc/cpuacct.usage", "12345\n"),
                ("cpu/docker/abc/cpu.cfs_quota_us", "50000\n"),
                ("cpu/docker/abc/cpu.cfs_period_us", "100000\n"),
            ],
        );
        let group = Group::of_container(root.path(), "abc").unwrap();
        let reading = Reading { cpu_nanoseconds: 12345, memory_bytes: 700 };
        assert_eq!(group.read().unwrap(), reading);
        assert_eq!(group.read().unwrap(), reading, "an open file is read from its beginning");
        assert_eq!(group.limits, Limits { memory_bytes: Some(2000), cpu_millis: Some(500) });
    }

    #[test]
    fn the_second_version_is_read_with_either_driver() {
        for place in ["docker/abc", "system.slice/docker-abc.scope"] {
            let root = tempfile::tempdir().unwrap();
            write(
                &root.path().join(place),
                &[
                    ("memory.current", "1000\n"),
                    ("memory.stat", "anon 1\nfile 2\ninactive_file 400\n"),
                    ("memory.max", "max\n"),
                    ("cpu.stat", "usage_usec 77\nuser_usec 70\n"),
                    ("cpu.max", "max 100000\n"),
                ],
            );
            let group = Group::of_container(root.path(), "abc").unwrap();
            let reading = Reading { cpu_nanoseconds: 77_000, memory_bytes: 600 };
            assert_eq!(group.read().unwrap(), reading);
            assert_eq!(group.limits, Limits { memory_bytes: None, cpu_millis: None });
        }
    }

    #[test]
    fn a_group_that_is_not_there_is_none() {
        let root = tempfile::tempdir().unwrap();
        assert!(Group::of_container(root.path(), "abc").is_none());
    }

    #[test]
    fn the_kernels_word_for_no_limit_is_none() {
        assert!(!is_limit(9_223_372_036_854_771_712));
        assert_eq!(millis(None, Some(100_000)), None);
    }
}
