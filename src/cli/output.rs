//! Where words go: data to standard output or a file, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::report::Style;

/// Writes data to standard output, or into a file (`-` is standard output).
pub(super) fn deliver(data: &str, file: Option<&Path>) -> anyhow::Result<()> {
    match file.filter(|path| path.as_os_str() != "-") {
        Some(path) => std::fs::write(path, data).with_context(|| format!("cannot write {}", path.display())),
        None => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(data.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to standard output")
        }
    }
}

/// Whether the reader of our output went away, which is its right.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.into_iter().any(|kind| kind == io::ErrorKind::BrokenPipe)
}

/// Says on standard error why goprobe could not do it, from the outermost to the innermost reason.
pub(super) fn complain(error: &anyhow::Error) {
    remark(&format!("goprobe: {error:#}"));
}

/// A line on standard error. Who does not read it does not stop us.
pub(super) fn remark(text: &str) {
    let shown: String = text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect();
    let _ = writeln!(io::stderr(), "{shown}");
}

/// How text is to look where it goes to.
pub(super) fn style(no_color: bool, file: Option<&Path>) -> Style {
    style_of(no_color, file, io::stdout().is_terminal())
}

/// The same where it goes to a stream that is a terminal, or is not, unless a file is given.
pub(super) fn style_of(no_color: bool, file: Option<&Path>, terminal: bool) -> Style {
    let to_terminal = file.is_none_or(|path| path.as_os_str() == "-") && terminal;
    style_for(to_terminal, no_color, |name| std::env::var(name).ok())
}

/// Colours for a terminal that can show them and a user who wants them (no-color.org); at most 100 columns.
fn style_for(terminal: bool, no_color: bool, variable: impl Fn(&str) -> Option<String>) -> Style {
    let set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let dumb = variable("TERM").is_some_and(|term| term == "dumb");
    let columns = variable("COLUMNS").and_then(|text| text.parse().ok()).filter(|columns| *columns >= 40);
    Style {
        color: terminal && !no_color && !set("NO_COLOR") && !dumb,
        width: columns.filter(|_| terminal).unwrap_or(100).min(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(terminal: bool, no_color: bool, variables: &[(&str, &str)]) -> Style {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        style_for(terminal, no_color, move |name| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn colours_need_a_terminal_and_consent() {
        assert!(with(true, false, &[("TERM", "xterm"), ("NO_COLOR", "")]).color);
        assert!(!with(false, false, &[]).color);
        assert!(!with(true, true, &[]).color);
        assert!(!with(true, false, &[("NO_COLOR", "1")]).color);
        assert!(!with(true, false, &[("TERM", "dumb")]).color);
    }

    #[test]
    fn a_narrow_terminal_is_respected_and_a_file_is_not_narrow() {
        assert_eq!(with(true, false, &[("COLUMNS", "60")]).width, 60);
        assert_eq!(with(true, false, &[("COLUMNS", "300")]).width, 100);
        assert_eq!(with(true, false, &[("COLUMNS", "3")]).width, 100);
        assert_eq!(with(false, false, &[("COLUMNS", "60")]).width, 100);
    }

    #[test]
    fn a_closed_pipe_is_told_from_other_failures() {
        let error = |kind| anyhow::Error::from(io::Error::from(kind)).context("cannot write to standard output");
        assert!(is_closed_pipe(&error(io::ErrorKind::BrokenPipe)));
        assert!(!is_closed_pipe(&error(io::ErrorKind::StorageFull)));
    }
}
