//! Carries an experiment out, attempt by attempt.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::attempt::{attempt, hop};
use super::experiment::{Experiment, Log, Next, windows};
use super::plan::HelloQuestion;
use crate::observation::probe::{Aim, Hop, HopSweep, Probe, ProbeId, Told};
use crate::types::Timestamp;

/// Between an attempt and the next; after one that was cut off, for whoever did it to forget the connection.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_AFTER_CUT: Duration = Duration::from_millis(600);

/// An experiment under way.
pub(super) struct Trial {
    experiment: Experiment,
    log: Log,
    clock: fn() -> Timestamp,
}

impl Trial {
    /// Around a name's own addresses and that of a control.
    pub(super) fn new(
        question: &HelloQuestion,
        own: &[IpAddr],
        control: Option<IpAddr>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let experiment = Experiment {
            name: question.name.clone(),
            own: own.iter().map(|address| SocketAddr::new(*address, question.port)).collect(),
            control: question.control.clone(),
            // The control is a public server: it speaks TLS at its usual port. Where one address is given for every name, there
            // is none.
            neutral: control.filter(|address| !own.contains(address)).map(|address| SocketAddr::new(address, 443)),
            hello: question.hello.clone(),
            seed: question.seed,
            with_hops: question.with_hops,
        };
        Self { experiment, log: Log::default(), clock }
    }

    /// The next attempts, and what came of them; `None` when it is decided.
    pub(super) async fn go_on(&mut self) -> Option<Vec<Probe>> {
        let last_was_cut = self.log.attempts.last().is_some_and(|attempt| attempt.ending.is_cut());
        if !self.log.attempts.is_empty() {
            sleep(if last_was_cut { PAUSE_AFTER_CUT } else { PAUSE }).await;
        }
        match self.experiment.next(&self.log) {
            Next::Try(aims) => Some(self.attempts(aims).await),
            Next::Sweep(address) => Some(vec![self.sweep(address).await]),
            Next::Done => None,
        }
    }

    async fn attempts(&mut self, aims: Vec<Aim>) -> Vec<Probe> {
        let clock = self.clock;
        let mut open = JoinSet::new();
        for aim in aims {
            let hello = self.experiment.hello.clone();
            open.spawn(async move {
                let at = clock();
                let attempt = attempt(aim, hello, clock).await;
                (at, clock().since(at), attempt)
            });
        }
        let mut done = open.join_all().await;
        done.sort_by(|one, other| one.2.aim.cmp(&other.2.aim));
        let mut probes = Vec::new();
        for (at, took, attempt) in done {
            self.log.attempts.push(attempt.clone());
            probes.push(Probe { id: ProbeId(0), at, took, told: Told::Hello(attempt) });
        }
        probes
    }

    /// Until the far end answers, or nobody on a whole window does.
    async fn sweep(&mut self, address: SocketAddr) -> Probe {
        let at = (self.clock)();
        let mut sweep = HopSweep { address, hops: Vec::new() };
        let mut silent = 0;
        for window in windows() {
            let mut open = JoinSet::new();
            for ttl in window {
                open.spawn(hop(address, ttl));
            }
            let mut hops: Vec<Hop> = open.join_all().await;
            hops.sort_by_key(|hop| hop.ttl);
            let reached = hops.iter().any(|hop| hop.reached);
            silent = if hops.iter().any(|hop| hop.expired) { 0 } else { silent + 1 };
            sweep.hops.extend(hops);
            if reached || silent > MOST_SILENT_WINDOWS {
                break;
            }
        }
        self.log.sweeps.push(sweep.clone());
        Probe { id: ProbeId(0), at, took: (self.clock)().since(at), told: Told::Hops(sweep) }
    }
}

/// Routers that say nothing are frequent, four in a row less so.
const MOST_SILENT_WINDOWS: u32 = 2;
