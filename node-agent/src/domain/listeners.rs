//! What listens inside a container, read from the kernel's tables of its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the engine answers names inside a container.
const ENGINE_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
/// `TCP_LISTEN`, as the kernel writes it.
const LISTEN: &str = "0A";

/// The listening sockets of a text of `/proc/<pid>/net/tcp` or `tcp6`, sorted; the engine's own left out.
pub fn parse(table: &str) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = table.lines().skip(1).filter_map(listening).collect();
    found.retain(|socket| socket.ip() != ENGINE_DNS);
    found.sort_unstable();
    found.dedup();
    found
}

fn listening(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next()?;
    let state = fields.nth(1)?;
    if state != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    Some(SocketAddr::new(ip(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// The kernel writes addresses as 32-bit words in the byte order of the machine.
fn ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if text.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let words = [word(0)?, word(1)?, word(2)?, word(3)?];
    let bytes: [u8; 16] = words.concat().try_into().ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(bytes)))
}

/// Whether something listens on the port for callers from outside the container.
pub(crate) fn answers(listeners: &[SocketAddr], port: u16) -> bool {
    listeners.iter().any(|socket| socket.port() == port && !socket.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr\n";

    fn parsed(lines: &[&str]) -> Vec<String> {
        let table = format!("{HEAD}{}", lines.join("\n"));
        parse(&table).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn listening_sockets_are_found() {
        let listening = parsed(&[
            "   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000 10001",
            "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 10001",
            "   2: 0B00007F:A0B1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0",
            "   3: 020012AC:1F90 010012AC:C350 01 00000000:00000000 00:00000000 00000000 10001",
        ]);
        assert_eq!(listening, ["0.0.0.0:8080", "127.0.0.1:5000"]);
    }

    #[test]
    fn sockets_of_the_newer_protocol_are_found_too() {
        let any = "   0: 00000000000000000000000000000000:1F90 \
                   00000000000000000000000000000000:0000 0A 0";
        let loopback = "   1: 00000000000000000000000001000000:0BB8 \
                        00000000000000000000000000000000:0000 0A 0";
        assert_eq!(parsed(&[any, loopback]), ["[::]:8080", "[::1]:3000"]);
    }

    #[test]
    fn a_socket_for_the_container_itself_does_not_answer_others() {
        let listeners = ["127.0.0.1:8080", "[::1]:8080", "0.0.0.0:9090"];
        let listeners = listeners.map(|text| text.parse().unwrap());
        assert!(!answers(&listeners, 8080));
        assert!(answers(&listeners, 9090));
    }

    #[test]
    fn what_is_no_table_has_no_listeners() {
        assert!(parse("").is_empty());
        assert!(parse("x\ny z\n0: 00 0A").is_empty());
    }
}
