//! What goprobe knows beforehand: `rules/*.toml`, validated, and what honest resolvers answered in the case at hand.
//!
//! The shipped rules are compiled in; [`Reference::with_overlay`] lays a folder over them. An entry of the overlay stands
//! in the place of the shipped entry of the same name and before all shipped ones. Reading reports every mistake of every
//! file at once. Nothing here decides anything: an address inside somebody's ranges is a hint, a name in a certificate
//! counts only where no public root does.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;
use std::sync::OnceLock;

use ring::digest::{Context, SHA256};

pub mod date;
mod error;
pub mod honest;
mod hosts;
pub mod import;
pub mod intermediates;
mod issuers;
mod known;
mod pages;
mod policy;
mod probing;
mod ranges;
mod releases;
mod resolvers;
mod sheet;
mod special;

pub use error::{Mistake, RulesError};
pub use hosts::{Coverage, Host, Role};
pub use issuers::{Interceptor, InterceptorKind};
pub use known::{BadKind, KnownBad};
pub use pages::{PageKind, PageMark, PageView};
pub use policy::Policy;
pub use probing::RootServer;
pub use ranges::Ranges;
pub use releases::{Released, Releases, Signer};
pub use resolvers::Resolver;
pub use special::Special;

use crate::certificate::{Known, Roots};
use date::Date;
use honest::{HonestAnswers, HonestName};
use intermediates::Intermediates;
use sheet::{Notes, Sheet};

/// A rules file, and the kinds of entries that it may hold.
struct Shipped {
    name: &'static str,
    kinds: &'static [&'static str],
    text: &'static str,
}

macro_rules! shipped {
    ($($name:literal: $($kind:literal)+;)*) => {
        &[$(Shipped { name: $name, kinds: &[$($kind),+], text: include_str!(concat!("../rules/", $name)) }),*]
    };
}

const SHIPPED: &[Shipped] = shipped! {
    "hosts.toml": "host";
    "ranges.toml": "operator";
    "special.toml": "special";
    "poison.toml": "pool" "names";
    "resolvers.toml": "resolver";
    "probe.toml": "trusted" "root" "control" "nobody";
    "issuers.toml": "interceptor";
    "blockpages.toml": "mark" "innocent";
    "policy.toml": "threshold";
    "releases.toml": "list" "signer";
    "intermediates.toml": "bundle";
};

/// The bundle beside `intermediates.toml`.
const BUNDLE: &str = "intermediates.bin";
const SHIPPED_BUNDLE: &[u8] = include_bytes!("../rules/intermediates.bin");

/// Where an entry comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provenance {
    /// Publication, list or observation.
    pub source: String,
    /// The day of its last check.
    pub checked: Date,
}

/// An entry, for `goprobe rules list`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntrySummary {
    /// The file, as it was named: `hosts.toml`, or a path of the overlay.
    pub file: String,
    /// The kind of entry, as in the file.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// The validated rules of a run. There is no other way to have them than through validation.
#[derive(Debug)]
pub struct Reference {
    hosts: hosts::Hosts,
    operators: ranges::Operators,
    special: special::SpecialTable,
    known: known::KnownTable,
    resolvers: resolvers::Resolvers,
    probing: probing::Probing,
    interceptors: issuers::Interceptors,
    pages: pages::PageMarks,
    policy: Policy,
    releases: Releases,
    bundle: Cow<'static, [u8]>,
    unpacked: OnceLock<Intermediates>,
    listing: Vec<EntrySummary>,
    sha256: String,
    honest: HonestAnswers,
    own_ranges: Vec<String>,
    roots: Roots,
}

impl Reference {
    /// The shipped rules.
    ///
    /// # Errors
    /// Never, as a test makes sure; the type is that of [`Self::with_overlay`].
    pub fn builtin() -> Result<Self, RulesError> {
        Self::load(&[], None)
    }

    /// The shipped rules with those of a folder over them: any of the files that `rules/` has, under the same names.
    ///
    /// # Errors
    /// [`RulesError::Read`] for an unreadable folder or file, [`RulesError::Mistakes`] with all mistakes.
    pub fn with_overlay(folder: &Path) -> Result<Self, RulesError> {
        let read = |path: &Path, source| RulesError::Read { path: path.to_owned(), source };
        let mut files = Vec::new();
        let mut bundle = None;
        for entry in std::fs::read_dir(folder).map_err(|source| read(folder, source))? {
            let path = entry.map_err(|source| read(folder, source))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let bytes = || std::fs::read(&path).map_err(|source| read(&path, source));
            if name == BUNDLE {
                bundle = Some(bytes()?);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(Overlay { name, path: path.display().to_string(), bytes: bytes()? });
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Self::load(&files, bundle)
    }

    fn load(overlay: &[Overlay], bundle: Option<Vec<u8>>) -> Result<Self, RulesError> {
        let mut notes = Notes::default();
        let mut texts: Vec<(&Shipped, &str, Cow<'_, str>)> = Vec::new();
        for file in overlay {
            match SHIPPED.iter().find(|shipped| shipped.name == file.name) {
                Some(shipped) => match std::str::from_utf8(&file.bytes) {
                    Ok(text) => texts.push((shipped, &file.path, Cow::Borrowed(text))),
                    Err(_) => notes.mistake_of_file(&file.path, "not UTF-8"),
                },
                None => {
                    let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
                    notes.mistake_of_file(&file.path, format!("no rules file; known are {}", names.join(", ")));
                }
            }
        }
        // The overlay comes first: the first entry of a name counts.
        texts.extend(SHIPPED.iter().map(|shipped| (shipped, shipped.name, Cow::Borrowed(shipped.text))));

        let mut draft = Draft::default();
        for (shipped, path, text) in &texts {
            let sheet = Sheet::read(path, text, shipped.kinds, &mut notes);
            draft.read(shipped.name, &sheet, &mut notes);
        }
        draft.hosts.check(&draft.operators, &mut notes);
        let policy = draft.policy.finish();
        if let Err(missing) = &policy {
            notes.mistake_of_file("policy.toml", format!("no usable value for {}", missing.join(", ")));
        }
        let unpacked = OnceLock::new();
        if let Some(bytes) = &bundle {
            match Intermediates::decode(bytes) {
                Some(intermediates) => drop(unpacked.set(intermediates)),
                None => notes.mistake_of_file(BUNDLE, "not a bundle of intermediates"),
            }
        }
        let bundle = bundle.map_or(Cow::Borrowed(SHIPPED_BUNDLE), Cow::Owned);
        let sha256 = sha256(texts.iter().map(|(shipped, _, text)| (shipped.name, text.as_bytes())), &bundle);
        let listing = notes.finish().map_err(RulesError::Mistakes)?;
        let Ok(policy) = policy else { return Err(RulesError::Mistakes(Vec::new())) };
        let Draft { hosts, operators, special, known, resolvers, probing, interceptors, pages, releases, .. } = draft;
        let (honest, own_ranges) = (HonestAnswers::default(), Vec::new());
        Ok(Self {
            hosts,
            operators,
            special,
            known,
            resolvers,
            probing,
            interceptors,
            pages,
            policy,
            releases,
            bundle,
            unpacked,
            listing,
            sha256,
            honest,
            own_ranges,
            roots: Roots::mozilla(),
        })
    }

    /// The same rules with the honest answers of a case. Its ranges stand in the place of the shipped ones of the operator
    /// that they name (by short name, alias or one of its hosts); ranges of operators that are not known are kept.
    #[must_use]
    pub fn with_honest(mut self, honest: HonestAnswers) -> Self {
        for (name, prefixes) in &honest.ranges {
            let by_name = self.operators.named(name).map(|ranges| ranges.operator.clone());
            let by_host = || self.hosts.find(name).map(|host| host.operator.clone());
            let operator = by_name.or_else(by_host).unwrap_or_else(|| name.clone());
            self.operators.replace(Ranges::new(&operator, prefixes));
            self.own_ranges.push(hosts::normal(name));
        }
        self.honest = honest;
        self
    }

    /// The day of the newest entry, as the version of the rules.
    #[must_use]
    pub fn version(&self) -> String {
        let newest = self.listing.iter().map(|entry| entry.provenance.checked).max();
        newest.map(|date| date.to_string()).unwrap_or_default()
    }

    /// SHA-256 over all rules, overlay included, in lower-case hex.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Every entry with its source, in file order, overlay first. An overlaid entry is still listed.
    #[must_use]
    pub fn entries(&self) -> &[EntrySummary] {
        &self.listing
    }

    /// The entry for a host name: its own, else that of the longest `*.suffix`.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.find(name)
    }

    /// Every host entry, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter()
    }

    /// Whether the name is one of Go's hosts, whose traffic is judged without further reason.
    #[must_use]
    pub fn is_go_host(&self, name: &str) -> bool {
        self.host(name).is_some_and(|host| host.judged)
    }

    /// The short name of the operator whose ranges hold the address; the narrowest range counts.
    #[must_use]
    pub fn operator_of(&self, address: IpAddr) -> Option<&str> {
        self.operators.of(address).map(|ranges| ranges.operator.as_str())
    }

    /// The ranges of an operator, by short name or alias.
    #[must_use]
    pub fn ranges_of(&self, operator: &str) -> Option<&Ranges> {
        self.operators.named(operator)
    }

    /// All operators with ranges.
    pub fn operators(&self) -> impl Iterator<Item = &Ranges> {
        self.operators.iter()
    }

    /// Whether an address of a host lies where its operator's addresses lie. `Some(false)` only where the ranges are
    /// complete for the name (or the case's reference gives ranges under the host's very name); `None` when that is unknown.
    #[must_use]
    pub fn in_operator_ranges(&self, name: &str, address: IpAddr) -> Option<bool> {
        let host = self.host(name)?;
        let address = special::nat64(address).map_or(address, IpAddr::V4);
        let ranges = self.operators.named(&host.operator)?;
        let own = self.own_ranges.contains(&hosts::normal(name));
        match (ranges.contains(address), host.ranges) {
            (true, Coverage::Complete | Coverage::Partial) => Some(true),
            (inside, _) if own => Some(inside),
            (false, Coverage::Complete) => Some(false),
            _ => None,
        }
    }

    /// Why an address is no public one; `None` for a public address. NAT64, 6to4 and IPv4-mapped addresses are judged by
    /// the IPv4 address inside.
    #[must_use]
    pub fn special(&self, address: IpAddr) -> Option<Special> {
        self.special.find(address)
    }

    /// What is known of a bad address, whatever name it was given for; see [`Self::known_bad_for`].
    #[must_use]
    pub fn known_bad(&self, address: IpAddr) -> Option<&KnownBad> {
        self.known.address(address)
    }

    /// What is known of a bad address when it is given for a name: nothing when the address is that of the name's own
    /// operator (pools of injected answers hold Meta's and X's addresses) or when the case's reference gives it.
    #[must_use]
    pub fn known_bad_for(&self, name: &str, address: IpAddr) -> Option<&KnownBad> {
        let known = self.known.address(address)?;
        let operator = self.host(name).map(|host| host.operator.as_str());
        let own = operator.is_some() && operator == self.operator_of(address);
        (!own && self.honest_address(name, address) != Some(true)).then_some(known)
    }

    /// What is known of a bad name (as the target of a CNAME), or of one that it lies below.
    #[must_use]
    pub fn known_bad_name(&self, name: &str) -> Option<&KnownBad> {
        self.known.name(name)
    }

    /// The public resolver at an address.
    #[must_use]
    pub fn public_resolver(&self, address: IpAddr) -> Option<&Resolver> {
        self.resolvers.at(address)
    }

    /// The public resolver whose DNS over TLS or DNS over HTTPS name that is.
    #[must_use]
    pub fn encrypted_resolver(&self, host: &str) -> Option<&Resolver> {
        self.resolvers.named(host)
    }

    /// The intercepting product that a distinguished name (RFC 4514) points to. Only for chains that end in no public root.
    #[must_use]
    pub fn interceptor(&self, issuer: &str) -> Option<&Interceptor> {
        self.interceptors.find(issuer)
    }

    /// The first mark of a block page, portal or proxy error that a response shows.
    #[must_use]
    pub fn page_mark(&self, page: &PageView<'_>) -> Option<&PageMark> {
        self.pages.find(page, self.page_bytes())
    }

    /// The mark of a service's own error page that a response shows.
    #[must_use]
    pub fn innocent_page(&self, page: &PageView<'_>) -> Option<&PageMark> {
        self.pages.innocent(page, self.page_bytes())
    }

    /// The thresholds.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The releases of Go.
    #[must_use]
    pub fn releases(&self) -> &Releases {
        &self.releases
    }

    /// The public intermediates; unpacked when first asked for.
    pub fn intermediates(&self) -> &Intermediates {
        self.unpacked.get_or_init(|| Intermediates::decode(&self.bundle).unwrap_or_default())
    }

    /// What honest resolvers answered for a name in this case; `None` when it was not asked.
    #[must_use]
    pub fn honest_name(&self, name: &str) -> Option<&HonestName> {
        self.honest.name(name)
    }

    /// Whether an honest answer for the name holds the address; `None` when the name was not asked, or asked in vain.
    #[must_use]
    pub fn honest_address(&self, name: &str, address: IpAddr) -> Option<bool> {
        let honest = self.honest.name(name).filter(|honest| honest.is_conclusive())?;
        // A network may translate with a prefix of its own (RFC 6052 §2.2); no lie has the right address in its last bits.
        let inside = special::last_32_bits(address).map(IpAddr::V4);
        Some(honest.has(address) || inside.is_some_and(|inside| honest.has(inside)))
    }

    /// All honest answers of this case.
    #[must_use]
    pub fn honest(&self) -> &HonestAnswers {
        &self.honest
    }

    /// The roots that are held as publicly trusted: Mozilla's, and those that were added.
    #[must_use]
    pub const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The same rules with other roots.
    #[must_use]
    pub fn with_roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// The public intermediates with that subject (DER), for building a path.
    pub fn known_intermediates<'a>(&'a self, subject_der: &[u8]) -> impl Iterator<Item = Known<'a>> + use<'a> {
        self.intermediates().by_subject(subject_der).map(Into::into).collect::<Vec<_>>().into_iter()
    }

    fn page_bytes(&self) -> usize {
        usize::try_from(self.policy.page_bytes).unwrap_or(usize::MAX)
    }
}

/// A file of the overlay.
struct Overlay {
    name: String,
    path: String,
    bytes: Vec<u8>,
}

/// The rules as read so far.
#[derive(Default)]
struct Draft {
    hosts: hosts::Hosts,
    operators: ranges::Operators,
    special: special::SpecialTable,
    known: known::KnownTable,
    resolvers: resolvers::Resolvers,
    probing: probing::Probing,
    interceptors: issuers::Interceptors,
    pages: pages::PageMarks,
    policy: policy::Draft,
    releases: Releases,
}

impl Draft {
    fn read(&mut self, name: &str, sheet: &Sheet<'_>, notes: &mut Notes) {
        match name {
            "hosts.toml" => self.hosts.read(sheet, notes),
            "ranges.toml" => self.operators.read(sheet, notes),
            "special.toml" => self.special.read(sheet, notes),
            "poison.toml" => self.known.read(sheet, notes),
            "resolvers.toml" => self.resolvers.read(sheet, notes),
            "probe.toml" => self.probing.read(sheet, notes),
            "issuers.toml" => self.interceptors.read(sheet, notes),
            "blockpages.toml" => self.pages.read(sheet, notes),
            "policy.toml" => self.policy.read(sheet, notes),
            "releases.toml" => self.releases.read(sheet, notes),
            _ => read_bundle(sheet, notes),
        }
    }
}

/// `intermediates.toml` says of the bundle where it comes from; that it fits the bundle is tested.
fn read_bundle(sheet: &Sheet<'_>, notes: &mut Notes) {
    let _: Vec<()> = sheet.entries("bundle", notes, |entry| {
        let file = entry.text("file");
        if file.is_some_and(|file| file != BUNDLE) {
            entry.mistake(format!("`file` must be {BUNDLE}"));
        }
        entry.number("count");
        entry.parsed_text("sha256", "64 hexadecimal digits", |text| {
            (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(())
        });
        entry.provenance(file.unwrap_or_default());
        None
    });
}

/// Over names, lengths and contents, so that no two sets of files share a sum.
fn sha256<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>, bundle: &'a [u8]) -> String {
    let mut context = Context::new(&SHA256);
    for (name, bytes) in files.chain([(BUNDLE, bundle)]) {
        context.update(name.as_bytes());
        context.update(&[0]);
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
