use super::fixtures::{OLD_LEAF, OLD_ROOT, P521_LEAF, P521_ROOT};
use super::*;
use crate::certificate::algorithm::Hash;
use crate::certificate::known::{Known, NoneKnown};
use crate::certificate::pem;
use crate::certificate::testing::{Authority, NOW, position};
use crate::types::Span;
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose,
    NameConstraints, date_time_ymd,
};

const HOST: &str = "proxy.golang.org";

/// A root, an intermediate under it and a leaf for [`HOST`] under that.
struct Fixture {
    root: Authority,
    intermediate: Authority,
    leaf: Certificate,
}

impl Fixture {
    fn new() -> Self {
        let root = Authority::root("Root");
        let intermediate = root.authority("Intermediate", |_| {});
        let leaf = intermediate.leaf(&[HOST], |_| {});
        Self { root, intermediate, leaf }
    }

    fn good(&self) -> [&Certificate; 2] {
        [&self.leaf, &self.intermediate.certificate]
    }

    fn judge(&self, chain: &[&Certificate]) -> Judgement {
        judge(chain, Some(HOST), NOW, &self.root.trusted(), &NoneKnown)
    }
}

fn from_pem(text: &str) -> Certificate {
    Certificate::parse(&pem::certificates(text.as_bytes()).unwrap()[0])
}

#[test]
fn a_good_chain_has_nothing_against_it() {
    let fixture = Fixture::new();
    let judgement = fixture.judge(&fixture.good());
    assert_eq!(
        judgement,
        Judgement {
            path: Path::Verified { via: vec![0, 1], root: "CN=Root".into() },
            time: Time::Ok,
            name: NameCheck::Ok,
            order: Order::Ok,
            superfluous: vec![],
            root_included: None,
            refused: vec![],
        }
    );
    assert!(judgement.go_accepts());
    let with_root = [&fixture.leaf, &fixture.intermediate.certificate, &fixture.root.certificate];
    let judgement = fixture.judge(&with_root);
    assert_eq!((judgement.root_included, &judgement.superfluous[..]), (Some(2), &[][..]));
    assert!(judgement.go_accepts());
}

#[test]
fn a_missing_intermediate_is_named_when_it_is_known() {
    let fixture = Fixture::new();
    let (chain, roots) = ([&fixture.leaf], fixture.root.trusted());
    let judgement = judge(&chain, Some(HOST), NOW, &roots, &NoneKnown);
    assert_eq!(
        judgement.path,
        Path::UnknownIssuer {
            via: vec![0],
            issuer: "CN=Intermediate".into(),
            ca_issuers: None,
            akin_root: None,
            public_marks: false
        }
    );
    let seen = [&fixture.intermediate.certificate];
    let judgement = judge(&chain, Some(HOST), NOW, &roots, &&seen[..]);
    let missing = MissingIntermediate {
        name: "CN=Intermediate".into(),
        ca_issuers: None,
        sha256: Some(fixture.intermediate.certificate.sha256),
        valid: true,
    };
    assert_eq!(
        judgement.path,
        Path::VerifiedWithKnown { via: vec![0], missing: vec![missing], root: "CN=Root".into() }
    );
    assert!(!judgement.go_accepts());
}

#[test]
fn marks_of_public_authorities_are_noted_where_the_issuer_is_unknown() {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "Trust Services");
    let root = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let issuer = Authority::root("Elsewhere").authority("Intermediate", |params| {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Trust Services");
    });
    let leaf = issuer.leaf(&[HOST], |params| {
        // certificatePolicies with 2.23.140.1.2.1, authorityInfoAccess with a caIssuers URL
        let policies = [&[0x30, 10, 0x30, 8, 6, 6][..], &[0x67, 0x81, 0x0c, 1, 2, 1]].concat();
        let access = [&[0x30, 20, 0x30, 18, 6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2, 0x86, 6][..], b"http:/"].concat();
        params.custom_extensions = vec![
            CustomExtension::from_oid_content(&[2, 5, 29, 32], policies),
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access),
        ];
    });
    let roots = Roots::none().with_pem(root.der()).unwrap();
    let judgement = judge(&[&leaf], Some(HOST), NOW, &roots, &NoneKnown);
    let Path::UnknownIssuer { ca_issuers, akin_root, public_marks, .. } = judgement.path else {
        panic!("{judgement:?}")
    };
    assert_eq!(ca_issuers.as_deref(), Some("http:/"));
    assert_eq!(akin_root.as_deref(), Some("O=Trust Services,CN=rcgen self signed cert"));
    assert!(public_marks);
}

/// A trusted list of one entry.
struct Listed<'a>(Known<'a>);

impl KnownIntermediates for Listed<'_> {
    fn by_subject<'a>(&'a self, subject_der: &[u8]) -> Vec<Known<'a>> {
        if subject_der == self.0.subject_der { vec![self.0] } else { vec![] }
    }
}

#[test]
fn a_listed_intermediate_needs_a_signature_by_its_key_but_none_on_itself() {
    let fixture = Fixture::new();
    let entry = Known { certificate: None, ..Known::seen(&fixture.intermediate.certificate).unwrap() };
    let judgement = judge(&[&fixture.leaf], Some(HOST), NOW, &fixture.root.trusted(), &Listed(entry));
    assert!(matches!(judgement.path, Path::VerifiedWithKnown { .. }));

    // An interceptor that borrows the listed name: its leaf points at another key.
    let fake = Authority::root("Intermediate");
    let forged = fake.leaf(&[HOST], |_| {});
    let judgement = judge(&[&forged], Some(HOST), NOW, &fixture.root.trusted(), &Listed(entry));
    assert!(matches!(&judgement.path, Path::UnknownIssuer { issuer, .. } if issuer == "CN=Intermediate"));
    // One that also drops the key identifier.
    let forged = fake.leaf(&[HOST], |params| params.use_authority_key_identifier_extension = false);
    let judgement = judge(&[&forged], Some(HOST), NOW, &fixture.root.trusted(), &Listed(entry));
    assert_eq!(judgement.path, Path::BrokenSignature { via: vec![0], at: 0, candidate: "CN=Intermediate".into() });
}

#[test]
fn an_intermediate_seen_elsewhere_is_not_believed_without_a_signature() {
    let fixture = Fixture::new();
    // It claims the root as its issuer, but another key signed it.
    let impostor = Authority::root("Root").authority("Impostor", |_| {});
    let leaf = impostor.leaf(&[HOST], |_| {});
    let seen = [&impostor.certificate];
    let judgement = judge(&[&leaf], Some(HOST), NOW, &fixture.root.trusted(), &&seen[..]);
    assert!(matches!(judgement.path, Path::UnknownIssuer { .. }), "{judgement:?}");
}

#[test]
fn rfc5246_7_4_2_order_is_noted_and_not_refused() {
    let fixture = Fixture::new();
    let second = fixture.intermediate.authority("Second", |_| {});
    let leaf = second.leaf(&[HOST], |_| {});
    let judgement = fixture.judge(&[&leaf, &fixture.intermediate.certificate, &second.certificate]);
    assert_eq!(judgement.order, Order::Misordered);
    assert_eq!(judgement.superfluous, [0_usize; 0]);
    assert!(judgement.go_accepts());
    let judgement = fixture.judge(&[&fixture.leaf, &fixture.root.certificate, &fixture.intermediate.certificate]);
    assert_eq!((judgement.order, judgement.root_included), (Order::Misordered, Some(1)));
    let judgement = fixture.judge(&[&fixture.intermediate.certificate, &fixture.leaf]);
    assert_eq!(judgement.order, Order::LeafNotFirst { leaf: 1 });
    assert!(!judgement.go_accepts());
}

#[test]
fn superfluous_certificates_are_strangers_and_copies() {
    let fixture = Fixture::new();
    let stranger = Authority::root("Stranger").certificate;
    let [leaf, intermediate] = fixture.good();
    let judgement = fixture.judge(&[leaf, &stranger, intermediate, intermediate]);
    assert_eq!(judgement.superfluous, [1, 3]);
    assert_eq!(judgement.order, Order::Ok);
    assert!(judgement.go_accepts());
}

#[test]
fn a_cross_signed_root_is_not_superfluous() {
    let fixture = Fixture::new();
    let old = Authority::root("Gone Root");
    let cross = old.cross_sign(&fixture.root);
    let [leaf, intermediate] = fixture.good();
    let judgement = fixture.judge(&[leaf, intermediate, &cross]);
    assert_eq!(judgement.path, Path::Verified { via: vec![0, 1], root: "CN=Root".into() });
    assert_eq!(judgement.superfluous, [0_usize; 0]);
    // The other way about: only the old root is trusted, and the cross certificate is what leads to it.
    let judgement = judge(&[leaf, intermediate, &cross], Some(HOST), NOW, &old.trusted(), &NoneKnown);
    assert_eq!(judgement.path, Path::Verified { via: vec![0, 1, 2], root: "CN=Gone Root".into() });
}

#[test]
fn the_valid_one_of_two_paths_counts() {
    let fixture = Fixture::new();
    let expired = fixture.root.authority("Other", |params| params.not_after = date_time_ymd(2026, 1, 1));
    let twin = fixture.intermediate.cross_sign(&expired);
    // The twin inherits the dates, so make the leaf's issuer's other certificate valid by a third one.
    let leaf = expired.leaf(&[HOST], |_| {});
    let judgement = fixture.judge(&[&leaf, &expired.certificate]);
    assert!(matches!(judgement.time, Time::Expired { at: Some(1), .. }));
    let judgement = fixture.judge(&[&leaf, &twin, &fixture.intermediate.certificate, &expired.certificate]);
    assert!(matches!(judgement.path, Path::Verified { .. }));
    assert_eq!(judgement.superfluous, [0_usize; 0]);
}

#[test]
fn mutual_cross_signatures_end() {
    let (a, b) = (Authority::root("A"), Authority::root("B"));
    let (a_by_b, b_by_a) = (b.cross_sign(&a), a.cross_sign(&b));
    let leaf = a.leaf(&[HOST], |_| {});
    let chain = [&leaf, &a_by_b, &b_by_a, &a.certificate, &b.certificate];
    let judgement = judge(&chain, Some(HOST), NOW, &Roots::none(), &NoneKnown);
    assert!(matches!(judgement.path, Path::PrivateRoot { .. }), "{judgement:?}");
    assert_eq!(judgement.superfluous, [0_usize; 0]);
}

#[test]
fn times_are_judged_at_the_moment_asked_for() {
    let fixture = Fixture::new();
    let roots = fixture.root.trusted();
    let facts = fixture.leaf.facts().unwrap();
    let (not_before, not_after) = (facts.not_before.unwrap(), facts.not_after.unwrap());
    let at = |at| judge(&fixture.good(), Some(HOST), at, &roots, &NoneKnown).time;
    assert_eq!(at(not_before.timestamp()), Time::Ok);
    assert_eq!(at(not_after.timestamp()), Time::Ok);
    let after = Timestamp::from_nanos(not_after.timestamp().nanos() + 1);
    assert_eq!(at(after), Time::Expired { at: Some(0), not_after });
    let before = Timestamp::from_nanos(not_before.timestamp().nanos() - 1);
    assert_eq!(at(before), Time::NotYetValid { at: Some(0), not_before });
    // The root's own dates count where they are at hand; here it ended on 2030-01-01 and the rest before it.
    assert!(matches!(at(Timestamp::from_seconds(1_900_000_000)), Time::Expired { at: Some(0), .. }));
    assert_eq!(after.since(not_after.timestamp()), Span::from_nanos(1));
}

#[test]
fn an_expired_intermediate_is_told_apart_from_an_unknown_authority() {
    let root = Authority::root("Root");
    let intermediate = root.authority("Intermediate", |params| params.not_after = date_time_ymd(2026, 11, 1));
    let leaf = intermediate.leaf(&[HOST], |_| {});
    let judgement = judge(&[&leaf, &intermediate.certificate], Some(HOST), NOW, &root.trusted(), &NoneKnown);
    assert!(matches!(judgement.path, Path::Verified { .. }));
    assert!(matches!(judgement.time, Time::Expired { at: Some(1), .. }));
    assert!(!judgement.go_accepts());
}

#[test]
fn wrong_names_missing_names_and_addresses() {
    let fixture = Fixture::new();
    let name = |leaf: &Certificate, host| {
        let chain = [leaf, &fixture.intermediate.certificate];
        let judgement = judge(&chain, host, NOW, &fixture.root.trusted(), &NoneKnown);
        (judgement.name, judgement.refused)
    };
    let leaf = fixture.intermediate.leaf(&["*.golang.org", "192.0.2.1", "2001:db8::1"], |_| {});
    assert_eq!(name(&leaf, Some(HOST)).0, NameCheck::Ok);
    assert_eq!(name(&leaf, Some("192.0.2.1")).0, NameCheck::Ok);
    assert_eq!(name(&leaf, Some("[2001:db8::1]")).0, NameCheck::Ok);
    assert_eq!(name(&leaf, None).0, NameCheck::NotChecked);
    let names = ["*.golang.org", "192.0.2.1", "2001:db8::1"].map(String::from).to_vec();
    assert_eq!(name(&leaf, Some("golang.org")), (NameCheck::Mismatch { names }, vec![]));

    let common_name_only = fixture.intermediate.leaf(&[HOST], |params| params.subject_alt_names.clear());
    let no_names = NameCheck::NoNames { common_name: Some(HOST.into()) };
    assert_eq!(name(&common_name_only, Some(HOST)), (no_names.clone(), vec![Refusal::CommonNameOnly]));
    assert_eq!(name(&common_name_only, Some("example.org")), (no_names, vec![]));
}

#[test]
fn self_signed_leaves_and_private_roots() {
    let fixture = Fixture::new();
    let judgement = fixture.judge(&[&Authority::root(HOST).certificate]);
    assert_eq!((judgement.path, judgement.root_included), (Path::SelfSignedLeaf, Some(0)));

    let private = Authority::root("Corp Root");
    let leaf = private.leaf(&[HOST], |_| {});
    let judgement = fixture.judge(&[&leaf, &private.certificate]);
    assert_eq!(judgement.path, Path::PrivateRoot { via: vec![0, 1], root: "CN=Corp Root".into() });
    assert_eq!((judgement.root_included, judgement.refused), (Some(1), vec![]));
    let judgement = fixture.judge(&[&leaf]);
    assert!(matches!(&judgement.path, Path::UnknownIssuer { issuer, .. } if issuer == "CN=Corp Root"));

    // Trusted as itself.
    let alone = Authority::root(HOST);
    let judgement = judge(&[&alone.certificate], None, NOW, &alone.trusted(), &NoneKnown);
    assert!(judgement.go_accepts(), "{judgement:?}");
}

#[test]
fn a_wrong_signature_is_not_an_unknown_issuer() {
    let fixture = Fixture::new();
    let mut der = fixture.leaf.der.to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let leaf = Certificate::parse(&der);
    let judgement = fixture.judge(&[&leaf, &fixture.intermediate.certificate]);
    assert_eq!(judgement.path, Path::BrokenSignature { via: vec![0], at: 0, candidate: "CN=Intermediate".into() });
    // A counterfeit of a root's name.
    let counterfeit = Authority::root("Root").leaf(&[HOST], |_| {});
    let judgement = fixture.judge(&[&counterfeit]);
    assert!(matches!(judgement.path, Path::BrokenSignature { at: 0, .. }));
}

#[test]
fn go_1_23_negative_serials_are_refused_and_read() {
    let fixture = Fixture::new();
    let leaf = fixture.intermediate.resign(&fixture.leaf, |tbs| {
        let serial = position(tbs, &[0xa0, 0x03, 0x02, 0x01, 0x02, 0x02]) + 7;
        tbs[serial] |= 0x80;
    });
    let facts = leaf.facts().unwrap();
    assert!(facts.negative_serial && facts.serial.as_deref().unwrap().starts_with('-'));
    assert_eq!(facts.subject, fixture.leaf.facts().unwrap().subject);
    let judgement = fixture.judge(&[&leaf, &fixture.intermediate.certificate]);
    assert!(matches!(judgement.path, Path::Verified { .. }));
    assert_eq!(judgement.refused, [Refusal::NegativeSerial { at: 0 }]);
}

#[test]
fn unreadable_fields_are_refused_and_hide_nothing_else() {
    let fixture = Fixture::new();
    let leaf = fixture.intermediate.resign(&fixture.leaf, |tbs| {
        let san = position(tbs, &[0x55, 0x1d, 0x11]) + 3;
        tbs[san + 2] = 0x31; // a SET where a SEQUENCE has to be
        let date = position(tbs, b"270101000000Z");
        tbs[date + 2] = b'9';
    });
    let facts = leaf.facts().unwrap();
    assert_eq!(facts.unread, ["notAfter", "subjectAltName"]);
    assert!(facts.not_before.is_some() && facts.key.is_some() && facts.extensions.server_auth == Some(true));
    let judgement = fixture.judge(&[&leaf, &fixture.intermediate.certificate]);
    assert!(matches!(judgement.path, Path::Verified { .. }));
    assert_eq!(judgement.time, Time::Unreadable { at: 0 });
    assert_eq!(judgement.refused, [Refusal::Malformed { at: 0, fields: vec!["notAfter", "subjectAltName"] }]);
}

#[test]
fn sha_1_and_short_keys_are_refused_on_the_path_but_not_as_a_root() {
    let (root, leaf) = (from_pem(OLD_ROOT), from_pem(OLD_LEAF));
    let roots = Roots::none().with_pem(OLD_ROOT.as_bytes()).unwrap();
    let at = Timestamp::from_seconds(1_900_000_000);
    let judgement = judge(&[&leaf, &root], Some("old.example"), at, &roots, &NoneKnown);
    assert_eq!(judgement.path, Path::Verified { via: vec![0], root: "CN=Old Root".into() });
    assert_eq!(judgement.root_included, Some(1));
    let algorithm = SignatureAlgorithm::Rsa(Hash::Sha1);
    assert_eq!(
        judgement.refused,
        [Refusal::WeakSignature { at: 0, algorithm }, Refusal::ShortKey { at: 0, bits: 512 }]
    );
}

#[test]
fn what_cannot_be_checked_is_never_called_verified() {
    let leaf = from_pem(P521_LEAF);
    let roots = Roots::none().with_pem(P521_ROOT.as_bytes()).unwrap();
    let at = Timestamp::from_seconds(1_900_000_000);
    let judgement = judge(&[&leaf], Some("q.example"), at, &roots, &NoneKnown);
    let why = Unverifiable::Unchecked { at: Some(0), algorithm: Some(SignatureAlgorithm::Ecdsa(Hash::Sha512)) };
    assert_eq!(judgement.path, Path::Unverifiable { why, root: Some("CN=P-521 Root".into()) });
    assert!(!judgement.go_accepts());
}

#[test]
fn nothing_and_garbage_are_unverifiable() {
    let fixture = Fixture::new();
    let unverifiable = |why| Path::Unverifiable { why, root: None };
    assert_eq!(fixture.judge(&[]).path, unverifiable(Unverifiable::NoCertificate));
    let garbage = Certificate::parse(b"\x30\x03abc");
    let judgement = fixture.judge(&[&garbage, &fixture.intermediate.certificate]);
    assert_eq!(judgement.path, unverifiable(Unverifiable::Unparsable { at: 0 }));
    assert_eq!((judgement.name, judgement.superfluous), (NameCheck::NotChecked, vec![]));
    let judgement = fixture.judge(&[&fixture.leaf, &garbage]);
    assert_eq!(judgement.path, unverifiable(Unverifiable::Unparsable { at: 1 }));
    assert_eq!(judgement.refused, [Refusal::Malformed { at: 1, fields: vec![] }]);
}

#[test]
fn go_is_valid_rights_of_authorities() {
    let root = Authority::root("Root");
    let refused = |tweak: fn(&mut rcgen::CertificateParams)| {
        let intermediate = root.authority("Intermediate", tweak);
        let lower = intermediate.authority("Lower", |_| {});
        let leaf = lower.leaf(&[HOST], |_| {});
        let chain = [&leaf, &lower.certificate, &intermediate.certificate];
        judge(&chain, Some(HOST), NOW, &root.trusted(), &NoneKnown).refused
    };
    assert_eq!(refused(|_| {}), []);
    assert_eq!(refused(|params| params.is_ca = IsCa::NoCa), [Refusal::NotCa { at: 2 }]);
    assert_eq!(refused(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))), []);
    assert_eq!(
        refused(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        [Refusal::PathTooLong { at: 2 }]
    );
    assert_eq!(
        refused(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
        [Refusal::NoCertSign { at: 2 }]
    );
    assert_eq!(
        refused(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        [Refusal::NotServerAuth { at: 2 }]
    );
    assert_eq!(
        refused(|params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions = vec![extension];
        }),
        [Refusal::UnhandledCriticalExtension { at: 2, oid: "1.2.3".into() }]
    );
}

#[test]
fn go_check_name_constraints() {
    let root = Authority::root("Root");
    let refused = |permitted: &[&str], excluded: &[&str]| {
        let subtrees = |names: &[&str]| names.iter().map(|&name| GeneralSubtree::DnsName(name.into())).collect();
        let constraints =
            NameConstraints { permitted_subtrees: subtrees(permitted), excluded_subtrees: subtrees(excluded) };
        let intermediate = root.authority("Intermediate", |params| params.name_constraints = Some(constraints));
        let leaf = intermediate.leaf(&["PROXY.golang.org"], |_| {});
        judge(&[&leaf, &intermediate.certificate], Some(HOST), NOW, &root.trusted(), &NoneKnown).refused
    };
    let violated = [Refusal::NameConstraint { at: Some(1), name: "PROXY.golang.org".into() }];
    assert_eq!(refused(&["golang.org"], &[]), []);
    assert_eq!(refused(&["corp.example", "org"], &["a.golang.org"]), []);
    assert_eq!(refused(&["corp.example"], &[]), violated);
    assert_eq!(refused(&[], &["golang.org"]), violated);
    assert_eq!(refused(&["org"], &["golang.org"]), violated);
}

#[test]
fn ed25519_chains_are_verified() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let params = rcgen::CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let leaf = Certificate::parse(params.self_signed(&key).unwrap().der());
    let judgement = judge(&[&leaf], Some(HOST), NOW, &Roots::mozilla(), &NoneKnown);
    assert_eq!(judgement.path, Path::SelfSignedLeaf);
    // rcgen's validity reaches to the year 4096, beyond the range of nanoseconds.
    assert_eq!(leaf.facts().unwrap().not_after.unwrap().to_string(), "4096-01-01T00:00:00.000000000Z");
    assert_eq!(judgement.time, Time::Ok);
}

proptest::proptest! {
    #[test]
    fn damaged_chains_never_panic(damage in proptest::collection::vec((0..3000_usize, 0..256_usize), 1..12), cut in 0..900_usize) {
        thread_local!(static FIXTURE: Fixture = Fixture::new());
        FIXTURE.with(|fixture| {
            let mut der = fixture.leaf.der.to_vec();
            for (at, value) in damage {
                let at = at % der.len();
                der[at] = u8::try_from(value).unwrap();
            }
            der.truncate(der.len().saturating_sub(cut.saturating_sub(600)));
            let leaf = Certificate::parse(&der);
            let judgement = fixture.judge(&[&leaf, &fixture.intermediate.certificate]);
            proptest::prop_assert!(!judgement.go_accepts() || der == fixture.leaf.der.to_vec());
            Ok(())
        })?;
    }
}

#[test]
fn no_single_octet_of_a_leaf_may_change() {
    let fixture = Fixture::new();
    let good = &fixture.leaf.der;
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut der = good.to_vec();
            der[at] ^= 1 << bit;
            let judgement = fixture.judge(&[&Certificate::parse(&der), &fixture.intermediate.certificate]);
            assert!(!judgement.go_accepts(), "octet {at}, bit {bit}");
        }
    }
}
