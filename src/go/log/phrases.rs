//! Texts of the go command itself: checksums, settings, toolchains, zips. They stand anywhere in an error.

use super::git;
use super::kind::{Against, GoErrorKind};
use crate::go::text::{between, limited, rest_of_line};

/// What golang.org/x/mod/sumdb says of an answer that is one and does not hold (`client.go`, `note/note.go`, `tlog/note.go`,
/// `tlog/tile.go`; the same from Go 1.21 to 1.27).
const UNTRUSTED: [&str; 12] = [
    "go.sum database server misbehavior detected",
    "security error: misbehaving server",
    "no verifiable signatures",
    "invalid signature for key",
    "malformed note",
    "invalid note",
    "malformed tree note",
    "downloaded inconsistent tile",
    "TileReader returned bad result slice",
    "cannot validate record ",
    "cannot authenticate record data in server response",
    "invalid transparency proof",
];

/// What it says of an answer to a lookup that cannot even be read, such as a page.
pub(super) const NO_RECORD: &str = "malformed record data";

/// Rules for module zips, as golang.org/x/mod/zip names them behind `unzip FILE: `; what the disk says stands there as well.
const ZIP_RULES: [&str; 11] = [
    "case-insensitive file name collision",
    "multiple entries for file",
    "is both a file and a directory",
    "path does not have prefix",
    "file path is not clean",
    "malformed file path",
    "go.mod file not in module root directory",
    "go.mod files must have lowercase names",
    "too large (",
    "larger than declared size",
    "is not canonical (should be",
];

/// The kind that a phrase of the go command decides; `None` leaves it to the cause behind the URL.
pub(super) fn kind(text: &str) -> Option<GoErrorKind> {
    let has = |needle: &str| text.contains(needle);
    if has("checksum mismatch") {
        return Some(checksum_mismatch(text));
    }
    if let Some(phrase) = UNTRUSTED.into_iter().find(|phrase| has(phrase)) {
        let line = text.lines().find(|line| line.contains(phrase)).unwrap_or_default();
        return Some(GoErrorKind::SumdbUntrusted(limited(complaint(line), 300).to_owned()));
    }
    if has(NO_RECORD) {
        return Some(GoErrorKind::InvalidProxyResponse { detail: NO_RECORD.to_owned() });
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
        || has("unzip ") && ZIP_RULES.into_iter().any(has)
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

/// A line without what stands before the complaint: `go: M@V: verifying module: M@V: `.
fn complaint(line: &str) -> &str {
    let line = line.trim().trim_end_matches('!');
    let Some((_, rest)) = line.split_once("verifying ") else { return line };
    let rest = rest.split_once(": ").map_or(rest, |(_, rest)| rest);
    match rest.split_once(": ") {
        Some((module, rest)) if module.contains('@') && !module.contains(' ') => rest,
        _ => rest,
    }
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
