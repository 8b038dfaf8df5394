//! Who refused what: git beside go, rules of Go without a code of their own, and clocks.

use super::*;

const GIT: &str = "go: github.com/lab/x@v1.0.0: invalid version: git ls-remote -q --end-of-options https://github.com/lab/x in /lab/vcs/d9d7: exit status 128:
\tfatal: unable to access 'https://github.com/lab/x/': server certificate verification failed. CAfile: none CRLfile: none
";

#[test]
fn git_that_judges_after_the_handshake_has_refused_what_it_completed() {
    let Public { root, issuing, .. } = public();
    let leaf = issuing.leaf(&[GITHUB], |_| {});
    let stranger = Authority::root("Somebody else").authority("Somebody's Issuing", |_| {});
    let strange = stranger.leaf(&[GITHUB], |_| {});
    let told = |chain: &[&Certificate], log: &str| {
        let mut scene = scene(&root);
        scene.log(log);
        tls12(&mut scene, GITHUB, GITHUB_AT, chain, Client::Accepts);
        assessed(&scene).found
    };
    // Another server's name in git's words is not this one's.
    for (log, severity) in [(GIT.to_owned(), Severity::High), (GIT.replace("github.com", "gitlab.com"), Severity::Low)]
    {
        let found = told(&[&strange, &stranger.certificate], &log);
        let found: Vec<_> = found.iter().filter(|finding| finding.code != Code::CertInterception).collect();
        assert!(found.iter().all(|finding| finding.severity == severity), "{found:?}");
    }
    let found = told(&[&leaf, &issuing.certificate], GIT);
    assert_eq!(found[0].code, Code::CertNoTrustStore, "the chain is fine, so git has no roots");
    assert!(told(&[&leaf, &issuing.certificate], "").is_empty());
}

#[test]
fn gits_words_alone_accuse_nobody() {
    let mut scene = Scene::new();
    scene.log(GIT);
    unseen::tls13(&mut scene, GITHUB, GITHUB_AT, 53);
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::CertRejectedByClient, Fault::Unknown));
    assert_eq!(finding.confidence(), Confidence::Moderate);
    assert!(finding.not_excluded.len() >= 4);
}

#[test]
fn what_go_refuses_without_a_code_of_its_own_is_told() {
    let Public { root, issuing, .. } = public();
    let for_clients = issuing.leaf(&[PROXY], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let chain = [&for_clients, &issuing.certificate];
    let mut scene = scene(&root);
    tls12(&mut scene, PROXY, PROXY_AT, &chain, Client::Rejects);
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::CertRejectedByClient, Fault::Server));
    assert!(finding.summary.contains("extKeyUsage"), "{}", finding.summary);
    // A client that takes it hinders nobody.
    assert_eq!(accepted(&root, &chain), Vec::<&str>::new());
}

#[test]
fn a_private_certificate_has_expired_where_go_says_so() {
    let (public, corp) = (Authority::root("Public Root"), Authority::root("Corp Root"));
    let leaf = corp.leaf(&[PRIVATE], |params| params.not_after = date_time_ymd(2026, 11, 20));
    let told = |words: &str| {
        let mut scene = private_scene(&public);
        scene.log(&format!("go: example.com/x@v1.0.0: Get \"https://{PRIVATE}/example.com/x/@v/v1.0.0.info\": tls: failed to verify certificate: x509: {words}\n"));
        tls12(&mut scene, PRIVATE, PRIVATE_AT, &[&leaf, &corp.certificate], Client::Rejects);
        only(&scene).code
    };
    let expired =
        "certificate has expired or is not yet valid: current time 2026-11-22T10:00:00Z is after 2026-11-20T00:00:00Z";
    assert_eq!(told(expired), Code::CertExpired);
    assert_eq!(told("certificate signed by unknown authority"), Code::CertUnknownAuthority);
}

#[test]
fn a_clock_is_told_by_other_servers_and_by_roots_that_are_to_come() {
    let Public { root, issuing, .. } = public();
    let future = issuing.leaf(&[PROXY], |params| params.not_before = date_time_ymd(2026, 11, 30));
    let expired = issuing.leaf(&[PROXY], |params| params.not_after = date_time_ymd(2026, 11, 20));
    for leaf in [&future, &expired] {
        let chain = [leaf, &issuing.certificate];
        // One server alone.
        let mut scene = scene(&root);
        tls12(&mut scene, PROXY, PROXY_AT, &chain, Client::Rejects);
        assert_eq!(only(&scene).fault, Fault::Server);
        // Another refused, and nobody can see why.
        unseen::tls13(&mut scene, GITHUB, GITHUB_AT, 19);
        let found = assessed(&scene).found;
        let dated = found.iter().find(|finding| finding.code != Code::CertRejectedByClient).unwrap();
        assert_eq!((dated.fault, dated.confidence()), (Fault::Client, Confidence::Strong));
        assert!(!dated.not_excluded.is_empty());
        // go names another reason against that one.
        scene.log(&format!("go: example.com/x@v1.0.0: Get \"https://{GITHUB}/x\": tls: failed to verify certificate: x509: certificate signed by unknown authority\n"));
        let found = assessed(&scene).found;
        assert!(
            found
                .iter()
                .any(|finding| finding.fault == Fault::Server && finding.subject.host.as_deref() == Some(PROXY))
        );
    }
    let to_come = root.authority("Issuing to come", |params| params.not_before = date_time_ymd(2026, 11, 29));
    let leaf = to_come.leaf(&[PROXY], |params| params.not_before = date_time_ymd(2026, 11, 30));
    let mut scene = scene(&root);
    tls12(&mut scene, PROXY, PROXY_AT, &[&leaf, &to_come.certificate], Client::Rejects);
    assert_eq!(only(&scene).fault, Fault::Client);
}
