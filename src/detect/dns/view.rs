//! A case's lookups, by the name that go wanted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::detect::subject::address_is_honest;
use crate::finding::{Evidence, Subject};
use crate::go::GoErrorKind;
use crate::observation::{Answer, Case, Handshake, Lookup, Outcome, RecordType, Relevance};
use crate::reference::Reference;
use crate::types::Moment;

/// DNS response codes (IANA).
pub(super) const NOERROR: u16 = 0;
pub(super) const SERVFAIL: u16 = 2;
pub(super) const NXDOMAIN: u16 = 3;
pub(super) const REFUSED: u16 = 5;

/// All lookups of one name by one client.
pub(super) struct Name<'c> {
    pub(super) name: &'c str,
    pub(super) client: IpAddr,
    pub(super) lookups: Vec<&'c Lookup>,
}

impl<'c> Name<'c> {
    /// Lookups for addresses.
    pub(super) fn for_addresses(&self) -> impl Iterator<Item = &'c Lookup> + '_ {
        self.lookups.iter().copied().filter(|lookup| matches!(lookup.record_type, RecordType::A | RecordType::AAAA))
    }

    /// All answers to them.
    pub(super) fn answers(&self) -> impl Iterator<Item = (&'c Lookup, &'c Answer)> + '_ {
        self.for_addresses().flat_map(|lookup| lookup.answers.iter().map(move |answer| (lookup, answer)))
    }

    /// The address that an answer gives go, if it gives any.
    pub(super) fn has_address(&self) -> bool {
        self.answers().any(|(_, answer)| answer.addresses().next().is_some())
    }

    pub(super) fn subject(&self) -> Subject {
        Subject { host: Some(self.name.to_owned()), address: None, port: None, module: None }
    }

    /// Every question, as evidence.
    pub(super) fn questions(&self) -> impl Iterator<Item = Evidence> + '_ {
        self.for_addresses()
            .filter_map(|lookup| lookup.query.as_ref())
            .map(|query| Evidence::frame("question", query.at, ""))
    }
}

/// The names that are judged.
pub(super) struct Names<'c>(Vec<Name<'c>>);

impl<'c> Names<'c> {
    pub(super) fn of(case: &'c Case, reference: &Reference) -> Self {
        let mut names: BTreeMap<(&str, IpAddr), Vec<&Lookup>> = BTreeMap::new();
        for lookup in case.lookups.iter().filter(|lookup| lookup.relevance == Relevance::Go) {
            // A name with a search suffix is the resolver's own idea; its denial is no failure (resolv.conf(5)).
            if reference.is_go_host(&lookup.name) || case.go.names_host(&lookup.name) {
                names.entry((&lookup.name, lookup.client.ip())).or_default().push(lookup);
            }
        }
        Self(names.into_iter().map(|((name, client), lookups)| Name { name, client, lookups }).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Name<'c>> {
        self.0.iter()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Name<'c>> {
        self.0.iter().find(|known| known.name == name)
    }
}

/// An answer in a few words.
pub(super) fn words(answer: &Answer) -> String {
    let addresses: Vec<String> = answer.addresses().map(|address| address.to_string()).collect();
    let rcode = match answer.rcode {
        NOERROR if addresses.is_empty() => "no address".to_owned(),
        NOERROR => addresses.join(", "),
        SERVFAIL => "SERVFAIL".to_owned(),
        NXDOMAIN => "NXDOMAIN".to_owned(),
        REFUSED => "REFUSED".to_owned(),
        other => format!("RCODE{other}"),
    };
    format!("{rcode}, IP TTL {}{}", answer.ip.ttl, if answer.edns { "" } else { ", no EDNS" })
}

/// What TLS at an address says about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// A handshake for the name was accepted there.
    Confirmed(Moment),
    /// Somebody else is there: by the certificate shown, or by go's own words.
    Contradicted { at: Option<Moment>, how: String },
    /// Nothing is known.
    Unknown,
}

/// Asks every handshake with that address for that name.
pub(super) fn identity(case: &Case, name: &str, address: IpAddr) -> Identity {
    let mut identity = Identity::Unknown;
    let theirs = case.handshakes.iter().filter(|handshake| handshake.tunnel.is_none()).filter(|handshake| {
        handshake.server_name.seen().is_some_and(|server_name| server_name == name)
            && case.connection(handshake.flow).is_some_and(|connection| connection.server.ip() == address)
    });
    for handshake in theirs {
        let at = handshake.certificates_at.or(handshake.server_hello.as_ref().map(|hello| hello.at));
        match handshake.outcome {
            Outcome::Completed => {
                if let Some(at) = at {
                    return Identity::Confirmed(at);
                }
            }
            Outcome::RejectedByClient => {
                let how =
                    shown(case, handshake).map(|names| format!("the certificate there is for {names}")).or_else(|| {
                        case.go
                            .name_mismatch_of(name)
                            .map(|names| format!("go says that the certificate there is for {names}"))
                    });
                if let Some(how) = how {
                    identity = Identity::Contradicted { at, how };
                }
            }
            Outcome::NotTls => {
                let at = handshake.not_tls.as_ref().map(|not_tls| not_tls.at);
                identity = Identity::Contradicted { at, how: "what answers there does not speak TLS".to_owned() };
            }
            _ => {}
        }
    }
    identity
}

/// Whether the name was reached all the same, at an address that none of these answers gave, and go did not complain
/// of these.
pub(super) fn reached_beside(case: &Case, reference: &Reference, name: &Name<'_>, wrong: &[IpAddr]) -> bool {
    let tried = |address: &IpAddr| case.connections.iter().any(|connection| connection.server.ip() == *address);
    let right =
        |answer: &Answer| -> Vec<IpAddr> { answer.addresses().filter(|address| !wrong.contains(address)).collect() };
    let others_tried = name.answers().flat_map(|(_, answer)| right(answer)).any(|address| tried(&address));
    let complains = case.go.errors().iter().any(|error| {
        let about = [&error.host, &error.lookup].into_iter().flatten().any(|about| about == name.name);
        let kind = error.kind.innermost();
        about
            && !matches!(kind, GoErrorKind::HttpStatus { .. })
            && match error.address {
                Some(address) => wrong.contains(&address.ip()),
                None => kind.is_dns() || wrong.iter().any(tried) || !others_tried,
            }
    });
    let confirmed = name
        .answers()
        .flat_map(|(_, answer)| right(answer))
        .any(|address| matches!(identity(case, name.name, address), Identity::Confirmed(_)));
    // What comes first is taken. Where nothing was dialled, as in a recording of DNS alone, go's silence has to do.
    let untried = || {
        name.for_addresses()
            .filter_map(|lookup| lookup.answers.iter().min_by_key(|answer| answer.at))
            .flat_map(right)
            .any(|address| address_is_honest(reference, name.name, address) == Some(true))
            && !wrong.iter().any(tried)
    };
    !complains && (confirmed || untried())
}

/// The names of a visible leaf that does not cover the server name.
fn shown(case: &Case, handshake: &Handshake) -> Option<String> {
    let leaf = handshake.certificates.seen()?.first()?;
    let certificate = case.certificate(*leaf)?;
    let host = handshake.server_name.seen()?;
    if certificate.covers(host) {
        return None;
    }
    let names = certificate.names();
    Some(if names.is_empty() {
        "no name at all".to_owned()
    } else {
        names.into_iter().take(4).collect::<Vec<_>>().join(", ")
    })
}

/// The network of a wrong address, for fingerprints: /24 or /48.
pub(super) fn network(address: IpAddr) -> String {
    let (length, bits) = match address {
        IpAddr::V4(_) => (24, 32),
        IpAddr::V6(_) => (48, 128),
    };
    ipnet::IpNet::new(address, length.min(bits)).map_or_else(|_| address.to_string(), |net| net.trunc().to_string())
}
