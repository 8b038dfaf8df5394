//! What can be wrong with rules.

use std::fmt;
use std::path::PathBuf;

/// Why rules could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A folder or file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The rules are wrong; every mistake of every file, in file order.
    #[error("{}", list(.0))]
    Mistakes(Vec<Mistake>),
}

/// One mistake in a rules file; prints as `FILE:LINE:COLUMN: MESSAGE`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mistake {
    /// The file as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

fn list(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
    format!(
        "{} {} in the rules\n{}",
        lines.len(),
        if lines.len() == 1 { "mistake" } else { "mistakes" },
        lines.join("\n")
    )
}
