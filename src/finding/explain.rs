//! What each code means, for `goprobe explain` and the documentation: Markdown beside this file, one section a code.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::Code;

/// The headings that every explanation has, in their order.
pub const HEADINGS: [&str; 6] =
    ["What was seen", "What it means", "How it is told apart", "What can fool it", "What to do", "References"];

const PAGES: [&str; 10] = [
    include_str!("explain/capture.md"),
    include_str!("explain/dns.md"),
    include_str!("explain/net.md"),
    include_str!("explain/tcp.md"),
    include_str!("explain/tls.md"),
    include_str!("explain/cert.md"),
    include_str!("explain/proxy.md"),
    include_str!("explain/http.md"),
    include_str!("explain/artifact.md"),
    include_str!("explain/env.md"),
];

/// An explanation: a text under each of [`HEADINGS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    texts: [&'static str; HEADINGS.len()],
}

impl Explanation {
    /// Headings and texts. A text is Markdown without headings.
    pub fn sections(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        HEADINGS.into_iter().zip(self.texts)
    }
}

/// The explanation of a code.
#[must_use]
pub fn explain(code: Code) -> &'static Explanation {
    static EMPTY: Explanation = Explanation { texts: [""; HEADINGS.len()] };
    static ALL: OnceLock<BTreeMap<&'static str, Explanation>> = OnceLock::new();
    let all = ALL.get_or_init(|| PAGES.iter().flat_map(|page| sections(page)).collect());
    all.get(code.id()).unwrap_or(&EMPTY)
}

/// The `## code` sections of a page.
fn sections(page: &'static str) -> impl Iterator<Item = (&'static str, Explanation)> {
    parts(page, "## ").map(|(code, body)| {
        let mut explanation = Explanation::default();
        for (heading, text) in parts(body, "### ") {
            if let Some(slot) =
                HEADINGS.iter().position(|known| *known == heading).and_then(|index| explanation.texts.get_mut(index))
            {
                *slot = text;
            }
        }
        (code, explanation)
    })
}

/// Titles and bodies of the parts that lines with this mark begin.
fn parts(text: &'static str, mark: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at.saturating_add(1)))
        .filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(mark)))
        .collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).filter_map(move |(start, end)| {
        let part = text.get(start..end)?.strip_prefix(mark)?;
        let (title, body) = part.split_once('\n').unwrap_or((part, ""));
        Some((title.trim(), body.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_under_every_heading() {
        let mut missing = Vec::new();
        for code in Code::ALL {
            for (heading, text) in explain(*code).sections() {
                if text.is_empty() {
                    missing.push(format!("{}: {heading}", code.id()));
                }
            }
        }
        assert!(missing.is_empty(), "{missing:#?}");
    }

    #[test]
    fn there_is_no_section_or_heading_that_nobody_asks_for() {
        let mut seen = Vec::new();
        for page in PAGES {
            for (code, body) in parts(page, "## ") {
                assert!(Code::parse(code).is_some(), "`{code}` is no code");
                assert!(!seen.contains(&code), "`{code}` is explained twice");
                seen.push(code);
                let headings: Vec<&str> = parts(body, "### ").map(|(heading, _)| heading).collect();
                assert_eq!(headings, HEADINGS, "{code}");
            }
        }
    }

    #[test]
    fn no_explanation_gives_advice_that_switches_protection_off_first() {
        for code in Code::ALL {
            let advice =
                explain(*code).sections().find(|(heading, _)| *heading == "What to do").map_or("", |(_, text)| text);
            for risky in ["GOSUMDB=off", "GOINSECURE=", "GONOSUMCHECK"] {
                assert!(!advice.starts_with(risky) && !advice.contains(&format!("Set `{risky}")), "{}", code.id());
            }
        }
    }
}
