//! Control groups of one's own, as the engine makes one for each container; files of the same form where the kernel or
//! the rights of whoever runs this do not allow them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

const KERNEL: &str = "/sys/fs/cgroup";
const NAME: &str = "avishkar-bench";
/// The controllers that are hierarchies of their own in the first version.
const CONTROLLERS: [&str; 3] = ["memory", "cpuacct", "cpu"];
const MEMORY_BYTES: u32 = 256 * 1024 * 1024;
/// As the kernel says it of a group in which little happens.
const STATISTICS: [&str; 18] = [
    "cache",
    "rss",
    "rss_huge",
    "shmem",
    "mapped_file",
    "dirty",
    "writeback",
    "swap",
    "pgpgin",
    "pgpgout",
    "pgfault",
    "pgmajfault",
    "inactive_anon",
    "active_anon",
    "inactive_file",
    "active_file",
    "unevictable",
    "hierarchical_memory_limit",
];

/// What the groups are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    First,
    Second,
    Files,
}

/// They go with this value.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) form: Form,
    /// Where an agent finds `docker/<id>`.
    root: TempDir,
    /// The kernel's folders of them.
    bases: Vec<PathBuf>,
}

impl Groups {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut groups = Groups { form: Form::Files, root: tempfile::tempdir()?, bases: vec![] };
        let two = Path::new(KERNEL).join("cgroup.controllers").exists();
        let made = if two { groups.of_the_second() } else { groups.of_the_first() };
        if made.is_err() {
            groups.remove();
            groups.form = Form::Files;
            for controller in CONTROLLERS {
                fs::create_dir_all(groups.root().join(controller))?;
            }
        }
        Ok(groups)
    }

    fn of_the_first(&mut self) -> io::Result<()> {
        self.form = Form::First;
        for controller in CONTROLLERS {
            let base = Path::new(KERNEL).join(controller).join(NAME);
            self.bases.push(base.clone());
            fs::create_dir_all(base.join("docker"))?;
            // Another user's folder may stand there already.
            let probe = base.join("docker").join("probe");
            fs::create_dir_all(&probe)?;
            fs::remove_dir(&probe)?;
            symlink(base, self.root().join(controller))?;
        }
        Ok(())
    }

    fn of_the_second(&mut self) -> io::Result<()> {
        self.form = Form::Second;
        let base = Path::new(KERNEL).join(NAME);
        self.bases.push(base.clone());
        fs::create_dir_all(base.join("docker"))?;
        for folder in [Path::new(KERNEL), &base, &base.join("docker")] {
            fs::write(folder.join("cgroup.subtree_control"), "+memory +cpu")?;
        }
        symlink(base.join("docker"), self.root().join("docker"))
    }

    /// What an agent is told to be the folder of all groups.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Makes the group of a container that may use half a core.
    pub(crate) fn add(&self, id: &str) -> anyhow::Result<()> {
        let at = |controller: &str| self.root().join(controller).join("docker").join(id);
        let made = match self.form {
            Form::First | Form::Files => CONTROLLERS.into_iter().try_for_each(|controller| {
                fs::create_dir_all(at(controller))?;
                match self.form {
                    Form::Files => write(controller, &at(controller)),
                    Form::First | Form::Second => Ok(()),
                }
            }),
            Form::Second => fs::create_dir_all(self.root().join("docker").join(id)),
        };
        made.with_context(|| format!("the group of {id}"))?;
        let limits = match self.form {
            Form::First | Form::Files => [
                (at("memory").join("memory.limit_in_bytes"), MEMORY_BYTES.to_string()),
                (at("cpu").join("cpu.cfs_quota_us"), "50000".to_owned()),
            ],
            Form::Second => {
                let folder = self.root().join("docker").join(id);
                [
                    (folder.join("memory.max"), MEMORY_BYTES.to_string()),
                    (folder.join("cpu.max"), "50000 100000".to_owned()),
                ]
            }
        };
        for (file, text) in limits {
            fs::write(&file, text).with_context(|| file.display().to_string())?;
        }
        Ok(())
    }

    /// The files of a group that say what it used.
    pub(crate) fn files(&self, id: &str) -> [PathBuf; 3] {
        let at = |controller: &str| self.root().join(controller).join("docker").join(id);
        match self.form {
            Form::First | Form::Files => [
                at("memory").join("memory.usage_in_bytes"),
                at("memory").join("memory.stat"),
                at("cpuacct").join("cpuacct.usage"),
            ],
            Form::Second => {
                let folder = self.root().join("docker").join(id);
                ["memory.current", "memory.stat", "cpu.stat"].map(|name| folder.join(name))
            }
        }
    }

    fn remove(&mut self) {
        for base in self.bases.drain(..) {
            for group in fs::read_dir(base.join("docker")).into_iter().flatten().flatten() {
                // Files in there are the kernel's; a group without processes goes as an empty folder does.
                drop(fs::remove_dir(group.path()));
            }
            drop(fs::remove_dir(base.join("docker")));
            drop(fs::remove_dir(&base));
        }
        for controller in CONTROLLERS {
            drop(fs::remove_file(self.root.path().join(controller)));
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.remove();
    }
}

/// What stands in the files of one controller.
fn write(controller: &str, folder: &Path) -> io::Result<()> {
    let files: &[(&str, String)] = match controller {
        "memory" => {
            &[("memory.usage_in_bytes", "8192000\n".to_owned()), ("memory.stat", statistics())]
        }
        "cpuacct" => &[("cpuacct.usage", "123456789012\n".to_owned())],
        _ => &[("cpu.cfs_period_us", "100000\n".to_owned())],
    };
    files.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
}

fn statistics() -> String {
    let own = STATISTICS.iter().map(|name| format!("{name} 8192000\n"));
    let all = STATISTICS.iter().map(|name| format!("total_{name} 8192000\n"));
    own.chain(all).collect()
}
