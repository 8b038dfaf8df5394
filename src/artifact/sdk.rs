//! Releases of Go itself.

use std::path::Path;

/// Whether a file name is that of an archive or installer of a Go release: `go1.27.3.linux-amd64.tar.gz`.
#[must_use]
pub fn is_release(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("go") else { return false };
    let kinds = [".tar.gz", ".zip", ".msi", ".pkg"];
    let Some(stem) = kinds.iter().find_map(|kind| rest.strip_suffix(kind)) else { return false };
    // Numbers come first: 1.27.3, 1.21rc2. Then the platform, which may have a dot of its own: darwin-amd64-osx10.8.
    let platform = stem.split('.').position(|part| !part.starts_with(|c: char| c.is_ascii_digit()));
    let platform = platform.filter(|at| *at > 0).map(|at| stem.split('.').skip(at).collect::<Vec<_>>().join("."));
    platform.is_some_and(|platform| {
        platform == "src" || platform.split_once('-').is_some_and(|(os, arch)| !os.is_empty() && !arch.is_empty())
    })
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
            assert!(is_release(name), "{name}");
        }
        for name in ["go.zip", "golang.zip", "go1.27.3.zip", "gopher-linux.zip", "v1.0.0.zip"] {
            assert!(!is_release(name), "{name}");
        }
    }
}
