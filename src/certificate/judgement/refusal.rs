//! What Go refuses in a chain besides unknown roots, times and names.

use super::facts;
use crate::certificate::algorithm::{KeyKind, SignatureAlgorithm};
use crate::certificate::facts::{Certificate, Facts};
use crate::certificate::hostname::{self, NameCheck};
use crate::certificate::path::{Node, Step, is_self_signed};

/// Something that Go refuses, besides an unknown root, times and names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A certificate on the path is signed with MD2, MD5 or SHA-1 (`x509: cannot verify signature: insecure
    /// algorithm`).
    WeakSignature {
        /// Its place.
        at: usize,
        /// Its algorithm.
        algorithm: SignatureAlgorithm,
    },
    /// A certificate on the path is signed in a way that no Go version verifies.
    UnsupportedSignature {
        /// Its place.
        at: usize,
        /// Its algorithm.
        algorithm: SignatureAlgorithm,
    },
    /// A serial number is negative, on the path or not (Go 1.23 and later, `x509negativeserial`).
    NegativeSerial {
        /// Its place.
        at: usize,
    },
    /// A certificate has fields that Go's parser rejects, on the path or not.
    Malformed {
        /// Its place.
        at: usize,
        /// The fields, by their names in RFC 5280; empty when nothing could be read.
        fields: Vec<&'static str>,
    },
    /// An RSA key below 1024 bits (Go 1.24 and later, `rsa1024min`).
    ShortKey {
        /// Its place.
        at: usize,
        /// Its size.
        bits: u32,
    },
    /// An RSA key above 8192 bits (`checkKeySize` of crypto/tls; only the leaf's).
    LongKey {
        /// Its place.
        at: usize,
        /// Its size.
        bits: u32,
    },
    /// The host stands in the common name only (`certificate relies on legacy Common Name field`).
    CommonNameOnly,
    /// An authority on the path may not certify one of the leaf's names.
    NameConstraint {
        /// The authority's place; `None` for a root or one that was not sent.
        at: Option<usize>,
        /// The name.
        name: String,
    },
    /// extKeyUsage is present and allows neither serverAuth nor anything.
    NotServerAuth {
        /// Its place.
        at: usize,
    },
    /// A certificate that certifies another is no authority by its basicConstraints.
    NotCa {
        /// Its place.
        at: usize,
    },
    /// A certificate that certifies another has a keyUsage without keyCertSign.
    NoCertSign {
        /// Its place.
        at: usize,
    },
    /// More intermediates stand below an authority than its basicConstraints allow.
    PathTooLong {
        /// The authority's place.
        at: usize,
    },
    /// A critical extension that Go does not handle.
    UnhandledCriticalExtension {
        /// Its place.
        at: usize,
        /// Its object identifier.
        oid: String,
    },
}

/// What Go refuses on a path or, for parsing, anywhere in the chain.
pub(super) fn of_chain(
    chain: &[&Certificate],
    host: Option<&str>,
    steps: &[Step<'_>],
    name: &NameCheck,
) -> Vec<Refusal> {
    let mut refused = Vec::new();
    for (at, sent) in chain.iter().enumerate() {
        match &sent.facts {
            Ok(facts) if !facts.unread.is_empty() => {
                refused.push(Refusal::Malformed { at, fields: facts.unread.clone() });
            }
            Ok(_) => {}
            Err(_) => refused.push(Refusal::Malformed { at, fields: Vec::new() }),
        }
        if sent.facts().is_some_and(|facts| facts.negative_serial) {
            refused.push(Refusal::NegativeSerial { at });
        }
    }
    if let (NameCheck::NoNames { common_name: Some(common_name) }, Some(host)) = (name, host)
        && hostname::pattern_covers(&common_name.to_ascii_lowercase(), host)
    {
        refused.push(Refusal::CommonNameOnly);
    }
    refused.extend(of_path(chain, steps));
    refused
}

/// What Go refuses on one path: `isValid` and `CheckSignatureFrom` of crypto/x509, `checkKeySize` of crypto/tls.
pub(super) fn of_path(chain: &[&Certificate], steps: &[Step<'_>]) -> Vec<Refusal> {
    let mut refused = Vec::new();
    let no_names = Vec::new();
    let leaf_names = facts(chain, 0).map_or(&no_names, |leaf| &leaf.extensions.names);
    for (step, depth) in steps.iter().zip(0_u32..) {
        let (place, certificate) = match step.node {
            Node::Sent(place) => (Some(place), chain.get(place).copied()),
            Node::Known(known) => (None, known.certificate),
            Node::Root(root) => (None, root.certificate),
        };
        let Some(facts) = certificate.and_then(Certificate::facts) else { continue };
        let constrained = facts.extensions.name_constraints.as_ref().filter(|_| depth > 0);
        if let Some(name) = constrained.and_then(|constraints| constraints.violation(leaf_names)) {
            refused.push(Refusal::NameConstraint { at: place, name: name.to_string() });
        }
        let (Some(at), Some(certificate)) = (place, certificate) else { continue };
        let last = usize::try_from(depth).is_ok_and(|depth| depth.saturating_add(1) == steps.len());
        refuse_sent(&mut refused, certificate, facts, at, depth, last);
    }
    refused
}

/// What Go refuses in one sent certificate at `depth` of the path; `last` when the path ends with it.
fn refuse_sent(
    refused: &mut Vec<Refusal>,
    certificate: &Certificate,
    facts: &Facts,
    at: usize,
    depth: u32,
    last: bool,
) {
    let extensions = &facts.extensions;
    let is_root = last && is_self_signed(certificate);
    // Nobody verifies the signature of a root on itself.
    if let Some(algorithm) = facts.signature_algorithm.clone()
        && !is_root
    {
        if algorithm.is_weak() {
            refused.push(Refusal::WeakSignature { at, algorithm });
        } else if !algorithm.is_known_to_go() {
            refused.push(Refusal::UnsupportedSignature { at, algorithm });
        }
    }
    if let Some((KeyKind::Rsa, Some(bits))) = facts.key.as_ref().map(|key| (&key.kind, key.bits)) {
        if bits < 1024 {
            refused.push(Refusal::ShortKey { at, bits });
        } else if bits > 8192 && depth == 0 {
            refused.push(Refusal::LongKey { at, bits });
        }
    }
    if extensions.server_auth == Some(false) {
        refused.push(Refusal::NotServerAuth { at });
    }
    for oid in &extensions.unhandled_critical {
        refused.push(Refusal::UnhandledCriticalExtension { at, oid: oid.clone() });
    }
    if depth == 0 {
        return;
    }
    // As a root, Go takes one of version 1 too, which cannot say that it is an authority.
    if !(facts.is_ca() || is_root && facts.version == 1) {
        refused.push(Refusal::NotCa { at });
    }
    if extensions.key_usage.is_some_and(|usage| !usage.certificate_signing()) {
        refused.push(Refusal::NoCertSign { at });
    }
    let allowed = extensions.basic_constraints.and_then(|constraints| constraints.path_length);
    if allowed.is_some_and(|allowed| depth.saturating_sub(1) > allowed) {
        refused.push(Refusal::PathTooLong { at });
    }
}
