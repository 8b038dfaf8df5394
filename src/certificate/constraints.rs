//! Name constraints (RFC 5280 §4.2.1.10) as Go applies them to the DNS names and addresses of a leaf.

use super::der::{Reader, SEQUENCE, context_constructed};
use super::extensions::SubjectName;
use std::net::IpAddr;

/// A nameConstraints extension: its DNS names and address ranges. Constraints on addresses of mail and on URIs are
/// not kept, since no name of a server is held against them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    permitted: Subtrees,
    excluded: Subtrees,
    /// Kinds of names that Go does not handle are constrained too.
    pub(super) has_other_kinds: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Subtrees {
    dns: Vec<String>,
    /// Address octets, then mask octets.
    ip: Vec<Box<[u8]>>,
}

impl NameConstraints {
    pub(super) fn read(value: &mut Reader<'_>) -> Option<Self> {
        let mut fields = value.read(SEQUENCE)?.enter();
        let mut out = Self::default();
        if let Some(permitted) = fields.read(context_constructed(0)) {
            out.permitted = Subtrees::read(permitted.enter(), &mut out.has_other_kinds)?;
        }
        if let Some(excluded) = fields.read(context_constructed(1)) {
            out.excluded = Subtrees::read(excluded.enter(), &mut out.has_other_kinds)?;
        }
        fields.is_empty().then_some(out)
    }

    /// The first of `names` that a certificate under these constraints may not claim (`checkNameConstraints` of
    /// crypto/x509: all names of the leaf count, not only the one that is asked for).
    pub(super) fn violation<'a>(&self, names: &'a [SubjectName]) -> Option<&'a SubjectName> {
        names
            .iter()
            .find(|name| self.excluded.holds(name).unwrap_or(false) || !self.permitted.holds(name).unwrap_or(true))
    }
}

impl Subtrees {
    fn read(mut subtrees: Reader<'_>, has_other_kinds: &mut bool) -> Option<Self> {
        let mut out = Self::default();
        while let Some(subtree) = subtrees.read(SEQUENCE) {
            let base = subtree.enter().any()?;
            match base.tag {
                0x82 => out.dns.push(std::str::from_utf8(base.content).ok()?.to_ascii_lowercase()),
                0x87 if matches!(base.content.len(), 8 | 32) => out.ip.push(base.content.into()),
                0x87 => return None,
                0x81 | 0x86 => {}
                _ => *has_other_kinds = true,
            }
        }
        subtrees.is_empty().then_some(out)
    }

    /// Whether `name` lies in one of these subtrees; `None` when none is of its kind.
    fn holds(&self, name: &SubjectName) -> Option<bool> {
        match name {
            SubjectName::Dns(name) if !self.dns.is_empty() => {
                let name = name.to_ascii_lowercase();
                Some(self.dns.iter().any(|constraint| domain_matches(&name, constraint)))
            }
            SubjectName::Ip(address) if !self.ip.is_empty() => {
                Some(self.ip.iter().any(|constraint| range_matches(*address, constraint)))
            }
            _ => None,
        }
    }
}

/// `matchDomainConstraint` of crypto/x509: a leading dot asks for at least one more label; both in lower case.
fn domain_matches(domain: &str, constraint: &str) -> bool {
    if constraint.is_empty() {
        return true;
    }
    let (constraint, below) = constraint.strip_prefix('.').map_or((constraint, false), |rest| (rest, true));
    match domain.strip_suffix(constraint) {
        Some("") => !below,
        Some(labels) => labels.ends_with('.'),
        None => false,
    }
}

fn range_matches(address: IpAddr, constraint: &[u8]) -> bool {
    let (network, mask) = constraint.split_at_checked(constraint.len() / 2).unwrap_or_default();
    let within = |octets: &[u8]| {
        octets.len() == network.len()
            && octets.iter().zip(network).zip(mask).all(|((octet, net), mask)| octet & mask == net & mask)
    };
    match address {
        IpAddr::V4(v4) => within(&v4.octets()),
        IpAddr::V6(v6) => within(&v6.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5280_4_2_1_10_domains() {
        for (domain, constraint, expected) in [
            ("a.example", "example", true),
            ("example", "example", true),
            ("aexample", "example", false),
            ("example", ".example", false),
            ("a.example", ".example", true),
            ("a.b.example", ".example", true),
            ("anything", "", true),
            ("example", "a.example", false),
        ] {
            assert_eq!(domain_matches(domain, constraint), expected, "{domain} {constraint}");
        }
    }

    #[test]
    fn rfc5280_4_2_1_10_ranges() {
        let ten = [10, 0, 0, 0, 255, 0, 0, 0];
        assert!(range_matches("10.1.2.3".parse().unwrap(), &ten));
        assert!(!range_matches("11.1.2.3".parse().unwrap(), &ten));
        assert!(!range_matches("::1".parse().unwrap(), &ten));
        assert!(!range_matches("10.1.2.3".parse().unwrap(), &[]));
    }
}
