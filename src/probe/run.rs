//! Carries out a plan: stage after stage, a few questions at a time, never beyond the budget.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::chain::{chain, chain_via};
use super::iterate::iterate;
use super::late;
use super::plan::{Plan, Question, Stage, Step};
use super::resolvers::{Listening, Manner, Server, ask_and_listen, ask_signed, duration};
use super::target::Settings;
use super::trial::Trial;
use crate::certificate::Roots;
use crate::observation::RecordType;
use crate::observation::probe::{Failure, NameAnswer, NameQuestion, Oracle, Probe, ProbeId, Skip, Told, Transport};
use crate::reference::{Reference, Special};
use crate::types::Timestamp;

/// Questions that are open at the same time.
const AT_ONCE: usize = 8;
/// Between one question and the next.
const PACE: Duration = Duration::from_millis(20);
/// For resolvers that are no configured ones: go's own figures for one server.
const PATIENCE: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 2;
/// Where nobody is, nobody needs time.
const NOBODYS: Duration = Duration::from_millis(2_500);
/// So many questions without any answer, over all the ways that there are, say what more of them would.
const ENOUGH: usize = AT_ONCE;
/// Root servers that may be tried.
const ROOTS: usize = 3;
/// The most that a name's addresses from outside get of the handshakes, so that the configured resolvers' stay in.
const OTHERS_CHAINS: usize = 2;

/// Addresses of a name that go's own first bytes are sent to.
const MOST_OWN: usize = 4;

/// What goes on, for whoever waits.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'p> {
    /// That question is on its way.
    Asking(&'p Question),
    /// That answer came, or did not.
    Answered(&'p Probe),
}

/// Why a plan could not be carried out at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The system gives no event loop.
    #[error("cannot start to ask")]
    Start(#[source] std::io::Error),
}

/// What all questions share.
struct World {
    roots: Roots,
    root_servers: Vec<SocketAddr>,
    local: Manner,
    other: Manner,
    /// Nobody is expected to answer; who does is near.
    nobody: Manner,
    clock: fn() -> Timestamp,
}

/// Asks what the plan says and gives the answers in the order of the plan. What was not asked says why.
///
/// # Errors
/// When nothing can be asked at all. That nobody answers is an answer.
pub fn run(
    plan: &Plan,
    settings: &Settings,
    reference: &Reference,
    clock: fn() -> Timestamp,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Probe>, ProbeError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(ProbeError::Start)?;
    let mut asking = Asking {
        world: Arc::new(World::new(settings, reference, clock)),
        reference,
        done: Vec::new(),
        late: Vec::new(),
    };
    let mut stages: VecDeque<Vec<&Step>> = VecDeque::new();
    for step in &plan.steps {
        match stages.back_mut() {
            Some(stage) if stage.first().is_some_and(|first| first.stage == step.stage) => stage.push(step),
            _ => stages.push_back(vec![step]),
        }
    }
    let all = async {
        for stage in &stages {
            if stage.first().is_some_and(|step| step.stage == Stage::Experiments) {
                asking.experiments(stage, progress).await;
            } else {
                asking.stage(stage, progress).await;
            }
        }
        asking.await_late().await;
    };
    let in_time = runtime.block_on(async { timeout(duration(plan.budget.time), all).await }).is_ok();
    asking.gather_late();
    // Lookups of the system's resolver cannot be cancelled; none of ours uses it, so nothing keeps us.
    runtime.shutdown_background();
    let mut done = asking.done;
    if !in_time {
        for step in &plan.steps {
            let question = step.question.to_string();
            if !done.iter().any(|(known, _)| *known == question) {
                done.push((question, skipped(&step.question, Skip::Budget, clock())));
            }
        }
    }
    Ok((1..).zip(done).map(|(id, (_, probe))| Probe { id: ProbeId(id), ..probe }).collect())
}

impl World {
    fn new(settings: &Settings, reference: &Reference, clock: fn() -> Timestamp) -> Self {
        let manner =
            |timeout, attempts| Manner { timeout, attempts, recursion: true, roots: reference.roots().clone(), clock };
        let six = settings.ipv6_only;
        let addresses =
            reference.root_servers().iter().filter_map(|root| root.addresses.iter().find(|it| it.is_ipv6() == six));
        Self {
            roots: reference.roots().clone(),
            root_servers: addresses.take(ROOTS).map(|address| SocketAddr::new(*address, 53)).collect(),
            local: manner(duration(settings.resolv.timeout), settings.resolv.attempts),
            other: manner(PATIENCE, ATTEMPTS),
            nobody: manner(NOBODYS, 1),
            clock,
        }
    }
}

/// A question to one place: what a step becomes.
enum Task {
    Known(Told),
    Name(NameQuestion, Server),
    Iterate(NameQuestion),
    Chain(String, SocketAddr),
    ChainVia { name: String, port: u16, proxy: SocketAddr, proxy_name: String },
}

struct Asking<'r> {
    world: Arc<World>,
    reference: &'r Reference,
    /// Each with the step that it belongs to.
    done: Vec<(String, Probe)>,
    /// The sockets that are open behind answers.
    late: Vec<(NameQuestion, Listening)>,
}

impl Asking<'_> {
    async fn stage(&mut self, steps: &[&Step], progress: &mut dyn FnMut(Progress<'_>)) {
        self.gather_late();
        let mut tasks: VecDeque<(usize, Task)> = VecDeque::new();
        let mut answers: Vec<(usize, Probe)> = Vec::new();
        for (place, step) in steps.iter().enumerate() {
            match self.needless(step) {
                Some(why) => answers.push((place, skipped(&step.question, why, (self.world.clock)()))),
                None => tasks.extend(self.tasks(&step.question).into_iter().map(|task| (place, task))),
            }
        }
        let mut open: JoinSet<(usize, Probe, Option<Listening>)> = JoinSet::new();
        loop {
            while open.len() < AT_ONCE {
                let Some((place, task)) = tasks.pop_front() else { break };
                if let Some(step) = steps.get(place) {
                    progress(Progress::Asking(&step.question));
                }
                open.spawn(carry_out(Arc::clone(&self.world), place, task));
                sleep(PACE).await;
            }
            let Some(answer) = open.join_next().await else { break };
            // A question that panicked has no answer.
            let Ok((place, probe, listening)) = answer else { continue };
            if let (Some(answer), Some(listening)) = (probe.name(), listening) {
                self.late.push((answer.question.clone(), listening));
            }
            progress(Progress::Answered(&probe));
            answers.push((place, probe));
            if let Some(why) = self.hopeless(steps, &answers) {
                open.abort_all();
                let missing = |place: &usize| !answers.iter().any(|(known, _)| known == place);
                let rest: Vec<usize> = (0..steps.len()).filter(missing).collect();
                let at = (self.world.clock)();
                let rest =
                    rest.into_iter().filter_map(|place| Some((place, skipped(&steps.get(place)?.question, why, at))));
                answers.extend(rest.collect::<Vec<_>>());
                break;
            }
        }
        answers.sort_by_key(|(place, probe)| (*place, address_of(probe)));
        for (place, probe) in answers {
            let question = steps.get(place).map(|step| step.question.to_string()).unwrap_or_default();
            self.done.push((question, probe));
        }
    }

    /// One after the other: what one sets off must not colour the next. What is known when the time is up is kept.
    async fn experiments(&mut self, steps: &[&Step], progress: &mut dyn FnMut(Progress<'_>)) {
        for step in steps {
            let Question::Hello(question) = &step.question else { continue };
            let name = step.question.to_string();
            let clock = self.world.clock;
            let own = self.addresses(&question.name, &question.known, MOST_OWN);
            let why = self.needless(step).or_else(|| own.is_empty().then_some(Skip::Decided));
            if let Some(why) = why {
                self.done.push((name, skipped(&step.question, why, clock())));
                continue;
            }
            progress(Progress::Asking(&step.question));
            let elsewhere = question.elsewhere && !self.is_local(&question.name);
            let control = self.addresses(&question.control, &[], 1).into_iter().find(|_| elsewhere);
            let mut trial = Trial::new(question, &own, control, clock);
            while let Some(probes) = trial.go_on().await {
                for probe in probes {
                    progress(Progress::Answered(&probe));
                    self.done.push((name.clone(), probe));
                }
            }
        }
    }

    /// Whether so many questions stayed without an answer, and all of them, that more would tell nothing: of the configured
    /// resolvers they are silent, of all others the network is dead.
    fn hopeless(&self, steps: &[&Step], answers: &[(usize, Probe)]) -> Option<Skip> {
        let stage = steps.first()?.stage;
        let new = answers.iter().filter_map(|(_, probe)| probe.name());
        let of_stage = new.filter(|answer| answer.question.oracle != Oracle::Nobody);
        let (silent, heard): (Vec<_>, Vec<_>) = of_stage.partition(|answer| is_silent(answer));
        let before = self.answers().filter(|answer| answer.question.oracle != Oracle::Nobody).all(is_silent);
        match stage {
            Stage::Local if heard.is_empty() && silent.len() >= ENOUGH => Some(Skip::Decided),
            Stage::Comparison if before && heard.is_empty() && silent.len() >= ENOUGH => Some(Skip::DeadNetwork),
            _ => None,
        }
    }

    /// Why a step is not worth its packets, by what is known already.
    fn needless(&self, step: &Step) -> Option<Skip> {
        if step.stage >= Stage::Addresses && self.nothing_answers() {
            return Some(Skip::DeadNetwork);
        }
        let name = step.question.subject();
        let works = |probe: &Probe| probe.chain().is_some_and(|chain| chain.name == name && chain.holds_key);
        if step.stage == Stage::OtherWay && self.done.iter().any(|(_, probe)| works(probe)) {
            return Some(Skip::Decided);
        }
        if step.unless_local && self.reference.host(name).is_none() && self.is_local(name) {
            return Some(Skip::Private);
        }
        None
    }

    /// Adds what came behind the answers meanwhile.
    fn gather_late(&mut self) {
        for (question, listening) in &self.late {
            let replies = listening.take();
            let answers = self.done.iter_mut().filter_map(|(_, probe)| match &mut probe.told {
                Told::Name(answer) => Some(answer),
                _ => None,
            });
            for answer in answers.filter(|answer| answer.question == *question) {
                answer.replies.extend(replies.iter().cloned());
            }
        }
    }

    /// Waits for second answers, where the first is such that there may be one. All others had as long as the plan took.
    async fn await_late(&self) {
        let answers: Vec<&NameAnswer> = self.answers().collect();
        let until = self.done.iter().filter_map(|(_, probe)| {
            let answer = probe.name().filter(|answer| late::is_suspicious(answer, &answers))?;
            let listened = self.late.iter().any(|(question, _)| *question == answer.question);
            let asked = listened.then_some(probe.at)?;
            Some(asked.nanos().saturating_add(late::WINDOW.nanos()))
        });
        if let Some(until) = until.max() {
            let left = until.saturating_sub((self.world.clock)().nanos());
            sleep(Duration::from_nanos(u64::try_from(left).unwrap_or(0))).await;
        }
    }

    fn answers(&self) -> impl Iterator<Item = &NameAnswer> {
        self.done.iter().filter_map(|(_, probe)| probe.name())
    }

    /// Resolvers were asked, and of none of them came as much as a refusal.
    fn nothing_answers(&self) -> bool {
        self.answers().next().is_some()
            && self.answers().filter(|it| it.question.oracle != Oracle::Nobody).all(is_silent)
    }

    /// The configured resolvers give the name an address of the inside.
    fn is_local(&self, name: &str) -> bool {
        self.answers()
            .filter(|answer| answer.question.oracle == Oracle::System && answer.question.name == name)
            .flat_map(|answer| &answer.replies)
            .flat_map(|reply| reply.addresses())
            .any(|address| {
                matches!(self.reference.special(address), Some(Special::Private | Special::Shared | Special::LinkLocal))
            })
    }

    fn tasks(&self, question: &Question) -> Vec<Task> {
        match question {
            Question::HostsFile { name, addresses } => {
                vec![Task::Known(Told::HostsFile { name: name.clone(), addresses: addresses.clone() })]
            }
            Question::Name(question) => match (&question.oracle, question.server) {
                (Oracle::Authoritative, _) => vec![Task::Iterate(question.clone())],
                (_, Some(address)) => vec![Task::Name(question.clone(), self.server(question, address))],
                (_, None) => Vec::new(),
            },
            Question::Chains { name, port, known, at_most } => {
                let addresses = self.addresses(name, known, *at_most);
                addresses
                    .into_iter()
                    .map(|address| Task::Chain(name.clone(), SocketAddr::new(address, *port)))
                    .collect()
            }
            Question::ChainVia { name, port, proxy, proxy_port } => {
                let own = proxy.parse().ok().into_iter().collect::<Vec<IpAddr>>();
                let address = self.addresses(proxy, &own, 1).into_iter().next();
                let via = |address| Task::ChainVia {
                    name: name.clone(),
                    port: *port,
                    proxy: SocketAddr::new(address, *proxy_port),
                    proxy_name: format!("{proxy}:{proxy_port}"),
                };
                address.map(via).into_iter().collect()
            }
            Question::Hello(_) => Vec::new(),
        }
    }

    fn server(&self, question: &NameQuestion, address: SocketAddr) -> Server {
        let resolver = match &question.oracle {
            Oracle::Trusted(name) | Oracle::Signed(name) => {
                self.reference.trusted_resolvers().find(|resolver| resolver.name == *name)
            }
            _ => None,
        };
        let (mut name, mut path) = (String::new(), String::new());
        match (question.transport, resolver) {
            (Transport::Tls, Some(resolver)) => name = resolver.dot.clone().unwrap_or_default(),
            (Transport::Https, Some(resolver)) => {
                let url = resolver.doh.as_deref().and_then(|url| url.strip_prefix("https://")).unwrap_or_default();
                let (host, rest) = url.split_once('/').unwrap_or((url, "dns-query"));
                name = host.to_owned();
                path = format!("/{rest}");
            }
            _ => {}
        }
        Server { address, transport: question.transport, name, path }
    }

    /// The addresses that are worth a handshake, those that go would take first.
    fn addresses(&self, name: &str, known: &[IpAddr], at_most: usize) -> Vec<IpAddr> {
        let given = |local: bool| {
            self.answers()
                .filter(move |it| it.question.name == name && (it.question.oracle == Oracle::System) == local)
                .flat_map(|answer| &answer.replies)
                .flat_map(|reply| reply.addresses())
        };
        let mut chosen: Vec<IpAddr> = Vec::new();
        let mut seen = BTreeSet::new();
        let room = at_most.saturating_sub(OTHERS_CHAINS);
        for address in known.iter().copied().chain(given(true)) {
            if chosen.len() < room.max(1) && seen.insert(address) && is_dialled(address) {
                chosen.push(address);
            }
        }
        for address in given(false) {
            if chosen.len() < at_most && seen.insert(address) && is_dialled(address) {
                chosen.push(address);
            }
        }
        chosen
    }
}

/// Not as much as a refusal came.
fn is_silent(answer: &NameAnswer) -> bool {
    answer.replies.is_empty() && matches!(answer.failure, Some(Failure::Timeout | Failure::Unreachable))
}

/// Nothing is sent to everybody, nor to nobody.
fn is_dialled(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

fn address_of(probe: &Probe) -> Option<SocketAddr> {
    probe.chain().map(|chain| chain.address)
}

fn skipped(question: &Question, why: Skip, at: Timestamp) -> Probe {
    let told = Told::Skipped { question: question.to_string(), why };
    Probe { id: ProbeId(0), at, took: at.since(at), told }
}

async fn carry_out(world: Arc<World>, place: usize, task: Task) -> (usize, Probe, Option<Listening>) {
    let at = (world.clock)();
    let mut listening = None;
    let told = match task {
        Task::Known(told) => told,
        Task::Name(question, server) => {
            let manner = match question.oracle {
                Oracle::System => &world.local,
                Oracle::Nobody => &world.nobody,
                Oracle::Trusted(_) | Oracle::Signed(_) | Oracle::Authoritative => &world.other,
            };
            let (name, record_type) = (&question.name, question.record_type);
            let (replies, failure) = if matches!(question.oracle, Oracle::Signed(_)) {
                ask_signed(&server, name, record_type, manner).await
            } else {
                let (heard, open) = ask_and_listen(&server, name, record_type, manner).await;
                listening = open;
                heard
            };
            Told::Name(NameAnswer { question, replies, failure, path: Vec::new() })
        }
        Task::Iterate(question) => {
            let manner = Manner { recursion: false, attempts: 1, roots: world.roots.clone(), ..world.other.clone() };
            let record_type: RecordType = question.record_type;
            let iterated = iterate(&world.root_servers, &question.name, record_type, &manner).await;
            let (replies, failure) = iterated.heard;
            let question = NameQuestion { transport: iterated.transport, ..question };
            Told::Name(NameAnswer { question, replies, failure, path: iterated.path })
        }
        Task::Chain(name, address) => Told::Chain(chain(address, &name, world.clock).await),
        Task::ChainVia { name, port, proxy, proxy_name } => {
            Told::Chain(chain_via((proxy, proxy_name), (&name, port), world.clock).await)
        }
    };
    let took = (world.clock)().since(at);
    (place, Probe { id: ProbeId(0), at, took, told }, listening)
}
