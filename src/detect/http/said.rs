//! Answers that TLS hides and go's own words name.

use std::collections::BTreeSet;

use super::remedy;
use crate::finding::{Assessment, Code, Confidence, Evidence, Fault, Finding, NotAssessed, Severity, Subject};
use crate::go::{GoError, GoErrorKind};
use crate::observation::{Case, Veil};

/// Findings from go's words about hosts of which no exchange could be read.
pub(super) fn assess(case: &Case, read: &[&str], assessment: &mut Assessment) {
    let mut known = BTreeSet::new();
    for error in case.go.errors() {
        let Some(host) = error.host.as_deref().filter(|host| !read.contains(host)) else { continue };
        let Some((code, fault, what, open)) = meaning(error) else { continue };
        if !known.insert((code, host.to_owned())) {
            continue;
        }
        let port = error.url.as_deref().and_then(|url| url.split_once("://")).map(|(scheme, _)| scheme == "https");
        let subject = Subject {
            host: Some(host.to_owned()),
            address: None,
            port: port.map(|secure| if secure { 443 } else { 80 }),
            module: None,
        };
        let summary = format!("go says that {host} answers {what}; the answer itself cannot be read.");
        let evidence = Evidence::log(error.line, error.text.clone());
        let mut finding = Finding::new(code, fault, Confidence::Moderate, subject.clone(), evidence, summary)
            .with_class(format!("{} {}", code.name(), status(error).unwrap_or(0)));
        finding.details.extend(status(error).map(|status| ("status", crate::finding::Detail::Number(status.into()))));
        finding.go_error = Some(error.text.clone());
        for alternative in open {
            finding = finding.not_excluding(*alternative);
        }
        if case.go.failed() == Some(false) {
            finding.severity = finding.severity.min(Severity::Low);
            finding.fault = Fault::Harmless;
        }
        assessment.found.push(remedy(finding));
        let hint = "give the session's secrets with --keylog".to_owned();
        assessment.not_assessed.push(NotAssessed { code: Code::HttpBlockPage, subject, veil: Veil::Encrypted, hint });
    }
}

fn status(error: &GoError) -> Option<u16> {
    match error.kind.innermost() {
        GoErrorKind::HttpStatus { code, .. } => Some(*code),
        _ => None,
    }
}

/// Code, whose fault, what came, and what else it may be.
fn meaning(error: &GoError) -> Option<(Code, Fault, String, &'static [&'static str])> {
    const FILTER: &[&str] = &["a filter's page with that status"];
    const PROXY: &[&str] = &["a proxy or load balancer in front of the service"];
    const PAGE: &[&str] = &["GOPROXY names something else than a module proxy", "a log-in portal", "a filter's page"];
    const PATH: &[&str] = &["the server ended it", "something on the path that ends connections"];
    Some(match error.kind.innermost() {
        GoErrorKind::HttpStatus { code, reason, body } => {
            let what = format!("{code} {reason}");
            match code {
                // Go shows bodies in plain text, as services write them for programs, and no pages.
                401 | 403 | 451 if body.is_some() => (Code::HttpForbidden, Fault::Upstream, what, PROXY),
                401 => (Code::HttpForbidden, Fault::Upstream, what, PROXY),
                403 | 451 => (Code::HttpForbidden, Fault::Unknown, what, FILTER),
                404 | 410 => (Code::HttpNotFound, Fault::Upstream, what, PROXY),
                429 => (Code::HttpRateLimited, Fault::Upstream, what, PROXY),
                500..=510 | 512..=599 => (Code::HttpServerError, Fault::Upstream, what, PROXY),
                _ => return None,
            }
        }
        GoErrorKind::StreamError { code, from_peer: true } if code != "NO_ERROR" => {
            (Code::HttpStreamError, Fault::Upstream, format!("with a stream error {code}"), PROXY)
        }
        GoErrorKind::GoAway { code, .. } if code != "NO_ERROR" => {
            (Code::HttpStreamError, Fault::Upstream, format!("with GOAWAY {code}"), PROXY)
        }
        GoErrorKind::InvalidProxyResponse { detail } => (
            Code::HttpUnexpectedContent,
            Fault::Unknown,
            format!("what is not the module proxy's protocol ({detail})"),
            PAGE,
        ),
        // Of a body: before the headers go says EOF or names the failure of the connection.
        GoErrorKind::UnexpectedEof if error.text.contains("read \"http") => {
            (Code::HttpTruncatedBody, Fault::Unknown, "with less than it promised".to_owned(), PATH)
        }
        _ => return None,
    })
}
