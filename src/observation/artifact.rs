//! Artifacts: what was downloaded or lies on a disk, and what each was held against.

/// Something whose bytes can be held against a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ArtifactKind {
    /// The zip of a module.
    ModuleZip,
    /// The `.mod` file of a module.
    GoMod,
    /// The `.ziphash` file of a module cache.
    ZipHash,
    /// A module unpacked into a module cache.
    ModuleTree,
    /// A module in a vendor directory.
    Vendored,
    /// A go.sum file.
    GoSum,
    /// An answer of a checksum database to a lookup.
    SumdbLookup,
    /// A signed head of a checksum database's tree.
    SumdbHead,
    /// A tile of that tree.
    SumdbTile,
    /// An archive or installer of a Go release.
    SdkArchive,
    /// An installed Go.
    Goroot,
}

impl ArtifactKind {
    /// What reports call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ModuleZip => "module_zip",
            Self::GoMod => "go_mod",
            Self::ZipHash => "ziphash",
            Self::ModuleTree => "module_tree",
            Self::Vendored => "vendored_module",
            Self::GoSum => "go_sum",
            Self::SumdbLookup => "sumdb_lookup",
            Self::SumdbHead => "sumdb_head",
            Self::SumdbTile => "sumdb_tile",
            Self::SdkArchive => "sdk_archive",
            Self::Goroot => "goroot",
        }
    }
}

/// What an artifact is held against.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Yardstick {
    /// The rules of its own format: golang.org/x/mod/zip, and those of the checksum database's files.
    Format,
    /// A line of a go.sum.
    GoSum,
    /// The `.ziphash` file beside it.
    ZipHash,
    /// A record of the checksum database.
    SumdbRecord,
    /// The signature of a tree head.
    HeadSignature,
    /// The inclusion of a record in the signed tree.
    Inclusion,
    /// That tree heads belong to one log.
    Consistency,
    /// A signed tree head, for a tile.
    SignedTree,
    /// Another copy of the same.
    Copy,
    /// The list of Go's releases.
    ReleaseList,
    /// The OpenPGP signature beside it.
    OpenPgp,
}

impl Yardstick {
    /// What reports call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::GoSum => "go_sum",
            Self::ZipHash => "ziphash",
            Self::SumdbRecord => "sumdb_record",
            Self::HeadSignature => "signature",
            Self::Inclusion => "inclusion",
            Self::Consistency => "consistency",
            Self::SignedTree => "signed_tree",
            Self::Copy => "copy",
            Self::ReleaseList => "release_list",
            Self::OpenPgp => "openpgp",
        }
    }

    /// Whether it says which hash an artifact must have.
    #[must_use]
    pub const fn is_hash(self) -> bool {
        matches!(self, Self::GoSum | Self::ZipHash | Self::SumdbRecord | Self::Copy | Self::ReleaseList)
    }
}

/// Where an artifact was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// A file or folder.
    Path(String),
    /// The body of an answer: index into [`Case::exchanges`](super::Case::exchanges).
    Exchange(usize),
}

/// An artifact with all that it was held against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Artifact {
    /// What it is.
    pub kind: ArtifactKind,
    /// `path@version` of a module, the file name of a release, a database's name and a place in it.
    pub name: String,
    /// Where it was found.
    pub origin: Origin,
    /// Its hash as it is compared: `h1:…`, else SHA-256 in hex.
    pub hash: Option<String>,
    /// Bytes that were looked at.
    pub bytes: u64,
    /// What it was held against, and what came of it.
    pub checks: Vec<Check>,
}

impl Artifact {
    /// The module that it is of, or is about.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| name.contains('@'))
    }
}

/// One comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// Against what kind of thing.
    pub yardstick: Yardstick,
    /// Against which: a file, with its line where it has such; a database and a record; a tree size.
    pub with: String,
    /// How it came out.
    pub result: CheckResult,
}

/// How a comparison came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckResult {
    /// As it must be.
    Agrees,
    /// Not so.
    Differs(Box<Difference>),
    /// It could not be made, for this reason.
    Open(String),
}

/// What differs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// A word for the kind of fault where one yardstick can fail in several ways: `altered_lookup`, `tampered_tile`,
    /// `forked_log`, `stale_head`, `unknown_key`, `wrong_signature`, …
    pub fault: &'static str,
    /// What is on record.
    pub expected: Option<String>,
    /// What was found.
    pub found: Option<String>,
    /// The rule that is broken, or what is to be seen.
    pub note: String,
    /// Files with other contents, where a good copy is at hand.
    pub changed: Vec<String>,
    /// Files that the good copy has not.
    pub added: Vec<String>,
    /// Files that it has.
    pub missing: Vec<String>,
}

impl Check {
    /// One that came out as it must.
    #[must_use]
    pub fn agrees(yardstick: Yardstick, with: impl Into<String>) -> Self {
        Self { yardstick, with: with.into(), result: CheckResult::Agrees }
    }

    /// One that could not be made.
    #[must_use]
    pub fn open(yardstick: Yardstick, with: impl Into<String>, why: impl Into<String>) -> Self {
        Self { yardstick, with: with.into(), result: CheckResult::Open(why.into()) }
    }

    /// One that came out wrong.
    #[must_use]
    pub fn differs(yardstick: Yardstick, with: impl Into<String>, difference: Difference) -> Self {
        Self { yardstick, with: with.into(), result: CheckResult::Differs(Box::new(difference)) }
    }

    /// Two texts that must be equal.
    #[must_use]
    pub fn equal(yardstick: Yardstick, with: impl Into<String>, expected: &str, found: &str) -> Self {
        if expected == found {
            return Self::agrees(yardstick, with);
        }
        let (expected, found) = (Some(expected.to_owned()), Some(found.to_owned()));
        Self::differs(yardstick, with, Difference { expected, found, ..Difference::default() })
    }
}
