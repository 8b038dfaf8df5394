//! Go's own `ClientHello` and what an address made of it: does a failure hang on the name, the bytes, their size, the address or
//! the family, and is it the server's doing or the path's?
//!
//! Attempts differ in one thing each. What passes excludes what it shares with those that fail. A control that fails right after
//! a reset at the same address counts for nothing: a block may outlast its trigger.

mod bytes;
mod name;
mod place;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::finding::{Code, Confidence, Evidence, Finding, Refutation, Subject};
use crate::observation::Case;
use crate::observation::probe::{Aim, Ending, HelloAttempt, HopSweep, Part, Place, ProbeId, Shape};

/// What an experiment comes to.
#[derive(Default)]
pub(super) struct Conclusions {
    pub(super) found: Vec<Finding>,
    pub(super) refuted: Vec<Refutation>,
}

/// Judges the experiments of a case, but for those at addresses that a lie led to.
pub(super) fn assess(case: &Case, misled: &[IpAddr]) -> Conclusions {
    let mut conclusions = Conclusions::default();
    for trial in trials(case, misled) {
        if let Some((finding, refuted)) = conclude(case, &trial) {
            let code = finding.code;
            conclusions.refuted.extend(refuted.iter().filter(|it| **it != code).map(|refuted| Refutation {
                code: *refuted,
                host: trial.about.to_owned(),
                address: None,
                why: format!("tried again: {}", finding.summary),
            }));
            conclusions.found.push(finding);
        }
    }
    conclusions
}

/// An attempt with its number.
type Numbered<'c> = (ProbeId, &'c HelloAttempt);

/// All attempts for the sake of one name.
struct Trial<'c> {
    about: &'c str,
    attempts: Vec<Numbered<'c>>,
    sweeps: Vec<(ProbeId, &'c HopSweep)>,
}

fn trials<'c>(case: &'c Case, misled: &[IpAddr]) -> Vec<Trial<'c>> {
    let mut by_name: BTreeMap<&str, Vec<Numbered<'_>>> = BTreeMap::new();
    for probe in &case.probes {
        if let Some(attempt) = probe.hello().filter(|attempt| !misled.contains(&attempt.aim.address.ip())) {
            by_name.entry(attempt.aim.about.as_str()).or_default().push((probe.id, attempt));
        }
    }
    let sweeps: Vec<_> = case.probes.iter().filter_map(|probe| Some((probe.id, probe.hops()?))).collect();
    by_name
        .into_iter()
        .map(|(about, attempts)| {
            let own = |sweep: &&(ProbeId, &HopSweep)| attempts.iter().any(|(_, it)| it.aim.address == sweep.1.address);
            let sweeps = sweeps.iter().filter(own).copied().collect();
            Trial { about, attempts, sweeps }
        })
        .collect()
}

fn conclude(case: &Case, trial: &Trial<'_>) -> Option<(Finding, Vec<Code>)> {
    let (_, first) = trial.of(|aim| aim.is_plain() && aim.part == Part::Target).next()?;
    if first.passed() {
        return Some((place::family(case, trial, first)?, Vec::new()));
    }
    match first.ending {
        Ending::Local(_) => None,
        Ending::Unanswered { .. } | Ending::Unreachable | Ending::Refused { .. } => {
            name::conclude(trial).or_else(|| Some((place::unopened(case, trial, first)?, Vec::new())))
        }
        _ => name::conclude(trial).or_else(|| bytes::conclude(trial, first)).or_else(|| place::stopped(trial, first)),
    }
}

impl<'c> Trial<'c> {
    fn of(&self, wanted: impl Fn(&Aim) -> bool) -> impl Iterator<Item = Numbered<'c>> {
        self.attempts.iter().copied().filter(move |(_, attempt)| wanted(&attempt.aim))
    }

    /// Go's own hello, to an address, as ordinary connections send it.
    fn plain(&self, part: Part, address: SocketAddr) -> impl Iterator<Item = Numbered<'c>> {
        self.of(move |aim| aim.is_plain() && aim.part == part && aim.address == address && aim.name.is_some())
    }

    /// With the name in question and another shape, at an address.
    fn shaped(&self, shape: Shape, address: SocketAddr) -> Option<Numbered<'c>> {
        self.of(|aim| aim.is_ordinary() && aim.part == Part::Target && aim.shape == shape && aim.address == address)
            .next()
    }

    /// With the name in question, cut into small segments.
    fn in_small_segments(&self, address: SocketAddr) -> Option<Numbered<'c>> {
        self.of(|aim| aim.max_segment.is_some() && aim.address == address).next()
    }

    /// A harmless name at a server that has nothing to do with the one in question.
    fn neutral(&self) -> Option<Numbered<'c>> {
        self.of(|aim| aim.is_plain() && aim.part == Part::Control && aim.place == Place::Neutral).next()
    }

    /// With resets hidden, the far end answered: it did not send them.
    fn answered_beneath(&self) -> Option<Numbered<'c>> {
        self.of(|aim| aim.hides_ends && aim.ttl.is_none()).find(|(_, attempt)| attempt.passed())
    }

    /// Where on the way the end was born.
    fn birthplace(&self) -> Option<Birthplace<'c>> {
        let mut stepped: Vec<_> = self.of(|aim| aim.ttl.is_some() && !aim.hides_ends).collect();
        stepped.sort_by_key(|(_, attempt)| attempt.aim.ttl);
        let cut = stepped.iter().find(|(_, it)| it.ending.is_cut()).copied();
        let (id, attempt) = cut.or_else(|| self.first_swallowed(&stepped))?;
        let sweep = self.sweeps.iter().find(|(_, sweep)| sweep.address == attempt.aim.address)?;
        let last_heard = stepped.iter().filter(|(_, it)| it.expired).filter_map(|(_, it)| it.aim.ttl).max();
        let beneath = self.of(|aim| aim.ttl == attempt.aim.ttl && aim.hides_ends).next();
        let before = stepped.iter().rfind(|(_, it)| it.aim.ttl < attempt.aim.ttl).copied();
        Some(Birthplace { id, attempt, ttl: attempt.aim.ttl?, before, beneath, sweep: *sweep, last_heard })
    }

    /// The first that does not expire where a SYN does: it is kept before it comes so far, and so are all that go further.
    fn first_swallowed(&self, stepped: &[Numbered<'c>]) -> Option<Numbered<'c>> {
        let heard = stepped.iter().rposition(|(_, it)| it.expired).map_or(0, |place| place + 1);
        let (id, first) = stepped.get(heard).copied()?;
        let speaks = |(_, sweep): &(ProbeId, &HopSweep)| {
            sweep.address == first.aim.address
                && sweep.hops.iter().any(|hop| Some(hop.ttl) == first.aim.ttl && hop.expired)
        };
        (matches!(first.ending, Ending::Silent { .. }) && self.sweeps.iter().any(speaks)).then_some((id, first))
    }

    fn subject(&self, address: SocketAddr) -> Subject {
        Subject {
            host: Some(self.about.to_owned()).filter(|name| name.parse::<IpAddr>().is_err()),
            address: Some(address.ip()),
            port: Some(address.port()),
            module: None,
        }
    }
}

/// Where on the way a reset or close comes from, or a hello is kept, told by the number of hops at which it first comes: the hops that its own
/// packet has left say nothing, since some who forge copy them.
struct Birthplace<'c> {
    id: ProbeId,
    attempt: &'c HelloAttempt,
    /// The smallest number of hops that sets it off.
    ttl: u8,
    /// The attempt with one hop less.
    before: Option<Numbered<'c>>,
    /// The same with resets hidden.
    beneath: Option<Numbered<'c>>,
    sweep: (ProbeId, &'c HopSweep),
    /// The largest number of hops at which a router still said that the hello expired.
    last_heard: Option<u8>,
}

impl Birthplace<'_> {
    /// The server is further away than whoever did it. One hop is none: ways of the same length are not given to all
    /// connections.
    fn before_server(&self) -> bool {
        self.sweep.1.distance().is_some_and(|distance| self.ttl.saturating_add(1) < distance)
    }

    /// Nobody nearer than the server did it, or the router in front of it.
    fn at_server(&self) -> bool {
        self.sweep.1.distance().is_some_and(|distance| self.ttl.saturating_add(1) >= distance)
    }

    /// The hello went on nevertheless: whoever did it stands beside the way. `None`: nobody tells.
    fn beside(&self) -> Option<bool> {
        if !self.attempt.ending.is_cut() {
            return Some(false);
        }
        let (_, beneath) = self.beneath?;
        // The router there speaks when a SYN expires: it would have spoken of the hello.
        let speaks = self.sweep.1.hops.iter().any(|hop| hop.ttl == self.ttl && hop.expired);
        if beneath.expired { Some(true) } else { speaks.then_some(false) }
    }

    /// `between hop 3 (10.0.0.3) and hop 4 (10.0.0.4)`.
    fn words(&self) -> String {
        let named = |ttl: u8| match (ttl, self.sweep.1.router(ttl)) {
            (0, _) => "this machine".to_owned(),
            (_, Some(router)) => format!("hop {ttl} ({router})"),
            (_, None) => format!("hop {ttl}"),
        };
        // Where the hello is swallowed and hops are copied from it, an end too short-lived to come back is not seen: then the
        // routers fall silent before it comes.
        match self.last_heard {
            Some(heard) if heard.saturating_add(1) < self.ttl && self.beside() != Some(true) => {
                format!("behind {}, at {} at the furthest", named(heard), named(self.ttl))
            }
            _ => format!("between {} and {}", named(self.ttl.saturating_sub(1)), named(self.ttl)),
        }
    }

    fn cite(&self, finding: &mut Finding) {
        finding.cite(cited("first_by_hops", (self.id, self.attempt)));
        if let Some(before) = self.before {
            finding.cite(cited("one_hop_less", before));
        }
        if let Some(beneath) = self.beneath {
            finding.cite(cited("beneath_the_end", beneath));
        }
        let distance = self.sweep.1.distance().map(|hops| format!("the far end is {hops} hops away"));
        finding.cite(Evidence::probe("way", self.sweep.0, distance.unwrap_or_default()));
    }

    /// With what is known of the place.
    fn tell(&self, mut finding: Finding) -> Finding {
        self.cite(&mut finding);
        finding = finding.with_number("hop", self.ttl.into()).with_text("place", self.words());
        match self.beside() {
            Some(true) => finding.with_text("position", "beside the path: the hello goes on"),
            Some(false) => finding.with_text("position", "in the path: the hello does not go on"),
            None => finding,
        }
    }
}

/// An attempt as evidence.
fn cited(role: &'static str, (id, attempt): Numbered<'_>) -> Evidence {
    Evidence::probe(role, id, attempt.to_string())
}

/// Strong as long as the failure is seen once only.
const fn sure(times: usize) -> Confidence {
    if times > 1 { Confidence::Proven } else { Confidence::Strong }
}
