//! Texts of git, libcurl, GnuTLS, OpenSSL and ssh.

use super::kind::GitErrorKind;
use crate::go::text::{between, limited};

/// What git says in the text; `None` when nothing of git is in it.
pub(super) fn cause(text: &str) -> Option<GitErrorKind> {
    let word = |start: &str| {
        let (_, rest) = text.split_once(start)?;
        let word = rest.split(|c: char| c.is_whitespace() || matches!(c, ':' | ';' | ',')).next()?;
        Some(limited(word.trim_matches(['\'', '"']).trim_end_matches('.'), 255).to_owned())
    };
    let number = |start: &str| {
        let (_, rest) = text.split_once(start)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u16>().ok()
    };
    let has = |needle: &str| text.contains(needle);
    if let Some(host) = word("Could not resolve host: ").or_else(|| word("Could not resolve hostname ")) {
        return Some(GitErrorKind::HostNotResolved { host });
    }
    if let Some(host) = word("Could not resolve proxy: ") {
        return Some(GitErrorKind::ProxyNotResolved { host });
    }
    if has("CONNECT tunnel failed") || has("HTTP code 407 from proxy") || has("from proxy after CONNECT") {
        let code = number("CONNECT tunnel failed, response ").or_else(|| number("HTTP code "));
        return Some(GitErrorKind::ConnectTunnelFailed { code });
    }
    // Names and alerts before resets: OpenSSL's lines carry several of these words.
    if has("gnutls_handshake() failed: ") {
        let (_, complaint) = text.split_once("gnutls_handshake() failed: ")?;
        let complaint = complaint.lines().next().unwrap_or_default().trim();
        return Some(if complaint.contains("non-properly terminated") {
            GitErrorKind::TlsTerminated
        } else if complaint.contains("unexpected TLS packet") {
            GitErrorKind::NotTls
        } else if complaint.contains("Error in the pull function") || complaint.contains("reset") {
            GitErrorKind::ConnectionReset
        } else {
            GitErrorKind::TlsAlert { text: limited(complaint, 200).to_owned() }
        });
    }
    if has("does not match target host name")
        || has("certificate subject name")
        || has("no alternative certificate subject name")
    {
        return Some(GitErrorKind::NameMismatch);
    }
    if has("server certificate verification failed")
        || has("SSL certificate problem")
        || has("unable to get local issuer certificate")
    {
        return Some(GitErrorKind::CertificateNotVerified);
    }
    if has("wrong version number") || has("packet length too long") {
        return Some(GitErrorKind::NotTls);
    }
    if let Some(alert) = between(text, "alert ", "\n").or_else(|| text.split_once("alert ").map(|(_, rest)| rest))
        && (has("SSL routines") || has("error:1"))
    {
        return Some(GitErrorKind::TlsAlert { text: limited(alert.trim(), 200).to_owned() });
    }
    if has("Recv failure: Connection reset") || has("Connection reset by peer in connection to") || has("errno 104") {
        return Some(GitErrorKind::ConnectionReset);
    }
    if has("SSL_ERROR_SYSCALL") || has("unexpected eof while reading") && has("SSL") {
        return Some(GitErrorKind::TlsTerminated);
    }
    if let Some(host) = word("Failed to connect to ") {
        let timed_out = has("timed out") || has("Timeout was reached") || has("Connection timeout");
        return Some(GitErrorKind::ConnectFailed { host, port: number(" port "), timed_out });
    }
    if has("connect to host ") && has(" port ") {
        let host = word("connect to host ").unwrap_or_default();
        return Some(GitErrorKind::ConnectFailed { host, port: number(" port "), timed_out: has("timed out") });
    }
    if let Some(code) = number("The requested URL returned error: ") {
        return Some(GitErrorKind::HttpStatus { code });
    }
    if has("could not read Username")
        || has("could not read Password")
        || has("terminal prompts disabled")
        || has("Authentication failed for")
    {
        return Some(GitErrorKind::AuthenticationRequired);
    }
    if has("Permission denied (publickey") {
        return Some(GitErrorKind::PermissionDenied);
    }
    if has("Host key verification failed") {
        return Some(GitErrorKind::HostKeyUnknown);
    }
    if has("fatal: repository '") && has("not found") || has("remote: Repository not found") {
        return Some(GitErrorKind::RepositoryNotFound);
    }
    if has("RPC failed") || has("early EOF") || has("the remote end hung up unexpectedly") {
        return Some(GitErrorKind::TransferCut);
    }
    if has("unknown revision") || has("couldn't find remote ref") || has("Remote branch ") && has("not found") {
        return Some(GitErrorKind::UnknownRevision);
    }
    if has("exec: \"git\": executable file not found") {
        return Some(GitErrorKind::NotInstalled);
    }
    let failed = has("fatal: unable to access '") || (has("git ") && has("exit status "));
    failed.then_some(GitErrorKind::Other)
}
