//! What gives a filter's page, a log-in portal or a proxy's error page away.

use memchr::memmem;

use super::Provenance;
use super::sheet::{Notes, Sheet};

/// An HTTP response, as far as it was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageView<'a> {
    /// The status code.
    pub status: u16,
    /// The reason phrase, empty where there is none (HTTP/2).
    pub reason: &'a str,
    /// Header fields in order.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body after transfer and content coding, or its beginning.
    pub body: &'a [u8],
    /// The target of a redirect; its `Location` header field is used where this is `None`.
    pub location: Option<&'a str>,
}

/// A mark of a page.
#[derive(Clone, Debug)]
pub struct PageMark {
    /// Its short name.
    pub id: String,
    /// What the page is.
    pub kind: PageKind,
    /// Whose page it is, for people.
    pub who: String,
    /// Two letters of ISO 3166, where it belongs to one country.
    pub country: Option<String>,
    /// Where that comes from.
    pub provenance: Provenance,
    places: Vec<Part>,
    /// Letters of ASCII in lower case.
    text: String,
}

/// What a page is. Block pages are looked for before portals, portals before errors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum PageKind {
    /// A filter's page.
    BlockPage,
    /// A log-in portal.
    CaptivePortal,
    /// A proxy speaks for itself.
    ProxyError,
    /// The far side's own page, though it may look like a filter's.
    Innocent,
}

/// A part of a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Body,
    Title,
    Header,
    Location,
    StatusLine,
    Status,
}

const KINDS: &[(&str, PageKind)] = &[
    ("block_page", PageKind::BlockPage),
    ("captive_portal", PageKind::CaptivePortal),
    ("proxy_error", PageKind::ProxyError),
];

const PARTS: &[(&str, Part)] = &[
    ("body", Part::Body),
    ("title", Part::Title),
    ("header", Part::Header),
    ("location", Part::Location),
    ("status_line", Part::StatusLine),
    ("status", Part::Status),
];

/// All marks.
#[derive(Clone, Debug, Default)]
pub(super) struct PageMarks {
    marks: Vec<PageMark>,
    innocent: Vec<PageMark>,
}

impl PageMarks {
    /// Adds the marks of a file that are not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        for kind in ["mark", "innocent"] {
            let entries = sheet.entries(kind, notes, |entry| {
                let id = entry.text("id");
                let page = if kind == "mark" { entry.word("kind", KINDS) } else { Some(PageKind::Innocent) };
                let who = entry.text("who");
                let places = entry.words("where", PARTS);
                let text = entry.text("text").map(str::to_ascii_lowercase);
                let least = if places.as_deref() == Some(&[Part::Status]) { 3 } else { 5 };
                if text.as_ref().is_some_and(|text| text.len() < least) {
                    entry.mistake("`text` is too short to mean anything");
                }
                let country = entry.optional_text("country").map(str::to_owned);
                let provenance = entry.provenance(id.unwrap_or_default());
                let (id, who) = (id?.to_owned(), who?.to_owned());
                let (kind, places, text) = (page?, places?, text?);
                Some(PageMark { id, kind, who, country, provenance: provenance?, places, text })
            });
            let list = if kind == "mark" { &mut self.marks } else { &mut self.innocent };
            for mark in entries {
                if !list.iter().any(|known| known.id == mark.id) {
                    list.push(mark);
                }
            }
        }
        // Stable: within a kind the order of the files stays.
        self.marks.sort_by_key(|mark| mark.kind);
    }

    /// The first mark that a response shows. A page with an innocent mark is convicted only by its header or redirect.
    pub(super) fn find(&self, page: &PageView<'_>, limit: usize) -> Option<&PageMark> {
        let folded = Folded::new(page, limit);
        let innocent = self.innocent.iter().any(|mark| mark.places.iter().any(|part| folded.shows(*part, &mark.text)));
        let counts = |part: &Part| !innocent || matches!(part, Part::Header | Part::Location);
        self.marks
            .iter()
            .find(|mark| mark.places.iter().filter(|part| counts(part)).any(|part| folded.shows(*part, &mark.text)))
    }

    /// The far side's own page that a response shows.
    pub(super) fn innocent(&self, page: &PageView<'_>, limit: usize) -> Option<&PageMark> {
        let folded = Folded::new(page, limit);
        self.innocent.iter().find(|mark| mark.places.iter().any(|part| folded.shows(*part, &mark.text)))
    }
}

/// A response with the letters of ASCII in lower case.
struct Folded {
    status: String,
    reason: String,
    headers: Vec<String>,
    body: Vec<u8>,
    location: String,
}

impl Folded {
    fn new(page: &PageView<'_>, limit: usize) -> Self {
        let header = page.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
        let fold = |(name, value): &(&str, &str)| format!("{name}: {value}").to_ascii_lowercase();
        Self {
            status: page.status.to_string(),
            reason: page.reason.to_ascii_lowercase(),
            headers: page.headers.iter().map(fold).collect(),
            body: page.body.get(..limit).unwrap_or(page.body).to_ascii_lowercase(),
            location: page.location.or(header.map(|(_, value)| *value)).unwrap_or_default().to_ascii_lowercase(),
        }
    }

    fn shows(&self, part: Part, text: &str) -> bool {
        match part {
            Part::Body => memmem::find(&self.body, text.as_bytes()).is_some(),
            Part::Title => self.title().is_some_and(|title| memmem::find(title, text.as_bytes()).is_some()),
            Part::Header => self.headers.iter().any(|header| header.contains(text)),
            Part::Location => self.location.contains(text),
            Part::StatusLine => self.reason.contains(text),
            Part::Status => self.status == text,
        }
    }

    fn title(&self) -> Option<&[u8]> {
        let rest = self.body.get(memmem::find(&self.body, b"<title")?..)?;
        let rest = rest.get(memchr::memchr(b'>', rest)? + 1..)?;
        Some(memmem::find(rest, b"</title").and_then(|end| rest.get(..end)).unwrap_or(rest))
    }
}
