//! The `h1:` hash: SHA-256 over the sorted lines `hex(sha256(file))`, two spaces, name (golang.org/x/mod/sumdb/dirhash).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};

/// Bytes that are read of a file at a time.
const CHUNK: usize = 256 << 10;

/// SHA-256 of some bytes.
pub type Sha256 = [u8; 32];

/// What stands for the hash of something that is no file.
pub const NO_FILE: Sha256 = [0; 32];

/// The names and hashes of the files of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileHashes(Vec<(String, Sha256)>);

/// How the files of two copies of a module differ, each list sorted and without the module's prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDifference {
    /// In both, with other contents.
    pub changed: Vec<String>,
    /// In this one alone.
    pub added: Vec<String>,
    /// In the other one alone.
    pub missing: Vec<String>,
}

impl FileHashes {
    /// Adds a file. The name is the whole one, `M@V/path`.
    pub fn push(&mut self, name: String, hash: Sha256) {
        self.0.push((name, hash));
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each name with its hash.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Sha256)> {
        self.0.iter().map(|(name, hash)| (name.as_str(), hash))
    }

    /// The hash of that file.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Sha256> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, hash)| hash)
    }

    /// `h1:` and the base64 of the hash of all of them. Sorts.
    #[must_use]
    pub fn h1(&mut self) -> String {
        self.0.sort();
        let mut all = Context::new(&SHA256);
        let mut line = String::new();
        for (name, hash) in &self.0 {
            line.clear();
            hex_into(&mut line, hash);
            line.push_str("  ");
            line.push_str(name);
            line.push('\n');
            all.update(line.as_bytes());
        }
        format!("h1:{}", STANDARD.encode(all.finish()))
    }

    /// What this copy has that the other has not, and the reverse. Names are compared below the first `@…/`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> FileDifference {
        let below = |list: &Self| -> std::collections::BTreeMap<String, Sha256> {
            list.iter().map(|(name, hash)| (without_prefix(name).to_owned(), *hash)).collect()
        };
        let (ours, theirs) = (below(self), below(other));
        let mut difference = FileDifference::default();
        for (name, hash) in &ours {
            match theirs.get(name) {
                None => difference.added.push(name.clone()),
                Some(known) if known != hash => difference.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        difference.missing.extend(theirs.into_keys().filter(|name| !ours.contains_key(name)));
        difference
    }
}

/// `path` of `M@V/path`.
#[must_use]
pub fn without_prefix(name: &str) -> &str {
    name.split_once('@').and_then(|(_, rest)| rest.split_once('/')).map_or(name, |(_, path)| path)
}

/// The hash of a go.mod file: that of a list whose one file is called `go.mod`.
#[must_use]
pub fn go_mod_h1(content: &[u8]) -> String {
    go_mod_h1_of(sha256(content))
}

/// The same for one whose SHA-256 is known.
#[must_use]
pub fn go_mod_h1_of(sha256: Sha256) -> String {
    let mut files = FileHashes::default();
    files.push("go.mod".to_owned(), sha256);
    files.h1()
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Sha256 {
    finished(digest(bytes))
}

fn digest(bytes: &[u8]) -> Context {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    context
}

pub(super) fn finished(context: Context) -> Sha256 {
    let mut hash = [0; 32];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(slot, byte)| *slot = *byte);
    hash
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    hex_into(&mut text, bytes);
    text
}

fn hex_into(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
}

/// Bytes of an even number of hex digits, upper or lower case.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at.checked_add(2)?)?, 16).ok()).collect()
}

/// The hash of a file and its size, read once.
///
/// # Errors
/// When it cannot be read.
pub fn hash_file(path: &Path) -> io::Result<(Sha256, u64)> {
    let mut buffer = vec![0; CHUNK];
    hash_with(path, &mut buffer)
}

fn hash_with(path: &Path, buffer: &mut [u8]) -> io::Result<(Sha256, u64)> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut length = 0_u64;
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok((finished(context), length)),
            Ok(read) => {
                context.update(buffer.get(..read).unwrap_or_default());
                length = length.saturating_add(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The files of a tree as Go hashes them: each one below `folder`, whatever its kind, named `prefix/path`; their bytes.
///
/// A symbolic link to a file counts as the file that it leads to, as for Go. Other links, pipes and devices, over which Go
/// stumbles and which it never unpacks, are files that have no module's content: [`NO_FILE`].
///
/// # Errors
/// When something in it cannot be read, or a name is not UTF-8.
pub fn hash_tree(folder: &Path, prefix: &str) -> io::Result<(FileHashes, u64)> {
    let mut files = FileHashes::default();
    let mut buffer = vec![0; CHUNK];
    let mut total = 0_u64;
    let mut open = vec![(folder.to_owned(), prefix.to_owned())];
    while let Some((folder, prefix)) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().into_string();
            let name = name.map_err(|_| io::Error::other("a file name that is not UTF-8"))?;
            let name = format!("{prefix}/{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push((entry.path(), name));
            } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
                let (hash, length) = hash_with(&entry.path(), &mut buffer)?;
                total = total.saturating_add(length);
                files.push(name, hash);
            } else {
                files.push(name, NO_FILE);
            }
        }
    }
    Ok((files, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        // github.com/pkg/errors v0.9.1 has this go.mod, and go.sum files everywhere this hash.
        assert_eq!(go_mod_h1(b"module github.com/pkg/errors\n"), "h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=");
        assert_eq!(FileHashes::default().h1(), "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn the_order_of_files_makes_no_difference_and_their_names_do() {
        let list = |names: [&str; 2]| {
            let mut files = FileHashes::default();
            names.iter().for_each(|name| files.push((*name).to_owned(), sha256(name.as_bytes())));
            files.h1()
        };
        assert_eq!(list(["a@v1/x", "a@v1/y"]), list(["a@v1/y", "a@v1/x"]));
        assert_ne!(list(["a@v1/x", "a@v1/y"]), list(["b@v1/x", "b@v1/y"]));
    }

    #[test]
    fn copies_differ_by_name_below_their_prefixes() {
        let (mut one, mut other) = (FileHashes::default(), FileHashes::default());
        one.push("m@v1.0.0/same".to_owned(), sha256(b"1"));
        one.push("m@v1.0.0/changed".to_owned(), sha256(b"1"));
        one.push("m@v1.0.0/added".to_owned(), sha256(b"1"));
        other.push("m@v1.0.0/same".to_owned(), sha256(b"1"));
        other.push("m@v1.0.0/changed".to_owned(), sha256(b"2"));
        other.push("m@v1.0.0/missing".to_owned(), sha256(b"1"));
        let difference = one.difference(&other);
        assert_eq!(
            (difference.changed.join(" "), difference.added.join(" "), difference.missing.join(" ")),
            ("changed".to_owned(), "added".to_owned(), "missing".to_owned())
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_tree_count_as_the_files_that_they_lead_to_or_as_none() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("d/empty")).unwrap();
        std::fs::write(at("d/a"), "1").unwrap();
        symlink("d/a", at("link")).unwrap();
        symlink("nowhere", at("broken")).unwrap();
        symlink("d", at("folder")).unwrap();
        let (files, bytes) = hash_tree(folder.path(), "m@v1.0.0").unwrap();
        let get = |name: &str| files.get(&format!("m@v1.0.0/{name}")).copied();
        assert_eq!((files.len(), bytes), (4, 2));
        assert_eq!([get("d/a"), get("link")], [Some(sha256(b"1")); 2]);
        assert_eq!([get("broken"), get("folder")], [Some(NO_FILE); 2]);
    }

    #[test]
    fn hex_comes_back() {
        assert_eq!(unhex(&hex(&[0, 0x7f, 0xff])), Some(vec![0, 0x7f, 0xff]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("+1"), None);
    }
}
