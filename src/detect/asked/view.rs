//! The answers of a case, by the name that they are about, and which of them are honest.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::invented::{Invention, inventions};
use crate::certificate::{Certificate, NameCheck, Path, judge};
use crate::detect::trust::Everywhere;
use crate::finding::{Evidence, Subject};
use crate::observation::probe::{
    Failure, NOERROR, NXDOMAIN, NameAnswer, Oracle, Part, PresentedChain, Probe, ProbeId, Reply, Transport,
};
use crate::observation::{Case, RecordType};
use crate::reference::Reference;
use crate::reference::honest::HonestName;

/// Who an address proved to be when a handshake was made with it for a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// It holds the key of a certificate for the name that a public authority signed.
    Genuine,
    /// It shows a certificate that is not for the name.
    Stranger(String),
    /// It shows a certificate for the name that no public authority signed, or does not hold the key.
    Unproven(String),
    /// No certificate was seen.
    Silent(Failure),
}

/// One name, and everything that was answered for it.
pub(super) struct Named<'c> {
    pub(super) name: &'c str,
    /// Answers for the name itself.
    pub(super) answers: Vec<(ProbeId, &'c NameAnswer)>,
    pub(super) chains: Vec<(ProbeId, &'c PresentedChain, Standing)>,
    /// Addresses that are the name's, by somebody who cannot be written over.
    honest: BTreeSet<IpAddr>,
    /// Who said so.
    pub(super) witnesses: Vec<ProbeId>,
    /// Whoever cannot be written over says that there is no such name, or no address.
    denied: Option<ProbeId>,
    /// The hosts file has it.
    overridden: bool,
    /// What the configured resolvers say of names that do not exist.
    inventions: Vec<Invention<'c>>,
}

/// All names.
pub(super) struct Names<'c>(Vec<Named<'c>>);

impl<'c> Names<'c> {
    pub(super) fn of(case: &'c Case, reference: &Reference) -> Self {
        let targets = case.probes.iter().filter_map(Probe::name).filter(|it| it.question.part == Part::Target);
        let names: BTreeSet<&str> = targets
            .map(|answer| answer.question.name.as_str())
            .chain(
                case.probes
                    .iter()
                    .filter_map(Probe::chain)
                    .filter(|chain| chain.via.is_none())
                    .map(|chain| chain.name.as_str()),
            )
            .collect();
        Self(names.into_iter().map(|name| Named::of(case, reference, name)).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Named<'c>> {
        self.0.iter()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Named<'c>> {
        self.0.iter().find(|known| known.name == name)
    }
}

impl<'c> Named<'c> {
    fn of(case: &'c Case, reference: &Reference, name: &'c str) -> Self {
        let everywhere = Everywhere::of(case, reference);
        let answers: Vec<(ProbeId, &NameAnswer)> = case
            .probes
            .iter()
            .filter_map(|probe| Some((probe.id, probe.name()?)))
            .filter(|(_, answer)| answer.question.name == name && answer.question.part == Part::Target)
            .collect();
        let chains: Vec<(ProbeId, &PresentedChain, Standing)> = case
            .probes
            .iter()
            .filter_map(|probe| Some((probe, probe.chain()?)))
            .filter(|(_, chain)| chain.name == name && chain.via.is_none())
            .map(|(probe, chain)| (probe.id, chain, standing(reference, &everywhere, probe, chain)))
            .collect();
        let mut named = Self {
            name,
            answers,
            chains,
            honest: BTreeSet::new(),
            witnesses: Vec::new(),
            denied: None,
            overridden: case.probes.iter().filter_map(Probe::hosts_file).any(|(known, _)| known == name),
            inventions: inventions(case),
        };
        named.hear_witnesses();
        named
    }

    /// Those over TLS and HTTPS, and what is signed; without any, the zone's own servers; and the certificates have the last word.
    fn hear_witnesses(&mut self) {
        let conclusive = |reply: &Reply| matches!(reply.rcode, NOERROR | NXDOMAIN) && !reply.truncated;
        let of = |wanted: fn(&NameAnswer) -> bool| -> Vec<(ProbeId, RecordType, Reply)> {
            let replies = self.answers.iter().filter(|(_, answer)| wanted(answer));
            replies
                .filter_map(|(id, answer)| Some((*id, answer.question.record_type, answer.first()?.clone())))
                .filter(|(_, _, reply)| conclusive(reply))
                .collect()
        };
        let mut heard = of(|answer| match answer.question.oracle {
            Oracle::Trusted(_) => answer.question.transport.is_authenticated(),
            Oracle::Signed(_) => true,
            _ => false,
        });
        if heard.is_empty() {
            heard = of(|answer| {
                answer.question.oracle == Oracle::Authoritative && answer.question.transport == Transport::Tcp
            });
        }
        let genuine: Vec<(ProbeId, IpAddr)> = self.genuine().map(|(id, chain)| (id, chain.address.ip())).collect();
        for (id, _, reply) in &heard {
            if reply.addresses().next().is_some() {
                self.witnesses.push(*id);
                self.honest.extend(reply.addresses());
            }
        }
        for (id, address) in genuine {
            self.witnesses.push(id);
            self.honest.insert(address);
        }
        if self.honest.is_empty() {
            let no_such_name = heard.iter().find(|(_, _, reply)| reply.rcode == NXDOMAIN);
            let no_address = heard.iter().find(|(_, kind, reply)| *kind == RecordType::A && reply.is_denial());
            self.denied = no_such_name.or(no_address).map(|(id, ..)| *id);
        }
    }

    pub(super) fn subject(&self) -> Subject {
        Subject { host: Some(self.name.to_owned()), ..Subject::default() }
    }

    /// Addresses that proved to be the name's.
    pub(super) fn genuine(&self) -> impl Iterator<Item = (ProbeId, &'c PresentedChain)> + '_ {
        self.chains.iter().filter(|(_, _, standing)| *standing == Standing::Genuine).map(|(id, chain, _)| (*id, *chain))
    }

    /// What was answered by a kind of oracle.
    pub(super) fn by(&self, oracle: fn(&Oracle) -> bool) -> impl Iterator<Item = (ProbeId, &'c NameAnswer)> + '_ {
        self.answers.iter().copied().filter(move |(_, answer)| oracle(&answer.question.oracle))
    }

    /// What the configured resolvers say.
    pub(super) fn local(&self) -> impl Iterator<Item = (ProbeId, &'c NameAnswer)> + '_ {
        self.by(|oracle| *oracle == Oracle::System)
    }

    pub(super) const fn is_overridden(&self) -> bool {
        self.overridden
    }

    /// What the resolver that gave an answer says of names that do not exist.
    pub(super) fn invention(&self, answer: &NameAnswer) -> Option<&Invention<'c>> {
        let local = answer.question.oracle == Oracle::System;
        self.inventions.iter().find(|invention| local && invention.resolver() == answer.question.server)
    }

    pub(super) fn standing_of(&self, address: IpAddr) -> Option<(ProbeId, &Standing)> {
        let (id, _, standing) = self.chains.iter().find(|(_, chain, _)| chain.address.ip() == address)?;
        Some((*id, standing))
    }

    /// Whether an address is the name's, or stands so near to one that is that nobody may be accused over it.
    pub(super) fn is_honest(&self, reference: &Reference, address: IpAddr) -> bool {
        self.honest.contains(&address)
            || self.honest.iter().any(|known| network(*known) == network(address))
            || reference.honest_address(self.name, address) == Some(true)
            || reference.in_operator_ranges(self.name, address) == Some(true)
    }

    /// Whether the name has addresses, as far as honest answers go.
    pub(super) fn exists(&self) -> bool {
        !self.honest.is_empty()
    }

    /// Whether it has some of that family.
    pub(super) fn has(&self, record_type: RecordType) -> bool {
        self.honest.iter().any(|address| address.is_ipv6() == (record_type == RecordType::AAAA))
    }

    pub(super) const fn denied_by_honest(&self) -> Option<ProbeId> {
        self.denied
    }

    pub(super) fn honest_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.honest.iter().copied()
    }

    /// What honest answers say, as evidence.
    pub(super) fn testimony(&self) -> impl Iterator<Item = Evidence> + '_ {
        self.witnesses.iter().map(|id| {
            let note = match (
                self.answers.iter().find(|(known, _)| known == id),
                self.chains.iter().find(|(known, ..)| known == id),
            ) {
                (Some((_, answer)), _) => format!("{}: {}", asked_of(answer), said(answer.first())),
                (_, Some((_, chain, _))) => format!("{} holds the key of a certificate for the name", chain.address),
                _ => String::new(),
            };
            Evidence::probe("honest_answer", *id, note)
        })
    }

    /// The entry of a reference file.
    pub(super) fn honest_answer(&self) -> Option<HonestName> {
        if self.denied.is_none() && self.honest.is_empty() {
            return None;
        }
        let heard = || {
            self.witnesses.iter().chain(&self.denied).filter_map(|id| {
                let (_, answer) = self.answers.iter().find(|(known, _)| known == id)?;
                answer.first()
            })
        };
        let nxdomain = self.honest.is_empty() && heard().any(|reply| reply.rcode == NXDOMAIN);
        let mut cname: Vec<String> = Vec::new();
        for alias in heard().flat_map(Reply::aliases) {
            if !cname.iter().any(|known| known == alias) {
                cname.push(alias.to_owned());
            }
        }
        let (mut a, mut aaaa) = (Vec::new(), Vec::new());
        for address in &self.honest {
            match address {
                IpAddr::V4(v4) => a.push(*v4),
                IpAddr::V6(v6) => aaaa.push(*v6),
            }
        }
        Some(HonestName { rcode: if nxdomain { "NXDOMAIN" } else { "NOERROR" }.to_owned(), cname, a, aaaa })
    }
}

fn standing(reference: &Reference, everywhere: &Everywhere<'_>, probe: &Probe, chain: &PresentedChain) -> Standing {
    let certificates: Vec<&Certificate> = chain.certificates.iter().collect();
    if certificates.is_empty() {
        return Standing::Silent(chain.failure.clone().unwrap_or(Failure::Closed));
    }
    let judgement = judge(&certificates, Some(&chain.name), probe.at, reference.roots(), everywhere);
    match &judgement.name {
        NameCheck::Mismatch { names } => {
            return Standing::Stranger(format!(
                "a certificate for {}",
                names.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
            ));
        }
        NameCheck::NoNames { .. } => return Standing::Stranger("a certificate for no name at all".to_owned()),
        NameCheck::Ok | NameCheck::NotChecked => {}
    }
    let rooted = matches!(judgement.path, Path::Verified { .. } | Path::VerifiedWithKnown { .. });
    match (rooted, chain.holds_key) {
        (true, true) => Standing::Genuine,
        (true, false) => Standing::Unproven("the name's certificate, whose key it does not show to hold".to_owned()),
        (false, _) => Standing::Unproven("a certificate that no public authority signed".to_owned()),
    }
}

/// The operator's neighbourhood of an address: /24 or /48.
pub(super) fn network(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 24 } else { 48 };
    ipnet::IpNet::new(address, length).map_or_else(|_| address.to_string(), |net| net.trunc().to_string())
}

/// Who was asked, and how.
pub(super) fn asked_of(answer: &NameAnswer) -> String {
    let question = &answer.question;
    let who = match (&question.oracle, question.server) {
        (Oracle::System, Some(server)) => format!("the configured resolver {}", server.ip()),
        (Oracle::Trusted(name), _) => name.clone(),
        (Oracle::Signed(name), _) => format!("{name}, its signatures verified from the root's key on,"),
        (Oracle::Authoritative, _) => "the zone's own servers".to_owned(),
        (Oracle::Nobody, Some(server)) => format!("{}, where no resolver is", server.ip()),
        (_, None) => "somebody".to_owned(),
    };
    format!("{who} over {}", question.transport)
}

/// What a reply says.
pub(super) fn said(reply: Option<&Reply>) -> String {
    let Some(reply) = reply else { return "no answer".to_owned() };
    let addresses: Vec<String> = reply.addresses().map(|address| address.to_string()).collect();
    match reply.rcode {
        NOERROR if addresses.is_empty() => "no address".to_owned(),
        NOERROR => addresses.join(", "),
        2 => "SERVFAIL".to_owned(),
        NXDOMAIN => "NXDOMAIN".to_owned(),
        5 => "REFUSED".to_owned(),
        other => format!("code {other}"),
    }
}
