//! Every code about a chain that was seen, with what looks like it and is innocent.

mod refused;
mod unseen;

use super::*;
use crate::certificate::Roots;
use crate::certificate::testing::Authority;
use crate::finding::{Confidence, Fault, Finding, Severity};
use crate::testing::{Scene, record};
use rcgen::{SerialNumber, date_time_ymd};

pub(super) const PROXY: &str = "proxy.golang.org";
pub(super) const PROXY_AT: &str = "142.250.74.113:443";
pub(super) const GITHUB: &str = "github.com";
pub(super) const GITHUB_AT: &str = "140.82.112.3:443";
const PSH: u16 = 8;
const FIN: u16 = 1;
const BAD_CERTIFICATE: u8 = 42;

/// What the client does about the server's flight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Accepts,
    Rejects,
    Alerts(u8),
    Leaves,
}

/// A scene whose public roots are this authority's.
fn scene(root: &Authority) -> Scene {
    let mut scene = Scene::new();
    let reference = std::mem::replace(&mut scene.reference, Reference::builtin().unwrap());
    scene.reference = reference.with_roots(root.trusted());
    scene
}

/// A TLS 1.2 handshake with this chain.
pub(super) fn tls12(scene: &mut Scene, host: &str, at: &str, chain: &[&Certificate], client: Client) {
    let mut tcp = scene.connect(at);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, host);
    scene.after_ms(30);
    let chain: Vec<&[u8]> = chain.iter().map(|certificate| &*certificate.der).collect();
    scene.tls12_flight(&mut tcp, &chain);
    match client {
        Client::Accepts => {
            let key = record(22, &[&[16, 0, 0, 33][..], &[32; 33]].concat());
            scene.client_sends(&mut tcp, PSH, &[key, record(20, &[1]), record(22, &[7; 40])].concat());
            scene.after_ms(30);
            scene.server_sends(&mut tcp, PSH, &[record(20, &[1]), record(22, &[8; 40])].concat());
            scene.client_sends(&mut tcp, PSH, &record(23, &[9; 200]));
        }
        Client::Rejects => scene.client_sends(&mut tcp, PSH, &record(21, &[2, BAD_CERTIFICATE])),
        Client::Alerts(description) => scene.client_sends(&mut tcp, PSH, &record(21, &[2, description])),
        Client::Leaves => {}
    }
    scene.client_sends(&mut tcp, FIN, &[]);
    scene.after_ms(30);
    scene.server_sends(&mut tcp, FIN, &[]);
}

pub(super) fn assessed(scene: &Scene) -> Assessment {
    assess(&scene.case(), &scene.reference)
}

pub(super) fn codes(scene: &Scene) -> Vec<&'static str> {
    assessed(scene).found.iter().map(|finding| finding.code.id()).collect()
}

pub(super) fn only(scene: &Scene) -> Finding {
    let mut found = assessed(scene).found;
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|finding| finding.code.id()).collect::<Vec<_>>());
    found.remove(0)
}

/// What one chain for [`PROXY`] gives when the client rejects it.
fn rejected(root: &Authority, chain: &[&Certificate]) -> Vec<&'static str> {
    let mut scene = scene(root);
    tls12(&mut scene, PROXY, PROXY_AT, chain, Client::Rejects);
    codes(&scene)
}

fn accepted(root: &Authority, chain: &[&Certificate]) -> Vec<&'static str> {
    let mut scene = scene(root);
    tls12(&mut scene, PROXY, PROXY_AT, chain, Client::Accepts);
    codes(&scene)
}

struct Public {
    root: Authority,
    issuing: Authority,
    leaf: Certificate,
}

fn public() -> Public {
    let root = Authority::root("Public Root");
    let issuing = root.authority("Public Issuing", |_| {});
    let leaf = issuing.leaf(&[PROXY], |_| {});
    Public { root, issuing, leaf }
}

#[test]
fn good_chains_of_every_shape_are_silent() {
    let Public { root, issuing, leaf } = public();
    let direct = root.leaf(&[PROXY], |_| {});
    let wildcard = issuing.leaf(&["*.golang.org"], |_| {});
    let several = issuing.leaf(&["golang.org", PROXY], |_| {});
    let chains: [&[&Certificate]; 5] = [
        &[&leaf, &issuing.certificate],
        &[&leaf, &issuing.certificate, &root.certificate],
        &[&direct],
        &[&wildcard, &issuing.certificate],
        &[&several, &issuing.certificate],
    ];
    for (number, chain) in chains.into_iter().enumerate() {
        assert_eq!(accepted(&root, chain), Vec::<&str>::new(), "chain {number}");
    }
}

#[test]
fn a_cross_signed_chain_is_silent() {
    let Public { root, issuing, leaf } = public();
    let young = Authority::root("Young Root");
    let under = young.authority("Under Young", |_| {});
    let leaf_of_young = under.leaf(&[PROXY], |_| {});
    let crossed = root.cross_sign(&young);
    assert_eq!(accepted(&root, &[&leaf_of_young, &under.certificate, &crossed]), Vec::<&str>::new());
    let old = Authority::root("Old Root, not trusted any more");
    let crossed = old.cross_sign(&issuing);
    let found = accepted(&root, &[&leaf, &issuing.certificate, &crossed]);
    assert!(found.is_empty() || found == ["cert.superfluous_certificate"], "{found:?}");
}

#[test]
fn a_missing_intermediate_is_named_where_another_server_sends_it() {
    let Public { root, issuing, leaf } = public();
    let mut scene = scene(&root);
    tls12(&mut scene, PROXY, PROXY_AT, &[&leaf], Client::Rejects);
    let other = issuing.leaf(&[GITHUB], |_| {});
    tls12(&mut scene, GITHUB, GITHUB_AT, &[&other, &issuing.certificate], Client::Accepts);
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::CertMissingIntermediate, Fault::Server));
    assert_eq!(finding.confidence(), Confidence::Proven);
    assert!(finding.summary.contains("CN=Public Issuing"), "{}", finding.summary);
    assert_eq!(finding.subject.host.as_deref(), Some(PROXY));
}

#[test]
fn wrong_order_and_superfluous_certificates_are_low_remarks() {
    let Public { root, issuing, leaf } = public();
    let second = issuing.authority("Public Issuing 2", |_| {});
    let deep = second.leaf(&[PROXY], |_| {});
    let stranger = Authority::root("Somebody else");
    let expired = root.authority("Old", |params| params.not_after = date_time_ymd(2021, 1, 1));
    for (chain, code) in [
        (vec![&deep, &issuing.certificate, &second.certificate], "cert.misordered_chain"),
        (vec![&leaf, &issuing.certificate, &stranger.certificate], "cert.superfluous_certificate"),
        (vec![&leaf, &expired.certificate, &issuing.certificate], "cert.superfluous_certificate"),
    ] {
        let mut scene = scene(&root);
        tls12(&mut scene, PROXY, PROXY_AT, &chain, Client::Accepts);
        let finding = only(&scene);
        assert_eq!((finding.code.id(), finding.severity, finding.fault), (code, Severity::Low, Fault::Harmless));
    }
}

#[test]
fn dates_are_judged_at_the_time_of_the_recording() {
    let Public { root, issuing, .. } = public();
    let expired = issuing.leaf(&[PROXY], |params| params.not_after = date_time_ymd(2026, 11, 20));
    let future = issuing.leaf(&[PROXY], |params| params.not_before = date_time_ymd(2026, 11, 24));
    // Valid at the recording's 2026-11-22, whatever the date of the judgement.
    let brief = issuing.leaf(&[PROXY], |params| {
        params.not_before = date_time_ymd(2026, 11, 21);
        params.not_after = date_time_ymd(2026, 11, 23);
    });
    assert_eq!(rejected(&root, &[&expired, &issuing.certificate]), ["cert.expired"]);
    assert_eq!(rejected(&root, &[&future, &issuing.certificate]), ["cert.not_yet_valid"]);
    assert_eq!(accepted(&root, &[&brief, &issuing.certificate]), Vec::<&str>::new());
}

#[test]
fn an_expired_intermediate_is_the_servers_and_said_to_be_it() {
    let root = Authority::root("Public Root");
    let old = root.authority("Old Issuing", |params| params.not_after = date_time_ymd(2026, 11, 1));
    let leaf = old.leaf(&[PROXY], |_| {});
    let mut scene = scene(&root);
    tls12(&mut scene, PROXY, PROXY_AT, &[&leaf, &old.certificate], Client::Rejects);
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::CertExpired, Fault::Server));
    assert!(finding.summary.contains("intermediate certificate (number 2)"), "{}", finding.summary);
}

#[test]
fn several_servers_that_are_not_yet_valid_are_the_clients_clock() {
    let Public { root, issuing, .. } = public();
    let mut scene = scene(&root);
    for (host, at) in [(PROXY, PROXY_AT), (GITHUB, GITHUB_AT)] {
        let future = issuing.leaf(&[host], |params| params.not_before = date_time_ymd(2026, 11, 30));
        tls12(&mut scene, host, at, &[&future, &issuing.certificate], Client::Rejects);
    }
    let found = assessed(&scene).found;
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|finding| (finding.code, finding.fault) == (Code::CertNotYetValid, Fault::Client)));
}

#[test]
fn the_wrong_name_is_a_mismatch_and_www_does_not_cover_its_parent() {
    let Public { root, issuing, .. } = public();
    for names in [&["www.hosting.example"][..], &["www.proxy.golang.org"], &["*.proxy.golang.org"], &[]] {
        let leaf = issuing.leaf(names, |_| {});
        assert_eq!(rejected(&root, &[&leaf, &issuing.certificate]), ["cert.name_mismatch"], "{names:?}");
    }
}

#[test]
fn a_self_signed_leaf_is_that_and_no_interception() {
    let root = Authority::root("Public Root");
    let own = Authority::root(PROXY);
    assert_eq!(rejected(&root, &[&own.certificate])[0], "cert.name_mismatch");
    let own = self_signed(PROXY);
    assert_eq!(rejected(&root, &[&own]), ["cert.self_signed"]);
}

fn self_signed(host: &str) -> Certificate {
    let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    Certificate::parse(params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der())
}

const PRIVATE: &str = "goproxy.corp.example";
const PRIVATE_AT: &str = "10.44.0.10:443";

fn private_scene(root: &Authority) -> Scene {
    let mut scene = scene(root);
    scene.env(&format!("GOPROXY=https://{PRIVATE}\n"));
    scene
}

#[test]
fn a_private_authority_is_unknown_only_where_the_client_does_not_trust_it() {
    let (public, corp) = (Authority::root("Public Root"), Authority::root("Corp Root"));
    let leaf = corp.leaf(&[PRIVATE], |_| {});
    let chain = [&leaf, &corp.certificate];
    let mut scene = private_scene(&public);
    tls12(&mut scene, PRIVATE, PRIVATE_AT, &chain, Client::Rejects);
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::CertUnknownAuthority, Fault::Client));
    assert_eq!(finding.confidence(), Confidence::Strong);
    // Trusted by the client: nothing above low.
    let mut scene = private_scene(&public);
    tls12(&mut scene, PRIVATE, PRIVATE_AT, &chain, Client::Accepts);
    assert!(assessed(&scene).found.iter().all(|finding| finding.severity <= Severity::Low));
    // Held as a public root (`--ca`): nothing at all.
    let mut scene = private_scene(&public);
    let roots = Roots::mozilla().with_pem(&corp.certificate.der).unwrap();
    let reference = std::mem::replace(&mut scene.reference, Reference::builtin().unwrap());
    scene.reference = reference.with_roots(roots);
    tls12(&mut scene, PRIVATE, PRIVATE_AT, &chain, Client::Accepts);
    assert_eq!(codes(&scene), Vec::<&str>::new());
}

fn interceptor(organization: &str, name: &str) -> Authority {
    let root = Authority::root("unused");
    let mut made = root.authority(name, |params| {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, organization);
    });
    made.certificate = Authority::self_signed(&made);
    made
}

#[test]
fn a_product_named_in_a_private_issuer_is_interception() {
    let root = Authority::root("Public Root");
    for (organization, name) in
        [("Fortinet", "FG100FTK20012345"), ("Zscaler Inc.", "Zscaler Root CA"), ("netSkope Inc", "ca.corp.goskope.com")]
    {
        let box_ = interceptor(organization, name);
        let leaf = box_.leaf(&[PROXY], |_| {});
        for chain in [&[&leaf, &box_.certificate][..], &[&leaf]] {
            let mut scene = scene(&root);
            tls12(&mut scene, PROXY, PROXY_AT, chain, Client::Rejects);
            let finding = only(&scene);
            assert_eq!((finding.code, finding.fault), (Code::CertInterception, Fault::Interference), "{organization}");
            assert!(finding.confidence() >= Confidence::Strong && finding.severity == Severity::High);
        }
    }
}

#[test]
fn interception_that_the_client_trusts_stands_at_medium_and_hinders_nobody() {
    let root = Authority::root("Public Root");
    let box_ = interceptor("Zscaler Inc.", "Zscaler Root CA");
    let leaf = box_.leaf(&[PROXY], |_| {});
    let mut scene = scene(&root);
    tls12(&mut scene, PROXY, PROXY_AT, &[&leaf, &box_.certificate], Client::Accepts);
    let finding = only(&scene);
    assert_eq!(
        (finding.code, finding.severity, finding.fault),
        (Code::CertInterception, Severity::Medium, Fault::Harmless)
    );
}

#[test]
fn a_vendors_word_in_a_public_chain_or_in_the_vendors_own_leaf_is_no_interception() {
    let root = Authority::root("Public Root");
    let issuing = root.authority("Symantec Endpoint Protection Class 3", |params| {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Fortinet");
    });
    let leaf = issuing.leaf(&[PROXY], |params| {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Cisco Umbrella");
    });
    assert_eq!(accepted(&root, &[&leaf, &issuing.certificate]), Vec::<&str>::new());
    let corp = Authority::root("Corp Root");
    let leaf = corp.leaf(&[PRIVATE], |params| {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Fortinet");
    });
    let mut scene = private_scene(&root);
    tls12(&mut scene, PRIVATE, PRIVATE_AT, &[&leaf, &corp.certificate], Client::Rejects);
    assert_eq!(codes(&scene), ["cert.unknown_authority"]);
}

#[test]
fn one_unknown_authority_for_several_operators_is_proven_interception() {
    let (root, box_) = (Authority::root("Public Root"), Authority::root("Corp Inspection"));
    let mut scene = scene(&root);
    for (host, at) in [(PROXY, PROXY_AT), (GITHUB, GITHUB_AT)] {
        let leaf = box_.leaf(&[host], |_| {});
        tls12(&mut scene, host, at, &[&leaf, &box_.certificate], Client::Rejects);
    }
    let found = assessed(&scene).found;
    assert_eq!(found.len(), 2);
    for finding in found {
        assert_eq!((finding.code, finding.confidence()), (Code::CertInterception, Confidence::Proven));
    }
}

#[test]
fn inside_connect_interception_is_the_proxys_policy() {
    let (root, box_) = (Authority::root("Public Root"), interceptor("Zscaler Inc.", "Zscaler Root CA"));
    let leaf = box_.leaf(&[PROXY], |_| {});
    let mut scene = scene(&root);
    let mut tcp = scene.connect("10.0.0.8:3128");
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, PSH, b"CONNECT proxy.golang.org:443 HTTP/1.1\r\nHost: proxy.golang.org:443\r\n\r\n");
    scene.server_sends(&mut tcp, PSH, b"HTTP/1.1 200 Connection established\r\n\r\n");
    scene.hello(&mut tcp, PROXY);
    scene.tls12_flight(&mut tcp, &[&leaf.der, &box_.certificate.der]);
    scene.client_sends(&mut tcp, PSH, &record(21, &[2, BAD_CERTIFICATE]));
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::CertInterception, Fault::ProxyPolicy));
    assert_eq!(finding.subject.address, None);
}

#[test]
fn what_go_refuses_in_a_good_chain_is_named() {
    let Public { root, issuing, leaf } = public();
    let negative = issuing.resign(&leaf, |tbs| {
        // tbsCertificate: SEQUENCE header, version, then the serial number's content.
        let serial = tbs.windows(3).position(|window| window == [0xa0, 3, 2]).unwrap() + 5;
        tbs[serial + 2] |= 0x80;
    });
    assert_eq!(rejected(&root, &[&negative, &issuing.certificate]), ["cert.negative_serial"]);
    let twenty = issuing.leaf(&[PROXY], |params| params.serial_number = Some(SerialNumber::from_slice(&[0x7f; 20])));
    assert_eq!(accepted(&root, &[&twenty, &issuing.certificate]), Vec::<&str>::new());
}

#[test]
fn a_good_chain_that_the_client_rejects_is_a_client_without_roots() {
    let Public { root, issuing, leaf } = public();
    let chain = [&leaf, &issuing.certificate];
    let mut blind = scene(&root);
    blind.env("SSL_CERT_FILE=/nonexistent/ca.crt\n");
    tls12(&mut blind, PROXY, PROXY_AT, &chain, Client::Rejects);
    let finding = only(&blind);
    assert_eq!(
        (finding.code, finding.fault, finding.confidence()),
        (Code::CertNoTrustStore, Fault::Client, Confidence::Strong)
    );
    // It trusts another public root: it lacks this one only.
    let other = Authority::root("Other Public Root");
    let roots = root.trusted().with_pem(&other.certificate.der).unwrap();
    let reference = std::mem::replace(&mut blind.reference, Reference::builtin().unwrap());
    blind.reference = reference.with_roots(roots);
    let github = other.leaf(&[GITHUB], |_| {});
    tls12(&mut blind, GITHUB, GITHUB_AT, &[&github], Client::Accepts);
    assert_eq!(codes(&blind), ["cert.unknown_authority"]);
}

#[test]
fn a_client_that_gives_up_for_another_reason_accuses_no_chain() {
    let Public { root, issuing, leaf } = public();
    let chain = [&leaf, &issuing.certificate];
    for client in [Client::Leaves, Client::Alerts(90), Client::Alerts(80), Client::Alerts(47)] {
        let mut scene = scene(&root);
        tls12(&mut scene, PROXY, PROXY_AT, &chain, client);
        assert_eq!(codes(&scene), Vec::<&str>::new());
    }
    let mut other = scene(&root);
    other.log("go: x@v1: Get \"https://proxy.golang.org/x/@v/v1.info\": context deadline exceeded\n");
    tls12(&mut other, PROXY, PROXY_AT, &chain, Client::Rejects);
    assert_eq!(codes(&other), Vec::<&str>::new());
    // Rejected once and accepted by another attempt.
    let mut race = scene(&root);
    tls12(&mut race, PROXY, PROXY_AT, &chain, Client::Rejects);
    tls12(&mut race, PROXY, PROXY_AT, &chain, Client::Accepts);
    assert_eq!(codes(&race), Vec::<&str>::new());
}

#[test]
fn another_go_programs_trouble_is_incidental() {
    let (root, corp) = (Authority::root("Public Root"), Authority::root("Corp Root"));
    let leaf = corp.leaf(&["api.cluster.example"], |_| {});
    let mut scene = scene(&root);
    tls12(&mut scene, "api.cluster.example", "203.0.114.9:443", &[&leaf, &corp.certificate], Client::Rejects);
    assert!(assessed(&scene).found.iter().all(|finding| finding.incidental));
}

#[test]
fn a_chain_cut_by_the_snap_length_is_not_judged() {
    let Public { root, issuing, .. } = public();
    let expired = issuing.leaf(&[PROXY], |params| params.not_after = date_time_ymd(2026, 11, 20));
    let mut scene = scene(&root);
    scene.snap = 300;
    tls12(&mut scene, PROXY, PROXY_AT, &[&expired, &issuing.certificate], Client::Accepts);
    assert_eq!(codes(&scene), Vec::<&str>::new());
}
