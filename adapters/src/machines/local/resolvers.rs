//! Which name servers a machine in a container can ask: this computer's own, but none that only it can reach.

use std::net::IpAddr;

/// Where they stand; behind a stub on a loopback address stand the real ones.
const FILES: [&str; 3] = [
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
];

/// The name servers of this computer that its containers can reach; none if there are none.
pub fn resolvers_of_this_computer() -> Vec<IpAddr> {
    let texts = FILES.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    texts.map(|text| reachable(&text)).find(|found| !found.is_empty()).unwrap_or_default()
}

fn reachable(text: &str) -> Vec<IpAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse::<IpAddr>().ok())?
    });
    named.filter(|address| address.is_ipv4() && !address.is_loopback()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_on_a_loopback_address_is_none_for_others() {
        let text =
            "# x\nsearch a\nnameserver 127.0.0.53\nnameserver 192.0.2.1 # y\nnameserver ::1\n";
        assert_eq!(reachable(text), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert!(reachable("nameserver\nnameserver x\n").is_empty());
    }
}
