//! resolv.conf as the go command reads it (Go: `src/net/dnsconfig_unix.go`, `dnsReadConfig`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::types::Span;

/// How many nameserver lines go heeds.
const SERVERS: usize = 3;
const PORT: u16 = 53;

/// The resolvers and how go asks them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolvConf {
    /// Whom go asks, in this order. Without any `nameserver` line: the loopback addresses.
    pub servers: Vec<SocketAddr>,
    /// No `nameserver` line could be used.
    pub is_default: bool,
    /// Search domains, lower-case, without trailing dot.
    pub search: Vec<String>,
    /// `timeout`: how long go waits for one answer.
    pub timeout: Span,
    /// `attempts`: how often it goes through the list.
    pub attempts: u32,
    /// `use-vc`: over TCP from the start.
    pub use_tcp: bool,
    /// `trust-ad`: the AD bit of an answer is believed.
    pub trust_ad: bool,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: vec![
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT),
                SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), PORT),
            ],
            is_default: true,
            search: Vec::new(),
            timeout: Span::from_seconds(5),
            attempts: 2,
            use_tcp: false,
            trust_ad: false,
        }
    }
}

impl ResolvConf {
    /// Reads a file's text. What go does not understand, it passes over; so does this.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut read = Self::default();
        let mut servers = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with([';', '#'])) {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if servers.len() < SERVERS => servers.extend(words.next().and_then(server)),
                Some("domain") => read.search = words.next().and_then(domain).into_iter().collect(),
                Some("search") => read.search = words.filter_map(domain).collect(),
                Some("options") => words.for_each(|option| read.option(option)),
                _ => {}
            }
        }
        if !servers.is_empty() {
            read.servers = servers;
            read.is_default = false;
        }
        read
    }

    fn option(&mut self, option: &str) {
        let number = |text: &str| text.parse::<u32>().unwrap_or(0);
        if let Some(seconds) = option.strip_prefix("timeout:") {
            self.timeout = Span::from_seconds(number(seconds).clamp(1, 30).into());
        } else if let Some(attempts) = option.strip_prefix("attempts:") {
            self.attempts = number(attempts).clamp(1, 5);
        } else {
            match option {
                "use-vc" | "usevc" | "tcp" => self.use_tcp = true,
                "trust-ad" => self.trust_ad = true,
                _ => {}
            }
        }
    }
}

/// An address, that of IPv6 with an optional numeric zone.
fn server(text: &str) -> Option<SocketAddr> {
    let (address, zone) = text.split_once('%').unwrap_or((text, ""));
    match address.parse().ok()? {
        IpAddr::V6(v6) => Some(SocketAddrV6::new(v6, PORT, 0, zone.parse().unwrap_or(0)).into()),
        v4 @ IpAddr::V4(_) => zone.is_empty().then_some(SocketAddr::new(v4, PORT)),
    }
}

fn domain(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    (!name.is_empty()).then_some(name)
}

/// The addresses that a hosts file gives a name (hosts(5); Go: src/net/hosts.go): they go before DNS.
#[must_use]
pub fn in_hosts_file(text: &str, name: &str) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(address) = words.next().and_then(|word| word.split('%').next()?.parse().ok()) else { continue };
        let named = words.any(|word| word.strip_suffix('.').unwrap_or(word).eq_ignore_ascii_case(name));
        if named && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_servers_count() {
        let read = ResolvConf::parse(
            "; comment\n# nameserver 9.9.9.9\nnameserver 192.168.1.1\nnameserver fe80::1%3\nnameserver resolver.example\n\
             nameserver 8.8.8.8\nnameserver 1.1.1.1\n",
        );
        let servers: Vec<String> = read.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.168.1.1:53", "[fe80::1%3]:53", "8.8.8.8:53"]);
        assert!(!read.is_default);
    }

    #[test]
    fn without_a_server_go_asks_the_loopback() {
        for text in ["", "search corp.example\n", "nameserver\n", "nameserver dns.example\n"] {
            let read = ResolvConf::parse(text);
            assert!(read.is_default, "{text:?}");
            assert_eq!(read.servers[0].to_string(), "127.0.0.1:53");
        }
    }

    #[test]
    fn the_last_of_domain_and_search_counts() {
        let read = ResolvConf::parse("domain One.example.\nsearch a.example . B.example\n");
        assert_eq!(read.search, ["a.example", "b.example"]);
        assert_eq!(ResolvConf::parse("search a b\ndomain c\n").search, ["c"]);
    }

    #[test]
    fn options_are_clamped_and_unknown_ones_passed_over() {
        let read = ResolvConf::parse("options timeout:0 attempts:99999 use-vc trust-ad edns0 rotate\n");
        assert_eq!((read.timeout, read.attempts, read.use_tcp, read.trust_ad), (Span::from_seconds(1), 5, true, true));
        let odd = ResolvConf::parse("options timeout:-3 attempts:x\n");
        assert_eq!((odd.timeout, odd.attempts), (Span::from_seconds(1), 1));
    }

    #[test]
    fn a_hosts_file_may_give_a_name_several_addresses() {
        let text = "127.0.0.1 localhost\n10.0.0.9 Proxy.golang.org # ::2 proxy.golang.org\n::1%lo other proxy.golang.org.\nx y\n";
        let of = |name| in_hosts_file(text, name).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of("proxy.golang.org"), ["10.0.0.9", "::1"]);
        assert!(of("golang.org").is_empty());
    }
}
