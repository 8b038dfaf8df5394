//! The search for paths from a leaf to a root, as `buildChains` of Go's crypto/x509/verify.go does it: every parent by
//! name is tried, matching key identifiers first, within a limit of signature checks.
//!
//! Unlike Go it does not stop at what Go refuses (time, weak signatures, missing rights): those are told by name later.

use super::der;
use super::facts::Certificate;
use super::known::{Known, KnownIntermediates};
use super::roots::{Root, Roots};
use super::signature::{self, Signature};
use std::collections::HashMap;

/// Go's `maxChainSignatureChecks`.
const SIGNATURE_CHECKS: u32 = 100;
/// Certificates on a path, leaf and root included.
const DEPTH: usize = 9;
/// Branches that are looked at, whatever they cost.
const BRANCHES: u32 = 2_000;
/// Complete paths that are compared.
const PATHS: usize = 32;

/// A certificate on a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node<'a> {
    /// One that was sent, by its place.
    Sent(usize),
    /// One that was not.
    Known(Known<'a>),
    /// A trusted root.
    Root(Root<'a>),
}

/// A certificate on a path and whether its signature on the one before it could be checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) node: Node<'a>,
    pub(super) checked: bool,
}

/// A candidate for a parent that has the right name and did not make the signature.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    /// The place of the certificate whose signature is not the candidate's.
    pub(super) child: usize,
    /// The candidate's subject.
    pub(super) candidate: String,
}

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    /// Paths to a root.
    pub(super) complete: Vec<Vec<Step<'a>>>,
    /// The places on the longest path that ends without a root.
    pub(super) dead_end: Vec<usize>,
    /// Whether that path ends in a certificate that signed itself.
    pub(super) self_signed_end: bool,
    /// Candidates that did not fit.
    pub(super) broken: Vec<Broken>,
}

pub(super) struct Search<'a> {
    chain: &'a [&'a Certificate],
    roots: &'a Roots,
    known: &'a dyn KnownIntermediates,
    use_known: bool,
    checks: u32,
    branches: u32,
    sent: HashMap<(usize, usize), Signature>,
    found: Found<'a>,
}

impl<'a> Search<'a> {
    pub(super) fn new(chain: &'a [&'a Certificate], roots: &'a Roots, known: &'a dyn KnownIntermediates) -> Self {
        Self {
            chain,
            roots,
            known,
            use_known: false,
            checks: SIGNATURE_CHECKS,
            branches: BRANCHES,
            sent: HashMap::new(),
            found: Found::default(),
        }
    }

    /// Searches with what was sent, then, if that leads nowhere, with what is known besides.
    pub(super) fn run(&mut self) -> Found<'a> {
        let Some(leaf) = self.chain.first() else { return Found::default() };
        let mut path = vec![Step { node: Node::Sent(0), checked: true }];
        if let Some(root) = self.roots.of(leaf) {
            path.push(Step { node: Node::Root(root), checked: true });
            self.found.complete.push(path);
            return std::mem::take(&mut self.found);
        }
        self.extend(&mut path);
        if self.found.complete.is_empty() {
            self.use_known = true;
            self.checks = SIGNATURE_CHECKS;
            self.branches = BRANCHES;
            self.extend(&mut path);
        }
        std::mem::take(&mut self.found)
    }

    /// The places of all sent certificates that stand above the leaf on some line of signatures, the leaf included.
    pub(super) fn ancestors(&mut self) -> Vec<bool> {
        self.checks = SIGNATURE_CHECKS;
        let mut above = vec![false; self.chain.len()];
        let mut next = vec![0];
        while let Some(child) = next.pop() {
            let Some(mark) = above.get_mut(child) else { continue };
            if !std::mem::replace(mark, true) {
                let parents = self.sent_with_subject(self.issuer(Node::Sent(child)));
                next.extend(parents.into_iter().filter(|&parent| {
                    // Beyond the limit the name is believed: nothing is called superfluous for want of a check.
                    self.sent_link(child, parent) != Some(Signature::Bad)
                }));
            }
        }
        above
    }

    fn extend(&mut self, path: &mut Vec<Step<'a>>) {
        let Some(&Step { node: child, .. }) = path.last() else { return };
        let issuer = self.issuer(child);
        let mut parents = 0_u32;
        if let Some(content) = der::content(issuer) {
            for root in self.roots.by_subject(content) {
                if let Some(checked) = self.certifies(child, Node::Root(root)) {
                    parents += 1;
                    if self.found.complete.len() < PATHS {
                        let mut complete = path.clone();
                        complete.push(Step { node: Node::Root(root), checked });
                        self.found.complete.push(complete);
                    }
                }
            }
        }
        for parent in self.candidates(child, issuer) {
            let repeated = path.iter().any(|step| self.same_authority(step.node, parent));
            if repeated || self.is_root(parent) || path.len() >= DEPTH || self.branches == 0 {
                continue;
            }
            self.branches = self.branches.saturating_sub(1);
            let checked = match (child, parent) {
                (Node::Sent(child), Node::Sent(parent)) => match self.sent_link(child, parent) {
                    Some(Signature::Good) => true,
                    Some(Signature::Unchecked) => false,
                    Some(Signature::Bad) => {
                        self.note_broken(child, self.text(Node::Sent(parent)));
                        continue;
                    }
                    None => continue,
                },
                _ => match self.certifies(child, parent) {
                    Some(checked) => checked,
                    None => continue,
                },
            };
            parents += 1;
            path.push(Step { node: parent, checked });
            self.extend(path);
            path.pop();
        }
        if parents == 0 && !self.use_known {
            self.note_dead_end(path);
        }
    }

    fn note_dead_end(&mut self, path: &[Step<'a>]) {
        let places: Vec<usize> = sent_places(path).collect();
        let end = places.last().and_then(|&place| self.chain.get(place));
        let self_signed = end.is_some_and(|end| is_self_signed(end));
        if (self_signed, places.len()) > (self.found.self_signed_end, self.found.dead_end.len()) {
            self.found.self_signed_end = self_signed;
            self.found.dead_end = places;
        }
    }

    fn note_broken(&mut self, child: usize, candidate: String) {
        let noted = &mut self.found.broken;
        if !noted.iter().any(|broken| broken.child == child && broken.candidate == candidate) {
            noted.push(Broken { child, candidate });
        }
    }

    /// Whether `parent` certifies `child`: `None` if it does not, else whether that could be checked. The word of a
    /// trusted list counts as checked.
    fn certifies(&mut self, child: Node<'a>, parent: Node<'a>) -> Option<bool> {
        let certificate = match child {
            Node::Sent(place) => self.chain.get(place).copied()?,
            Node::Known(Known { certificate: Some(certificate), .. }) => certificate,
            Node::Known(_) => return Some(true),
            Node::Root(_) => return None,
        };
        self.checks = self.checks.checked_sub(1)?;
        match signature::check(certificate, self.key(parent)) {
            Signature::Good => Some(true),
            Signature::Unchecked => Some(false),
            Signature::Bad => {
                if let Node::Sent(place) = child {
                    self.note_broken(place, self.text(parent));
                }
                None
            }
        }
    }

    /// The signature of one sent certificate on another, checked once; `None` beyond the limit.
    fn sent_link(&mut self, child: usize, parent: usize) -> Option<Signature> {
        if let Some(&known) = self.sent.get(&(child, parent)) {
            return Some(known);
        }
        let certificate = self.chain.get(child)?;
        let spki = der::content(self.chain.get(parent)?.spki_der())?;
        self.checks = self.checks.checked_sub(1)?;
        let outcome = signature::check(certificate, spki);
        self.sent.insert((child, parent), outcome);
        Some(outcome)
    }

    /// Possible parents by name, those first whose key identifier is the one asked for, those last that have another.
    fn candidates(&self, child: Node<'a>, issuer: &'a [u8]) -> Vec<Node<'a>> {
        let wanted = match child {
            Node::Sent(place) => self.chain.get(place).copied(),
            Node::Known(known) => known.certificate,
            Node::Root(_) => None,
        };
        let wanted = wanted.and_then(|wanted| wanted.facts()?.extensions.authority_key_id.as_deref());
        let mut nodes: Vec<Node<'a>> = self.sent_with_subject(issuer).into_iter().map(Node::Sent).collect();
        if self.use_known && !issuer.is_empty() {
            // Another generation of an authority with the same name is no candidate.
            let fits = |known: &Known<'_>| wanted.is_none() || known.key_id.is_none() || wanted == known.key_id;
            nodes.extend(self.known.by_subject(issuer).into_iter().filter(fits).map(Node::Known));
        }
        nodes.sort_by_key(|&node| match (wanted, self.key_id(node)) {
            (Some(wanted), Some(id)) if wanted == id => 0,
            (Some(_), Some(_)) => 2,
            _ => 1,
        });
        nodes
    }

    fn sent_with_subject(&self, subject: &[u8]) -> Vec<usize> {
        if subject.is_empty() {
            return Vec::new();
        }
        let same = self.chain.iter().enumerate().filter(|(_, sent)| sent.subject_der() == subject);
        same.map(|(place, _)| place).collect()
    }

    /// The issuer's Name, DER; empty for a root.
    fn issuer(&self, node: Node<'a>) -> &'a [u8] {
        match node {
            Node::Sent(place) => self.chain.get(place).map(|sent| sent.issuer_der()).unwrap_or_default(),
            Node::Known(known) => known.issuer_der,
            Node::Root(_) => &[],
        }
    }

    fn subject(&self, node: Node<'a>) -> &'a [u8] {
        match node {
            Node::Sent(place) => {
                self.chain.get(place).and_then(|sent| der::content(sent.subject_der())).unwrap_or_default()
            }
            Node::Known(known) => der::content(known.subject_der).unwrap_or_default(),
            Node::Root(root) => root.subject,
        }
    }

    /// The content of the `SubjectPublicKeyInfo`.
    fn key(&self, node: Node<'a>) -> &'a [u8] {
        match node {
            Node::Sent(place) => {
                self.chain.get(place).and_then(|sent| der::content(sent.spki_der())).unwrap_or_default()
            }
            Node::Known(known) => der::content(known.spki_der).unwrap_or_default(),
            Node::Root(root) => root.spki,
        }
    }

    fn key_id(&self, node: Node<'a>) -> Option<&'a [u8]> {
        match node {
            Node::Sent(place) => self.chain.get(place)?.facts()?.extensions.subject_key_id.as_deref(),
            Node::Known(known) => known.key_id,
            Node::Root(_) => None,
        }
    }

    fn text(&self, node: Node<'a>) -> String {
        match node {
            Node::Sent(place) => {
                self.chain.get(place).and_then(|sent| sent.facts()?.subject.clone()).unwrap_or_default()
            }
            Node::Known(known) => known.name(),
            Node::Root(root) => root.name(),
        }
    }

    /// Go's `alreadyInChain`: same subject and same key.
    fn same_authority(&self, one: Node<'a>, other: Node<'a>) -> bool {
        self.subject(one) == self.subject(other) && self.key(one) == self.key(other)
    }

    /// Whether it is a copy of a root; the root itself is tried as such, and a cross-signed twin leads nowhere else.
    fn is_root(&self, node: Node<'a>) -> bool {
        let key = self.key(node);
        self.roots.by_subject(self.subject(node)).any(|root| root.spki == key)
    }
}

/// The places of the sent certificates on a path, from the leaf on.
pub(super) fn sent_places<'s>(path: &'s [Step<'_>]) -> impl Iterator<Item = usize> + 's {
    path.iter().filter_map(|step| match step.node {
        Node::Sent(place) => Some(place),
        Node::Known(_) | Node::Root(_) => None,
    })
}

/// Whether a certificate names itself as issuer and did not demonstrably get its signature from another key.
pub(super) fn is_self_signed(certificate: &Certificate) -> bool {
    certificate.facts().is_some_and(|facts| facts.self_issued)
        && der::content(certificate.spki_der())
            .is_some_and(|spki| signature::check(certificate, spki) != Signature::Bad)
}
