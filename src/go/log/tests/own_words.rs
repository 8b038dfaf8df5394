//! What go says about checksums, settings, toolchains and zips, and what git says beneath it.

use super::*;

#[test]
fn checksums() {
    let security = "\nSECURITY ERROR\nThis download does NOT match the one reported by the checksum server.\nThe bits may have been replaced on the origin server, or an attacker may\nhave intercepted the download attempt.\n\nFor more information, see 'go help module-auth'.\n";
    let by_database = one(&format!(
        "go: downloading github.com/pkg/errors v0.9.1\ngo: github.com/pkg/errors@v0.9.1: verifying module: checksum mismatch\n\tdownloaded: h1:Y3CsoJ=\n\tsum.golang.org: h1:AAAA=\n{security}"
    ));
    let mismatch = |go_mod, downloaded: &str, expected: &str, against| K::ChecksumMismatch {
        module: Some("github.com/pkg/errors@v0.9.1".to_owned()),
        go_mod,
        downloaded: Some(downloaded.to_owned()),
        expected: Some(expected.to_owned()),
        against,
    };
    assert_eq!(
        by_database.kind,
        mismatch(false, "h1:Y3CsoJ=", "h1:AAAA=", Against::Sumdb("sum.golang.org".to_owned()))
    );
    assert_eq!(by_database.line, 2);
    let by_go_sum = one(&format!(
        "verifying github.com/pkg/errors@v0.9.1: checksum mismatch\n\tdownloaded: h1:EbI2=\n\tgo.sum:     h1:Y3Cs=\n{security}"
    ));
    assert_eq!(by_go_sum.kind, mismatch(false, "h1:EbI2=", "h1:Y3Cs=", Against::GoSum));
    let go_mod = one(
        "verifying github.com/pkg/errors@v0.9.1/go.mod: checksum mismatch\n\tdownloaded: h1:a=\n\tgo.sum:     h1:b=\n",
    );
    assert_eq!(go_mod.kind, mismatch(true, "h1:a=", "h1:b=", Against::GoSum));
    let prefixed = one(
        "#9 1.2 verifying github.com/pkg/errors@v0.9.1: checksum mismatch\n#9 1.2 \tdownloaded: h1:a=\n#9 1.2 \tgo.sum:     h1:b=\n",
    );
    assert_eq!(prefixed.kind, mismatch(false, "h1:a=", "h1:b=", Against::GoSum));
    for (text, untrusted) in [
        (
            "go: a.b/c@v1.0.0: verifying module: a.b/c@v1.0.0: reading tree note: note has no verifiable signatures",
            true,
        ),
        ("go: a.b/c@v1.0.0: verifying module: a.b/c@v1.0.0: invalid signature for key sum.golang.org+033de0ae", true),
        ("go: a.b/c@v1.0.0: verifying module: downloaded inconsistent tile", true),
        ("SECURITY ERROR\ngo.sum database server misbehavior detected!\n\nold database:\n\tx\n", true),
        ("go: a.b/c@v1.0.0: verifying module: checksum missing from sumdb response", false),
        ("go: a.b/c@v1.0.0: verifying module: a.b/c@v1.0.0: malformed record data", false),
    ] {
        let error = one(text);
        assert_eq!(matches!(error.kind, K::SumdbUntrusted(_)), untrusted, "{text}");
        assert!(error.sumdb, "{text}");
    }
    assert_eq!(one("a.b/c v1.0.0: dir has been modified (/root/go/pkg/mod/a.b/c@v1.0.0)").kind, K::CacheModified);
    assert_eq!(
        one("main.go:3:8: missing go.sum entry for module providing package a.b/c; to add:\n\tgo mod download a.b/c")
            .kind,
        K::MissingGoSumEntry
    );
}

#[test]
fn complaints_about_the_database_stand_without_what_is_before_them() {
    for complaint in [
        "cannot authenticate record data in server response",
        "cannot validate record 11 in tree of size 6",
        "checking tree#4 against tree#6: downloaded inconsistent tile",
        "TileReader returned bad result slice (tile/8/0/000.p/6 len=176, want 192)",
        "reading tree: malformed tree note",
        "initializing sumdb.Client: reading tree note: malformed note",
    ] {
        for before in [
            "go: a.b/c@v1.0.0: verifying module: a.b/c@v1.0.0: ",
            "go: a.b/c@v1.0.0: verifying go.mod: a.b/c@v1.0.0/go.mod: ",
            "go: download go1.28.1: golang.org/toolchain@v0.0.1-go1.28.1.linux-amd64: verifying module: golang.org/toolchain@v0.0.1-go1.28.1.linux-amd64: ",
        ] {
            let error = one(&format!("{before}{complaint}\nnote:\ngo.sum database tree\n"));
            assert_eq!(error.kind, K::SumdbUntrusted(complaint.to_owned()), "{before}");
        }
    }
    let misbehaves = one("SECURITY ERROR\ngo.sum database server misbehavior detected!\n\nold database:\n\tx\n");
    assert_eq!(misbehaves.kind, K::SumdbUntrusted("go.sum database server misbehavior detected".to_owned()));
    // A tile that did not come says nothing of the database.
    let unreached = one(
        "go: a.b/c@v1.0.0: verifying module: a.b/c@v1.0.0: checking tree#4 against tree#6: Get \"https://sum.golang.org/tile/8/0/000.p/6\": read tcp 10.0.0.2:4000->142.250.74.145:443: read: connection reset by peer",
    );
    assert_eq!((unreached.kind, unreached.sumdb), (K::ConnectionReset, true));
}

#[test]
fn settings_toolchains_and_zips() {
    let too_old = |required: &str, running: Option<&str>| K::GoTooOld {
        required: Some(required.to_owned()),
        running: running.map(str::to_owned),
    };
    for (text, kind) in [
        ("go: github.com/pkg/errors@v0.9.1: module lookup disabled by GOPROXY=off", K::ModuleLookupDisabled),
        (
            "go: golang.org/toolchain@v0.0.1-go1.30.linux-amd64: verifying module: checksum database disabled by GOSUMDB=off",
            K::ChecksumDatabaseDisabled,
        ),
        ("go: x.example/y: GOVCS disallows using hg for public x.example/y; see 'go help vcs'", K::GovcsDisallows),
        ("go: invalid proxy URL scheme (must be https, http, file): ftp://x", K::InvalidProxyScheme),
        (
            "go: download go1.22 for linux/amd64: toolchain not available",
            K::ToolchainNotAvailable { toolchain: Some("go1.22".to_owned()) },
        ),
        ("go: toolchain not available", K::ToolchainNotAvailable { toolchain: None }),
        ("go: go.mod requires go >= 1.30 (running go 1.27.3; GOTOOLCHAIN=local)", too_old("1.30", Some("1.27.3"))),
        ("go: errors parsing go.mod:\n/w/go.mod:3: invalid go version '1.21.0': must match format 1.23", K::Other),
        ("/w/go.mod:3: invalid go version '1.21.0': must match format 1.23", too_old("1.21.0", None)),
        ("/w/go.mod:5: unknown directive: toolchain", K::GoTooOld { required: None, running: None }),
        ("go: a.b/c@v1.0.0: zip for a.b/c@v1.0.0 has unexpected file x", K::ZipInvalid),
        ("go: a.b/c@v1.0.0: zip: not a valid zip file", K::ZipInvalid),
        (
            "go: a.b/c@v1.0.0: unzip /m/v1.0.0.zip: a.b/c@v1.0.0/X.go: case-insensitive file name collision: \"x.go\" and \"X.go\"",
            K::ZipInvalid,
        ),
        ("go: a.b/c@v1.0.0: unzip /m/v1.0.0.zip: write /m/a.b/c@v1.0.0/x.go: no space left on device", K::Other),
        ("go: git.example/x.git@v1.0.0: no secure protocol found for repository", K::NoSecureProtocol),
        ("go: something nobody has seen: at all", K::Other),
    ] {
        let log = GoLog::parse(text);
        let found = log.errors().first().map(|error| &error.kind);
        if text.contains("errors parsing") {
            // The heading is none; the line beneath is.
            assert_eq!(log.errors().last().map(|error| &error.kind), Some(&too_old("1.21.0", None)));
        } else {
            assert_eq!(found, Some(&kind), "{text}");
        }
    }
}

#[test]
fn git_in_all_its_words() {
    use GitErrorKind as G;
    let alert = |text: &str| G::TlsAlert { text: text.to_owned() };
    for (text, kind) in [
        ("Could not resolve host: github.com", G::HostNotResolved { host: "github.com".to_owned() }),
        (
            "Failed to connect to github.com port 443 after 3 ms: Couldn't connect to server",
            G::ConnectFailed { host: "github.com".to_owned(), port: Some(443), timed_out: false },
        ),
        (
            "Failed to connect to github.com port 443 after 130001 ms: Connection timed out",
            G::ConnectFailed { host: "github.com".to_owned(), port: Some(443), timed_out: true },
        ),
        ("Recv failure: Connection reset by peer", G::ConnectionReset),
        ("CONNECT tunnel failed, response 403", G::ConnectTunnelFailed { code: Some(403) }),
        ("Received HTTP code 407 from proxy after CONNECT", G::ConnectTunnelFailed { code: Some(407) }),
        ("gnutls_handshake() failed: The TLS connection was non-properly terminated.", G::TlsTerminated),
        (
            "gnutls_handshake() failed: The server name sent was not recognized",
            alert("The server name sent was not recognized"),
        ),
        ("gnutls_handshake() failed: An unexpected TLS packet was received.", G::NotTls),
        ("server certificate verification failed. CAfile: none CRLfile: none", G::CertificateNotVerified),
        ("SSL: certificate subject name (x.example) does not match target host name 'github.com'", G::NameMismatch),
        ("SSL certificate problem: unable to get local issuer certificate", G::CertificateNotVerified),
        ("OpenSSL SSL_connect: Connection reset by peer in connection to github.com:443", G::ConnectionReset),
        ("OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to github.com:443", G::TlsTerminated),
        ("The requested URL returned error: 403", G::HttpStatus { code: 403 }),
    ] {
        let text = format!(
            "go: github.com/x/y@v1.0.0: invalid version: git ls-remote -q --end-of-options https://u:geheim@github.com/x/y in /m/cache: exit status 128:\n\tfatal: unable to access 'https://u:geheim@github.com/x/y/': {text}"
        );
        let error = one(&text);
        assert_eq!(error.kind, K::GitError(kind), "{text}");
        assert_eq!(error.host.as_deref(), Some("github.com"));
        assert!(!error.text.contains("geheim"));
    }
    for (text, kind) in [
        ("fatal: repository 'https://github.com/x/y/' not found", G::RepositoryNotFound),
        (
            "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
            G::AuthenticationRequired,
        ),
        ("git@github.com: Permission denied (publickey).", G::PermissionDenied),
        ("Host key verification failed.", G::HostKeyUnknown),
        ("error: RPC failed; curl 56 GnuTLS recv error (-54): Error in the pull function.", G::TransferCut),
    ] {
        assert_eq!(one(text).kind, K::GitError(kind), "{text}");
    }
}
