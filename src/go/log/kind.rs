//! What an error of the go command says.

use crate::types::Timestamp;

/// The innermost cause that a text names. It is what go says, not what happened: several causes share a text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum GoErrorKind {
    /// `no such host`: NXDOMAIN, or no address in the answer.
    NoSuchHost,
    /// `server misbehaving`: SERVFAIL, REFUSED or another code.
    ServerMisbehaving,
    /// No answer from the resolver, or only ones that Go ignores.
    DnsTimeout,
    /// Nothing listens where the resolver should (ICMP port unreachable).
    DnsRefused,
    /// The resolver's address cannot be reached.
    DnsUnreachable,
    /// The system forbids sending to the resolver.
    DnsNotPermitted,
    /// The answer could not be read (`cannot unmarshal DNS message`, `lame referral`).
    DnsMalformed,
    /// The repetition over TCP failed.
    DnsOverTcp(Box<GoErrorKind>),
    /// RST to the SYN.
    ConnectionRefused,
    /// `no route to host`.
    NoRoute,
    /// `network is unreachable`.
    NetworkUnreachable,
    /// `cannot assign requested address`: usually IPv6 without an address of one's own.
    AddressNotAvailable,
    /// The system forbids the connection (`operation not permitted`, `permission denied`).
    PermissionDenied,
    /// The SYN was not answered.
    DialTimeout,
    /// Silence on an established connection, or a deadline passed.
    Timeout,
    /// RST on an established connection.
    ConnectionReset,
    /// The own system gave up the connection (`software caused connection abort`).
    ConnectionAborted,
    /// `http2: client connection lost`: no answer to a ping.
    ConnectionLost,
    /// The peer closed before anything came.
    Eof,
    /// The peer closed in the middle.
    UnexpectedEof,
    /// The peer had closed when go wrote.
    BrokenPipe,
    /// Ten seconds without a finished handshake.
    TlsHandshakeTimeout,
    /// A fatal alert from the peer.
    RemoteAlert {
        /// Go's name for it.
        name: String,
        /// Its number (RFC 8446 §6), where the name is known.
        number: Option<u8>,
    },
    /// `http: server gave HTTP response to HTTPS client`.
    HttpResponseToHttpsClient,
    /// The first record is not TLS.
    NotTlsRecord,
    /// `certificate signed by unknown authority`.
    UnknownAuthority {
        /// What Go adds in parentheses about a candidate authority.
        hint: Option<String>,
    },
    /// `certificate has expired or is not yet valid`.
    CertificateExpired {
        /// Whether the validity had not begun.
        not_yet: bool,
        /// The client's clock.
        now: Option<Timestamp>,
        /// The bound that it is beyond.
        bound: Option<Timestamp>,
    },
    /// The certificate is for other names.
    NameMismatch {
        /// The certificate's names; empty when it has none or Go does not list them.
        valid_for: Vec<String>,
        /// The name that was wanted.
        wanted: String,
    },
    /// The certificate names nothing in the place where names belong.
    NoSubjectAlternativeName,
    /// `self-signed certificate`, as git and curl say; Go says unknown authority.
    SelfSigned,
    /// The serial number is negative, which Go refuses from 1.23.
    NegativeSerial,
    /// A signature algorithm that Go refuses.
    InsecureAlgorithm {
        /// Its name.
        algorithm: String,
    },
    /// Another complaint of crypto/x509.
    OtherX509(String),
    /// An HTTP answer other than 200.
    HttpStatus {
        /// Its code.
        code: u16,
        /// Its reason phrase.
        reason: String,
        /// What Go shows of a plain-text body.
        body: Option<String>,
    },
    /// A module proxy, or a checksum database, answered 200 with something else than the protocol's.
    InvalidProxyResponse {
        /// What is wrong with it.
        detail: String,
    },
    /// An https URL redirected to plain http.
    RedirectToInsecure {
        /// The URL that it redirects to.
        to: String,
    },
    /// More than ten redirects.
    TooManyRedirects,
    /// An HTTP/2 stream or connection error.
    StreamError {
        /// The error code, such as `INTERNAL_ERROR`.
        code: String,
        /// Whether the peer sent it.
        from_peer: bool,
    },
    /// HTTP/2 GOAWAY.
    GoAway {
        /// The error code.
        code: String,
        /// The debug data.
        debug: Option<String>,
    },
    /// The proxy itself could not be used.
    ProxyConnect(Box<GoErrorKind>),
    /// The proxy answered CONNECT with something else than 200; Go shows the reason phrase only.
    ConnectRefusedByProxy {
        /// The reason phrase.
        reason: String,
    },
    /// An answer that is not HTTP.
    MalformedHttp {
        /// How it begins, as Go quotes it.
        prefix: String,
    },
    /// A SOCKS server refused.
    SocksError {
        /// What Go says.
        reason: String,
        /// The reply code (RFC 1928 §6), where the text is known.
        code: Option<u8>,
    },
    /// The bytes are not those that go.sum or the checksum database knows.
    ChecksumMismatch {
        /// `path@version`.
        module: Option<String>,
        /// Whether it is about the go.mod file.
        go_mod: bool,
        /// The hash of what came.
        downloaded: Option<String>,
        /// The hash that was expected.
        expected: Option<String>,
        /// Who expected it.
        against: Against,
    },
    /// The checksum database's answer lacks the line.
    ChecksumMissing,
    /// go.sum lacks the line and may not be changed.
    MissingGoSumEntry,
    /// A signature or proof of the checksum database does not hold.
    SumdbUntrusted(String),
    /// A request to the checksum database failed in a way that has no kind of its own.
    SumdbRequest,
    /// Not a valid module zip.
    ZipInvalid,
    /// `go mod verify`: the cache was changed after the download.
    CacheModified,
    /// GOPROXY=off.
    ModuleLookupDisabled,
    /// GOSUMDB=off where the database is needed.
    ChecksumDatabaseDisabled,
    /// GOVCS forbids the version control system.
    GovcsDisallows,
    /// A GOPROXY entry that Go refuses.
    InvalidProxyScheme,
    /// `HTTP_PROXY` in a CGI environment.
    CgiProxyRefused,
    /// The toolchain that is wanted does not exist where it was asked.
    ToolchainNotAvailable {
        /// Such as `go1.22`.
        toolchain: Option<String>,
    },
    /// The go.mod wants a newer Go.
    GoTooOld {
        /// The version that is wanted.
        required: Option<String>,
        /// The version that runs.
        running: Option<String>,
    },
    /// `no secure protocol found for repository`: hides any failure of a `.git` style path.
    NoSecureProtocol,
    /// The page has no go-import meta tag for the path.
    NoGoImportMeta,
    /// git failed.
    GitError(GitErrorKind),
    /// An error without a kind of its own.
    Other,
}

/// Who knew the hash that the download does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Against {
    /// The project's go.sum.
    GoSum,
    /// A checksum database, by name.
    Sumdb(String),
    /// The text does not say.
    Unknown,
}

/// What git says, mostly with the words of libcurl and its TLS library.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum GitErrorKind {
    /// `Could not resolve host`.
    HostNotResolved {
        /// The name.
        host: String,
    },
    /// `Could not resolve proxy`.
    ProxyNotResolved {
        /// The name.
        host: String,
    },
    /// `Failed to connect to H port P`.
    ConnectFailed {
        /// The host.
        host: String,
        /// The port.
        port: Option<u16>,
        /// Whether time ran out.
        timed_out: bool,
    },
    /// `Connection reset by peer`, in the handshake or later.
    ConnectionReset,
    /// `CONNECT tunnel failed, response N`.
    ConnectTunnelFailed {
        /// The status.
        code: Option<u16>,
    },
    /// `repository 'U' not found`.
    RepositoryNotFound,
    /// The connection ended within the handshake.
    TlsTerminated,
    /// The server's alert.
    TlsAlert {
        /// In the library's words.
        text: String,
    },
    /// The peer does not speak TLS.
    NotTls,
    /// The certificate was not accepted: missing intermediate, expired, unknown authority alike.
    CertificateNotVerified,
    /// The certificate is for another name.
    NameMismatch,
    /// User name and password are wanted and cannot be asked for.
    AuthenticationRequired,
    /// ssh has no key that the server takes.
    PermissionDenied,
    /// ssh does not know the server's key.
    HostKeyUnknown,
    /// `The requested URL returned error: N`.
    HttpStatus {
        /// The status.
        code: u16,
    },
    /// The transfer was cut.
    TransferCut,
    /// The version or branch does not exist.
    UnknownRevision,
    /// git is not installed.
    NotInstalled,
    /// Something else.
    Other,
}

impl GoErrorKind {
    /// The cause within [`ProxyConnect`](Self::ProxyConnect) and [`DnsOverTcp`](Self::DnsOverTcp).
    #[must_use]
    pub fn innermost(&self) -> &Self {
        match self {
            Self::ProxyConnect(inner) | Self::DnsOverTcp(inner) => inner.innermost(),
            other => other,
        }
    }

    /// Whether the name could not be resolved, whatever the reason.
    #[must_use]
    pub const fn is_dns(&self) -> bool {
        matches!(
            self,
            Self::NoSuchHost
                | Self::ServerMisbehaving
                | Self::DnsTimeout
                | Self::DnsRefused
                | Self::DnsUnreachable
                | Self::DnsNotPermitted
                | Self::DnsMalformed
                | Self::DnsOverTcp(_)
        )
    }

    /// Whether Go refused the certificate.
    #[must_use]
    pub const fn is_certificate(&self) -> bool {
        matches!(
            self,
            Self::UnknownAuthority { .. }
                | Self::CertificateExpired { .. }
                | Self::NameMismatch { .. }
                | Self::NoSubjectAlternativeName
                | Self::SelfSigned
                | Self::NegativeSerial
                | Self::InsecureAlgorithm { .. }
                | Self::OtherX509(_)
        )
    }

    /// Whether it is about settings or files: no packet can show it.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(
            self,
            Self::ModuleLookupDisabled
                | Self::ChecksumDatabaseDisabled
                | Self::GovcsDisallows
                | Self::InvalidProxyScheme
                | Self::CgiProxyRefused
                | Self::GoTooOld { .. }
                | Self::MissingGoSumEntry
                | Self::CacheModified
        )
    }
}
