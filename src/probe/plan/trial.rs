//! The part of a plan that tries go's own first bytes.

use std::fmt;
use std::net::IpAddr;

use super::{Plan, Question, Stage};
use crate::probe::experiment::{MOST_ATTEMPTS, MOST_HOPS};
use crate::probe::hello::GoHello;
use crate::reference::Reference;
use crate::types::Span;

/// Names that are tried with go's own first bytes.
pub const MOST_TRIED: usize = 3;
/// What one of these may take longer.
const TRIAL: Span = Span::from_seconds(40);

/// Go's `ClientHello` at the addresses of a name, and, if it fails, one thing changed at a time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HelloQuestion {
    /// The name.
    pub name: String,
    /// The port.
    pub port: u16,
    /// Addresses that are known without asking.
    pub known: Vec<IpAddr>,
    /// What go sends.
    pub hello: GoHello,
    /// A name that nobody has a reason to touch.
    pub control: String,
    /// Its own server may be tried with the name, too; never with one that strangers must not be told of.
    pub elsewhere: bool,
    /// Draws the order.
    pub seed: u64,
    /// The hop is looked for at which a failure is born.
    pub with_hops: bool,
}

impl HelloQuestion {
    /// The most packets that it sends: a handshake, the hello's segments with their repetitions, and a reset; for hops a SYN, too.
    pub(super) fn cost(&self) -> u32 {
        let attempts = u32::try_from(MOST_ATTEMPTS).unwrap_or(u32::MAX).saturating_mul(12);
        attempts + if self.with_hops { u32::from(MOST_HOPS) * 10 } else { 0 }
    }
}

impl fmt::Display for HelloQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port, hello, control, elsewhere, seed, with_hops, .. } = self;
        write!(
            f,
            "send the ClientHello of {} for {name} to its first address, port {port}; only if that fails, change one \
             thing at a time (name {control} or none, key share, signatures, records, segments, size, bytes that are no TLS, \
             resets hidden",
            hello.of
        )?;
        if *elsewhere {
            write!(f, ", {control}'s server")?;
        }
        if *with_hops {
            write!(f, ", at most {MOST_HOPS} numbers of hops")?;
        }
        write!(f, "), at most {MOST_ATTEMPTS} connections, order drawn from {seed:#x}")
    }
}

impl Plan {
    /// Adds what is to be tried with go's own `ClientHello` where handshakes are made; `seed` draws the order. The budget grows by
    /// what that may take.
    #[must_use]
    pub fn with_experiments(mut self, hello: &GoHello, reference: &Reference, seed: u64) -> Self {
        let Some(control) = reference.control_names().first() else { return self };
        let chains = self.steps.iter().filter_map(|step| match &step.question {
            Question::Chains { name, port, known, .. } => Some((name.clone(), *port, known.clone())),
            _ => None,
        });
        let tried: Vec<_> = chains.take(MOST_TRIED).collect();
        for (place, (name, port, known)) in tried.into_iter().enumerate() {
            let is_private =
                name.parse::<IpAddr>().is_ok() || self.kept_private.iter().any(|(known, _)| *known == name);
            let question = Question::Hello(Box::new(HelloQuestion {
                name,
                port,
                known,
                hello: hello.clone(),
                control: control.clone(),
                elsewhere: !is_private,
                seed,
                // One look at the hops is enough: who stands in the way of several names stands in one place.
                with_hops: place == 0,
            }));
            self.budget.packets = self.budget.packets.saturating_add(question.cost());
            self.budget.time = Span::from_nanos(self.budget.time.nanos().saturating_add(TRIAL.nanos()));
            self.push(Stage::Experiments, false, question);
        }
        self.fit();
        self
    }
}
