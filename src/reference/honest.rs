//! The reference file of a case: what honest resolvers answered, written by `goprobe probe --save`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::date::parse_rfc3339;
use super::hosts::normal;
use super::ranges::parse_prefix;
use crate::types::Timestamp;

/// The schema that this version reads.
pub const SCHEMA: &str = "goprobe-reference/1";

/// What is known to be honest in one case; every part may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HonestAnswers {
    /// When the resolvers were asked.
    pub asked: Option<Timestamp>,
    /// Their answers, by name in lower case without a trailing dot. A name that is not here was not asked.
    pub names: BTreeMap<String, HonestName>,
    /// Ranges by operator, in the place of the shipped ones.
    pub ranges: BTreeMap<String, Vec<IpNet>>,
    /// The checksum database's key, as GOSUMDB takes it.
    pub sumdb_key: Option<String>,
}

/// An honest answer. `NOERROR` with empty lists is NODATA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HonestName {
    /// The response code by its name, `NOERROR` or `NXDOMAIN`, in capitals.
    pub rcode: String,
    /// Aliases on the way, in lower case without a trailing dot.
    pub cname: Vec<String>,
    /// IPv4 addresses.
    pub a: Vec<Ipv4Addr>,
    /// IPv6 addresses.
    pub aaaa: Vec<Ipv6Addr>,
}

impl HonestName {
    /// Whether the address is among the answers.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.a.contains(&v4),
            IpAddr::V6(v6) => self.aaaa.contains(&v6),
        }
    }

    /// All addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.a.iter().copied().map(IpAddr::V4).chain(self.aaaa.iter().copied().map(IpAddr::V6))
    }

    /// Whether the name was said not to exist.
    #[must_use]
    pub fn is_nxdomain(&self) -> bool {
        self.rcode == "NXDOMAIN"
    }

    /// Whether the answer tells anything; SERVFAIL and its like do not.
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        matches!(self.rcode.as_str(), "NOERROR" | "NXDOMAIN")
    }
}

/// Why a reference file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HonestError {
    /// It is not JSON, or a value has the wrong kind.
    #[error("not a reference file")]
    Json(#[from] serde_json::Error),
    /// It is a file of another kind or version.
    #[error("schema is {found:?}, not {SCHEMA:?}")]
    Schema {
        /// What it says.
        found: String,
    },
    /// Its time cannot be read.
    #[error("asked is {0:?}, not a time of RFC 3339 such as 2026-11-22T12:16:25Z")]
    Asked(String),
    /// A range cannot be read.
    #[error("ranges of {operator:?} hold {found:?}, not an address prefix such as 192.0.2.0/24")]
    Range {
        /// Whose.
        operator: String,
        /// The text in question.
        found: String,
    },
}

#[derive(Deserialize, Serialize)]
struct RawFile {
    schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<String>,
    #[serde(default)]
    names: BTreeMap<String, RawName>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ranges: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sumdb_key: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct RawName {
    #[serde(default)]
    rcode: Option<String>,
    #[serde(default, rename = "CNAME")]
    cname: Vec<String>,
    #[serde(default, rename = "A")]
    a: Vec<Ipv4Addr>,
    #[serde(default, rename = "AAAA")]
    aaaa: Vec<Ipv6Addr>,
}

impl HonestAnswers {
    /// Reads a reference file (`goprobe-reference/1`). Keys that are not known are passed over.
    ///
    /// # Errors
    /// When it is not such a file; the message names the place.
    pub fn parse(text: &str) -> Result<Self, HonestError> {
        let raw: RawFile = serde_json::from_str(text.trim_start_matches('\u{feff}'))?;
        if raw.schema != SCHEMA {
            return Err(HonestError::Schema { found: raw.schema });
        }
        let asked = match raw.asked {
            Some(text) => Some(parse_rfc3339(&text).ok_or(HonestError::Asked(text))?),
            None => None,
        };
        let mut ranges = BTreeMap::new();
        for (operator, prefixes) in raw.ranges {
            let parse = |text: &String| parse_prefix(text).ok_or_else(|| text.clone());
            match prefixes.iter().map(parse).collect() {
                Ok(prefixes) => ranges.insert(operator, prefixes),
                Err(found) => return Err(HonestError::Range { operator, found }),
            };
        }
        let names = raw.names.into_iter().map(|(name, raw)| (normal(&name), HonestName::from(raw))).collect();
        Ok(Self { asked, names, ranges, sumdb_key: raw.sumdb_key })
    }

    /// As a reference file.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which nothing in it makes happen.
    pub fn to_json(&self) -> Result<String, HonestError> {
        let names = self.names.iter().map(|(name, honest)| {
            let (cname, a, aaaa) = (honest.cname.clone(), honest.a.clone(), honest.aaaa.clone());
            (name.clone(), RawName { rcode: Some(honest.rcode.clone()), cname, a, aaaa })
        });
        let ranges = self
            .ranges
            .iter()
            .map(|(operator, prefixes)| (operator.clone(), prefixes.iter().map(ToString::to_string).collect()));
        let raw = RawFile {
            schema: SCHEMA.to_owned(),
            asked: self.asked.map(|asked| asked.to_string()),
            names: names.collect(),
            ranges: ranges.collect(),
            sumdb_key: self.sumdb_key.clone(),
        };
        Ok(serde_json::to_string_pretty(&raw)? + "\n")
    }

    /// What was answered for a name; `None` when it was not asked.
    #[must_use]
    pub fn name(&self, name: &str) -> Option<&HonestName> {
        self.names.get(&normal(name))
    }
}

impl From<RawName> for HonestName {
    fn from(raw: RawName) -> Self {
        Self {
            rcode: raw.rcode.map_or_else(|| "NOERROR".to_owned(), |rcode| rcode.to_ascii_uppercase()),
            cname: raw.cname.iter().map(|name| normal(name)).collect(),
            a: raw.a,
            aaaa: raw.aaaa,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_but_the_schema_is_optional() {
        let bare = HonestAnswers::parse(r#"{"schema": "goprobe-reference/1"}"#).unwrap();
        assert_eq!(bare, HonestAnswers::default());
    }

    #[test]
    fn names_are_folded_and_answers_kept() {
        let text = r#"{"schema": "goprobe-reference/1", "asked": "2026-11-22T13:16:25.5+01:00", "names": {
            "Proxy.Golang.org.": {"rcode": "NOERROR", "CNAME": ["X.example."], "A": ["142.250.74.113"], "AAAA": ["2607:f8b0::8d"]},
            "gone.example": {"rcode": "nxdomain"}}, "ranges": {"google": ["142.250.1.0/15"]}, "sumdb_key": "k", "new": 1}"#;
        let honest = HonestAnswers::parse(text).unwrap();
        assert_eq!(honest.asked.unwrap().to_string(), "2026-11-22T12:16:25.500000000Z");
        let name = honest.name("proxy.golang.org").unwrap();
        assert_eq!(name.cname, ["x.example"]);
        assert!(name.has("142.250.74.113".parse().unwrap()) && name.has("::ffff:142.250.74.113".parse().unwrap()));
        assert!(name.has("2607:f8b0::8d".parse().unwrap()) && !name.has("142.250.74.114".parse().unwrap()));
        assert!(honest.name("gone.example").unwrap().is_nxdomain() && honest.name("other.example").is_none());
        assert_eq!(honest.ranges["google"][0].to_string(), "142.250.0.0/15");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = r#"{"schema": "goprobe-reference/1", "asked": "2026-11-22T12:16:25Z", "names": {
            "proxy.golang.org": {"rcode": "NOERROR", "CNAME": ["x.example"], "A": ["142.250.74.113"], "AAAA": ["2607:f8b0::8d"]},
            "gone.example": {"rcode": "NXDOMAIN"}}, "ranges": {"google": ["142.250.0.0/15"]}, "sumdb_key": "k"}"#;
        let honest = HonestAnswers::parse(text).unwrap();
        assert_eq!(HonestAnswers::parse(&honest.to_json().unwrap()).unwrap(), honest);
        let bare = HonestAnswers::default().to_json().unwrap();
        assert_eq!(HonestAnswers::parse(&bare).unwrap(), HonestAnswers::default());
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| {
            let error = HonestAnswers::parse(text).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error}: {source}")
        };
        assert!(message("{}").contains("schema"));
        assert!(message(r#"{"schema": "goprobe/1"}"#).contains("\"goprobe/1\""));
        assert!(message(r#"{"schema": "goprobe-reference/1", "asked": "yesterday"}"#).contains("yesterday"));
        assert!(message(r#"{"schema": "goprobe-reference/1", "ranges": {"corp": ["10/8"]}}"#).contains("\"10/8\""));
        let wrong = message(r#"{"schema": "goprobe-reference/1", "names": {"x": {"A": ["::1"]}}}"#);
        assert!(wrong.contains("line 1"), "{wrong}");
        assert!(message("").contains("EOF"));
    }
}
