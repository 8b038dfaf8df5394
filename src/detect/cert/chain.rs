//! Chains that were seen.

use std::net::IpAddr;

use super::{Shown, gave_up_otherwise, may_be_over_certificate, validity};
use crate::certificate::{Certificate, NameCheck, Order, Path, Refusal, Time, Unverifiable};
use crate::detect::subject::{address_is_honest, called};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Severity};
use crate::observation::{Case, Outcome};
use crate::reference::Reference;

pub(super) fn assess(case: &Case, reference: &Reference, shown: &Shown<'_>, all: &[Shown<'_>]) -> Vec<Finding> {
    let finding = interception(reference, shown, all)
        .or_else(|| validity::assess(case, shown, all))
        .or_else(|| name(shown))
        .or_else(|| path(reference, shown))
        .or_else(|| refused(shown))
        .or_else(|| refused_otherwise(shown))
        .or_else(|| no_trust_store(case, shown, all));
    let mut found: Vec<Finding> = finding.into_iter().collect();
    found.extend(untidy(shown));
    // A chain that merely ends at a root unknown here, in a recording that does not show what the client made of it, is
    // no ground to accuse anybody.
    let judged =
        shown.accepted() || shown.rejected() || case.go.errors().iter().any(|error| error.kind.is_certificate());
    if !judged && private_end(shown).is_some() && !matches!(shown.judgement.path, Path::SelfSignedLeaf) {
        found.retain(|finding| finding.confidence() >= Confidence::Strong);
    }
    // What the client took all the same hinders nobody today.
    if shown.accepted() && !shown.rejected() {
        for finding in &mut found {
            if finding.code != Code::CertInterception {
                finding.severity = finding.severity.min(Severity::Low);
                finding.fault = Fault::Harmless;
            }
        }
    }
    found
}

pub(super) fn new(
    code: Code,
    fault: Fault,
    confidence: Confidence,
    shown: &Shown<'_>,
    summary: String,
) -> Option<Finding> {
    let mut evidence = shown.evidence().into_iter();
    let first = evidence.next()?;
    let mut finding = Finding::new(code, fault, confidence, shown.subject(), first, summary).with_evidence(evidence);
    if let Some(facts) = shown.leaf().and_then(Certificate::facts) {
        finding = finding
            .with_text("subject", facts.subject.clone().unwrap_or_default())
            .with_text("issuer", facts.issuer.clone().unwrap_or_default())
            .with_number("certificates_sent", i64::try_from(shown.chain.len()).unwrap_or(i64::MAX))
            // Leaves rotate; the key that signs them does not.
            .with_class(facts.authority_key_id_hex().or_else(|| facts.issuer.clone()).unwrap_or_default());
    }
    Some(finding)
}

/// The issuers of the chain that lead to no public root.
fn private_end(shown: &Shown<'_>) -> Option<String> {
    match &shown.judgement.path {
        Path::PrivateRoot { root, .. } => Some(root.clone()),
        Path::UnknownIssuer { issuer, .. } => Some(issuer.clone()),
        Path::SelfSignedLeaf => shown.leaf().and_then(Certificate::facts).and_then(|facts| facts.issuer.clone()),
        Path::Unverifiable { why: Unverifiable::Unchecked { .. }, root: None } => {
            shown.chain.last().and_then(|last| last.facts()).and_then(|facts| facts.issuer.clone())
        }
        _ => None,
    }
}

/// An authority of its own in place of the public one: by a product's name, or by signing for several operators at once.
fn interception(reference: &Reference, shown: &Shown<'_>, all: &[Shown<'_>]) -> Option<Finding> {
    // A proxy that is asked by its own name shows its own certificate, whoever sold it.
    let end = private_end(shown).filter(|_| !shown.of_proxy)?;
    let host = called(&shown.subject());
    // A vendor's own servers bear its name as subjects, and public authorities were named like products.
    let issuers =
        shown.chain.iter().filter_map(|certificate| certificate.facts()).filter_map(|facts| facts.issuer.as_ref());
    let vendor = issuers.filter(|_| !has_public_marks(shown)).find_map(|name| reference.interceptor(name));
    // A self-signed leaf is a server's default certificate unless a product's name stands in it.
    let self_signed = matches!(shown.judgement.path, Path::SelfSignedLeaf);
    let operator = |host: &Option<String>| {
        host.as_deref().and_then(|host| reference.host(host)).map(|known| known.operator.clone())
    };
    let others: Vec<&Shown<'_>> = all
        .iter()
        .filter(|other| private_end(other).as_deref() == Some(end.as_str()))
        .filter(|other| operator(&other.host).is_some() && operator(&other.host) != operator(&shown.host))
        .collect();
    let public = operator(&shown.host).is_some();
    let several = public && !others.is_empty() && !self_signed;
    // Google's or GitHub's own address with an authority of nobody's: the address is right and the certificate is not.
    let at_home = shown.handshakes.iter().any(|(_, connection)| {
        shown.in_tunnel()
            || shown
                .host
                .as_deref()
                .is_some_and(|host| address_is_honest(reference, host, connection.server.ip()) == Some(true))
    });
    let covers = matches!(shown.judgement.name, NameCheck::Ok);
    let made_for_it = public && at_home && covers && !self_signed && is_private(shown);
    if vendor.is_none() && !several && !made_for_it {
        return None;
    }
    let trusted = shown.accepted() && !shown.rejected();
    let confidence = match (vendor.is_some(), several, made_for_it) {
        (_, true, _) => Confidence::Proven,
        (true, false, _) => Confidence::Strong,
        (false, false, _) => Confidence::Moderate,
    };
    let by = vendor
        .map_or_else(|| format!("the authority \"{end}\""), |vendor| format!("{} (issuer \"{end}\")", vendor.vendor));
    let summary = format!(
        "TLS to {host} is intercepted by {by}{}.",
        if trusted { "; the client trusts it" } else { "; the client does not trust it" }
    );
    let fault = match (trusted, shown.in_tunnel()) {
        (true, _) => Fault::Harmless,
        (false, true) => Fault::ProxyPolicy,
        (false, false) => Fault::Interference,
    };
    let mut finding = new(Code::CertInterception, fault, confidence, shown, summary)?
        .with_text("authority", end)
        .with_reference("golang/go#40370");
    if trusted {
        finding = finding.with_severity(Severity::Medium);
    }
    if let Some(vendor) = vendor {
        finding = finding.with_text("product", vendor.vendor.clone());
    }
    if several {
        let hosts: Vec<String> = others.iter().filter_map(|other| other.host.clone()).collect();
        finding = finding
            .excluding("a private authority of the server's own", format!("it also signs for {}", hosts.join(", ")));
    } else {
        finding = finding.not_excluding("a private mirror of the name that is set up on purpose");
    }
    Some(finding.with_remedy(
        "Have the network's owner exempt Go's hosts from inspection, or install the interceptor's root on the client (in containers in every stage).",
        Some("update-ca-certificates"),
    ))
}

/// The chain bears what only public authorities' do; what is missing then is a certificate.
fn has_public_marks(shown: &Shown<'_>) -> bool {
    matches!(&shown.judgement.path, Path::UnknownIssuer { akin_root, public_marks, .. } if *public_marks || akin_root.is_some())
}

/// Nothing in the chain looks like a public authority's: no transparency timestamps, no place to fetch the issuer from.
fn is_private(shown: &Shown<'_>) -> bool {
    match &shown.judgement.path {
        Path::PrivateRoot { .. } => true,
        Path::UnknownIssuer { ca_issuers, akin_root, public_marks, .. } => {
            ca_issuers.is_none() && akin_root.is_none() && !public_marks
        }
        _ => false,
    }
}

fn name(shown: &Shown<'_>) -> Option<Finding> {
    let what = match &shown.judgement.name {
        NameCheck::Mismatch { names } if names.is_empty() => "is for no name at all".to_owned(),
        NameCheck::Mismatch { names } => {
            let more = if names.len() > 4 { ", …" } else { "" };
            format!("is for {}{more}", names.iter().take(4).cloned().collect::<Vec<_>>().join(", "))
        }
        NameCheck::NoNames { common_name } => format!(
            "has no subject alternative names, and Go does not look at the common name{}",
            common_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default()
        ),
        NameCheck::Ok | NameCheck::NotChecked => return None,
    };
    // A default certificate that signed itself is first of all that.
    let host = called(&shown.subject());
    let summary = format!("The certificate that {host} shows {what}, not for {host}.");
    let names: Vec<String> = match &shown.judgement.name {
        NameCheck::Mismatch { names } => names.clone(),
        _ => Vec::new(),
    };
    Some(
        new(Code::CertNameMismatch, Fault::Server, Confidence::Proven, shown, summary)?
            .with_list("names", names)
            .with_remedy(
                "Check the name in GOPROXY or the module path; if it is right, have the server's operator install a certificate for it, or DNS points to the wrong server.",
                None,
            )
            .with_reference("RFC 6125 §6")
            .with_reference("Go: src/crypto/x509/verify.go, VerifyHostname"),
    )
}

fn path(reference: &Reference, shown: &Shown<'_>) -> Option<Finding> {
    let host = called(&shown.subject());
    match &shown.judgement.path {
        Path::VerifiedWithKnown { missing, root, .. } => {
            let names: Vec<String> = missing.iter().map(|missing| missing.name.clone()).collect();
            let summary = format!(
                "{host} does not send the intermediate certificate \"{}\", without which its chain does not reach the root \"{root}\".",
                names.join("\" and \"")
            );
            missing_intermediate(
                shown,
                Confidence::Proven,
                summary,
                names,
                missing.first().and_then(|missing| missing.ca_issuers.clone()),
            )
        }
        Path::UnknownIssuer { issuer, ca_issuers, akin_root, public_marks, .. } => {
            let public_host = shown.host.as_deref().is_some_and(|host| reference.host(host).is_some());
            // An authority that says where its own certificate is to be had, or that logs what it signs, is meant for
            // the public: then what is missing is the certificate, not the trust.
            if ca_issuers.is_some() || akin_root.is_some() || *public_marks {
                let marked = *public_marks || akin_root.is_some();
                let sure = if marked { Confidence::Strong } else { Confidence::Moderate };
                let summary = format!(
                    "{host} sends {} certificate(s) and not the one of their issuer \"{issuer}\".",
                    shown.chain.len()
                );
                return missing_intermediate(shown, sure, summary, vec![issuer.clone()], ca_issuers.clone())
                    .map(|finding| finding.not_excluding("the issuer is a private authority"))
                    .map(|finding| {
                        let doubtful = public_host && !marked;
                        if doubtful {
                            finding.not_excluding("interception by a product that is on no list")
                        } else {
                            finding
                        }
                    });
            }
            unknown_authority(shown, &host, issuer)
        }
        Path::PrivateRoot { root, .. } => unknown_authority(shown, &host, root),
        Path::SelfSignedLeaf => {
            let summary = format!("{host} shows a self-signed certificate.");
            Some(
                new(Code::CertSelfSigned, Fault::Server, Confidence::Proven, shown, summary)?
                    .with_remedy(
                        "Have the server's operator install a certificate of an authority that the clients trust.",
                        None,
                    )
                    .with_reference("RFC 5280 §3.2"),
            )
        }
        Path::BrokenSignature { candidate, .. } => {
            let summary = format!(
                "A certificate in the chain of {host} names \"{candidate}\" as its issuer, but that authority's key did not sign it."
            );
            new(Code::CertUnknownAuthority, Fault::Server, Confidence::Proven, shown, summary)
                .map(|finding| finding.with_reference("RFC 5280 §6.1.3"))
        }
        Path::Verified { .. } | Path::Unverifiable { .. } => None,
    }
}

fn missing_intermediate(
    shown: &Shown<'_>,
    confidence: Confidence,
    summary: String,
    names: Vec<String>,
    ca_issuers: Option<String>,
) -> Option<Finding> {
    let mut finding = new(Code::CertMissingIntermediate, Fault::Server, confidence, shown, summary)?
        .with_list("missing", names)
        .excluding("the client's root certificates", "the chain as sent ends below the root")
        .with_remedy(
            "Have the server's operator install the full chain: leaf first, then the intermediates (nginx: one file in ssl_certificate). Go, unlike browsers, does not fetch what is missing.",
            None,
        )
        .with_reference("RFC 8446 §4.4.2")
        .with_reference("golang/go#31773");
    if let Some(url) = ca_issuers {
        finding = finding.with_text("ca_issuers", url);
    }
    Some(finding)
}

fn unknown_authority(shown: &Shown<'_>, host: &str, authority: &str) -> Option<Finding> {
    let private =
        !shown.in_tunnel() && shown.handshakes.iter().all(|(_, connection)| is_private_address(connection.server.ip()));
    let summary = format!("{host} shows a certificate of \"{authority}\", which no public root vouches for.");
    let fault = Fault::Client;
    let confidence = if private || shown.rejected() { Confidence::Strong } else { Confidence::Moderate };
    Some(
        new(Code::CertUnknownAuthority, fault, confidence, shown, summary)?
            .with_text("authority", authority.to_owned())
            .not_excluding("interception by a product that is on no list")
            .with_remedy(
                "If it is your company's authority, install its root on the client (SSL_CERT_FILE, or update-ca-certificates, in containers in every stage); if it is not, do not trust it.",
                Some("update-ca-certificates"),
            )
            .with_reference("Go: src/crypto/x509/root_linux.go"),
    )
}

fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

fn refused(shown: &Shown<'_>) -> Option<Finding> {
    let host = called(&shown.subject());
    shown.judgement.refused.iter().find_map(|refusal| {
        let (code, summary, remedy, reference) = match refusal {
            Refusal::NegativeSerial { at } => (
                Code::CertNegativeSerial,
                format!("Certificate {} of {host} has a negative serial number, which Go refuses since 1.23.", at + 1),
                "Have the issuer make a valid one (RFC 5280: positive, at most 20 octets). Until then GODEBUG=x509negativeserial=1 lets go accept it.",
                "RFC 5280 §4.1.2.2",
            ),
            Refusal::WeakSignature { at, algorithm } => (
                Code::CertWeakSignature,
                format!("Certificate {} of {host} is signed with {algorithm}, which Go refuses.", at + 1),
                "Have the issuer sign with SHA-256 or better.",
                "Go: src/crypto/x509/x509.go, checkSignature",
            ),
            Refusal::ShortKey { at, bits } => (
                Code::CertWeakSignature,
                format!("Certificate {} of {host} has an RSA key of {bits} bits, which Go refuses since 1.24.", at + 1),
                "Have the certificate replaced by one with a longer key.",
                "Go 1.24 release notes, crypto/rsa",
            ),
            _ => return None,
        };
        Some(new(code, Fault::Server, Confidence::Proven, shown, summary)?.with_remedy(remedy, None).with_reference(reference))
    })
}

/// What Go refuses beyond what a code of its own tells.
fn refused_otherwise(shown: &Shown<'_>) -> Option<Finding> {
    if !shown.rejected() {
        return None;
    }
    let host = called(&shown.subject());
    let nth = |at: usize| if at == 0 { "the certificate".to_owned() } else { format!("certificate {}", at + 1) };
    let what = shown.judgement.refused.iter().find_map(|refusal| {
        Some(match refusal {
            Refusal::NameConstraint { name, .. } => format!("an authority of its chain may not certify {name}"),
            Refusal::NotServerAuth { at } => format!("{} may not be used for servers (extKeyUsage)", nth(*at)),
            Refusal::NotCa { at } | Refusal::NoCertSign { at } => format!("{} may not certify others", nth(*at)),
            Refusal::PathTooLong { at } => format!("more authorities follow than {} allows", nth(*at)),
            Refusal::UnhandledCriticalExtension { at, oid } => {
                format!("{} has a critical extension ({oid}) that Go does not know", nth(*at))
            }
            Refusal::Malformed { at, .. } => format!("{} is not as Go reads certificates", nth(*at)),
            Refusal::UnsupportedSignature { at, algorithm } => {
                format!("{} is signed with {algorithm}, which Go cannot verify", nth(*at))
            }
            Refusal::LongKey { bits, .. } => format!("its RSA key has {bits} bits, more than Go takes"),
            Refusal::CommonNameOnly
            | Refusal::WeakSignature { .. }
            | Refusal::NegativeSerial { .. }
            | Refusal::ShortKey { .. } => return None,
        })
    })?;
    let summary = format!("The client rejects the certificates of {host}: {what}.");
    let finding = new(Code::CertRejectedByClient, Fault::Server, Confidence::Strong, shown, summary)?;
    Some(
        finding
            .with_text("refused", what)
            .not_excluding("a client that takes what Go's rules refuse, and has another reason")
            .with_remedy("Have the server's operator replace the certificate.", None)
            .with_reference("Go: src/crypto/x509/verify.go"),
    )
}

/// The chain is fine and the client rejected it: its roots are missing, or this one of them.
fn no_trust_store(case: &Case, shown: &Shown<'_>, all: &[Shown<'_>]) -> Option<Finding> {
    let Path::Verified { root, .. } = &shown.judgement.path else { return None };
    let fine = shown.judgement.time == Time::Ok
        && matches!(shown.judgement.name, NameCheck::Ok)
        && shown.judgement.refused.is_empty();
    let rejected = shown.refused_by_git
        || shown
            .handshakes
            .iter()
            .any(|(handshake, _)| handshake.outcome == Outcome::RejectedByClient && may_be_over_certificate(handshake));
    if !fine || !rejected || shown.accepted() || gave_up_otherwise(case, shown.host.as_deref()) {
        return None;
    }
    let host = called(&shown.subject());
    let others = all.iter().find(|other| {
        other.accepted() && other.host != shown.host && matches!(other.judgement.path, Path::Verified { .. })
    });
    if let Some(other) = others {
        let summary = format!(
            "The chain of {host} reaches the public root \"{root}\", which the client does not trust, though it trusts that of {}.",
            called(&other.subject())
        );
        return Some(
            new(Code::CertUnknownAuthority, Fault::Client, Confidence::Moderate, shown, summary)?
                .with_text("authority", root.clone())
                .excluding("the server's chain", "every certificate of it was verified up to a public root")
                .not_excluding("the root is deliberately not trusted there")
                .with_remedy(
                    "Update the client's CA certificates.",
                    Some("apt-get install --only-upgrade ca-certificates"),
                ),
        );
    }
    let mut finding = new(
        Code::CertNoTrustStore,
        Fault::Client,
        Confidence::Moderate,
        shown,
        format!(
            "The chain of {host} reaches a public root, and {} rejects it all the same: it lacks the root certificates.",
            if shown.refused_by_git { "git" } else { "the client" }
        ),
    )?;
    let env = case.go.env.as_ref();
    // git does not read what Go reads.
    let keys: &[&str] =
        if shown.refused_by_git { &["GIT_SSL_CAINFO", "GIT_SSL_CAPATH"] } else { &["SSL_CERT_FILE", "SSL_CERT_DIR"] };
    let set: Vec<&str> = keys
        .iter()
        .copied()
        .filter(|key| env.and_then(|env| env.get(key)).is_some_and(|value| !value.is_empty()))
        .collect();
    for key in &set {
        let value = env.and_then(|env| env.get(key)).unwrap_or_default();
        finding.cite(Evidence::variable(key, value.to_owned()));
    }
    if !set.is_empty() {
        finding.set_confidence(Confidence::Strong);
    }
    Some(
        finding
            .excluding("the server's chain", "every certificate of it was verified up to a public root")
            .not_excluding("the root is deliberately not trusted there")
            .with_remedy(
                "Install the CA certificates (Debian: ca-certificates; in a container in the final stage), and check SSL_CERT_FILE and SSL_CERT_DIR.",
                Some("apt-get install ca-certificates"),
            )
            .with_reference("Go: src/crypto/x509/root_unix.go"),
    )
}

/// Order and superfluous certificates: low remarks on a chain that works.
fn untidy(shown: &Shown<'_>) -> Vec<Finding> {
    let host = called(&shown.subject());
    let mut found = Vec::new();
    let remedy =
        "Have the server's operator send the chain in order: leaf, then each certificate's issuer, and nothing else.";
    if shown.judgement.order == Order::Misordered {
        let summary =
            format!("{host} sends its certificates in the wrong order; Go sorts them out, older clients do not.");
        found.extend(new(Code::CertMisorderedChain, Fault::Harmless, Confidence::Proven, shown, summary));
    }
    if !shown.judgement.superfluous.is_empty() && matches!(shown.judgement.path, Path::Verified { .. }) {
        let summary = format!("{host} sends {} certificate(s) that no path needs.", shown.judgement.superfluous.len());
        found.extend(new(Code::CertSuperfluousCertificate, Fault::Harmless, Confidence::Proven, shown, summary));
    }
    found.into_iter().map(|finding| finding.with_remedy(remedy, None).with_reference("RFC 8446 §4.4.2")).collect()
}
