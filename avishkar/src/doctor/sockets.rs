//! Who listens on this machine: the kernel's tables of sockets, and which process has which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// The tables, for both protocols.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// `TCP_LISTEN`, as the kernel writes it.
const LISTEN: &str = "0A";

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) name: String,
    pub(super) id: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.id)
    }
}

/// Every socket that listens.
pub(super) fn listeners() -> Vec<SocketAddr> {
    tables().flat_map(|text| node_agent::listening_sockets(&text)).collect()
}

/// Who listens on these ports, as far as this user may see it.
pub(super) fn holders(ports: &BTreeSet<u16>) -> BTreeMap<u16, Holder> {
    let sockets: BTreeMap<String, u16> =
        tables().flat_map(|text| sockets(&text)).filter(|(_, port)| ports.contains(port)).collect();
    let mut holders = BTreeMap::new();
    if sockets.is_empty() {
        return holders;
    }
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let folder = process.path();
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for port in open_sockets(&folder).filter_map(|socket| sockets.get(&socket)) {
            let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            holders.insert(*port, Holder { name: name.trim_end().to_owned(), id });
        }
    }
    holders
}

fn tables() -> impl Iterator<Item = String> {
    TABLES.iter().filter_map(|table| fs::read_to_string(table).ok())
}

/// The sockets of a table that listen, as a process's open files name them, and their ports.
fn sockets(table: &str) -> Vec<(String, u16)> {
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = fields.get(1)?.split_once(':')?;
        let listens = fields.get(3)? == &LISTEN;
        let port = u16::from_str_radix(port, 16).ok()?;
        listens.then_some((format!("socket:[{}]", fields.get(9)?), port))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

fn open_sockets(process: &Path) -> impl Iterator<Item = String> {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()?.to_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_is_known_by_name_and_id() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(listeners().contains(&address));
        let holders = holders(&BTreeSet::from([address.port()]));
        let holder = &holders[&address.port()];
        assert_eq!(holder.id, std::process::id());
        assert!(holder.to_string().starts_with(&holder.name) && !holder.name.is_empty());
    }

    #[test]
    fn only_what_listens_is_looked_for() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F4A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 x\n\
            1: 0100007F:1F4A 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 x\n\
            2: nonsense\n";
        assert_eq!(sockets(table), [("socket:[4711]".to_owned(), 8010)]);
        assert!(holders(&BTreeSet::new()).is_empty());
    }
}
