//! Releases of Go: the SHA-256 of their files, and the keys that sign them.

use super::Provenance;
use super::date::Date;
use super::sheet::{Notes, Sheet};

/// A list of released files.
#[derive(Clone, Debug)]
struct List {
    name: String,
    /// `HASH FILE`, one a line.
    files: String,
    provenance: Provenance,
}

/// A key that signs releases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signer {
    /// Whose it is.
    pub name: String,
    /// Fingerprint of the primary key, upper-case hex.
    pub fingerprint: String,
    /// Where that comes from.
    pub provenance: Provenance,
}

/// What a list says of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Released {
    /// The file.
    pub file: String,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Name of the list, and its date.
    pub list: String,
}

/// All lists and keys.
#[derive(Clone, Debug, Default)]
pub struct Releases {
    lists: Vec<List>,
    signers: Vec<Signer>,
}

impl Releases {
    /// Adds what is not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        let lists = sheet.entries("list", notes, |entry| {
            let name = entry.text("name");
            let files = entry.parsed_text("files", "lines of 64 hexadecimal digits, a blank and a file name", |text| {
                text.lines().filter(|line| !line.is_empty()).all(is_line).then(|| text.to_owned())
            });
            let provenance = entry.provenance(name.unwrap_or_default());
            Some(List { name: name?.to_owned(), files: files?, provenance: provenance? })
        });
        let signers = sheet.entries("signer", notes, |entry| {
            let name = entry.text("name");
            let fingerprint = entry.parsed_text("fingerprint", "40 or 64 hexadecimal digits", |text| {
                let valid = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                valid.then(|| text.to_ascii_uppercase())
            });
            let provenance = entry.provenance(name.unwrap_or_default());
            Some(Signer { name: name?.to_owned(), fingerprint: fingerprint?, provenance: provenance? })
        });
        for list in lists {
            if !self.lists.iter().any(|known| known.name == list.name) {
                self.lists.push(list);
            }
        }
        for signer in signers {
            if !self.signers.iter().any(|known| known.name == signer.name) {
                self.signers.push(signer);
            }
        }
    }

    /// What the lists say of a file; the first list that has it counts.
    #[must_use]
    pub fn find(&self, file: &str) -> Option<Released> {
        self.all().find(|(_, _, known)| *known == file).map(released)
    }

    /// The file that has this SHA-256 (lower-case hex), whatever it is called.
    #[must_use]
    pub fn with_hash(&self, sha256: &str) -> Option<Released> {
        self.all().find(|(_, hash, _)| hash.eq_ignore_ascii_case(sha256)).map(released)
    }

    /// The day of the newest list.
    #[must_use]
    pub fn newest(&self) -> Option<Date> {
        self.lists.iter().map(|list| list.provenance.checked).max()
    }

    /// Each file of each list with its hash.
    fn all(&self) -> impl Iterator<Item = (&List, &str, &str)> {
        self.lists.iter().flat_map(|list| {
            list.files.lines().filter_map(move |line| line.split_once(' ').map(|(hash, file)| (list, hash, file)))
        })
    }

    /// The keys that sign releases.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }
}

fn released((list, hash, file): (&List, &str, &str)) -> Released {
    Released {
        file: file.to_owned(),
        sha256: hash.to_ascii_lowercase(),
        list: format!("{} of {}", list.name, list.provenance.checked),
    }
}

pub(super) fn is_line(line: &str) -> bool {
    let Some((hash, file)) = line.split_once(' ') else { return false };
    hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && !file.is_empty() && !file.contains(' ')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::reference::Reference;

    /// Lists that are kept by hand have had such mistakes.
    #[test]
    fn no_hash_stands_for_two_files_and_no_file_has_two() {
        let reference = Reference::builtin().unwrap();
        let (mut by_hash, mut by_name) = (BTreeMap::new(), BTreeMap::new());
        for (list, hash, name) in reference.releases().all() {
            let before = by_hash.insert(hash, name).filter(|before| *before != name);
            assert_eq!(before, None, "{} has the hash of {name}", list.name);
            let before = by_name.insert(name, hash).filter(|before| *before != hash);
            assert_eq!(before, None, "{} has another hash of {name}", list.name);
        }
        assert_eq!(by_name.len(), 3931);
    }

    #[test]
    fn released_files_have_their_hashes() {
        let reference = Reference::builtin().unwrap();
        let releases = reference.releases();
        let old = releases.find("go1.17.3.linux-amd64.tar.gz").unwrap();
        assert_eq!(old.sha256, "550f9845451c0c94be679faf116291e7807a8d78b43149f9506c1b15eb89008c");
        assert_eq!(old.list, "go.dev/dl of 2021-11-17");
        let known = releases.with_hash("550F9845451C0C94BE679FAF116291E7807A8D78B43149F9506C1B15EB89008C").unwrap();
        assert_eq!(known.file, "go1.17.3.linux-amd64.tar.gz");
        assert_eq!(releases.with_hash(""), None);
        assert_eq!(releases.newest().unwrap().to_string(), "2026-08-20");
        assert!(releases.find("go1.26.0.linux-amd64.tar.gz").is_some());
        assert_eq!(releases.find("go1.26.0.linux-amd64.tar"), None);
        assert_eq!(releases.signers()[0].fingerprint, "EB4C1BFD4F042F6DDDCCEC917721F63BD38B4796");
    }
}
