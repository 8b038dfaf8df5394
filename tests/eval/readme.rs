//! The measured part of README.md, between two comments.

use anyhow::{Context, Result};

/// The text between the marks of a block.
pub(crate) fn block<'t>(text: &'t str, name: &str) -> Result<&'t str> {
    let (start, end) = marks(name);
    let after = text.split_once(&start).with_context(|| format!("README.md has no `{start}`"))?.1;
    Ok(after.split_once(&end).with_context(|| format!("README.md has no `{end}`"))?.0.trim_matches('\n'))
}

/// The text with another block between the marks.
pub(crate) fn with_block(text: &str, name: &str, new: &str) -> Result<String> {
    let (start, end) = marks(name);
    block(text, name)?;
    let (before, rest) = text.split_once(&start).context("a mark")?;
    let (_, after) = rest.split_once(&end).context("a mark")?;
    Ok(format!("{before}{start}\n{}\n{end}{after}", new.trim_matches('\n')))
}

/// A block without its date, which is no measurement.
pub(crate) fn undated(block: &str) -> String {
    block.lines().filter(|line| !line.starts_with("Measured on ")).collect::<Vec<_>>().join("\n")
}

fn marks(name: &str) -> (String, String) {
    (format!("<!-- eval: {name} -->"), format!("<!-- end of eval: {name} -->"))
}
