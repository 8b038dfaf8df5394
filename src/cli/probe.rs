//! `goprobe probe`: the network is asked now, and the report is the same as everywhere.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::net::IpAddr;

use anyhow::{Context as _, bail};

use super::args::{Facts, Format, Probe};
use super::examine::{Examined, circumstances, go_run, now, overrides, present, reference};
use super::exit::Exit;
use super::go_settings::{as_lines, go_env, relevant};
use super::output;
use crate::analyzer::{Analyzer, Options};
use crate::detect;
use crate::diagnosis::{Diagnosis, Outcome, Overrides, joined};
use crate::finding::{Confidence, Fault, Severity};
use crate::go::GoRun;
use crate::go::env::GoEnv;
use crate::go::resolv::ResolvConf;
use crate::observation::probe::{Oracle, Probe as Answer, Skip, Told};
use crate::observation::{Case, Recording};
use crate::probe::{Consent, GoHello, Host, Plan, Progress, Question, Settings, Target, is_ipv6_only, of_recording};
use crate::reference::Reference;
use crate::reference::honest::HonestAnswers;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

pub(super) fn run(args: &Probe) -> anyhow::Result<Exit> {
    let started = now();
    if matches!(args.report.format, Format::Html | Format::Sarif) {
        bail!("version {} does not have that format", env!("CARGO_PKG_VERSION"));
    }
    let overrides = overrides(&args.report)?;
    let facts =
        Facts { go_env: args.go_env.clone(), ca: args.ca.clone(), rules: args.rules.clone(), ..Facts::default() };
    let reference = reference(&facts)?;
    let mut go = go_run(&facts)?;
    let env = go.env.take().unwrap_or_else(present_env);
    go.version = env.go_version();
    let settings = settings(env);
    let mut hosts: Vec<Host> = Vec::new();
    for target in &args.targets {
        for host in Target::parse(target)?.hosts(&settings, &reference) {
            if !hosts.iter().any(|known| (&known.name, known.port) == (&host.name, host.port)) {
                hosts.push(host);
            }
        }
    }
    let hello = GoHello::of_settings(&settings.env);
    let seed = started.nanos().unsigned_abs();
    let plan = Plan::of_hosts(&hosts, &settings, &reference, Consent::All).with_experiments(&hello, &reference, seed);
    let off = settings.env.get("GOPROXY").is_some_and(|value| value.split([',', '|']).next() == Some("off"));
    if hosts.is_empty() {
        bail!("go would ask nobody for that{}", if off { ": GOPROXY is off" } else { "" });
    }
    let vendored =
        settings.env.get("GOFLAGS").is_some_and(|flags| flags.split_whitespace().any(|it| it == "-mod=vendor"));
    if vendored && !args.report.quiet {
        output::remark(
            "goprobe: GOFLAGS has -mod=vendor: a build takes modules from the vendor folder, and asks nobody for them",
        );
    }
    if args.dry_run {
        output::deliver(&plan.to_string(), args.report.output.as_deref())?;
        return Ok(Exit::Clear);
    }
    let quiet = args.report.quiet;
    let probes = ask(&plan, &settings, &reference, quiet)?;
    if !quiet {
        remarks(&plan, &probes).iter().for_each(|line| output::remark(&format!("goprobe: {line}")));
    }
    if args.report.verbose > 0 && !quiet {
        probes.iter().for_each(|probe| output::remark(&account(probe)));
    }
    go.env = Some(settings.env);
    let case = case_of(&reference, go, probes);
    if let Some(file) = &args.save {
        let honest = detect::asked::honest(&case, &reference);
        std::fs::write(file, honest.to_json()?).with_context(|| format!("cannot write {}", file.display()))?;
        if !quiet {
            output::remark(&format!("goprobe: {}", kept(&honest, &hosts, file)));
        }
    }
    let examined = Examined {
        mode: "probe",
        inputs: Vec::new(),
        assessments: {
            let asked = detect::asked::assess(&case, &reference);
            joined(Vec::new(), asked.assessment, &asked.refuted)
        },
        circumstances: circumstances(&case),
        command: None,
        go_version: case.go.version.map(|version| version.to_string()),
        rules_version: reference.version(),
        rules_sha256: reference.sha256().to_owned(),
        reference_asked: None,
        case,
    };
    let style = output::style(args.report.no_color, args.report.output.as_deref());
    let mut diagnosis = examined.diagnose(&overrides);
    if diagnosis.verdict.outcome == Outcome::Ok && diagnosis.verdict.cause.is_none() {
        // There is no traffic of go's to speak of.
        match unexplained(&examined.case.probes) {
            Some(what) => {
                diagnosis.verdict.outcome = Outcome::Inconclusive;
                diagnosis.verdict.summary = what;
            }
            None => diagnosis.verdict.summary = all_is_well(&hosts),
        }
    }
    let (data, exit) = present(&examined, &diagnosis, &args.report, style, started)?;
    output::deliver(&data, args.report.output.as_deref())?;
    Ok(exit)
}

/// A host at which no handshake ended well, though nothing was found about it.
fn unexplained(probes: &[Answer]) -> Option<String> {
    let chains = || probes.iter().filter_map(Answer::chain);
    let failed = chains().find(|chain| !chains().any(|other| other.name == chain.name && other.holds_key))?;
    let why = failed.failure.as_ref().map_or_else(|| "no answer".to_owned(), ToString::to_string);
    Some(format!(
        "A TLS handshake with {} at {} fails ({why}), and the answers do not show why.",
        failed.name, failed.address
    ))
}

fn all_is_well(hosts: &[Host]) -> String {
    let names: Vec<&str> = hosts.iter().filter(|host| host.via.is_none()).map(|host| host.name.as_str()).collect();
    let names = if names.is_empty() { hosts.iter().map(|host| host.name.as_str()).collect() } else { names };
    let shown = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(3) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("What was asked about {shown}{more} was answered, and nothing that matters is wrong with it.")
}

/// What `--save` wrote, and about whom nobody honest was heard.
fn kept(honest: &HonestAnswers, hosts: &[Host], file: &std::path::Path) -> String {
    let names: Vec<&str> = hosts.iter().filter(|host| host.via.is_none()).map(|host| host.name.as_str()).collect();
    let missing: Vec<&str> = names.iter().filter(|name| honest.name(name).is_none()).copied().collect();
    let but = if missing.is_empty() {
        String::new()
    } else {
        format!("; nobody honest was heard about {}", missing.join(", "))
    };
    let count = honest.names.len();
    format!("honest answers about {count} name{} are in {}{but}", if count == 1 { "" } else { "s" }, file.display())
}

/// A question and its answer on one line, under the number that findings cite.
pub(super) fn account(probe: &Answer) -> String {
    let what = match &probe.told {
        Told::Name(answer) => {
            let mut what = Question::Name(answer.question.clone()).to_string();
            for reply in &answer.replies {
                let addresses: Vec<String> = reply.addresses().map(|address| address.to_string()).collect();
                let aliases: Vec<&str> = reply.aliases().collect();
                let code = match reply.rcode {
                    0 if addresses.is_empty() => "no address".to_owned(),
                    0 => String::new(),
                    2 => "SERVFAIL".to_owned(),
                    3 => "NXDOMAIN".to_owned(),
                    5 => "REFUSED".to_owned(),
                    other => format!("code {other}"),
                };
                what += &format!(": after {} {code} {} {}", reply.after, aliases.join(" "), addresses.join(" "));
            }
            answer.failure.iter().for_each(|failure| what += &format!(": {failure}, {}", probe.took));
            what
        }
        Told::Chain(chain) => {
            let leaf = chain.certificates.first().and_then(|leaf| leaf.facts());
            let shown = leaf.map_or("no certificate", |facts| facts.subject.as_deref().unwrap_or_default());
            let why = chain.failure.as_ref().map(|failure| format!(", {failure}")).unwrap_or_default();
            let via = chain.via.as_ref().map(|proxy| format!(", the proxy {proxy}")).unwrap_or_default();
            format!("make a TLS handshake for {} at {}{via}, {}: {shown}{why}", chain.name, chain.address, probe.took)
        }
        Told::HostsFile { name, addresses } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("the hosts file gives {name} the address {}", addresses.join(", "))
        }
        Told::Hello(attempt) => attempt.to_string(),
        Told::Hops(sweep) => sweep.to_string(),
        Told::Skipped { question, why } => format!("{question}: not asked ({why:?})"),
    };
    format!("probe {}: {}", probe.id.0, what.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Asks the network about what a recording leaves open, and joins the answers with what it shows.
pub(super) fn ask_further(
    examined: &mut Examined,
    facts: &Facts,
    consent: Consent,
    overrides: &Overrides,
    (quiet, verbose): (bool, bool),
) -> anyhow::Result<()> {
    let say = |line: &str| {
        if !quiet {
            output::remark(&format!("goprobe: {line}"));
        }
    };
    let open = open_hosts(&examined.diagnose(overrides), &examined.case);
    if open.is_empty() {
        return Ok(());
    }
    let reference = reference(facts)?;
    let settings = settings(examined.case.go.env.clone().unwrap_or_else(present_env));
    let hosts = of_recording(open, &settings, &reference);
    let hello = GoHello::of_case(&examined.case, &settings.env);
    let seed = now().nanos().unsigned_abs();
    let plan = Plan::of_hosts(&hosts, &settings, &reference, consent).with_experiments(&hello, &reference, seed);
    let probes = if plan.steps.is_empty() { Vec::new() } else { ask(&plan, &settings, &reference, quiet)? };
    remarks(&plan, &probes).iter().for_each(|line| say(line));
    if verbose {
        probes.iter().for_each(|probe| output::remark(&account(probe)));
    }
    examined.case.probes = probes;
    let asked = detect::asked::assess(&examined.case, &reference);
    examined.assessments = joined(std::mem::take(&mut examined.assessments), asked.assessment, &asked.refuted);
    Ok(())
}

/// The hosts about which the verdict may change: those of its findings that are not proven, and where it is undecided, all
/// that go's own words name. Nobody is asked where the cause is proven.
fn open_hosts(diagnosis: &Diagnosis, case: &Case) -> Vec<(String, u16, Vec<IpAddr>)> {
    let cause = diagnosis.findings.iter().find(|ranked| ranked.root_cause);
    if cause.is_some_and(|ranked| ranked.finding.confidence() == Confidence::Proven) {
        return Vec::new();
    }
    let mut wanted: Vec<(String, u16)> = Vec::new();
    let mut add = |host: &str, port: Option<u16>| {
        // A resolver's port is none of the host's.
        let port = port.filter(|port| *port != 53).unwrap_or(443);
        if host.parse::<IpAddr>().is_err() && !wanted.iter().any(|known| (known.0.as_str(), known.1) == (host, port)) {
            wanted.push((host.to_owned(), port));
        }
    };
    for finding in diagnosis.findings.iter().map(|ranked| &ranked.finding) {
        let asked = matches!(finding.code.family(), "dns" | "net" | "tcp" | "tls" | "cert");
        let matters = finding.severity >= Severity::Medium && finding.fault != Fault::Harmless && !finding.incidental;
        if let Some(host) = finding.subject.host.as_deref().filter(|_| asked && matters)
            && finding.confidence() < Confidence::Proven
        {
            add(host, finding.subject.port);
        }
    }
    if diagnosis.verdict.outcome == Outcome::Inconclusive {
        for error in case.go.errors() {
            error.host.iter().chain(&error.lookup).for_each(|host| add(host, None));
        }
    }
    wanted
        .into_iter()
        .map(|(host, port)| {
            let met = case.connections.iter().filter(|connection| connection.names.contains(&host));
            let mut met: Vec<IpAddr> = met.map(|connection| connection.server.ip()).collect();
            met.sort();
            met.dedup();
            met.truncate(2);
            (host, port, met)
        })
        .collect()
}

/// A case without a recording.
fn case_of(reference: &Reference, go: GoRun, probes: Vec<Answer>) -> Case {
    let options = Options { keep_all: false, judge_all: false };
    let mut case = Analyzer::new(reference, go, options).finish(Recording::default(), Vec::new(), 0);
    case.probes = probes;
    case
}

/// This process's environment, completed by what `go env` says where there is a go.
pub(super) fn present_env() -> GoEnv {
    let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let told = go_env(&["go".into()], &environment).unwrap_or_default();
    // What go says counts: to go a variable that is empty is not set, and the file of `go env -w` may have it.
    GoEnv::parse(&relevant(&[as_lines(&environment), told].concat()))
}

/// The machine's settings, with an environment.
pub(super) fn settings(env: GoEnv) -> Settings {
    let text = |path| std::fs::read(path).map(|bytes| crate::go::decode(&bytes)).unwrap_or_default();
    let resolv = ResolvConf::parse(&text(RESOLV_CONF));
    Settings { env, resolv, hosts: text(HOSTS), ipv6_only: is_ipv6_only() }
}

/// Carries a plan out, and says before whom it asks.
pub(super) fn ask(plan: &Plan, settings: &Settings, reference: &Reference, quiet: bool) -> anyhow::Result<Vec<Answer>> {
    let terminal = std::io::stderr().is_terminal() && !quiet;
    if !quiet {
        output::remark(&format!("goprobe: {}", announcement(plan)));
    }
    let (mut asked, mut answered) = (0_usize, 0_usize);
    let probes = crate::probe::run(plan, settings, reference, now, &mut |progress| {
        match progress {
            Progress::Asking(_) => asked += 1,
            Progress::Answered(_) => answered += 1,
        }
        if terminal {
            // One line that is written over; nobody reads the last one but one.
            let _ = write!(std::io::stderr(), "\r\u{1b}[Kgoprobe: {asked} questions asked, {answered} settled");
        }
    })?;
    if terminal {
        let _ = write!(std::io::stderr(), "\r\u{1b}[K");
    }
    Ok(probes)
}

/// How much is asked, and of whom beside the hosts in question and the configured resolvers.
fn announcement(plan: &Plan) -> String {
    let mut strangers: Vec<String> = Vec::new();
    for step in &plan.steps {
        let who = match &step.question {
            Question::Name(question) => match &question.oracle {
                Oracle::System => continue,
                Oracle::Trusted(name) | Oracle::Signed(name) => format!("the public resolver {name}"),
                Oracle::Authoritative => "the root and the zones' own servers".to_owned(),
                Oracle::Nobody => question.server.map_or_else(String::new, |server| server.ip().to_string()),
            },
            Question::Hello(question) if question.elsewhere => format!("the server of {}", question.control),
            _ => continue,
        };
        if !strangers.contains(&who) {
            strangers.push(who);
        }
    }
    let beside = if strangers.is_empty() {
        String::new()
    } else {
        format!("; asked are, beside the configured resolvers and the hosts themselves, {}", strangers.join(", "))
    };
    let count = plan.steps.len();
    format!("{count} question{} to the network, {}{beside}", if count == 1 { "" } else { "s" }, plan.budget)
}

/// What of the plan did not come about, in clear words.
pub(super) fn remarks(plan: &Plan, probes: &[Answer]) -> Vec<String> {
    let mut lines: Vec<String> = plan
        .kept_private
        .iter()
        .map(|(name, why)| format!("no public resolver was asked about {name}: {why}"))
        .collect();
    lines.extend(plan.left_out.iter().map(|what| format!("left out: {what}")));
    let count = |wanted: Skip| {
        probes.iter().filter(|probe| matches!(&probe.told, Told::Skipped { why, .. } if *why == wanted)).count()
    };
    if count(Skip::DeadNetwork) > 0 {
        lines.push(
            "nothing on this network answers: not one of the resolvers that were asked, over none of their ways; the \
             addresses were not tried"
                .to_owned(),
        );
    }
    if count(Skip::Budget) > 0 {
        lines.push(format!("{} questions were not asked: the time was up ({})", count(Skip::Budget), plan.budget));
    }
    if count(Skip::Private) > 0 {
        lines.push("a name has an address of the inside; no public resolver was asked about it".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Span;

    #[test]
    fn whoever_is_asked_is_announced() {
        let reference = Reference::builtin().unwrap();
        let settings = Settings { resolv: ResolvConf::parse("nameserver 192.168.1.1\n"), ..Settings::default() };
        let hosts = Target::parse("proxy.golang.org").unwrap().hosts(&settings, &reference);
        let text = announcement(&Plan::of_hosts(&hosts, &settings, &reference, Consent::All));
        for who in ["the public resolver cloudflare", "the public resolver google", "root", "192.0.2.53", "60.0 s"] {
            assert!(text.contains(who), "{text}");
        }
        let private = Target::parse("nexus").unwrap().hosts(&settings, &reference);
        let text = announcement(&Plan::of_hosts(&private, &settings, &reference, Consent::All));
        assert!(!text.contains("beside"), "{text}");
    }

    #[test]
    fn what_was_not_asked_is_said() {
        let at = crate::types::Timestamp::from_seconds(0);
        let skipped = |why| Answer {
            id: crate::observation::probe::ProbeId(1),
            at,
            took: Span::default(),
            told: Told::Skipped { question: "ask".to_owned(), why },
        };
        let plan = Plan::default();
        assert!(remarks(&plan, &[skipped(Skip::DeadNetwork)])[0].contains("nothing on this network answers"));
        assert!(remarks(&plan, &[skipped(Skip::Budget)])[0].contains("at most 60.0 s"));
        assert!(remarks(&plan, &[]).is_empty());
    }
}
