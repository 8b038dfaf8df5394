//! Which attempt comes next, decided by those before it: the name, the shape, the size, the address and the family are varied
//! one at a time, and no more than it takes to tell which of them a failure hangs on.
//!
//! Pure. Who carries the attempts out asks [`Experiment::next`] until it is done. A block may outlast its trigger by minutes for
//! the address and port that it was set off at; so a control that fails after a reset decides nothing, and is repeated at an
//! address that was not touched before, ahead of the name in question.

use std::net::{IpAddr, SocketAddr};

use crate::observation::probe::{Aim, Ending, HelloAttempt, HopSweep, Part, Place, Shape};
use crate::probe::hello::GoHello;

/// Attempts of one experiment, those with hops to go apart.
pub(super) const MOST_ATTEMPTS: usize = 18;
/// Hops that are looked at.
pub(super) const MOST_HOPS: u8 = 28;
/// Attempts with neighbouring numbers of hops that are made together.
const WINDOW: u8 = 4;
/// The smallest segment size that every host takes (RFC 9293 §3.7.1).
const SMALL_SEGMENT: u16 = 536;

/// What is varied around, for one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Experiment {
    /// The name in question.
    pub(super) name: String,
    /// Its addresses, the one that go would take first.
    pub(super) own: Vec<SocketAddr>,
    /// A name that nobody has a reason to touch.
    pub(super) control: String,
    /// The control's own server.
    pub(super) neutral: Option<SocketAddr>,
    /// What go sends.
    pub(super) hello: GoHello,
    /// Draws the order of what is asked together.
    pub(super) seed: u64,
    /// Whether the hop is looked for at which a failure is born.
    pub(super) with_hops: bool,
}

/// What was done so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Log {
    /// In their order.
    pub(super) attempts: Vec<HelloAttempt>,
    /// Ways that were measured.
    pub(super) sweeps: Vec<HopSweep>,
}

/// What is to be done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// These attempts, at the same time.
    Try(Vec<Aim>),
    /// Measure the way to an address.
    Sweep(SocketAddr),
    /// It is decided, or will not be.
    Done,
}

/// `Err` is what is still missing.
type Step<T> = Result<T, Next>;

impl Experiment {
    /// What to do next.
    pub(super) fn next(&self, log: &Log) -> Next {
        match self.decide(log) {
            Ok(()) => Next::Done,
            Err(Next::Try(aims)) if self.exceeds(log, &aims) => Next::Done,
            Err(next) => next,
        }
    }

    fn exceeds(&self, log: &Log, aims: &[Aim]) -> bool {
        let plain = log.attempts.iter().filter(|attempt| attempt.aim.ttl.is_none()).count();
        plain >= MOST_ATTEMPTS && aims.iter().any(|aim| aim.ttl.is_none())
    }

    fn decide(&self, log: &Log) -> Step<()> {
        let Some(own) = self.first(IpAddr::is_ipv4).or_else(|| self.first(IpAddr::is_ipv6)) else { return Ok(()) };
        let target = self.target(own, Place::Own);
        let first = nth(log, &target, 0)?;
        if first.passed() {
            return self.other_family(log, own);
        }
        match first.ending {
            Ending::Local(_) => Ok(()),
            Ending::Unanswered { .. } | Ending::Unreachable | Ending::Refused { .. } => self.unopened(log, own),
            _ => self.stopped(log, &target),
        }
    }

    /// IPv6 where IPv4 works: twice, since one loss is none.
    fn other_family(&self, log: &Log, own: SocketAddr) -> Step<()> {
        let Some(six) = self.first(IpAddr::is_ipv6).filter(|_| own.is_ipv4()) else { return Ok(()) };
        let aim = self.target(six, Place::Other);
        if nth(log, &aim, 0)?.failed() {
            nth(log, &aim, 1)?;
        }
        Ok(())
    }

    /// TCP does not open: is it this address, the name's, or the network?
    fn unopened(&self, log: &Log, own: SocketAddr) -> Step<()> {
        if let Some(neutral) = self.neutral {
            nth(log, &self.control(neutral, Place::Neutral), 0)?;
        }
        if nth(log, &self.target(own, Place::Own), 1)?.passed() {
            return Ok(());
        }
        // What was tried before may have closed the address for a while.
        if let Some(there) = self.at_strangers(log)?.filter(|attempt| attempt.stopped()) {
            return self.by_name(log, &there.aim);
        }
        for other in self.own.iter().filter(|address| **address != own).take(2) {
            nth(log, &self.target(*other, Place::Other), 0)?;
        }
        self.sweep(log, own)
    }

    /// TCP opens and the handshake does not get on.
    fn stopped(&self, log: &Log, target: &Aim) -> Step<()> {
        let control = self.control(target.address, Place::Own);
        if nth(log, &control, 0)?.passed() {
            return self.by_name(log, target);
        }
        if let Some(other) = self.own.iter().find(|other| **other != target.address && other.is_ipv4()) {
            // Untouched so far: the control goes first.
            let control = nth(log, &self.control(*other, Place::Other), 0)?;
            let there = self.target(*other, Place::Other);
            if nth(log, &there, 0)?.stopped() && control.passed() {
                return self.by_name(log, &there);
            }
        } else if let Some(there) = self.at_strangers(log)?.filter(|attempt| attempt.stopped()) {
            return self.by_name(log, &there.aim);
        }
        self.by_shape(log, target)
    }

    /// The name makes the difference. Whose doing is it?
    fn by_name(&self, log: &Log, target: &Aim) -> Step<()> {
        let control = self.control(target.address, target.place);
        self.both(log, [(target.clone(), 1), (control, 1)])?;
        if !nth(log, target, 1)?.ending.connected() {
            // The block outlasts its trigger, and for every connection: nothing more is to be learned here.
            self.at_strangers(log)?;
            return Ok(());
        }
        self.at_strangers(log)?;
        let variants =
            [Shape::Classic, Shape::TwoRecords, Shape::TwoSegments].map(|shape| Aim { shape, ..target.clone() });
        self.all(log, &variants)?;
        nth(log, &Aim { name: None, ..self.control(target.address, target.place) }, 0)?;
        self.origin(log, target)
    }

    /// Name or not, it fails. Do the bytes matter?
    fn by_shape(&self, log: &Log, target: &Aim) -> Step<()> {
        let classic = Aim { shape: Shape::Classic, ..target.clone() };
        let small = Aim { max_segment: Some(SMALL_SEGMENT), ..target.clone() };
        if nth(log, &classic, 0)?.passed() {
            let mut variants = vec![small];
            if self.hello.is_post_quantum() {
                variants.push(Aim { shape: Shape::WithoutPostQuantum, ..target.clone() });
            }
            if self.hello.has_ml_dsa() {
                variants.push(Aim { shape: Shape::WithoutMlDsa, ..target.clone() });
            }
            variants.extend([Shape::TwoRecords, Shape::TwoSegments].map(|shape| Aim { shape, ..target.clone() }));
            self.all(log, &variants)?;
            // The shape fails again, now that another passed.
            nth(log, target, 1)?;
            return self.elsewhere(log);
        }
        if nth(log, &small, 0)?.passed() {
            nth(log, target, 1)?;
            return Ok(());
        }
        nth(log, &Aim { shape: Shape::NotTls, name: None, ..target.clone() }, 0)?;
        self.elsewhere(log)?;
        self.origin(log, target)
    }

    /// The name at a server that has nothing to do with it: after that server's own, and after one that nobody has, since it
    /// may treat every name like that which it does not serve. `None` where that is no test.
    fn at_strangers<'l>(&self, log: &'l Log) -> Step<Option<&'l HelloAttempt>> {
        let Some(neutral) = self.neutral else { return Ok(None) };
        if !nth(log, &self.control(neutral, Place::Neutral), 0)?.passed() {
            return Ok(None);
        }
        let nobodys = format!("no-such-name.{}", self.control);
        if nth(log, &self.aim(neutral, Place::Neutral, Part::Sibling, &nobodys), 0)?.stopped() {
            return Ok(None);
        }
        nth(log, &self.target(neutral, Place::Neutral), 0).map(Some)
    }

    /// The same hello to somebody else's server.
    fn elsewhere(&self, log: &Log) -> Step<()> {
        if let Some(neutral) = self.neutral {
            nth(log, &self.control(neutral, Place::Neutral), 0)?;
        }
        Ok(())
    }

    /// Does the server answer beneath the resets, and at which hop are they born?
    fn origin(&self, log: &Log, target: &Aim) -> Step<()> {
        let first = nth(log, target, 0)?;
        if first.ending.is_cut() {
            let hidden = nth(log, &Aim { hides_ends: true, ..target.clone() }, 0)?;
            if hidden.passed() {
                // It was no accident: without that it fails still.
                nth(log, target, 1)?;
                nth(log, target, 2)?;
            }
        }
        self.sweep(log, target.address)?;
        let Some(sweep) = log.sweeps.iter().find(|sweep| sweep.address == target.address) else { return Ok(()) };
        let last = sweep.distance().unwrap_or(0).min(MOST_HOPS);
        let mut from = 1;
        while from <= last {
            let to = from.saturating_add(WINDOW - 1).min(last);
            let aims: Vec<Aim> = (from..=to).map(|ttl| Aim { ttl: Some(ttl), ..target.clone() }).collect();
            let missing: Vec<Aim> =
                aims.iter().filter(|aim| !log.attempts.iter().any(|it| it.aim == **aim)).cloned().collect();
            if !missing.is_empty() {
                return Err(Next::Try(missing));
            }
            let ends = |aim: &&Aim| nth(log, aim, 0).is_ok_and(|it| !matches!(it.ending, Ending::Silent { .. }));
            if let Some(first) = aims.iter().find(ends) {
                // Beneath the reset it shows whether the hello goes on and expires further along.
                let cut = nth(log, first, 0)?.ending.is_cut();
                return if cut { nth(log, &Aim { hides_ends: true, ..first.clone() }, 0).map(drop) } else { Ok(()) };
            }
            from = to.saturating_add(1);
        }
        Ok(())
    }

    fn sweep(&self, log: &Log, address: SocketAddr) -> Step<()> {
        let known = log.sweeps.iter().any(|sweep| sweep.address == address);
        if known || !self.with_hops || address.is_ipv6() { Ok(()) } else { Err(Next::Sweep(address)) }
    }

    fn first(&self, family: fn(&IpAddr) -> bool) -> Option<SocketAddr> {
        self.own.iter().find(|address| family(&address.ip())).copied()
    }

    fn target(&self, address: SocketAddr, place: Place) -> Aim {
        self.aim(address, place, Part::Target, &self.name)
    }

    fn control(&self, address: SocketAddr, place: Place) -> Aim {
        self.aim(address, place, Part::Control, &self.control)
    }

    fn aim(&self, address: SocketAddr, place: Place, part: Part, name: &str) -> Aim {
        let name = Some(name.to_owned());
        Aim {
            about: self.name.clone(),
            address,
            place,
            name,
            part,
            shape: Shape::Go,
            max_segment: None,
            ttl: None,
            hides_ends: false,
        }
    }

    /// Attempts whose order is drawn: what changes with time must not look like what changes with the aim.
    fn both(&self, log: &Log, mut aims: [(Aim, usize); 2]) -> Step<()> {
        if draw(self.seed, 0) & 1 == 0 {
            aims.reverse();
        }
        for (aim, number) in &aims {
            nth(log, aim, *number)?;
        }
        Ok(())
    }

    fn all(&self, log: &Log, aims: &[Aim]) -> Step<()> {
        for index in shuffled(self.seed, aims.len()) {
            if let Some(aim) = aims.get(index) {
                nth(log, aim, 0)?;
            }
        }
        Ok(())
    }
}

/// The attempt with that aim that came after `number` others; if it is not made yet, that it should be.
fn nth<'l>(log: &'l Log, aim: &Aim, number: usize) -> Step<&'l HelloAttempt> {
    log.attempts.iter().filter(|attempt| attempt.aim == *aim).nth(number).ok_or_else(|| Next::Try(vec![aim.clone()]))
}

/// A number drawn from a seed (the finaliser of `SplitMix64`).
fn draw(seed: u64, place: u64) -> u64 {
    let mut value = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Indices in an order drawn from a seed.
pub(super) fn shuffled(seed: u64, count: usize) -> Vec<usize> {
    let mut keyed: Vec<(u64, usize)> = (0..count).map(|index| (draw(seed, index as u64 + 1), index)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, index)| index).collect()
}

/// Numbers of hops that are tried together, until the far end is reached or nobody speaks any more.
pub(super) fn windows() -> impl Iterator<Item = std::ops::RangeInclusive<u8>> {
    (1..=MOST_HOPS).step_by(usize::from(WINDOW)).map(|from| from..=from.saturating_add(WINDOW - 1).min(MOST_HOPS))
}

#[cfg(test)]
mod tests;
