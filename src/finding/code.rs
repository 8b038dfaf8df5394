//! The one list of finding codes, from which `explain`, the JSON Schema, the documentation and the coverage tests come.

use super::Severity;

macro_rules! codes {
    ($($variant:ident $id:literal $severity:ident $title:literal,)+) => {
        /// What a finding says, by its public name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = concat!("`", $id, "`: ", $title, ".")] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the families.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The public name, `family.what`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            /// How bad it is, unless the detector knows better.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// A few words for a headline.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

codes! {
    CaptureTruncated "capture.truncated" Info "packets are cut by the snap length",
    CaptureLossy "capture.lossy" Info "the recording lacks packets that arrived",
    CaptureDuplicated "capture.duplicated" Info "packets were recorded twice",
    CaptureMidstream "capture.midstream" Info "connections without their start",
    CaptureOneSided "capture.one_sided" Info "one direction alone was recorded",
    CaptureDamaged "capture.damaged" Info "parts of the recording cannot be read",

    DnsInjectedAnswer "dns.injected_answer" Critical "a forged DNS answer was injected on the path",
    DnsHijackedAnswer "dns.hijacked_answer" Critical "the DNS answer leads to an address that is not the name's",
    DnsBogonAnswer "dns.bogon_answer" High "a public name was answered with an unroutable address",
    DnsForgedNxdomain "dns.forged_nxdomain" High "the resolver denies a name that exists",
    DnsNxdomain "dns.nxdomain" Medium "the name does not exist",
    DnsServfail "dns.servfail" Medium "the resolver failed",
    DnsRefused "dns.refused" Medium "the resolver refused to answer",
    DnsTimeout "dns.timeout" Medium "the resolver did not answer",
    DnsTcpBlocked "dns.tcp_blocked" Medium "DNS over TCP does not work",
    DnsNoResolver "dns.no_resolver" Medium "there is no usable resolver",
    DnsLocalOverride "dns.local_override" Medium "the address came from a local override, not from DNS",
    DnsInterceptedResolver "dns.intercepted_resolver" Medium "something else than the resolver that was asked answers",
    DnsUnexpectedRange "dns.unexpected_range" Info "the address is outside the operator's known ranges",

    NetAddressBlackhole "net.address_blackhole" High "nothing answers at the address",
    NetUnreachable "net.unreachable" High "the network says that the address is unreachable",
    NetBlockedLocally "net.blocked_locally" High "the client's own system refuses the connection",
    NetIpv6Broken "net.ipv6_broken" High "IPv6 does not work where IPv4 does",
    NetMtuBlackhole "net.mtu_blackhole" High "full-size packets vanish",
    TcpConnectionRefused "tcp.connection_refused" High "the host refuses the connection",
    TcpRefusalInjected "tcp.refusal_injected" High "somebody on the path refuses the connection in the host's name",
    TcpResetInjected "tcp.reset_injected" High "a forged reset ended the connection",
    TcpDataInjected "tcp.data_injected" Critical "forged data were injected",
    TcpStalled "tcp.stalled" High "the transfer stopped for good",
    TcpThrottled "tcp.throttled" Medium "the transfer is being throttled",

    TlsSniReset "tls.sni_reset" Critical "the connection is reset on the path because of the name in the TLS hello",
    TlsSniBlackhole "tls.sni_blackhole" Critical "TLS hellos with this name vanish",
    TlsSniClosed "tls.sni_closed" High "a forged close follows the TLS hello",
    TlsResidualBlock "tls.residual_block" High "the address stays blocked for a while after a TLS hello",
    TlsClienthelloIntolerance "tls.clienthello_intolerance" High "large or new-style TLS hellos do not get through",
    TlsAlertInjected "tls.alert_injected" High "a forged TLS alert was injected",
    TlsServerAlert "tls.server_alert" Medium "the server refuses with a TLS alert",
    TlsServerReset "tls.server_reset" Medium "the server itself ends the connection at the TLS hello",
    TlsNotTls "tls.not_tls" High "something answers TLS with plain text",
    TlsHandshakeTimeout "tls.handshake_timeout" Medium "the TLS handshake gets stuck",

    CertMissingIntermediate "cert.missing_intermediate" High "the server does not send an intermediate certificate",
    CertMisorderedChain "cert.misordered_chain" Low "the certificate chain is in the wrong order",
    CertSuperfluousCertificate "cert.superfluous_certificate" Low "the chain holds certificates that nobody needs",
    CertExpired "cert.expired" High "a certificate has expired",
    CertNotYetValid "cert.not_yet_valid" High "a certificate is not valid yet",
    CertNameMismatch "cert.name_mismatch" High "the certificate is for another name",
    CertSelfSigned "cert.self_signed" High "the certificate is self-signed",
    CertUnknownAuthority "cert.unknown_authority" High "the certificate's authority is private or unknown",
    CertInterception "cert.interception" High "TLS is intercepted",
    CertWeakSignature "cert.weak_signature" Medium "the chain uses a signature that Go refuses",
    CertNegativeSerial "cert.negative_serial" Medium "a certificate has a negative serial number",
    CertNoTrustStore "cert.no_trust_store" High "the client has no usable root certificates",
    CertRejectedByClient "cert.rejected_by_client" High "the client rejected a certificate that cannot be seen",

    ProxyConnectDenied "proxy.connect_denied" High "the proxy's policy denies the connection",
    ProxyAuthRequired "proxy.auth_required" High "the proxy wants authentication",
    ProxyUpstreamError "proxy.upstream_error" Medium "the proxy cannot reach the destination",
    ProxyUnreachable "proxy.unreachable" High "the proxy cannot be reached",
    ProxyWrongScheme "proxy.wrong_scheme" High "the proxy is spoken to in the wrong protocol",
    ProxyNotExcluded "proxy.not_excluded" Medium "NO_PROXY does not exclude the host as meant",
    ProxyBypassed "proxy.bypassed" Medium "the host bypasses the proxy",

    HttpBlockPage "http.block_page" High "a filter's page came instead of the answer",
    HttpCaptivePortal "http.captive_portal" High "a log-in portal answers",
    HttpForbidden "http.forbidden" Medium "the service itself refuses access",
    HttpRateLimited "http.rate_limited" Medium "the service limits the rate of requests",
    HttpServerError "http.server_error" Medium "the service fails",
    HttpNotFound "http.not_found" Low "the service does not have it",
    HttpStreamError "http.stream_error" Medium "the server aborted an HTTP/2 stream",
    HttpTruncatedBody "http.truncated_body" High "the answer was cut short",
    HttpUnexpectedContent "http.unexpected_content" High "the answer is not what this endpoint serves",

    ArtifactChecksumMismatch "artifact.checksum_mismatch" Critical "the bytes are not those that were recorded for this version",
    ArtifactSumdbUnreachable "artifact.sumdb_unreachable" Medium "the checksum database cannot be reached",
    ArtifactSumdbUntrusted "artifact.sumdb_untrusted" Critical "an answer of the checksum database cannot be trusted",
    ArtifactInvalidZip "artifact.invalid_zip" High "the archive is not a valid module zip",
    ArtifactSdkMismatch "artifact.sdk_mismatch" Critical "the Go SDK archive is not the released one",
    ArtifactSdkSignature "artifact.sdk_signature" Critical "the Go SDK archive's signature is bad or missing",
    ArtifactCacheModified "artifact.cache_modified" High "a module cache entry was changed after download",

    EnvGoNotFound "env.go_not_found" Medium "no go command is found",
    EnvGoShadowed "env.go_shadowed" Medium "another go command comes first",
    EnvGorootMismatch "env.goroot_mismatch" Medium "GOROOT points at another Go",
    EnvGopathConflict "env.gopath_conflict" Medium "GOPATH conflicts with GOROOT",
    EnvToolchainTooOld "env.toolchain_too_old" Medium "this Go is too old for the module",
    EnvToolchainSwitch "env.toolchain_switch" Medium "go switches to another toolchain",
    EnvProxyMisread "env.proxy_misread" Medium "Go reads a proxy setting otherwise than meant",
    EnvGoproxyNoFallback "env.goproxy_no_fallback" Medium "GOPROXY has no fallback for this failure",
    EnvPrivateModuleLeak "env.private_module_leak" Medium "names of private modules reach public services",
    EnvSumdbDisabled "env.sumdb_disabled" Medium "the checksum database is switched off",
    EnvInsecure "env.insecure" Medium "TLS verification is switched off",
    EnvShellStartup "env.shell_startup" Medium "a setting stands in a file that the shell does not read",
    EnvIdeEnvironment "env.ide_environment" Medium "a setting does not reach the editor",
    EnvPackageSource "env.package_source" Medium "Go comes from a package with consequences of its own",
    EnvDockerfileCache "env.dockerfile_cache" Medium "the Dockerfile throws the module cache away",
    EnvNoTrustStore "env.no_trust_store" Medium "there is no CA bundle where Go looks",
}

impl Code {
    /// The part before the dot.
    #[must_use]
    pub fn family(self) -> &'static str {
        self.id().split_once('.').map_or("", |(family, _)| family)
    }

    /// The part after the dot.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.id().split_once('.').map_or("", |(_, name)| name)
    }

    /// The code of that public name.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_back() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert_eq!(Code::parse(code.id()), Some(*code));
            assert!(!Code::ALL[..index].iter().any(|other| other.id() == code.id()), "{} stands twice", code.id());
            assert!(code.id().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c)));
        }
    }
}
