//! TCP of this machine's network as the kernel lists it: who listens, and which connections go where.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use common::port::edge::Error;

use super::files::blocking;

const LISTS: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
const LISTENING: u8 = 0x0a;
/// Of a request under way: established, on its way there, and ended by the replica while nginx still reads.
const UNDER_WAY: [u8; 3] = [0x01, 0x02, 0x08];

/// The ports on which something listens, on whatever address.
pub(super) async fn listening() -> Result<BTreeSet<u16>, Error> {
    let rows = rows().await?;
    Ok(rows.iter().filter(|row| row.state == LISTENING).map(|row| row.local.port()).collect())
}

/// How many connections of this machine go to each address.
pub(super) async fn towards() -> Result<BTreeMap<SocketAddr, u64>, Error> {
    let mut counts = BTreeMap::new();
    for row in rows().await? {
        if UNDER_WAY.contains(&row.state) {
            *counts.entry(row.remote).or_default() += 1;
        }
    }
    Ok(counts)
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    state: u8,
}

async fn rows() -> Result<Vec<Row>, Error> {
    blocking(|| {
        let mut rows = Vec::new();
        for list in LISTS {
            match fs::read_to_string(list) {
                Ok(text) => rows.extend(text.lines().filter_map(row)),
                // A kernel without version 6.
                Err(err) if err.kind() == ErrorKind::NotFound => {}
                Err(err) => return Err::<_, io::Error>(err),
            }
        }
        Ok(rows)
    })
    .await
}

/// The head of the list is no row.
fn row(line: &str) -> Option<Row> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    Some(Row { local, remote, state: u8::from_str_radix(fields.next()?, 16).ok()? })
}

/// Words of four bytes, each in the order of this machine's memory.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |index: usize| {
        let digits = ip.get(index * 8..(index + 1) * 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_is_no_row_is_passed_over() {
        assert_eq!(row("  sl  local_address rem_address   st tx_queue rx_queue"), None);
        assert_eq!(row("  0: 0100007F:ZZZZ 00000000:0000 0A"), None);
        assert_eq!(row(""), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn both_kinds_of_addresses_are_read() {
        let four =
            row("  0: 0100007F:07D0 0B0200C0:4E20 01 00000000:00000000 00:00000000").unwrap();
        assert_eq!(four.local.to_string(), "127.0.0.1:2000");
        assert_eq!(four.remote.to_string(), "192.0.2.11:20000");
        assert_eq!(four.state, 1);
        let six = row(
            "  0: 00000000000000000000000001000000:07D0 B80D0120000000000000000001000000:0050 0A",
        );
        let six = six.unwrap();
        assert_eq!(
            (six.local.to_string(), six.remote.to_string()),
            ("[::1]:2000".to_owned(), "[2001:db8::1]:80".to_owned())
        );
        let mapped = row(
            "  0: 0000000000000000FFFF00000100007F:07D0 00000000000000000000000000000000:0000 0A",
        );
        assert_eq!(mapped.unwrap().local.to_string(), "127.0.0.1:2000");
    }

    #[tokio::test]
    async fn a_listener_and_a_connection_to_it_are_seen_and_then_no_more() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        assert!(listening().await.unwrap().contains(&at.port()));
        let connection = TcpStream::connect(at).unwrap();
        assert_eq!(towards().await.unwrap().get(&at), Some(&1));
        drop((connection, listener));
        assert!(!listening().await.unwrap().contains(&at.port()));
        assert_eq!(towards().await.unwrap().get(&at), None);
    }
}
