//! Tests of the shipped rules and of what is looked up in them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;

fn rules() -> Reference {
    Reference::builtin().unwrap_or_else(|error| panic!("{error}"))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A file of the collection beside the repository, or `None` with a printed line.
fn shared(path: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: no {}", path.display());
    }
    bytes
}

#[test]
fn shipped_rules_are_valid_and_name_their_sources() {
    let rules = rules();
    assert!(rules.entries().len() > 400, "{}", rules.entries().len());
    let kinds: BTreeSet<&str> = rules.entries().iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds.len(), SHIPPED.iter().map(|shipped| shipped.kinds.len()).sum::<usize>());
    assert!(Date::parse(&rules.version()).is_some());
    assert_eq!(rules.sha256().len(), 64);
    assert_eq!(rules.sha256(), self::rules().sha256());
}

#[test]
fn go_hosts_of_the_contract_are_known() {
    let rules = rules();
    for name in [
        "proxy.golang.org",
        "sum.golang.org",
        "sum.golang.google.cn",
        "golang.org",
        "go.dev",
        "dl.google.com",
        "storage.googleapis.com",
        "goproxy.cn",
        "goproxy.io",
        "mirrors.aliyun.com",
        "github.com",
        "gitlab.com",
        "bitbucket.org",
        "gopkg.in",
    ] {
        assert!(rules.is_go_host(name), "{name}");
    }
    for name in ["example.com", "www.google.com", "notgithub.com", "golang.org.evil.example", ""] {
        assert!(!rules.is_go_host(name), "{name}");
    }
}

#[test]
fn the_most_specific_host_entry_counts() {
    let rules = rules();
    assert_eq!(rules.host("Proxy.Golang.ORG.").map(|host| host.role), Some(Role::ModuleProxy));
    assert_eq!(rules.host("blog.golang.org").map(|host| host.name.as_str()), Some("*.golang.org"));
    assert_eq!(rules.host("raw.githubusercontent.com").map(|host| host.operator.as_str()), Some("github"));
    assert_eq!(rules.host("a.b.storage.googleapis.com").map(|host| host.role), Some(Role::Storage));
    assert!(rules.host("com").is_none() && rules.host("").is_none() && rules.host("..").is_none());
}

#[test]
fn operators_are_found_by_address_and_name() {
    let rules = rules();
    assert_eq!(rules.operator_of(ip("142.250.74.113")), Some("google"));
    assert_eq!(rules.operator_of(ip("2607:f8b0:4004:c1b::8d")), Some("google"));
    assert_eq!(rules.operator_of(ip("::ffff:142.250.74.113")), Some("google"));
    assert_eq!(rules.operator_of(ip("140.82.121.4")), Some("github"));
    // A single address of GitHub's inside Microsoft's ranges.
    assert_eq!(rules.operator_of(ip("20.205.243.166")), Some("github"));
    assert_eq!(rules.operator_of(ip("20.205.243.167")), Some("microsoft"));
    assert_eq!(rules.operator_of(ip("31.13.64.7")), Some("meta"));
    assert_eq!(rules.operator_of(ip("192.0.2.1")), None);
    assert_eq!(rules.operator_of(ip("0.0.0.0")), None);
    assert_eq!(rules.operator_of(ip("255.255.255.255")), None);
    assert_eq!(rules.operator_of(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")), None);
    assert_eq!(rules.ranges_of("facebook").map(|ranges| ranges.operator.as_str()), Some("meta"));
}

#[test]
fn ranges_speak_only_where_they_are_complete() {
    let rules = rules();
    assert_eq!(rules.in_operator_ranges("proxy.golang.org", ip("142.250.74.113")), Some(true));
    assert_eq!(rules.in_operator_ranges("proxy.golang.org", ip("93.46.8.89")), Some(false));
    assert_eq!(rules.in_operator_ranges("dl.google.com", ip("120.253.253.33")), None);
    assert_eq!(rules.in_operator_ranges("github.com", ip("20.205.243.166")), Some(true));
    assert_eq!(rules.in_operator_ranges("github.com", ip("93.46.8.89")), None);
    assert_eq!(rules.in_operator_ranges("goproxy.cn", ip("93.46.8.89")), None);
    assert_eq!(rules.in_operator_ranges("example.com", ip("93.46.8.89")), None);
}

#[test]
fn range_ends_are_inside_and_their_neighbours_outside() {
    let prefixes: Vec<_> = ["10.0.0.0/24", "10.0.1.0/24", "10.0.1.7/32", "10.0.3.0/24", "::/128", "255.255.255.255/32"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let ranges = Ranges::new("x", &prefixes);
    for inside in ["10.0.0.0", "10.0.1.255", "10.0.3.0", "10.0.3.255", "::", "255.255.255.255"] {
        assert!(ranges.contains(ip(inside)), "{inside}");
    }
    for outside in ["9.255.255.255", "10.0.2.0", "10.0.4.0", "::1", "255.255.255.254", "0.0.0.0"] {
        assert!(!ranges.contains(ip(outside)), "{outside}");
    }
}

#[test]
fn special_addresses_by_their_rfc() {
    use Special::*;
    let rules = rules();
    for (address, expected) in [
        ("0.0.0.0", Some(Unspecified)),
        ("0.1.2.3", Some(ThisNetwork)),
        ("127.0.0.53", Some(Loopback)),
        ("10.1.2.3", Some(Private)),
        ("172.15.255.255", None),
        ("172.16.0.0", Some(Private)),
        ("172.31.255.255", Some(Private)),
        ("172.32.0.0", None),
        ("192.168.1.1", Some(Private)),
        ("169.254.169.254", Some(LinkLocal)),
        ("100.63.255.255", None),
        ("100.64.0.1", Some(Shared)),
        ("100.127.255.255", Some(Shared)),
        ("192.0.2.1", Some(Documentation)),
        ("203.0.113.9", Some(Documentation)),
        ("198.17.255.255", None),
        ("198.18.0.5", Some(Benchmarking)),
        ("198.19.255.255", Some(Benchmarking)),
        ("192.0.0.8", Some(Protocol)),
        ("224.0.0.251", Some(Multicast)),
        ("240.0.0.1", Some(Reserved)),
        ("243.185.187.39", Some(Reserved)),
        ("255.255.255.255", Some(Broadcast)),
        ("142.250.74.113", None),
        ("::", Some(Unspecified)),
        ("::1", Some(Loopback)),
        ("::2", Some(Reserved)),
        ("fe80::1", Some(LinkLocal)),
        ("fd00::1", Some(Private)),
        ("fec0::ffff", Some(Private)),
        ("ff02::fb", Some(Multicast)),
        ("2001:db8::1", Some(Documentation)),
        ("3fff::1", Some(Documentation)),
        ("2001::1", Some(Teredo)),
        ("2001:4860:4860::8888", None),
        ("2607:f8b0::8d", None),
        ("100::1", Some(Discard)),
        ("4000::1", Some(Reserved)),
        ("64:ff9b::8efa:4a71", None),
        ("64:ff9b::7f00:1", Some(Loopback)),
        ("64:ff9b::a00:1", Some(Private)),
        ("64:ff9b:1::1", Some(Private)),
        ("2002:8efa:4a71::1", None),
        ("2002:a00:1::1", Some(Private)),
        ("::ffff:127.0.0.1", Some(Loopback)),
        ("::ffff:142.250.74.113", None),
    ] {
        assert_eq!(rules.special(ip(address)), expected, "{address}");
    }
}

#[test]
fn poison_block_pages_and_sinkholes_are_known() {
    let rules = rules();
    let kind = |address: &str| rules.known_bad(ip(address)).map(|known| known.kind);
    assert_eq!(kind("93.46.8.89"), Some(BadKind::Poison));
    assert_eq!(kind("31.13.64.7"), Some(BadKind::Poison));
    assert_eq!(kind("2a03:2880:f130:83:face:b00c:0:25de"), Some(BadKind::Poison));
    assert_eq!(kind("146.112.61.106"), Some(BadKind::BlockPage));
    assert_eq!(kind("::ffff:146.112.61.106"), Some(BadKind::BlockPage));
    assert_eq!(kind("61.191.206.4"), Some(BadKind::NxdomainLanding));
    assert_eq!(kind("143.215.130.200"), Some(BadKind::Sinkhole));
    assert_eq!(kind("142.250.74.113"), None);
    assert_eq!(rules.known_bad(ip("10.10.34.35")).and_then(|known| known.country.as_deref()), Some("IR"));
    assert_eq!(rules.known_bad_name("X.hit-block.opendns.com.").map(|known| known.kind), Some(BadKind::BlockPage));
    assert!(rules.known_bad_name("www.opendns.com").is_none() && rules.known_bad_name("").is_none());
}

#[test]
fn a_pool_says_nothing_against_its_owner() {
    let rules = rules();
    assert!(rules.known_bad_for("proxy.golang.org", ip("31.13.64.7")).is_some());
    assert!(rules.known_bad_for("unheard-of.example", ip("31.13.64.7")).is_some());
    assert!(rules.known_bad_for("www.facebook.com", ip("31.13.64.7")).is_none());
}

#[test]
fn no_bad_address_lies_in_the_ranges_of_go_hosts() {
    let rules = rules();
    let mut count = 0;
    for (prefix, known) in rules.known.prefixes() {
        count += 1;
        for end in [prefix.network(), prefix.broadcast()] {
            let operator = rules.operator_of(end);
            assert!(
                !matches!(operator, Some("google" | "github" | "fastly")),
                "{end} of {} is {operator:?}",
                known.pool
            );
        }
    }
    assert!(count > 900, "{count}");
}

#[test]
fn public_resolvers_by_address_and_name() {
    let rules = rules();
    assert_eq!(rules.public_resolver(ip("8.8.8.8")).map(|resolver| resolver.filters), Some(false));
    assert_eq!(rules.public_resolver(ip("9.9.9.9")).map(|resolver| resolver.filters), Some(true));
    assert_eq!(rules.public_resolver(ip("45.90.28.17")).map(|resolver| resolver.name.as_str()), Some("nextdns"));
    assert_eq!(rules.public_resolver(ip("2606:4700:4700::1111")).map(|r| r.name.as_str()), Some("cloudflare"));
    assert!(rules.public_resolver(ip("192.168.1.1")).is_none());
    assert_eq!(rules.encrypted_resolver("DNS.google").map(|resolver| resolver.name.as_str()), Some("google"));
    assert_eq!(rules.encrypted_resolver("doh.pub").map(|resolver| resolver.name.as_str()), Some("dnspod"));
    assert!(rules.encrypted_resolver("proxy.golang.org").is_none());
}

#[test]
fn interceptors_by_issuer() {
    let rules = rules();
    for (issuer, vendor) in [
        ("CN=FG100FTK20012345,O=Fortinet", "Fortinet FortiGate"),
        ("CN=FG3K6C3A15800001,OU=Certificate Authority,L=Sunnyvale", "Fortinet FortiGate"),
        ("CN=FortiGate60E CA,O=Acme", "Fortinet FortiGate"),
        ("CN=Zscaler Intermediate Root CA (zscalertwo.net) (t)\\ ,OU=Zscaler Inc.,O=Zscaler Inc.", "Zscaler"),
        ("CN=ca.acme.goskope.com,OU=0123456789abcdef0123456789abcdef", "Netskope"),
        ("CN=Cisco Umbrella Secondary SubCA fra-SG,O=Cisco", "Cisco Umbrella"),
        ("O=Blue Coat SG900 Series,CN=10.1.1.1", "Blue Coat / Symantec ProxySG"),
        ("CN=McAfee Web Gateway", "McAfee / Skyhigh Web Gateway"),
        ("CN=Kaspersky Anti-Virus Personal Root Certificate,O=AO Kaspersky Lab", "Kaspersky"),
        ("CN=mitmproxy,O=mitmproxy", "mitmproxy"),
        ("CN=PortSwigger CA,OU=PortSwigger CA,O=PortSwigger", "Burp Suite"),
        ("CN=DO_NOT_TRUST_FiddlerRoot,O=DO_NOT_TRUST,OU=Created by http://www.fiddler2.com", "Fiddler"),
        ("CN=Gateway CA - Cloudflare Managed G1,O=Cloudflare\\, Inc.", "Cloudflare Gateway"),
        ("CN=ESET SSL Filter CA,O=ESET\\, spol. s r. o.", "ESET"),
        ("CN=avast! Web/Mail Shield Root,O=avast! Web/Mail Shield", "Avast / AVG"),
        ("CN=Sophos SSL CA_C01001ABCDEF123,O=Sophos", "Sophos"),
        ("CN=Acme SSL Inspection CA,O=Acme", "A generic inspection authority"),
    ] {
        assert_eq!(rules.interceptor(issuer).map(|interceptor| interceptor.vendor.as_str()), Some(vendor), "{issuer}");
    }
    for issuer in [
        "",
        "CN=WR2,O=Google Trust Services,C=US",
        "CN=R10,O=Let's Encrypt,C=US",
        "CN=Acme Private Root,O=Acme",
        "CN=Cloudflare Inc ECC CA-3,O=Cloudflare\\, Inc.",
        "CN=fgeneral,O=Figures",
        "CN=DigiCert Global G2",
        "C=avast",
        "CN=Squidward Ltd Root",
    ] {
        assert!(rules.interceptor(issuer).is_none(), "{issuer}");
    }
}

#[test]
fn no_public_authority_looks_like_an_interceptor() {
    let rules = rules();
    assert!(rules.intermediates().len() > 1_700);
    for intermediate in rules.intermediates().iter() {
        for name in [intermediate.name(), crate::certificate::rfc4514(&intermediate.issuer_der).unwrap()] {
            assert!(!name.is_empty());
            assert_eq!(rules.interceptor(&name).map(|interceptor| &interceptor.vendor), None, "{name}");
        }
    }
    for root in webpki_roots::TLS_SERVER_ROOTS {
        // A trust anchor's subject is the content of the name's SEQUENCE.
        let mut der = vec![0x30, 0x82];
        der.extend(u16::try_from(root.subject.len()).unwrap().to_be_bytes());
        der.extend(root.subject.as_ref());
        let name = crate::certificate::rfc4514(&der).unwrap();
        assert_eq!(rules.interceptor(&name).map(|interceptor| &interceptor.vendor), None, "{name}");
    }
}

#[test]
fn pages_are_told_apart() {
    let rules = rules();
    let mark = |page: PageView<'_>| rules.page_mark(&page).map(|mark| (mark.kind, mark.who.clone()));
    let body = |body: &'static str| PageView { status: 403, body: body.as_bytes(), ..PageView::default() };
    assert_eq!(mark(body("<html>… POWERED BY FortiGuard …")), Some((PageKind::BlockPage, "Fortinet".to_owned())));
    let title = "<html><TITLE lang=en>McAfee Web Gateway - Notification - Blocked</TITLE>";
    assert_eq!(mark(body(title)), Some((PageKind::BlockPage, "McAfee Web Gateway".to_owned())));
    assert_eq!(mark(body("a page about McAfee Web Gateway - Notification")), None);
    let headers = [("Location", "https://Gateway.Zscaler.net:443/auD?origurl=x")];
    let redirect = PageView { status: 302, headers: &headers, ..PageView::default() };
    assert_eq!(mark(redirect), Some((PageKind::BlockPage, "Zscaler".to_owned())));
    let squid = [("Server", "squid/5.7"), ("X-Squid-Error", "ERR_ACCESS_DENIED 0")];
    let denied = PageView { status: 403, headers: &squid, ..PageView::default() };
    assert_eq!(mark(denied).map(|(kind, _)| kind), Some(PageKind::BlockPage));
    let failed = PageView { status: 503, headers: &squid[..1], ..PageView::default() };
    assert_eq!(mark(failed).map(|(kind, _)| kind), Some(PageKind::ProxyError));
    assert_eq!(
        mark(PageView { status: 511, ..PageView::default() }).map(|(kind, _)| kind),
        Some(PageKind::CaptivePortal)
    );
    let portal =
        PageView { status: 302, location: Some("http://securelogin.arubanetworks.com/x"), ..PageView::default() };
    assert_eq!(mark(portal).map(|(kind, _)| kind), Some(PageKind::CaptivePortal));
    for innocent in ["not found: module github.com/a/b: no matching versions", "{\"Version\":\"v1.0.0\"}", "", "<title"]
    {
        assert_eq!(mark(body(innocent)), None, "{innocent}");
    }
}

#[test]
fn an_innocent_page_is_convicted_only_by_header_or_redirect() {
    let rules = rules();
    let text = b"Cloudflare Ray ID: 1 ... Powered By FortiGuard";
    let page = PageView { status: 403, body: text, ..PageView::default() };
    assert!(rules.page_mark(&page).is_none());
    assert!(rules.innocent_page(&page).is_some());
    let headers = [("Location", "https://gateway.zscaler.net/")];
    assert!(rules.page_mark(&PageView { headers: &headers, ..page }).is_some());
}

#[test]
fn the_policy_is_that_of_the_file() {
    use crate::types::Span;
    let policy = rules().policy().clone();
    assert_eq!(policy.ttl_distance, 3);
    assert_eq!(policy.duplicate_window, Span::from_millis(2));
    assert_eq!(policy.dns_window, Span::from_seconds(10));
    assert!((policy.rst_early_ratio - 0.9).abs() < 1e-9);
}

#[test]
fn shipped_intermediates_are_found_by_their_issuer_name() {
    let rules = rules();
    let all = rules.intermediates();
    let wr2 = all.iter().find(|known| known.name() == "CN=WR2,O=Google Trust Services,C=US").expect("GTS WR2");
    assert!(all.by_subject(&wr2.subject_der).any(|known| known == wr2));
    assert!(all.by_subject(&wr2.subject_der).all(|known| known.subject_der == wr2.subject_der));
    assert_eq!(all.by_sha256(&wr2.sha256), Some(wr2));
    assert_eq!(all.by_subject(b"").count(), 0);
    assert_eq!(all.by_subject(&[0xff; 9]).count(), 0);
    assert!(wr2.not_before < wr2.not_after && wr2.spki_der.len() > 90 && wr2.key_id.len() == 20);
}

#[test]
fn the_shipped_bundle_fits_its_description() {
    let sum: String =
        ring::digest::digest(&SHA256, SHIPPED_BUNDLE).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let text = SHIPPED.iter().find(|shipped| shipped.name == "intermediates.toml").unwrap().text;
    assert!(text.contains(&sum) && text.contains(&format!("count = {}", rules().intermediates().len())));
}

/// With `BLESS=1` the bundle is made again.
#[test]
fn the_shipped_bundle_comes_from_the_public_list() {
    let Some(pem) = shared("reference/tls/MozillaIntermediateCerts.pem") else { return };
    let packed = intermediates::compact(&pem).unwrap();
    let made = Intermediates::decode(&packed).unwrap();
    if std::env::var_os("BLESS").is_some() {
        let source = "Mozilla's intermediate preload list (CCADB, CDLA-Permissive-2.0), by atc0005/intermediates";
        let text = import::bundle(&packed, made.len(), source, Date::parse("2026-08-08").unwrap());
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules");
        let comment =
            "# Public intermediates: subject, issuer, key and dates of each, packed by `goprobe rules update`.\n\n";
        std::fs::write(folder.join("intermediates.toml"), format!("{comment}{text}")).unwrap();
        std::fs::write(folder.join(BUNDLE), &packed).unwrap();
        return;
    }
    assert!(made.iter().eq(rules().intermediates().iter()));
}

#[test]
fn hostile_bundles_are_refused() {
    assert!(Intermediates::decode(SHIPPED_BUNDLE).is_some());
    assert!(Intermediates::decode(b"").is_none());
    assert!(Intermediates::decode(b"GPI1").is_none());
    assert!(Intermediates::decode(&SHIPPED_BUNDLE[..SHIPPED_BUNDLE.len() / 2]).is_none());
    for payload in [&[0xff; 4][..], &[0, 0, 0, 1, 0, 9], &[0, 0, 0, 0, 7], &[]] {
        let mut bytes = b"GPI1".to_vec();
        bytes.extend(zstd::bulk::compress(payload, 1).unwrap());
        assert!(Intermediates::decode(&bytes).is_none(), "{payload:?}");
    }
    assert!(intermediates::compact(b"no certificate").is_err());
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn load(&self) -> Result<Reference, RulesError> {
        Reference::with_overlay(self.0.path())
    }

    fn mistakes(&self) -> Vec<String> {
        match self.load() {
            Err(RulesError::Mistakes(mistakes)) => mistakes
                .iter()
                .map(|mistake| {
                    let file = Path::new(&mistake.file).file_name().unwrap().to_string_lossy();
                    format!("{file}:{}:{}: {}", mistake.line, mistake.column, mistake.message)
                })
                .collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_overlay_adds_and_replaces() {
    let overlay = Folder::new(&[
        ("README.md", "not rules"),
        (
            "hosts.toml",
            "schema = 1\n[[host]]\nname = \"goproxy.corp.example\"\noperator = \"corp\"\nrole = \"module_proxy\"\n\
             ranges = \"complete\"\nsource = \"us\"\nchecked = 2027-01-02\n\
             [[host]]\nname = \"github.com\"\noperator = \"corp\"\nrole = \"vcs\"\nranges = \"none\"\n\
             source = \"us\"\nchecked = 2027-01-02\n",
        ),
        (
            "ranges.toml",
            "schema = 1\n[[operator]]\nname = \"corp\"\ntitle = \"Corp\"\nprefixes = [\"10.44.0.0/16\"]\n\
             source = \"us\"\nchecked = 2027-01-02\n",
        ),
        (
            "policy.toml",
            "schema = 1\n[[threshold]]\nname = \"ttl_distance\"\nvalue = 5\nmeaning = \"x\"\nsource = \"us\"\n\
             checked = 2027-01-02\n",
        ),
        (
            "issuers.toml",
            "schema = 1\n[[interceptor]]\nvendor = \"Ours\"\nkind = \"appliance\"\no = [\"fortinet\"]\nsource = \"us\"\n\
             checked = 2027-01-02\n",
        ),
    ]);
    let rules = overlay.load().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rules.in_operator_ranges("goproxy.corp.example", ip("10.44.0.8")), Some(true));
    assert_eq!(rules.in_operator_ranges("goproxy.corp.example", ip("10.45.0.8")), Some(false));
    assert_eq!(rules.host("github.com").map(|host| host.operator.as_str()), Some("corp"));
    assert_eq!(rules.policy().ttl_distance, 5);
    assert_eq!(rules.policy().dns_ttl_distance, self::rules().policy().dns_ttl_distance);
    assert_eq!(rules.interceptor("CN=x,O=Fortinet").map(|interceptor| interceptor.vendor.as_str()), Some("Ours"));
    assert_eq!(rules.version(), "2027-01-02");
    assert_ne!(rules.sha256(), self::rules().sha256());
    assert!(rules.is_go_host("proxy.golang.org"));
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_places() {
    let overlay = Folder::new(&[
        (
            "hosts.toml",
            "schema = 2\n[[host]]\nname = \"Goproxy.corp\"\noperator = 7\nrole = \"proxy\"\nranges = \"none\"\n\
             colour = \"red\"\nchecked = \"2027-01-02\"\n[[hosts]]\n\
             [[host]]\nname = \"a.example\"\noperator = \"nobody\"\nrole = \"vcs\"\nranges = \"complete\"\n\
             source = \"us\"\nchecked = 2027-02-30\n",
        ),
        ("ranges.toml", "schema = 1\n[[operator]]\nname = \"corp\nprefixes = [\"10.0.0.0/33\"]\n"),
        (
            "policy.toml",
            "schema = 1\n[[threshold]]\nname = \"rst_early_ratio\"\nvalue = 9\nmeaning = \"\"\nsource = \"us\"\nchecked = 2027-01-02\n[[threshold]]\nname = \"tll\"\nvalue = true\nmeaning = \"\"\nsource = \"\"\nchecked = 2027-01-02\n",
        ),
        (
            "special.toml",
            "[[special]]\nprefix = \"10.0.0.0/8\"\nkind = \"odd\"\nsource = \"us\"\nchecked = 2027-01-02\n[[special]]\nprefix = \"10.0.0.0/8\"\nkind = \"private\"\nsource = \"us\"\nchecked = 2027-01-02\n",
        ),
        ("other.toml", ""),
        ("issuers.toml", "schema = 1\ninterceptor = 3\n"),
        ("intermediates.bin", "rubbish"),
    ]);
    let mistakes = overlay.mistakes();
    for expected in [
        "hosts.toml:1:10: schema must be 1",
        "hosts.toml:2:1: `source` is missing in [[host]]",
        "hosts.toml:3:8: `Goproxy.corp` in `name` is not a host name in lower case, or *.suffix",
        "hosts.toml:4:12: `operator` must be a text",
        "hosts.toml:5:8: `proxy` is no `role`; known are",
        "hosts.toml:7:1: unknown key `colour` in [[host]]",
        "hosts.toml:8:11: `checked` must be a date",
        "hosts.toml:9:3: unknown key `hosts`; known are schema, host",
        "hosts.toml:16:11: `checked` must be a date",
        "ranges.toml:3:",
        "policy.toml:2:1: 9 is no value for `rst_early_ratio`",
        "policy.toml:8:1: `source` is empty",
        "policy.toml:8:1: `tll` is no threshold",
        "policy.toml:10:9: `value` must be a number",
        "special.toml:1:1: no schema = 1",
        "special.toml:3:8: `odd` is no `kind`",
        "special.toml:6:1: `10.0.0.0/8` is here twice",
        "other.toml:1:1: no rules file; known are hosts.toml",
        "issuers.toml:2:15: `interceptor` must be written [[interceptor]]",
        "intermediates.bin:1:1: not a bundle",
    ] {
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(expected)), "{expected}\n{}", mistakes.join("\n"));
    }
    let text = overlay.load().unwrap_err().to_string();
    assert!(text.starts_with(&format!("{} mistakes in the rules\n", mistakes.len())), "{text}");
}

#[test]
fn ranges_that_a_host_relies_on_must_exist() {
    let overlay = Folder::new(&[(
        "hosts.toml",
        "schema = 1\n\n[[host]]\nname = \"a.example\"\noperator = \"nobody\"\nrole = \"vcs\"\nranges = \"complete\"\n\
         source = \"us\"\nchecked = 2027-02-03\n",
    )]);
    assert_eq!(overlay.mistakes(), ["hosts.toml:3:1: operator `nobody` has no ranges; write ranges = \"none\""]);
}

#[test]
fn a_missing_folder_is_named() {
    let error = Reference::with_overlay(Path::new("/nonexistent/rules")).unwrap_err();
    assert_eq!(error.to_string(), "read /nonexistent/rules");
}

#[test]
fn honest_answers_of_a_case_count_for_this_case() {
    let text = r#"{"schema": "goprobe-reference/1", "names": {
        "proxy.golang.org": {"rcode": "NOERROR", "A": ["203.0.113.7", "93.46.8.89"]}, "lost.example": {"rcode": "SERVFAIL"}},
        "ranges": {"google": ["142.250.0.0/15"], "goproxy.cn": ["61.160.0.0/16"], "corp": ["10.44.0.0/16"], "gcp": ["34.0.0.0/8"]}}"#;
    let rules = rules().with_honest(HonestAnswers::parse(text).unwrap());
    assert_eq!(rules.honest_address("Proxy.golang.org", ip("203.0.113.7")), Some(true));
    assert_eq!(rules.honest_address("proxy.golang.org", ip("142.250.74.113")), Some(false));
    assert_eq!(rules.honest_address("sum.golang.org", ip("142.250.74.113")), None);
    assert_eq!(rules.honest_address("lost.example", ip("142.250.74.113")), None);
    assert!(rules.honest_name("lost.example").is_some());
    assert!(rules.known_bad_for("proxy.golang.org", ip("93.46.8.89")).is_none());
    assert!(rules.known_bad_for("sum.golang.org", ip("93.46.8.89")).is_some());
    assert_eq!(rules.operator_of(ip("10.44.0.8")), Some("corp"));
    assert_eq!(rules.in_operator_ranges("goproxy.cn", ip("61.160.1.2")), Some(true));
    assert_eq!(rules.in_operator_ranges("goproxy.cn", ip("93.46.8.89")), Some(false));
    assert_eq!(rules.ranges_of("google").map(|ranges| ranges.title.as_str()), Some("Google"));
}

#[test]
fn ranges_of_a_case_replace_the_shipped_ones() {
    let text = r#"{"schema": "goprobe-reference/1", "ranges": {"google": ["142.250.0.0/15"]}}"#;
    let rules = rules().with_honest(HonestAnswers::parse(text).unwrap());
    assert_eq!(rules.in_operator_ranges("proxy.golang.org", ip("172.217.160.81")), Some(false));
    assert_eq!(rules.in_operator_ranges("proxy.golang.org", ip("142.251.1.1")), Some(true));
    assert_eq!(rules.operator_of(ip("172.217.160.81")), None);
}

#[test]
fn reference_files_of_the_scenarios_are_read() {
    let scenarios = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/scenarios");
    let Ok(folders) = std::fs::read_dir(&scenarios) else {
        println!("skipped: no {}", scenarios.display());
        return;
    };
    for folder in folders {
        let path = folder.unwrap().path().join("reference.json");
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let honest = HonestAnswers::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(honest.asked.is_some() && honest.sumdb_key.is_some());
        let rules = rules().with_honest(honest);
        assert_eq!(rules.in_operator_ranges("sum.golang.org", ip("142.250.1.1")), Some(true));
    }
}

#[test]
fn lists_of_the_publishers_become_rules() {
    let day = Date::parse("2026-11-22").unwrap();
    let goog = r#"{"syncToken": "1", "prefixes": [{"ipv4Prefix": "8.8.4.0/24"}, {"ipv6Prefix": "2001:4860::/32"}]}"#;
    let cloud = r#"{"prefixes": [{"ipv4Prefix": "8.8.5.0/24", "service": "Google Cloud", "scope": "x"}]}"#;
    let google = import::google(&[goog, cloud], day).unwrap();
    assert!(google.contains("\"8.8.4.0/23\"") && google.contains("checked = 2026-11-22"), "{google}");
    let meta =
        r#"{"git": ["140.82.112.0/20", "2a0a:a440::/29"], "actions": ["4.148.0.0/16"], "web": ["140.82.112.0/20"]}"#;
    let github = import::github(meta, day).unwrap();
    assert!(github.contains("140.82.112.0/20") && !github.contains("4.148"), "{github}");
    for text in [&google, &github] {
        let rules = Folder::new(&[("ranges.toml", text)]).load().unwrap_or_else(|error| panic!("{error}"));
        assert!(rules.ranges_of("google").is_some() && rules.ranges_of("github").is_some());
    }
    assert!(import::google(&["{}"], day).is_err() && import::google(&["<html>"], day).is_err());
    assert!(import::github("{\"git\": []}", day).is_err());
}
