//! The judgement on a chain: everything for which Go would refuse it, each for itself.

#[cfg(test)]
mod fixtures;
mod refusal;
#[cfg(test)]
mod tests;

pub use refusal::Refusal;

use super::algorithm::SignatureAlgorithm;
use super::facts::{Certificate, Facts};
use super::hostname::{self, NameCheck};
use super::known::KnownIntermediates;
use super::path::{Found, Node, Search, Step, is_self_signed, sent_places};
use super::roots::Roots;
use super::time::ValidityTime;
use crate::types::Timestamp;

/// What is to be said of a chain. Places count from 0, the leaf, in the order in which the certificates were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the chain reaches a root. Times, names and rights are judged apart from it.
    pub path: Path,
    /// Whether everything on the path was valid at the time asked for.
    pub time: Time,
    /// Whether the leaf is for the host.
    pub name: NameCheck,
    /// Whether the certificates came in the order that RFC 5246 §7.4.2 demands.
    pub order: Order,
    /// Certificates that certify nothing below them, and second copies. A root that was sent along is none.
    pub superfluous: Vec<usize>,
    /// The place of the self-signed end of the path, where it was sent along.
    pub root_included: Option<usize>,
    /// What else Go refuses.
    pub refused: Vec<Refusal>,
}

impl Judgement {
    /// Whether Go (1.24 or later, with exactly these roots) accepts the chain.
    #[must_use]
    pub fn go_accepts(&self) -> bool {
        matches!(self.path, Path::Verified { .. })
            && self.time == Time::Ok
            && matches!(self.name, NameCheck::Ok | NameCheck::NotChecked)
            && self.refused.is_empty()
    }
}

/// Where the chain leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// To a root, by signatures that were all checked.
    Verified {
        /// The places on the path, leaf first.
        via: Vec<usize>,
        /// The root's subject.
        root: String,
    },
    /// To a root, but only with certificates that were not sent. Go does not fetch them (golang/go#31773).
    VerifiedWithKnown {
        /// The places on the path, leaf first.
        via: Vec<usize>,
        /// What is missing, from the leaf's side on.
        missing: Vec<MissingIntermediate>,
        /// The root's subject.
        root: String,
    },
    /// The leaf signed itself and is not a root.
    SelfSignedLeaf,
    /// To a self-signed certificate that was sent along and is not among the roots.
    PrivateRoot {
        /// The places on the path, leaf first, that root last.
        via: Vec<usize>,
        /// That root's subject.
        root: String,
    },
    /// To an issuer that was not sent and that nobody knows: a private authority, or a public one's intermediate that
    /// is on no list.
    UnknownIssuer {
        /// The places on the path, leaf first.
        via: Vec<usize>,
        /// The issuer of the last of them.
        issuer: String,
        /// Where that issuer's certificate is said to be.
        ca_issuers: Option<String>,
        /// The subject of a root of the organization that the issuer names: then an intermediate of that authority is
        /// likely to be missing. Anybody may write that organization's name, though.
        akin_root: Option<String>,
        /// Whether the leaf holds what those of public authorities do: certificate transparency timestamps (RFC 6962
        /// §3.3) or a policy of the CA/Browser Forum.
        public_marks: bool,
    },
    /// To a certificate whose issuer is at hand by name, but has not signed it.
    BrokenSignature {
        /// The places on the path, leaf first.
        via: Vec<usize>,
        /// The place of the certificate with the wrong signature: the last of `via`.
        at: usize,
        /// The subject of the issuer that did not sign it.
        candidate: String,
    },
    /// It cannot be told.
    Unverifiable {
        /// Why.
        why: Unverifiable,
        /// The root's subject, where names lead to one.
        root: Option<String>,
    },
}

/// Why a path cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverifiable {
    /// No certificate was sent.
    NoCertificate,
    /// A certificate could not be read, or not enough of it.
    Unparsable {
        /// Its place.
        at: usize,
    },
    /// A signature of a kind that is not checked here.
    Unchecked {
        /// The place of the certificate that is signed so; `None` for one that was not sent.
        at: Option<usize>,
        /// Its signature algorithm.
        algorithm: Option<SignatureAlgorithm>,
    },
}

/// A certificate that should have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingIntermediate {
    /// Its subject.
    pub name: String,
    /// Where the certificate below it says that it can be fetched.
    pub ca_issuers: Option<String>,
    /// SHA-256 of its DER, where known.
    pub sha256: Option<[u8; 32]>,
    /// Whether the known one was valid at the time asked for.
    pub valid: bool,
}

/// Whether the path was valid at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Time {
    /// It was.
    Ok,
    /// A certificate had expired: the first one from the leaf on.
    Expired {
        /// Its place; `None` for a root that was not sent.
        at: Option<usize>,
        /// The end of its validity.
        not_after: ValidityTime,
    },
    /// A certificate was not yet valid: the first one from the leaf on.
    NotYetValid {
        /// Its place; `None` for a root that was not sent.
        at: Option<usize>,
        /// The beginning of its validity.
        not_before: ValidityTime,
    },
    /// A certificate's validity could not be read.
    Unreadable {
        /// Its place.
        at: usize,
    },
}

/// Whether each certificate certifies the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Apart from superfluous ones, yes.
    Ok,
    /// No, though there is a path. Go, as most clients, sorts them out.
    Misordered,
    /// The first certificate is an authority and the leaf stands further back. No client accepts that.
    LeafNotFirst {
        /// Where the leaf stands.
        leaf: usize,
    },
}

/// Judges a chain (leaf first, as sent) for a host name or address at a time, as Go's crypto/x509 does with `roots`.
///
/// A path is sought without regard to time first, so that "expired" is told apart from "unknown authority"; among
/// several the one with the least against it counts. `known` is asked only when what was sent reaches no root.
#[must_use]
pub fn judge(
    chain: &[&Certificate],
    host: Option<&str>,
    at: Timestamp,
    roots: &Roots,
    known: &dyn KnownIntermediates,
) -> Judgement {
    let mut search = Search::new(chain, roots, known);
    let found = search.run();
    let ancestors = search.ancestors();
    let rank = |path: &&Vec<Step<'_>>| {
        let unchecked = path.iter().filter(|step| !step.checked).count();
        let known = path.iter().filter(|step| matches!(step.node, Node::Known(_))).count();
        let invalid = path.iter().filter(|step| matches!(&step.node, Node::Known(known) if !valid(known, at))).count();
        let faults = refusal::of_path(chain, path).len().saturating_add(usize::from(time(chain, path, at) != Time::Ok));
        (unchecked, known, faults.saturating_add(invalid), path.len())
    };
    let best = found.complete.iter().min_by_key(rank);
    let dead_end: Vec<Step<'_>> =
        found.dead_end.iter().map(|&place| Step { node: Node::Sent(place), checked: true }).collect();
    let steps = best.unwrap_or(&dead_end);

    let leaf = chain.first().and_then(|leaf| leaf.facts());
    let name = match (leaf, host) {
        (Some(leaf), Some(host)) => hostname::check(leaf, host),
        _ => NameCheck::NotChecked,
    };
    let root_included = root_included(chain, roots, steps);
    Judgement {
        path: path(chain, best, &found, roots, at),
        time: time(chain, steps, at),
        order: order(chain, host, steps, root_included),
        superfluous: superfluous(chain, &ancestors),
        root_included,
        refused: refusal::of_chain(chain, host, steps, &name),
        name,
    }
}

fn facts<'a>(chain: &[&'a Certificate], at: usize) -> Option<&'a Facts> {
    chain.get(at).and_then(|certificate| certificate.facts())
}

fn valid(known: &super::known::Known<'_>, at: Timestamp) -> bool {
    known.not_before <= at && at <= known.not_after
}

fn path(chain: &[&Certificate], best: Option<&Vec<Step<'_>>>, found: &Found<'_>, roots: &Roots, at: Timestamp) -> Path {
    if let Some(steps) = best {
        let root = steps.last().and_then(|step| match step.node {
            Node::Root(root) => Some(root.name()),
            Node::Sent(_) | Node::Known(_) => None,
        });
        if let Some((signed, _)) = steps.iter().zip(steps.iter().skip(1)).find(|(_, by)| !by.checked) {
            let (at, facts) = match signed.node {
                Node::Sent(at) => (Some(at), facts(chain, at)),
                Node::Known(known) => (None, known.certificate.and_then(Certificate::facts)),
                Node::Root(_) => (None, None),
            };
            let algorithm = facts.and_then(|facts| facts.signature_algorithm.clone());
            return Path::Unverifiable { why: Unverifiable::Unchecked { at, algorithm }, root };
        }
        let via = sent_places(steps).collect();
        let missing = missing(chain, steps, at);
        let root = root.unwrap_or_default();
        return if missing.is_empty() {
            Path::Verified { via, root }
        } else {
            Path::VerifiedWithKnown { via, missing, root }
        };
    }
    let unverifiable = |why| Path::Unverifiable { why, root: None };
    if chain.is_empty() {
        return unverifiable(Unverifiable::NoCertificate);
    }
    let via = found.dead_end.clone();
    let last = via.last().copied().unwrap_or(0);
    let Some(end) = facts(chain, last) else { return unverifiable(Unverifiable::Unparsable { at: last }) };
    let Some(issuer) = end.issuer.clone() else { return unverifiable(Unverifiable::Unparsable { at: last }) };
    if found.self_signed_end {
        return if via.len() == 1 { Path::SelfSignedLeaf } else { Path::PrivateRoot { via, root: issuer } };
    }
    if let Some(broken) = found.broken.iter().find(|broken| broken.child == last) {
        return Path::BrokenSignature { via, at: last, candidate: broken.candidate.clone() };
    }
    // One that nobody could read may be the one that is wanted.
    if let Some(unread) = chain.iter().position(|certificate| certificate.facts.is_err()) {
        return unverifiable(Unverifiable::Unparsable { at: unread });
    }
    let ca_issuers = end.extensions.ca_issuers.first().cloned();
    let akin_root = end.issuer_organization.as_deref().and_then(|organization| roots.of_organization(organization));
    let public_marks =
        facts(chain, 0).is_some_and(|leaf| leaf.extensions.has_timestamps || leaf.extensions.has_public_policy);
    Path::UnknownIssuer { via, issuer, ca_issuers, akin_root, public_marks }
}

fn missing(chain: &[&Certificate], steps: &[Step<'_>], at: Timestamp) -> Vec<MissingIntermediate> {
    let pairs = steps.iter().zip(steps.iter().skip(1));
    let known = pairs.filter_map(|(below, step)| match step.node {
        Node::Known(known) => Some((below, known)),
        Node::Sent(_) | Node::Root(_) => None,
    });
    known
        .map(|(below, known)| {
            let below = match below.node {
                Node::Sent(place) => facts(chain, place),
                Node::Known(known) => known.certificate.and_then(Certificate::facts),
                Node::Root(_) => None,
            };
            MissingIntermediate {
                name: known.name(),
                ca_issuers: below.and_then(|below| below.extensions.ca_issuers.first().cloned()),
                sha256: known.sha256,
                valid: valid(&known, at),
            }
        })
        .collect()
}

/// The first certificate, from the leaf on, that was not valid. Go holds the root to its dates too; those of Mozilla's
/// roots are not at hand.
fn time(chain: &[&Certificate], steps: &[Step<'_>], at: Timestamp) -> Time {
    for step in steps {
        let (place, facts) = match step.node {
            Node::Sent(place) => (Some(place), facts(chain, place)),
            Node::Root(root) => (None, root.certificate.and_then(Certificate::facts)),
            Node::Known(_) => continue,
        };
        let Some(facts) = facts else { continue };
        match (facts.not_before, facts.not_after, place) {
            (Some(not_before), _, _) if at < not_before.timestamp() => {
                return Time::NotYetValid { at: place, not_before };
            }
            (_, Some(not_after), _) if at > not_after.timestamp() => return Time::Expired { at: place, not_after },
            (Some(_), Some(_), _) | (_, _, None) => {}
            (_, _, Some(at)) => return Time::Unreadable { at },
        }
    }
    Time::Ok
}

/// Where the root of the path stands among what was sent: a copy of the trusted root, or the private root itself.
fn root_included(chain: &[&Certificate], roots: &Roots, steps: &[Step<'_>]) -> Option<usize> {
    match steps.last()?.node {
        Node::Root(root) => chain.iter().position(|sent| {
            sent.facts().is_some_and(|facts| facts.self_issued)
                && roots.of(sent).is_some_and(|of| of.subject == root.subject && of.spki == root.spki)
        }),
        Node::Sent(place) => chain.get(place).is_some_and(|end| is_self_signed(end)).then_some(place),
        Node::Known(_) => None,
    }
}

fn order(chain: &[&Certificate], host: Option<&str>, steps: &[Step<'_>], root: Option<usize>) -> Order {
    if let Some(host) = host
        && facts(chain, 0).is_some_and(|first| first.is_ca() && hostname::check(first, host) != NameCheck::Ok)
        && let Some(leaf) = chain.iter().skip(1).zip(1..).find_map(|(sent, place)| {
            let leaf = sent.facts().filter(|facts| !facts.is_ca())?;
            (hostname::check(leaf, host) == NameCheck::Ok).then_some(place)
        })
    {
        return Order::LeafNotFirst { leaf };
    }
    let mut places: Vec<usize> = sent_places(steps).collect();
    if let Some(root) = root
        && !places.contains(&root)
    {
        places.push(root);
    }
    if places.is_sorted() { Order::Ok } else { Order::Misordered }
}

fn superfluous(chain: &[&Certificate], ancestors: &[bool]) -> Vec<usize> {
    let first_readable = chain.first().is_some_and(|leaf| leaf.facts.is_ok());
    let is_copy =
        |place: usize, sent: &Certificate| chain.iter().take(place).any(|before| before.sha256 == sent.sha256);
    let marked = chain.iter().zip(ancestors).enumerate();
    marked
        .filter(|(place, (sent, above))| {
            is_copy(*place, sent) || (first_readable && !**above && !sent.subject_der().is_empty())
        })
        .map(|(place, _)| place)
        .collect()
}
