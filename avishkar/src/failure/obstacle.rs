//! What keeps the platform from starting on this machine: each with a stable code, a page in
//! `docs/errors/`, and an exit code of its own.

use std::io::ErrorKind;
use std::path::Path;

use adapters::docker::Unusable;
use adapters::embedded;
use chassis::http::BindError;
use common::port::Cause;

use super::Failure;

/// One bad day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    DockerAbsent,
    DockerForbidden,
    DockerTooOld,
    DockerDiskFull,
    PortInUse,
    FolderInUse,
    FolderNewer,
    FolderDamaged,
    FolderNotWritable,
    FolderDiskFull,
    ClusterRuns,
    SystemdAbsent,
    PlatformElsewhere,
    EdgeNameTaken,
    StoreReplaced,
    FolderFailed,
    NotReady,
}

impl Obstacle {
    /// The one of this code.
    pub(crate) fn named(code: &str) -> Option<Self> {
        Obstacle::ALL.into_iter().find(|obstacle| obstacle.code() == code)
    }

    pub(crate) const ALL: [Obstacle; 17] = [
        Obstacle::DockerAbsent,
        Obstacle::DockerForbidden,
        Obstacle::DockerTooOld,
        Obstacle::DockerDiskFull,
        Obstacle::PortInUse,
        Obstacle::FolderInUse,
        Obstacle::FolderNewer,
        Obstacle::FolderDamaged,
        Obstacle::FolderNotWritable,
        Obstacle::FolderDiskFull,
        Obstacle::ClusterRuns,
        Obstacle::SystemdAbsent,
        Obstacle::PlatformElsewhere,
        Obstacle::EdgeNameTaken,
        Obstacle::StoreReplaced,
        Obstacle::FolderFailed,
        Obstacle::NotReady,
    ];

    /// Stable, as the table in `docs/exit-codes.md` has it.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Obstacle::DockerAbsent => 10,
            Obstacle::DockerForbidden => 11,
            Obstacle::DockerTooOld => 12,
            Obstacle::DockerDiskFull => 13,
            Obstacle::PortInUse => 14,
            Obstacle::FolderInUse => 15,
            Obstacle::FolderNewer => 16,
            Obstacle::FolderDamaged => 17,
            Obstacle::FolderNotWritable => 18,
            Obstacle::FolderDiskFull => 19,
            Obstacle::ClusterRuns => 20,
            Obstacle::SystemdAbsent => 21,
            Obstacle::PlatformElsewhere => 22,
            Obstacle::EdgeNameTaken => 23,
            Obstacle::StoreReplaced => 24,
            Obstacle::FolderFailed => 25,
            Obstacle::NotReady => 26,
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Obstacle::DockerAbsent => "DOCKER_ABSENT",
            Obstacle::DockerForbidden => "DOCKER_FORBIDDEN",
            Obstacle::DockerTooOld => "DOCKER_TOO_OLD",
            Obstacle::DockerDiskFull => "DOCKER_DISK_FULL",
            Obstacle::PortInUse => "PORT_IN_USE",
            Obstacle::FolderInUse => "FOLDER_IN_USE",
            Obstacle::FolderNewer => "FOLDER_NEWER",
            Obstacle::FolderDamaged => "FOLDER_DAMAGED",
            Obstacle::FolderNotWritable => "FOLDER_NOT_WRITABLE",
            Obstacle::FolderDiskFull => "FOLDER_DISK_FULL",
            Obstacle::ClusterRuns => "CLUSTER_RUNS",
            Obstacle::SystemdAbsent => "SYSTEMD_ABSENT",
            Obstacle::PlatformElsewhere => "PLATFORM_ELSEWHERE",
            Obstacle::EdgeNameTaken => "EDGE_NAME_TAKEN",
            Obstacle::StoreReplaced => "STORE_REPLACED",
            Obstacle::FolderFailed => "FOLDER_FAILED",
            Obstacle::NotReady => "NOT_READY",
        }
    }

    /// The failure that stops a command: what is wrong, and what to do.
    pub(crate) fn failure(self, sentence: impl Into<String>, advice: impl Into<String>) -> Failure {
        let (sentence, advice) = (sentence.into(), advice.into());
        Failure::Obstacle { obstacle: self, sentence, advice, source: None }
    }

    pub(crate) fn because(
        self,
        source: impl Into<Cause>,
        sentence: String,
        advice: impl Into<String>,
    ) -> Failure {
        let (advice, source) = (advice.into(), Some(source.into()));
        Failure::Obstacle { obstacle: self, sentence, advice, source }
    }
}

impl From<Unusable> for Failure {
    fn from(err: Unusable) -> Self {
        const START: &str = "install Docker if it is missing, start it with `sudo systemctl start docker` or `make engine`, then try again";
        const JOIN: &str = "join its group with `sudo usermod -aG docker $USER` and sign in anew, or do this as root";
        let sentence = err.to_string();
        match err {
            Unusable::Absent { source, .. } => {
                Obstacle::DockerAbsent.because(source, sentence, START)
            }
            Unusable::Silent { source, .. } => {
                Obstacle::DockerAbsent.because(source, sentence, START)
            }
            Unusable::Forbidden { source, .. } => {
                Obstacle::DockerForbidden.because(source, sentence, JOIN)
            }
        }
    }
}

impl From<embedded::Error> for Failure {
    fn from(err: embedded::Error) -> Self {
        use embedded::Error as E;
        match err {
            E::InUse { folder, by } => {
                let who =
                    by.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
                Obstacle::FolderInUse.failure(
                    format!("{who} uses the folder {}", folder.display()),
                    "`avishkar down` stops the platform that runs there; --data names another folder",
                )
            }
            E::Newer { folder, found, known } => Obstacle::FolderNewer.failure(
                format!(
                    "{} is of format {found}, and this version knows {known}",
                    folder.display()
                ),
                "start the newer version, or name another folder with --data; nothing was changed",
            ),
            E::Damaged { file, source } => Obstacle::FolderDamaged.because(
                source,
                format!("{} is damaged or gone", file.display()),
                without(&file),
            ),
            E::NotWritable { path, source } => Obstacle::FolderNotWritable.because(
                source,
                format!("{} cannot be written", path.display()),
                "give this user the right to write there, or name another folder with --data",
            ),
            E::DiskFull { path, source } => Obstacle::FolderDiskFull.because(
                source,
                format!("the disk of {} is full", path.display()),
                "make room on it, or name a folder on another disk with --data; nothing is lost",
            ),
            E::Failed { path, source } => Obstacle::FolderFailed.because(
                source,
                format!("{} cannot be used", path.display()),
                "look at its disk, and at what `dmesg` says of it, then start again; nothing was changed",
            ),
            err @ (E::Overloaded { .. } | E::TopicFull { .. } | E::Closed { .. }) => {
                Failure::Folder(err)
            }
        }
    }
}

impl From<BindError> for Failure {
    fn from(err: BindError) -> Self {
        match err {
            BindError::Bind { address, source } if source.kind() == ErrorKind::AddrInUse => {
                let port = address.port();
                let sentence = format!("port {port} of this machine is taken by another program");
                Obstacle::PortInUse.because(source, sentence, who_listens(port))
            }
            err @ (BindError::Bind { .. } | BindError::Tls(_)) => Failure::Listener(err),
        }
    }
}

/// What to do where a file of the folder cannot be used.
fn without(file: &Path) -> String {
    let backup = "put a backup of the whole folder in its place";
    let is_database = file.extension().is_some_and(|extension| extension == "redb");
    match file.parent().filter(|_| is_database) {
        Some(folder) => {
            let accept = accept_restore(folder);
            format!(
                "{backup}, or go on without the file: {accept}; apps go on, nothing was changed"
            )
        }
        None => format!("{backup}; nothing was changed"),
    }
}

/// The command that goes on with what a folder says.
pub(crate) fn accept_restore(folder: &Path) -> String {
    format!("`avishkar up --accept-restore --data {}`", folder.display())
}

/// How to find out who has a port.
pub(crate) fn who_listens(port: u16) -> String {
    format!("find it with `ss -ltnp 'sport = :{port}'` and stop it, then try again")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;

    /// Its code, and what it says.
    fn told(failure: &Failure) -> (&str, String) {
        let code =
            if let Failure::Obstacle { obstacle, .. } = failure { obstacle.code() } else { "" };
        (code, failure.to_string())
    }

    #[test]
    fn each_way_in_which_a_folder_cannot_be_used_has_its_code() {
        let path = || PathBuf::from("state");
        let refused = || io::Error::from(ErrorKind::PermissionDenied);
        let cases = [
            (embedded::Error::InUse { folder: path(), by: Some(7) }, "FOLDER_IN_USE"),
            (embedded::Error::Newer { folder: path(), found: 2, known: 1 }, "FOLDER_NEWER"),
            (embedded::Error::Damaged { file: path(), source: "x".into() }, "FOLDER_DAMAGED"),
            (
                embedded::Error::NotWritable { path: path(), source: refused() },
                "FOLDER_NOT_WRITABLE",
            ),
            (embedded::Error::DiskFull { path: path(), source: refused() }, "FOLDER_DISK_FULL"),
            (embedded::Error::Failed { path: path(), source: "x".into() }, "FOLDER_FAILED"),
            (embedded::Error::Closed { path: path() }, ""),
        ];
        for (err, code) in cases {
            let failure = Failure::from(err);
            assert_eq!(told(&failure).0, code, "{failure}");
            assert!(told(&failure).1.contains("state"), "{failure}");
        }
    }

    #[test]
    fn what_to_do_about_a_damaged_file_is_one_command_unless_only_a_backup_helps() {
        let advice = |file: &str| {
            let Failure::Obstacle { advice, .. } = embedded_damage(file) else { panic!("{file}") };
            advice
        };
        let store = advice("/state/up/store.redb");
        assert!(store.contains("`avishkar up --accept-restore --data /state/up`"), "{store}");
        assert!(!advice("/state/up/format").contains("--accept-restore"));
    }

    fn embedded_damage(file: &str) -> Failure {
        Failure::from(embedded::Error::Damaged { file: file.into(), source: "x".into() })
    }

    #[test]
    fn a_cause_is_told_once() {
        let source = io::Error::from(ErrorKind::NotFound);
        let err = Unusable::Absent { socket: "/run/docker.sock".into(), source };
        let chain = format!("{:#}", anyhow::Error::from(Failure::from(err)));
        let expected =
            "DOCKER_ABSENT: no container engine listens on /run/docker.sock: entity not found";
        assert_eq!(chain, expected);
    }

    #[test]
    fn a_listener_whose_port_is_taken_is_told_from_other_failures() {
        let address = "127.0.0.1:8010".parse().unwrap();
        let taken = BindError::Bind { address, source: ErrorKind::AddrInUse.into() };
        assert_eq!(told(&taken.into()).0, "PORT_IN_USE");
        let other = BindError::Bind { address, source: ErrorKind::PermissionDenied.into() };
        assert_eq!(told(&other.into()).0, "");
    }
}
