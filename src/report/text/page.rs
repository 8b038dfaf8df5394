//! Lines of bounded width, with colours where a terminal wants them.

/// How text is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether escape sequences for colour may be written.
    pub color: bool,
    /// Columns.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 100 }
    }
}

/// A lead of more columns than this does not indent the lines below it.
const LONG_LEAD: usize = 14;

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Bold,
    Good,
    Warning,
    Bad,
    Faint,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\u{1b}[1m",
            Self::Good => "\u{1b}[1;32m",
            Self::Warning => "\u{1b}[1;33m",
            Self::Bad => "\u{1b}[1;31m",
            Self::Faint => "\u{1b}[2m",
        }
    }
}

/// A text under way.
pub(super) struct Page {
    style: Style,
    text: String,
}

impl Page {
    pub(super) const fn new(style: Style) -> Self {
        Self { style, text: String::new() }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    pub(super) fn heading(&mut self, title: &str) {
        self.blank();
        self.piece(title, Ink::Bold);
        self.blank();
    }

    /// A paragraph that begins with `lead`. Its further lines stand below the first one's text, or a little in from the
    /// margin where the lead is long.
    pub(super) fn item(&mut self, lead: &str, ink: Ink, text: &str) {
        let taken = columns(lead);
        let indent = if taken > LONG_LEAD { 6 } else { taken };
        let room = |taken: usize| self.style.width.saturating_sub(taken).max(10);
        let lines = wrapped(text, room(taken), room(indent));
        self.piece(lead, ink);
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                self.blank();
                self.text.extend(std::iter::repeat_n(' ', indent));
            }
            self.text.push_str(line);
        }
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.blank();
    }

    /// A line that is not wrapped: a command, a filter, something to copy.
    pub(super) fn verbatim(&mut self, lead: &str, text: &str) {
        self.text.push_str(lead);
        self.piece(text, Ink::Bold);
        self.blank();
    }

    fn piece(&mut self, text: &str, ink: Ink) {
        if self.style.color && ink != Ink::Plain {
            self.text.push_str(ink.code());
            self.text.push_str(text);
            self.text.push_str("\u{1b}[0m");
        } else {
            self.text.push_str(text);
        }
    }
}

/// Columns that a text takes on a terminal, wide East Asian characters counted twice.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

const fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}')
}

/// Breaks a text at its spaces into a line of `first` columns and further ones of `width`; a word longer than a line is left
/// whole, so that it can be copied. At least one line.
fn wrapped(text: &str, first: usize, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let room = if lines.is_empty() { first } else { width };
        if !line.is_empty() && columns(&line).saturating_add(1).saturating_add(columns(word)) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_and_never_inside_a_word() {
        assert_eq!(wrapped("one two three", 8, 8), ["one two", "three"]);
        assert_eq!(wrapped("a https://long.example/path b", 8, 8), ["a", "https://long.example/path", "b"]);
        assert_eq!(wrapped("", 8, 8), [""]);
        assert_eq!(wrapped("one two three four", 3, 10), ["one", "two three", "four"]);
        assert_eq!(wrapped("谷歌 谷歌 谷歌", 9, 9), ["谷歌 谷歌", "谷歌"]);
    }

    #[test]
    fn further_lines_stand_below_the_first() {
        let mut page = Page::new(Style { color: false, width: 24 });
        page.item("  - ", Ink::Plain, "one two three four five six");
        assert_eq!(page.into_text(), "  - one two three four\n    five six\n");
    }

    #[test]
    fn colours_are_written_only_when_wanted() {
        let render = |color| {
            let mut page = Page::new(Style { color, width: 40 });
            page.item("BLOCKED", Ink::Bad, " x");
            page.into_text()
        };
        assert_eq!(render(false), "BLOCKEDx\n");
        assert!(render(true).contains("\u{1b}[1;31mBLOCKED\u{1b}[0m"));
    }
}
