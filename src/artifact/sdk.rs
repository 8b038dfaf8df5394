//! Releases of Go itself: their names, and installed ones.

use std::io::Read as _;
use std::path::Path;

/// The module that Go is released as (go.dev/ref/mod, "Go toolchains"); cmd/go/internal/gover/toolchain.go.
pub const TOOLCHAIN: &str = "golang.org/toolchain";
/// What archives and installers end in.
const KINDS: [&str; 4] = [".tar.gz", ".zip", ".msi", ".pkg"];

/// Whether a file name is that of an archive or installer of a Go release, of a further copy of one, or of a package that
/// others make of Go.
#[must_use]
pub fn is_release(name: &str) -> bool {
    released_name(name).is_some() || bottle_name(name).is_some() || is_deb(name)
}

/// `1.27.3.x86_64_linux` of a Homebrew bottle `go--1.27.3.x86_64_linux.bottle.tar.gz`, which in Homebrew's cache has the hash
/// of its address before it; what its manifest calls it.
#[must_use]
pub fn bottle_name(name: &str) -> Option<String> {
    let (formula, rest) = name.rsplit_once("--")?;
    let formula = formula.rsplit_once("--").map_or(formula, |(_, formula)| formula);
    let (version, rebuild) = rest.strip_suffix(".tar.gz")?.rsplit_once(".bottle")?;
    (formula == "go" || formula.starts_with("go@")).then(|| format!("{version}{rebuild}"))
}

/// Whether a file name is that of a Debian package of Go: `golang-1.19-go_1.19.8-2_amd64.deb`.
#[must_use]
pub fn is_deb(name: &str) -> bool {
    name.strip_prefix("golang-").is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('_') && rest.ends_with(".deb")
    })
}

/// The name under which a file was released: `go1.27.3.linux-amd64.tar.gz`, also for the names that browsers and wget give to
/// further downloads of it (`go1.27.3.linux-amd64 (1).tar.gz`, `go1.27.3.linux-amd64.tar.gz.1`).
#[must_use]
pub fn released_name(name: &str) -> Option<String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match name.rsplit_once('.') {
        Some((rest, last)) if number(last) => rest,
        _ => name,
    };
    let plain = match name.split_once('(').and_then(|(before, rest)| Some((before, rest.split_once(')')?))) {
        Some((before, (inside, behind))) if number(inside) => format!("{}{behind}", before.trim_end()),
        _ => name.to_owned(),
    };
    is_released_name(&plain).then_some(plain)
}

fn is_released_name(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("go") else { return false };
    let Some(stem) = KINDS.iter().find_map(|kind| rest.strip_suffix(kind)) else { return false };
    // Numbers come first: 1.27.3, 1.21rc2. Then the platform, which may have a dot of its own: darwin-amd64-osx10.8.
    let platform = stem.split('.').position(|part| !part.starts_with(|c: char| c.is_ascii_digit()));
    let platform = platform.filter(|at| *at > 0).map(|at| stem.split('.').skip(at).collect::<Vec<_>>().join("."));
    platform.is_some_and(|platform| {
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b".-".contains(&c));
        platform == "src" || platform.split_once('-').is_some_and(|(os, arch)| plain(os) && plain(arch))
    })
}

/// Whether two names are of one release: before 1.21 the first of a series had no third number, and people give it one.
#[must_use]
pub fn same_release(one: &str, other: &str) -> bool {
    let plain = |name: &str| {
        let (series, rest) = name.split_at_checked(name.find(".0.")?)?;
        // `go1.20` and `go1`, not `go1.20.0`.
        (series.matches('.').count() < 2).then(|| format!("{series}{}", rest.get(2..).unwrap_or_default()))
    };
    one == other || plain(one).as_deref() == Some(other) || plain(other).as_deref() == Some(one)
}

/// Whether a file of any name is to be looked at as a release, by its name's end and its first bytes: all that is in an
/// archive of Go lies in a folder `go`.
#[must_use]
pub fn looks_like_release(name: &str, head: &[u8]) -> bool {
    if head.starts_with(b"\x1f\x8b") {
        let mut first = [0; 3];
        let read = flate2::read::GzDecoder::new(head).read_exact(&mut first);
        return read.is_ok() && &first == b"go/";
    }
    if head.starts_with(b"PK\x03\x04") {
        return head.get(30..33) == Some(b"go/");
    }
    name.ends_with(".msi") || name.ends_with(".pkg")
}

/// Whether a folder is an installed Go.
#[must_use]
pub fn is_goroot(folder: &Path) -> bool {
    folder.join("src/runtime").is_dir() && goroot_version(folder).is_some()
}

/// `go1.27.3`, as the file VERSION of an installed Go says.
#[must_use]
pub fn goroot_version(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("VERSION")).ok()?;
    let first = text.split_whitespace().next()?;
    first.starts_with("go1").then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_known_by_their_names() {
        for name in [
            "go1.27.3.linux-amd64.tar.gz",
            "go1.21rc2.windows-386.zip",
            "go1.27.3.src.tar.gz",
            "go1.17.3.darwin-amd64.pkg",
            "go1.5.1.darwin-amd64-osx10.8.pkg",
            "go1.17.3.windows-amd64.msi",
        ] {
            assert_eq!(released_name(name).as_deref(), Some(name));
        }
        for name in
            ["go.zip", "golang.zip", "go1.27.3.zip", "gopher-linux.zip", "v1.0.0.zip", "go1.27.3.linux-amd64.tar"]
        {
            assert!(!is_release(name), "{name}");
        }
    }

    #[test]
    fn further_downloads_keep_the_name_of_the_first() {
        for name in [
            "go1.27.3.linux-amd64 (1).tar.gz",
            "go1.27.3.linux-amd64(12).tar.gz",
            "go1.27.3.linux-amd64.tar (1).gz",
            "go1.27.3.linux-amd64.tar.gz.1",
        ] {
            assert_eq!(released_name(name).as_deref(), Some("go1.27.3.linux-amd64.tar.gz"), "{name}");
        }
        assert_eq!(released_name("go1.27.3.linux-amd64 (old).tar.gz"), None);
    }

    #[test]
    fn the_first_of_a_series_has_two_names() {
        assert!(same_release("go1.20.linux-amd64.tar.gz", "go1.20.0.linux-amd64.tar.gz"));
        assert!(same_release("go1.20.0.linux-amd64.tar.gz", "go1.20.linux-amd64.tar.gz"));
        assert!(!same_release("go1.20.1.linux-amd64.tar.gz", "go1.20.linux-amd64.tar.gz"));
        assert!(!same_release("go1.2.0.linux-amd64.tar.gz", "go1.20.linux-amd64.tar.gz"));
    }

    #[test]
    fn other_names_are_no_hindrance() {
        assert!(looks_like_release(
            "go.zip",
            b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\0\0\0go/VERSION"
        ));
        assert!(!looks_like_release(
            "m.zip",
            b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\0\0\0gopkg.in/a"
        ));
        assert!(looks_like_release("setup.msi", b""));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, b"go/VERSION").unwrap();
        assert!(looks_like_release("x", &packed.finish().unwrap()));
        assert!(!looks_like_release("x.tar.gz", b"\x1f\x8b"));
    }
}
