//! go.sum (cmd/go/internal/modfetch): lines `M V h1:…` and `M V/go.mod h1:…`.

use std::collections::BTreeMap;

use super::module::ModuleVersion;

/// The hash of an empty go.mod, which old versions of Go wrote by mistake; such lines say nothing.
const EMPTY_GO_MOD: &str = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";

/// Why a go.sum cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoSumError {
    /// go stops at such a line, too.
    #[error("malformed go.sum:{line}: wrong number of fields {fields}")]
    Fields {
        /// Which line, from 1.
        line: usize,
        /// How many there are.
        fields: usize,
    },
}

/// What is hashed: the module's files or its go.mod.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// All files of the module.
    Zip,
    /// Its go.mod file.
    GoMod,
}

/// A hash of a go.sum, or of a record of the checksum database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Where it stands, from 1.
    pub number: usize,
    /// The hash with its kind, `h1:…`.
    pub hash: String,
}

/// The lines of a go.sum. A version may have several: any of them will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoSum(BTreeMap<(ModuleVersion, Part), Vec<Line>>);

impl GoSum {
    /// Reads the file as go does: blank lines count for nothing, others have three fields.
    ///
    /// # Errors
    /// [`GoSumError`] for what go would not read.
    pub fn parse(text: &[u8]) -> Result<Self, GoSumError> {
        // Bytes that are no UTF-8 are parts of words, and no module has such a name.
        let text = String::from_utf8_lossy(text);
        let mut lines: BTreeMap<(ModuleVersion, Part), Vec<Line>> = BTreeMap::new();
        for (number, line) in text.split('\n').enumerate().map(|(at, line)| (at.saturating_add(1), line)) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields.as_slice() {
                [] | [_, _, EMPTY_GO_MOD] => {}
                [path, version, hash] => {
                    let (version, part) = match version.strip_suffix("/go.mod") {
                        Some(version) => (version, Part::GoMod),
                        None => (*version, Part::Zip),
                    };
                    let module = ModuleVersion { path: (*path).to_owned(), version: version.to_owned() };
                    let line = Line { number, hash: (*hash).to_owned() };
                    lines.entry((module, part)).or_default().push(line);
                }
                _ => return Err(GoSumError::Fields { line: number, fields: fields.len() }),
            }
        }
        Ok(Self(lines))
    }

    /// The lines of a module, those of unknown hash kinds among them.
    #[must_use]
    pub fn lines(&self, module: &ModuleVersion, part: Part) -> &[Line] {
        self.0.get(&(module.clone(), part)).map(Vec::as_slice).unwrap_or_default()
    }

    /// All lines, by module.
    pub fn iter(&self) -> impl Iterator<Item = (&ModuleVersion, Part, &[Line])> {
        self.0.iter().map(|((module, part), lines)| (module, *part, lines.as_slice()))
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How lines judge a hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Match<'a> {
    /// This line has it.
    Agrees(&'a Line),
    /// There are hashes of its kind, and it is none of them; the first.
    Differs(&'a Line),
    /// There are hashes of unknown kinds alone.
    UnknownKind(&'a Line),
    /// There is no line.
    NoLine,
}

/// Holds an `h1:` hash against lines: go takes any line that agrees, and refuses a hash only when one of its kind differs.
#[must_use]
pub fn judge<'a>(lines: &'a [Line], h1: &str) -> Match<'a> {
    if let Some(line) = lines.iter().find(|line| line.hash == h1) {
        return Match::Agrees(line);
    }
    match (lines.iter().find(|line| line.hash.starts_with("h1:")), lines.first()) {
        (Some(line), _) => Match::Differs(line),
        (None, Some(line)) => Match::UnknownKind(line),
        (None, None) => Match::NoLine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(text: &str) -> ModuleVersion {
        ModuleVersion::parse(text).unwrap()
    }

    #[test]
    fn lines_are_read_as_go_reads_them() {
        let text =
            "a.b/c v1.0.0 h1:one=\r\n\n  a.b/c   v1.0.0/go.mod\th1:mod=\na.b/c v1.0.0 h1:two=\na.b/c v1.0.0 h2:x\n";
        let sum = GoSum::parse(text.as_bytes()).unwrap();
        let lines = sum.lines(&module("a.b/c@v1.0.0"), Part::Zip);
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 4, 5]);
        assert!(matches!(judge(lines, "h1:two="), Match::Agrees(Line { number: 4, .. })));
        assert!(matches!(judge(lines, "h1:three="), Match::Differs(Line { number: 1, .. })));
        assert_eq!(sum.lines(&module("a.b/c@v1.0.0"), Part::GoMod).len(), 1);
        assert_eq!(judge(sum.lines(&module("a.b/d@v1.0.0"), Part::Zip), "h1:x"), Match::NoLine);
        assert!(matches!(judge(&lines[2..], "h1:x"), Match::UnknownKind(_)));
    }

    #[test]
    fn what_go_refuses_is_refused_with_its_line() {
        let error = GoSum::parse(b"a.b/c v1.0.0 h1:x\na.b/c v1.0.0\n").unwrap_err();
        assert_eq!(error.to_string(), "malformed go.sum:2: wrong number of fields 2");
        assert_eq!(GoSum::parse(b"\xff").unwrap_err().to_string(), "malformed go.sum:1: wrong number of fields 1");
        assert!(GoSum::parse(b"a.b/\xff v1.0.0 h1:x\n").is_ok());
    }

    #[test]
    fn the_hash_of_an_empty_go_mod_says_nothing() {
        assert!(GoSum::parse(format!("a.b/c v1.0.0/go.mod {EMPTY_GO_MOD}\n").as_bytes()).unwrap().is_empty());
    }
}
