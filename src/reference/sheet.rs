//! One rules file as TOML with positions, read entry by entry so that every mistake is reported and not just the first.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::date::Date;
use super::error::Mistake;
use super::{EntrySummary, Provenance};

/// What reading leaves behind besides the entries.
#[derive(Default)]
pub(super) struct Notes {
    mistakes: Vec<Mistake>,
    listing: Vec<EntrySummary>,
    seen: BTreeSet<(String, String, String)>,
}

impl Notes {
    /// Records a mistake at a place found earlier.
    pub(super) fn mistake_at(&mut self, place: &Place, message: impl Into<String>) {
        self.mistakes.push(Mistake {
            file: place.file.clone(),
            line: place.line,
            column: place.column,
            message: message.into(),
        });
    }

    /// Records a mistake of a whole file.
    pub(super) fn mistake_of_file(&mut self, file: &str, message: impl Into<String>) {
        self.mistake_at(&Place { file: file.to_owned(), line: 1, column: 1 }, message);
    }

    /// The mistakes, or the list of entries when there are none.
    pub(super) fn finish(mut self) -> Result<Vec<EntrySummary>, Vec<Mistake>> {
        if self.mistakes.is_empty() {
            return Ok(self.listing);
        }
        self.mistakes.sort();
        self.mistakes.dedup();
        Err(self.mistakes)
    }
}

/// Where an entry stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    file: String,
    line: usize,
    column: usize,
}

/// A rules file.
pub(super) struct Sheet<'i> {
    file: &'i str,
    text: &'i str,
    table: DeTable<'i>,
}

impl<'i> Sheet<'i> {
    /// Reads a file that has `schema = 1` and arrays of tables named `kinds`; what is wrong with that is noted.
    pub(super) fn read(file: &'i str, text: &'i str, kinds: &[&str], notes: &mut Notes) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let sheet = Self { file, text, table: table.into_inner() };
        for error in errors {
            let offset = error.span().map_or(0, |span| span.start);
            notes.mistake_at(&sheet.place(offset), error.message().trim().to_owned());
        }
        match sheet.table.get("schema").map(|value| (value.span(), value.get_ref())) {
            Some((_, DeValue::Integer(number))) if number.as_str() == "1" => {}
            Some((span, _)) => notes.mistake_at(&sheet.place(span.start), "schema must be 1"),
            None => notes.mistake_of_file(file, "no schema = 1"),
        }
        for (key, _) in &sheet.table {
            let name: &str = key.get_ref();
            if name != "schema" && !kinds.contains(&name) {
                let message = format!("unknown key `{name}`; known are schema, {}", kinds.join(", "));
                notes.mistake_at(&sheet.place(key.span().start), message);
            }
        }
        sheet
    }

    /// The entries of one kind, in file order, without those that are wrong.
    pub(super) fn entries<T>(
        &self,
        kind: &str,
        notes: &mut Notes,
        mut read: impl FnMut(&mut Entry<'_, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.table.get(kind) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            notes.mistake_at(&self.place(value.span().start), format!("`{kind}` must be written [[{kind}]]"));
            return Vec::new();
        };
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            let DeValue::Table(fields) = item.get_ref() else {
                notes.mistake_at(&self.place(item.span().start), format!("`{kind}` must hold tables"));
                continue;
            };
            let mut entry =
                Entry { sheet: self, kind, fields, span: item.span(), asked: BTreeSet::new(), notes: &mut *notes };
            let result = read(&mut entry);
            entry.deny_unknown();
            out.extend(result);
        }
        out
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Place { file: self.file.to_owned(), line, column }
    }
}

/// One table of a rules file. Its readers note what is wrong and give `None`; a missing optional key is no mistake.
pub(super) struct Entry<'s, 'n> {
    sheet: &'s Sheet<'s>,
    kind: &'s str,
    fields: &'s DeTable<'s>,
    span: Range<usize>,
    asked: BTreeSet<&'static str>,
    notes: &'n mut Notes,
}

impl<'s> Entry<'s, '_> {
    /// A required text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<&'s str> {
        let value = self.required(key)?;
        self.as_text(key, value)
    }

    /// An optional text.
    pub(super) fn optional_text(&mut self, key: &'static str) -> Option<&'s str> {
        let value = self.get(key)?;
        self.as_text(key, value)
    }

    /// A required text that names one of `words`.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let value = self.required(key)?;
        let text = self.as_text(key, value)?;
        self.one_of(key, text, value.span(), words)
    }

    /// A required list of words, each one of `words`.
    pub(super) fn words<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<Vec<T>> {
        let texts = self.list(key)?;
        texts.into_iter().map(|(text, span)| self.one_of(key, text, span, words)).collect()
    }

    /// A required list of texts that `parse` accepts; the name of what is wanted goes into the message.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let texts = self.list(key)?;
        let whole = texts.len();
        let mut out = Vec::with_capacity(whole);
        for (text, span) in texts {
            match parse(text) {
                Some(value) => out.push(value),
                None => self.wrong(span, format!("`{text}` in `{key}` is not {wanted}")),
            }
        }
        (out.len() == whole).then_some(out)
    }

    /// A required text that `parse` accepts.
    pub(super) fn parsed_text<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.required(key)?;
        let text = self.as_text(key, value)?;
        let parsed = parse(text);
        if parsed.is_none() {
            self.wrong(value.span(), format!("`{text}` in `{key}` is not {wanted}"));
        }
        parsed
    }

    /// An optional list of texts, empty when the key is absent.
    pub(super) fn optional_texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        if self.get(key).is_none() {
            return Some(Vec::new());
        }
        Some(self.list(key)?.into_iter().map(|(text, _)| text.to_owned()).collect())
    }

    /// An optional truth value.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Option<bool> {
        match self.get(key).map(|value| (value.get_ref(), value.span())) {
            None => Some(default),
            Some((DeValue::Boolean(flag), _)) => Some(*flag),
            Some((_, span)) => self.wrong_kind(key, "true or false", span),
        }
    }

    /// A required number, whole or not.
    pub(super) fn number(&mut self, key: &'static str) -> Option<f64> {
        let value = self.required(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        match number.filter(|number: &f64| number.is_finite()) {
            Some(number) => Some(number),
            None => self.wrong_kind(key, "a number", value.span()),
        }
    }

    /// `source` and `checked`; notes the entry under `name`, which must be new in this file.
    pub(super) fn provenance(&mut self, name: &str) -> Option<Provenance> {
        let source = self.text("source").map(str::to_owned);
        if source.as_deref().is_some_and(|source| source.trim().is_empty()) {
            self.wrong(self.span.clone(), "`source` is empty".to_owned());
        }
        let checked = self.required("checked").and_then(|value| {
            let date = match value.get_ref() {
                DeValue::Datetime(date) if date.time.is_none() => date.date,
                _ => None,
            };
            match date.and_then(|date| Date::new(date.year, date.month, date.day)) {
                Some(date) => Some(date),
                None => self.wrong_kind("checked", "a date such as 2026-11-22, without quotes", value.span()),
            }
        });
        let key = (self.sheet.file.to_owned(), self.kind.to_owned(), name.to_owned());
        if !self.notes.seen.insert(key) {
            self.wrong(self.span.clone(), format!("`{name}` is here twice"));
        }
        let provenance = Provenance { source: source?, checked: checked? };
        self.notes.listing.push(EntrySummary {
            file: self.sheet.file.to_owned(),
            kind: self.kind.to_owned(),
            name: name.to_owned(),
            provenance: provenance.clone(),
        });
        Some(provenance)
    }

    /// Where the entry begins.
    pub(super) fn place(&self) -> Place {
        self.sheet.place(self.span.start)
    }

    /// Notes a mistake of the whole entry.
    pub(super) fn mistake(&mut self, message: impl Into<String>) {
        self.wrong(self.span.clone(), message.into());
    }

    fn get(&mut self, key: &'static str) -> Option<&'s Spanned<DeValue<'s>>> {
        self.asked.insert(key);
        self.fields.get(key)
    }

    fn required(&mut self, key: &'static str) -> Option<&'s Spanned<DeValue<'s>>> {
        let value = self.get(key);
        if value.is_none() {
            self.wrong(self.span.clone(), format!("`{key}` is missing in [[{}]]", self.kind));
        }
        value
    }

    fn as_text(&mut self, key: &'static str, value: &'s Spanned<DeValue<'s>>) -> Option<&'s str> {
        match value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.wrong_kind(key, "a text", value.span()),
        }
    }

    fn list(&mut self, key: &'static str) -> Option<Vec<(&'s str, Range<usize>)>> {
        let value = self.required(key)?;
        let DeValue::Array(items) = value.get_ref() else { return self.wrong_kind(key, "a list", value.span()) };
        let texts: Vec<_> = items.iter().map(|item| self.as_text(key, item).map(|text| (text, item.span()))).collect();
        texts.into_iter().collect()
    }

    fn one_of<T: Copy>(&mut self, key: &str, text: &str, span: Range<usize>, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(span, format!("`{text}` is no `{key}`; known are {}", known.join(", ")));
        }
        found
    }

    fn wrong(&mut self, span: Range<usize>, message: String) {
        let place = self.sheet.place(span.start);
        self.notes.mistake_at(&place, message);
    }

    fn wrong_kind<T>(&mut self, key: &str, wanted: &str, span: Range<usize>) -> Option<T> {
        self.wrong(span, format!("`{key}` must be {wanted}"));
        None
    }

    fn deny_unknown(&mut self) {
        for (key, _) in self.fields {
            let name: &str = key.get_ref();
            if !self.asked.contains(name) {
                self.wrong(key.span(), format!("unknown key `{name}` in [[{}]]", self.kind));
            }
        }
    }
}
