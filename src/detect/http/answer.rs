//! What the service itself answers: refusals, failures, streams and bodies that it does not finish.

use super::super::attempt::segment_at;
use super::super::trust::Speaker;
use super::{Asked, Trouble};
use crate::finding::{Code, Confidence, Evidence, Fault};
use crate::go::log::GitErrorKind;
use crate::go::target::RequestKind;
use crate::go::{GoError, GoErrorKind};
use crate::observation::{Case, Connection, End, HttpProtocol, Marks};
use crate::reference::{Reference, Role};
use crate::types::{Direction, Moment};

/// What to do where a service for everybody refuses.
const REFUSED: (&str, Option<&str>) = (
    "The service asks nobody for credentials: it refuses this client by its place, its network or its rate. Use another module proxy, or ask from another network.",
    Some("go env -w GOPROXY=https://goproxy.example,direct"),
);

/// Segments of the client that are cited after a forged end.
const UNANSWERED: usize = 16;

/// Who else may have closed a connection with marks that are not the server's.
pub(super) const BALANCER: &str = "a balancer or firewall in front of the server that ends connections in its name";

/// What to do about a version of Go that does not exist.
pub(super) const NO_TOOLCHAIN: (&str, Option<&str>) = (
    "Check the version in the go and toolchain lines of go.mod and in GOTOOLCHAIN: since Go 1.21 the first release of a series is 1.N.0, not 1.N. GOTOOLCHAIN=local makes do with the Go that is installed.",
    Some("go env GOTOOLCHAIN"),
);

/// HTTP/2 told apart by what the reader of the protocol says (RFC 9113 §5.4).
pub(super) fn stream(one: &Asked<'_>) -> Option<Trouble> {
    let error = one.exchange.error.as_deref()?;
    let folded = error.to_ascii_lowercase();
    let named = ["stream error", "rst_stream", "goaway"].iter().any(|word| folded.contains(word));
    // NO_ERROR ends what is complete already, or announces a restart (RFC 9113 §8.1, §6.8).
    if one.exchange.protocol != HttpProtocol::Http2 || !named || folded.contains("no_error") || one.exchange.complete {
        return None;
    }
    let trouble =
        |what: &str, confidence| Trouble::new(Code::HttpStreamError, Fault::Upstream, confidence, "stream_error", what);
    if folded.contains("sent by client") {
        // go ends a stream itself over frames that break the protocol.
        return Some(trouble(error, Confidence::Moderate).or("a fault of the client's own HTTP/2"));
    }
    let trouble = trouble(error, Confidence::Strong);
    let service = one.speaker == Speaker::Server;
    Some(if service { trouble } else { trouble.or("a proxy or load balancer in front of the service") })
}

/// Refusals and failures that the answer's status tells.
pub(super) fn status(case: &Case, reference: &Reference, one: &Asked<'_>) -> Option<Trouble> {
    let status = one.exchange.status?;
    one.request.as_ref()?;
    let reason = &one.exchange.reason;
    let what = if reason.is_empty() { status.to_string() } else { format!("{status} {reason}") };
    let clear = one.speaker == Speaker::Anybody;
    let proxied = one.is_proxied(case);
    let (code, fault) = match status {
        401 | 403 | 451 => (Code::HttpForbidden, Fault::Upstream),
        // Of a proxy that is asked for a plain URL the proxy family tells.
        407 if !clear => (Code::HttpForbidden, Fault::Upstream),
        404 | 410 if died_of(case, one, status) => (Code::HttpNotFound, Fault::Upstream),
        429 => (Code::HttpRateLimited, Fault::Upstream),
        // What no code tells: the service does not understand what go asks, or does not want to.
        400..=499 if status != 407 && status != 404 && status != 410 && died_of(case, one, status) => {
            (Code::HttpUnexpectedContent, Fault::Upstream)
        }
        // tinyproxy's words where it cannot reach the host.
        500 if proxied && clear && reason == "Unable to connect" => (Code::HttpServerError, Fault::ProxyUpstream),
        // A gateway between speaks for itself, and cannot do so inside of a tunnel.
        502..=504 if proxied && clear => (Code::HttpServerError, Fault::ProxyUpstream),
        500..=599 if status != 511 => (Code::HttpServerError, Fault::Upstream),
        _ => return None,
    };
    let by_service = matches!(one.speaker, Speaker::Server | Speaker::Private) || (clear && !proxied);
    let confidence = if by_service { Confidence::Strong } else { Confidence::Moderate };
    let mut trouble = Trouble::new(code, fault, confidence, "answer", what);
    trouble.details.extend(one.exchange.header("retry-after").map(|value| ("retry_after", value.to_owned())));
    if code == Code::HttpNotFound && one.kind() == Some(RequestKind::ToolchainZip) {
        trouble.advice = Some(NO_TOOLCHAIN);
    }
    if code == Code::HttpForbidden {
        trouble.advice = for_everybody(reference, &one.host).then_some(REFUSED);
        if clear {
            trouble = trouble.or("a filter that answers with a plain refusal");
        }
    }
    Some(trouble)
}

/// Whether the host serves everybody, so that no credentials would help.
fn for_everybody(reference: &Reference, host: &str) -> bool {
    reference.host(host).is_some_and(|host| {
        matches!(host.role, Role::ModuleProxy | Role::ChecksumDatabase | Role::Storage | Role::Toolchain)
    })
}

/// Whether go gave up with this very status of this host. That a prefix of the path, or the first proxy of several, does not
/// know a module is the ordinary course of things.
fn died_of(case: &Case, one: &Asked<'_>, status: u16) -> bool {
    let same = |kind: &GoErrorKind| match kind.innermost() {
        GoErrorKind::HttpStatus { code, .. } | GoErrorKind::GitError(GitErrorKind::HttpStatus { code }) => {
            *code == status
        }
        GoErrorKind::GitError(GitErrorKind::RepositoryNotFound) => matches!(status, 404 | 410),
        _ => false,
    };
    // git names the repository, and asks for more than that.
    let general = |error: &GoError| error.url.is_none() || matches!(error.kind, GoErrorKind::GitError(_));
    let missing = |kind: &GoErrorKind| matches!(kind.innermost(), GoErrorKind::ToolchainNotAvailable { .. });
    one.complaint(case).is_some_and(|error| same(&error.kind) || missing(&error.kind))
        || case
            .go
            .errors()
            .iter()
            .any(|error| general(error) && error.host.as_deref() == Some(one.host.as_str()) && same(&error.kind))
}

/// The marks of another sender than the server on the packet that closes a connection, where there is more than one.
pub(super) fn forged(case: &Case, connection: &Connection, fin: Moment) -> Option<Marks> {
    let marks = case.marks(connection, &segment_at(connection, fin)?);
    (marks.ttl.is_some() && marks.classes() >= 2).then_some(marks)
}

/// What the client sent around a forged end: the last segment before it, which may have set it off, and what follows, which
/// whoever forged the end does not let pass.
pub(super) fn around_end(connection: &Connection, end: Moment) -> Vec<Evidence> {
    let own = || connection.segments.towards(Direction::ToServer);
    let before = own().rev().find(|segment| segment.at < end).into_iter();
    let around = before.chain(own().filter(|segment| segment.at > end).take(UNANSWERED));
    around.map(|segment| Evidence::segment("unanswered", segment.at, connection.flow, "")).collect()
}

/// An answer that was cut short by whoever sent it. One that the recording cuts short says nothing.
pub(super) fn truncated(case: &Case, one: &Asked<'_>) -> Option<Trouble> {
    let (exchange, connection) = (one.exchange, one.connection);
    // Without any answer go may just ask again.
    let unanswered = exchange.status.is_none()
        && one
            .complaint(case)
            .is_some_and(|error| matches!(error.kind.innermost(), GoErrorKind::Eof | GoErrorKind::UnexpectedEof));
    if exchange.complete || !(unanswered || exchange.status.is_some_and(|status| (200..300).contains(&status))) {
        return None;
    }
    let promised: Option<u64> = exchange.header("content-length").and_then(|value| value.trim().parse().ok());
    let complains = || {
        one.complaint(case).is_some_and(|error| {
            matches!(error.kind.innermost(), GoErrorKind::ConnectionReset | GoErrorKind::UnexpectedEof)
        })
    };
    let short = promised.map_or_else(complains, |promised| exchange.body_bytes < promised);
    let reset = match connection.end {
        End::Reset { direction: Direction::ToClient, at } => Some(at),
        _ => None,
    };
    // Who has hung up before does not want the rest.
    let first = |at: &Moment| connection.fin.to_server.is_none_or(|fin| fin > *at);
    let reset = reset.filter(|at| short && first(at)).filter(|_| connection.gaps.to_client.is_empty());
    let said = exchange.error.as_deref();
    // Without a FIN it is the recording that ends there.
    let short_of = if unanswered { &["EOF", "unexpected EOF"][..] } else { &["unexpected EOF"] };
    let is_short = said.is_some_and(|said| short_of.contains(&said));
    let ended = connection.fin.to_client.filter(|fin| is_short && first(fin));
    // A stream of HTTP/2 has an end of its own (RFC 9113 §8.1.1), and so has what is said inside of TLS (RFC 8446 §6.1).
    let own_end = exchange.protocol == HttpProtocol::Http2 || exchange.url.starts_with("https://");
    let inside = is_short && ended.is_none() && own_end;
    if ended.is_none() && !inside && said != Some("broken chunked coding") && reset.is_none() {
        return None;
    }
    let of = promised.map(|promised| format!(" of {promised}")).unwrap_or_default();
    let how = match reset {
        Some(_) => "a reset",
        None if inside => "the end of the stream",
        None => "the end of the connection",
    };
    let what = if unanswered {
        format!("nothing, then {how}")
    } else {
        format!("{} byte(s){of}, then {how}", exchange.body_bytes)
    };
    let new =
        |fault, confidence, what: String| Trouble::new(Code::HttpTruncatedBody, fault, confidence, "cut_answer", what);
    let by_another = ended.and_then(|fin| forged(case, connection, fin));
    // Who forges the end keeps the client's packets from then on.
    let mut trouble = match by_another {
        Some(marks) => new(
            Fault::Interference,
            Confidence::Moderate,
            format!("{what} by somebody on the path ({})", marks.words()),
        )
        .or(BALANCER),
        None if inside => new(Fault::Upstream, Confidence::Strong, what),
        None => new(Fault::Upstream, Confidence::Strong, what).or("something on the path that ends connections"),
    };
    trouble.details.push(("received_bytes", exchange.body_bytes.to_string()));
    trouble.details.extend(promised.map(|promised| ("promised_bytes", promised.to_string())));
    for end in [ended, reset].into_iter().flatten() {
        trouble.more.push(Evidence::segment("end", end, exchange.flow, ""));
    }
    if trouble.fault == Fault::Interference {
        trouble.more.extend(ended.into_iter().flat_map(|end| around_end(connection, end)));
    }
    Some(trouble)
}
