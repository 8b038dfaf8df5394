//! Texts of the go command itself: checksums, settings, toolchains, zips. They stand anywhere in an error.

use super::git;
use super::kind::{Against, GoErrorKind};
use crate::go::text::{between, limited, rest_of_line};

/// The kind that a phrase of the go command decides; `None` leaves it to the cause behind the URL.
pub(super) fn kind(text: &str) -> Option<GoErrorKind> {
    let has = |needle: &str| text.contains(needle);
    if has("checksum mismatch") {
        return Some(checksum_mismatch(text));
    }
    if has("go.sum database server misbehavior detected")
        || has("downloaded inconsistent tile")
        || has("no verifiable signatures")
        || has("invalid signature for key")
        || has("malformed note")
        || has("invalid note")
    {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && *line != "SECURITY ERROR");
        return Some(GoErrorKind::SumdbUntrusted(limited(line.unwrap_or_default(), 300).to_owned()));
    }
    if has("checksum missing from sumdb response") {
        return Some(GoErrorKind::ChecksumMissing);
    }
    if has("missing go.sum entry") {
        return Some(GoErrorKind::MissingGoSumEntry);
    }
    if has("dir has been modified (") || has("zip has been modified (") {
        return Some(GoErrorKind::CacheModified);
    }
    if has("module lookup disabled by GOPROXY=off") {
        return Some(GoErrorKind::ModuleLookupDisabled);
    }
    if has("checksum database disabled by GOSUMDB=off") {
        return Some(GoErrorKind::ChecksumDatabaseDisabled);
    }
    if has("GOVCS disallows using ") {
        return Some(GoErrorKind::GovcsDisallows);
    }
    if has("invalid proxy URL scheme") || has("invalid proxy URL missing scheme") || has("invalid file:// proxy URL") {
        return Some(GoErrorKind::InvalidProxyScheme);
    }
    if has("refusing to use HTTP_PROXY value in CGI environment") {
        return Some(GoErrorKind::CgiProxyRefused);
    }
    if has("toolchain not available") {
        let toolchain = text.split_whitespace().find_map(|word| {
            let word = word.trim_end_matches(':');
            word.strip_prefix("go").is_some_and(|rest| rest.starts_with("1.")).then(|| limited(word, 40).to_owned())
        });
        return Some(GoErrorKind::ToolchainNotAvailable { toolchain });
    }
    if has("requires go >= ") || has("requires go1.") && has("running go") {
        let word = |start: &str| {
            let word = text.split_once(start)?.1.split(|c: char| c.is_whitespace() || matches!(c, ';' | ')')).next()?;
            Some(limited(word, 40).to_owned())
        };
        return Some(GoErrorKind::GoTooOld {
            required: word("requires go >= ").or_else(|| word("requires go")),
            running: word("running go "),
        });
    }
    if has("unknown directive: toolchain") || has("invalid go version '") || has("note: module requires Go 1.") {
        let required =
            between(text, "invalid go version '", "'").or_else(|| rest_of_line(text, "note: module requires Go "));
        return Some(GoErrorKind::GoTooOld { required: required.map(|v| limited(v, 40).to_owned()), running: None });
    }
    if has("zip: not a valid zip file")
        || has("has unexpected file ")
        || has("gzip: invalid header")
        || has("zip: checksum error")
        || has("zip: unsupported compression algorithm")
    {
        return Some(GoErrorKind::ZipInvalid);
    }
    if let Some(other) = between(text, "proxy returned info for version ", " instead of requested version") {
        let detail = format!("it describes version {}", limited(other, 80));
        return Some(GoErrorKind::InvalidProxyResponse { detail });
    }
    if has("no secure protocol found for repository") {
        return Some(GoErrorKind::NoSecureProtocol);
    }
    if has("no go-import meta tags") {
        return Some(GoErrorKind::NoGoImportMeta);
    }
    // Git's words look for themselves only where no request of go's own is quoted.
    if !has("Get \"") && !has("reading http") {
        return git::cause(text).map(GoErrorKind::GitError);
    }
    None
}

fn checksum_mismatch(text: &str) -> GoErrorKind {
    // "verifying M@V: checksum mismatch", "go: M@V: verifying module: ...", "verifying M@V/go.mod: ...".
    let (before, after) = text.split_once("checksum mismatch").unwrap_or((text, ""));
    let module = super::locate::module(before);
    let mut downloaded = None;
    let mut expected = None;
    let mut against = Against::Unknown;
    for line in after.lines().map(str::trim).take(8) {
        let Some((who, hash)) = line.split_once(':') else { continue };
        let Some(hash) = hash.split_whitespace().next().filter(|hash| hash.starts_with("h1:")) else { continue };
        // A CI prefix may stand before the word.
        let who = who.split_whitespace().next_back().unwrap_or_default();
        let hash = Some(limited(hash, 80).to_owned());
        match who {
            "downloaded" => downloaded = hash,
            "go.sum" => (expected, against) = (hash, Against::GoSum),
            name => (expected, against) = (hash, Against::Sumdb(limited(name, 255).to_owned())),
        }
    }
    let go_mod = before.contains("/go.mod: ") || before.contains("verifying go.mod");
    GoErrorKind::ChecksumMismatch { module, go_mod, downloaded, expected, against }
}
