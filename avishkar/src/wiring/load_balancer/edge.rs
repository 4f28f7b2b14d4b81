//! Which edge: the platform's own, which takes a table, or a stock nginx, which takes plain files.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapters::edge::{EdgeSettings, FilesEdge, FilesSettings, NginxEdge};
use chassis::config::Problem;
use common::port::{Edge, EdgeCertificates};
use load_balancer::config::RawEdge;
use serde::{Deserialize, Serialize};

/// `[nginx]`: the edge that serves the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNginx {
    kind: Kind,
    /// The folder of `table.json`.
    table_folder: PathBuf,
    /// The folder of `control.sock` and `access.log`.
    run_folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// The image of the edge, on volumes shared with it.
    Table,
    /// An nginx of this machine, by `[nginx_files]`.
    Files,
}

/// `[nginx_files]`: a stock nginx of this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFiles {
    conf_folder: PathBuf,
    access_log: PathBuf,
    test: Vec<String>,
    reload: Vec<String>,
    listen: IpAddr,
    host_port: u16,
    control_port: u16,
    names_hash_bucket: u16,
    reload_every_ms: u64,
}

/// The edge as it is meant.
#[derive(Debug, Clone)]
pub(super) struct Meant {
    pub(super) table_folder: PathBuf,
    pub(super) run_folder: PathBuf,
    files: Option<FilesSettings>,
}

impl Meant {
    pub(super) fn shows_certificates(&self) -> bool {
        self.files.is_none()
    }
}

/// All problems at once.
pub(super) fn resolve(
    nginx: RawNginx,
    files: RawFiles,
    edge: &RawEdge,
) -> Result<Meant, Vec<Problem>> {
    let RawNginx { kind, table_folder, run_folder } = nginx;
    let files = match kind {
        Kind::Table => None,
        Kind::Files => Some(meant(files, edge)?),
    };
    Ok(Meant { table_folder, run_folder, files })
}

fn meant(files: RawFiles, edge: &RawEdge) -> Result<FilesSettings, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut wrong = |is_wrong: bool, key: &str, why: &str| {
        if is_wrong {
            problems.push(Problem::new(&format!("nginx_files.{key}"), why));
        }
    };
    wrong(!files.conf_folder.is_absolute(), "conf_folder", "is not an absolute path");
    wrong(
        !is_plain(&files.access_log),
        "access_log",
        "is not an absolute path of letters, digits, - . _ and /",
    );
    wrong(files.test.is_empty(), "test", "must have a program");
    wrong(files.reload.is_empty(), "reload", "must have a program");
    let range = edge.first_port..=edge.last_port;
    let of_its_own = |port: u16| port != 0 && !range.contains(&port);
    wrong(!of_its_own(files.host_port), "host_port", "must be a port, and none of [edge]'s");
    let is_apart = of_its_own(files.control_port) && files.control_port != files.host_port;
    wrong(!is_apart, "control_port", "must be a port, none of [edge]'s and not host_port");
    let bucket = files.names_hash_bucket;
    wrong(
        bucket != 0 && !bucket.is_power_of_two(),
        "names_hash_bucket",
        "must be 0 or a power of 2",
    );
    wrong(files.reload_every_ms > 60_000, "reload_every_ms", "must be at most 60000");
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(FilesSettings {
        conf_folder: files.conf_folder,
        access_log: files.access_log,
        test: files.test,
        reload: files.reload,
        listen: files.listen,
        first_port: edge.first_port,
        last_port: edge.last_port,
        host_port: files.host_port,
        control_port: files.control_port,
        names_hash_bucket: (bucket != 0).then_some(bucket),
        reload_every: Duration::from_millis(files.reload_every_ms),
    })
}

/// It stands in nginx's files, where other characters may have a meaning.
fn is_plain(path: &Path) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/-._".contains(character);
    path.is_absolute() && path.to_str().is_some_and(|text| text.chars().all(plain))
}

/// Needs a tokio runtime.
pub(super) fn connect(meant: Meant) -> (Arc<dyn Edge>, Arc<dyn EdgeCertificates>) {
    match meant.files {
        None => {
            let settings = EdgeSettings::new(meant.table_folder, meant.run_folder);
            let edge = Arc::new(NginxEdge::new(settings));
            (Arc::<NginxEdge>::clone(&edge), edge)
        }
        Some(settings) => {
            let edge = Arc::new(FilesEdge::new(settings));
            (Arc::<FilesEdge>::clone(&edge), edge)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults with some lines of `[nginx_files]` otherwise.
    fn problems(changes: &[(&str, toml::Value)]) -> Vec<String> {
        let defaults = include_str!("../../../../config/load-balancer.toml");
        let mut file: toml::Table = toml::from_str(defaults).unwrap();
        let section = file["nginx_files"].as_table_mut().unwrap();
        for (key, value) in changes {
            section.insert((*key).to_owned(), value.clone());
        }
        let part = |name: &str| file[name].clone();
        let mut nginx: RawNginx = part("nginx").try_into().unwrap();
        assert_eq!(nginx.kind, Kind::Table);
        nginx.kind = Kind::Files;
        let files = part("nginx_files").try_into().unwrap();
        let edge = part("edge").try_into().unwrap();
        let found = resolve(nginx, files, &edge).err().unwrap_or_default();
        found.iter().map(|problem| format!("{problem:?}")).collect()
    }

    #[test]
    fn the_defaults_are_those_of_a_stock_nginx_and_fit() {
        assert_eq!(problems(&[]), Vec::<String>::new());
    }

    #[test]
    fn what_nginx_could_not_be_told_is_refused() {
        let wrong: [(&str, toml::Value); 8] = [
            ("conf_folder", "conf.d".into()),
            ("access_log", "/var/log/x; include /etc/passwd".into()),
            ("test", toml::Value::Array(Vec::new())),
            ("reload", toml::Value::Array(Vec::new())),
            ("host_port", 2000.into()),
            ("control_port", 0.into()),
            ("names_hash_bucket", 100.into()),
            ("reload_every_ms", 60_001.into()),
        ];
        for (key, value) in &wrong {
            let found = problems(&[(key, value.clone())]);
            assert!(found.len() == 1 && found[0].contains(key), "{key}: {found:?}");
        }
        assert_eq!(problems(&wrong).len(), wrong.len());
    }
}
