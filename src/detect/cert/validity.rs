//! Certificates whose time is over or has not come, and clocks that say so.

use super::Shown;
use super::chain::new;
use crate::certificate::{Path, Time};
use crate::detect::subject::called;
use crate::finding::{Code, Confidence, Fault, Finding};
use crate::go::GoErrorKind;
use crate::observation::{Case, Handshake, Outcome, Sighting};

pub(super) fn assess(case: &Case, shown: &Shown<'_>, all: &[Shown<'_>]) -> Option<Finding> {
    let (code, when, at) = match &shown.judgement.time {
        Time::Expired { at, not_after } => (Code::CertExpired, format!("expired at {}", not_after.timestamp()), *at),
        Time::NotYetValid { at, not_before } => {
            (Code::CertNotYetValid, format!("is not valid before {}", not_before.timestamp()), *at)
        }
        Time::Ok | Time::Unreadable { .. } => return None,
    };
    // A private chain is first of all private, unless go says what is wrong: the client may know its root.
    let private = matches!(
        shown.judgement.path,
        Path::UnknownIssuer { .. } | Path::PrivateRoot { .. } | Path::BrokenSignature { .. }
    );
    if private && !says_so(case, shown) {
        return None;
    }
    let host = called(&shown.subject());
    let which = match at {
        Some(0) => "certificate".to_owned(),
        Some(place) => format!("intermediate certificate (number {})", place + 1),
        None => "root".to_owned(),
    };
    let unrelated = all
        .iter()
        .filter(|other| other.host != shown.host && same_kind(&other.judgement.time, &shown.judgement.time))
        .count();
    // Roots are older than any machine in use: where even they are yet to come, it is the machine that lives in the past.
    let all_to_come = code == Code::CertNotYetValid && shown.chain.len() > 1 && is_all_to_come(shown);
    let clock = unrelated > 0 || all_to_come || another_was_refused(case, shown);
    let summary = format!("The {which} of {host} {when}; the recording was made at {}.", shown.at.time);
    let fault = if clock { Fault::Client } else { Fault::Server };
    let finding = new(code, fault, if clock { Confidence::Strong } else { Confidence::Proven }, shown, summary)?
        .with_reference("RFC 5280 §4.1.2.5");
    Some(if clock {
        finding.not_excluding("the servers' certificates, each by itself").with_remedy(
            "Several unrelated servers fail in the same way: check the clock of the client.",
            Some("date -u"),
        )
    } else {
        finding
            .excluding("the client's clock", "the recording's own time is beyond the certificate's validity, and no other server shows the same")
            .with_remedy(
                if at == Some(0) || at.is_none() {
                    "Have the server's operator renew the certificate."
                } else {
                    "Have the server's operator replace the intermediate certificate in the chain that the server sends."
                },
                None,
            )
    })
}

/// Whether go complains about the validity of this host's certificate.
fn says_so(case: &Case, shown: &Shown<'_>) -> bool {
    case.go.errors().iter().any(|error| {
        error.host.is_some()
            && error.host == shown.host
            && matches!(error.kind.innermost(), GoErrorKind::CertificateExpired { .. })
    })
}

/// Not one certificate of the chain, nor its root where that was sent, is valid yet.
fn is_all_to_come(shown: &Shown<'_>) -> bool {
    shown.chain.iter().all(|certificate| {
        certificate.facts().is_some_and(|facts| facts.not_before.is_some_and(|begin| begin.timestamp() > shown.at.time))
    })
}

/// Whether the client also refused another server's certificates, which cannot be seen, and go names nothing against them.
fn another_was_refused(case: &Case, shown: &Shown<'_>) -> bool {
    let unseen = |handshake: &&Handshake| {
        let other = handshake.server_name.seen();
        handshake.outcome == Outcome::RejectedByClient
            && matches!(handshake.certificates, Sighting::Hidden(_))
            && other.is_some()
            && other != shown.host.as_ref()
            && !case.go.errors().iter().any(|error| error.host.as_ref() == other)
    };
    shown.rejected() && case.handshakes.iter().any(|handshake| unseen(&handshake))
}

fn same_kind(a: &Time, b: &Time) -> bool {
    matches!(
        (a, b),
        (Time::Expired { .. }, Time::Expired { .. }) | (Time::NotYetValid { .. }, Time::NotYetValid { .. })
    )
}
