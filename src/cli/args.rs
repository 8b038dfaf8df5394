//! What may stand on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

use crate::finding::Confidence;
use crate::report::Severity;

const AFTER_HELP: &str = "\
Start with:  goprobe capture -- go mod download    (on Linux, where go fails)
        or:  goprobe analyze go.pcap --go-log go.log --go-env go.env

Exit status: 0 nothing found, 1 findings, 2 goprobe could not do it, 3 nothing found but undecided;
             of capture that of its command";

/// Names the cause of failed Go downloads from a recording of the network.
#[derive(Debug, Parser)]
#[command(name = "goprobe", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a command, record its traffic and its TLS secrets, and analyse them
    Capture(Box<Capture>),
    /// Analyse recordings: pcap and pcapng, each also compressed
    Analyze(Box<Analyze>),
    /// Ask the network now, about a module path, a proxy URL or a host
    Probe(Box<Probe>),
    /// Verify downloaded artifacts: module zips, module caches, projects, checksum database stores
    Verify(Box<Verify>),
    /// Explain how go on this machine will reach the network (not built yet)
    Doctor(Unbuilt),
    /// Explain what a finding means, how it is told apart, what to do
    Explain(Explain),
    /// Validate and list the reference data
    Rules(Rules),
    /// Turn a report into what a ticket system takes (not built yet)
    Export(Unbuilt),
}

/// Arguments of a subcommand that is to come; they are not looked at.
#[derive(Debug, Group)]
#[command(disable_help_flag = true)]
pub(super) struct Unbuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<OsString>,
}

#[derive(Debug, Group)]
pub(super) struct Analyze {
    /// Recordings; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) facts: Facts,

    #[command(flatten)]
    pub(super) report: ReportOptions,

    /// Ask the network about what the recording leaves open, from this machine and now
    ///
    /// Asked are the hosts of findings that are not proven: the configured resolvers, the public resolvers and root servers that
    /// rules/ names, and the hosts' addresses. Private names reach the configured resolvers alone.
    #[arg(long, overrides_with = "no_probe")]
    pub(super) probe: bool,

    /// Do not ask the network (the default)
    #[arg(long)]
    pub(super) no_probe: bool,

    /// Write the bodies of all answers that can be read into a folder
    ///
    /// The folder is made if it is missing. A body becomes DIR/HOST/PATH, or DIR/HOST/PATH.incomplete where not all of it was
    /// seen, as it was sent (a content coding is not undone); DIR/manifest.jsonl lists them. Nothing is overwritten: what
    /// exists already gets a number. Where something cannot be written, nothing more is; the report comes all the same, and
    /// the exit status is 2.
    #[arg(long, value_name = "DIR")]
    pub(super) extract: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(super) struct Capture {
    /// Device to record from [default: all]
    #[arg(short, long, value_name = "IFACE")]
    pub(super) interface: Option<String>,

    /// Keep the recording in this file
    #[arg(short, long, value_name = "FILE")]
    pub(super) write: Option<PathBuf>,

    /// What to record, as tcpdump takes it [default: TCP, DNS, ICMP]
    #[arg(short, long, value_name = "FILTER")]
    pub(super) filter: Option<String>,

    /// Do not keep the recording
    #[arg(long, conflicts_with = "write")]
    pub(super) discard: bool,

    /// Do not read TLS secrets: nothing is traced
    #[arg(long)]
    pub(super) no_keys: bool,

    /// Record no packets, which takes privileges
    #[arg(long)]
    pub(super) no_packets: bool,

    /// Run the command as this user [default: who called sudo]
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,

    /// Ask the network about what the recording leaves open: about Go's public hosts, or about all hosts that failed
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_value = "go", default_missing_value = "go", overrides_with = "no_probe")]
    pub(super) probe: AskAbout,

    /// Do not ask the network
    #[arg(long)]
    pub(super) no_probe: bool,

    #[command(flatten)]
    pub(super) facts: Facts,

    #[command(flatten)]
    pub(super) report: ReportOptions,

    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Group)]
pub(super) struct Probe {
    /// Module paths (all hosts that go would contact under the present settings), proxy URLs, hosts
    #[arg(required = true, value_name = "TARGET")]
    pub(super) targets: Vec<String>,

    /// Print what would be asked, and of whom, and ask nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Keep the honest answers in this file, for a later `analyze --reference`
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,

    /// Text of `env`, `go env` or `go env -json` to go by [default: this process's environment, and what `go env` says]
    #[arg(long, value_name = "FILE")]
    pub(super) go_env: Option<PathBuf>,

    /// PEM roots to hold as publicly trusted in addition to Mozilla's
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Vec<PathBuf>,

    /// Folder of reference data to lay over the shipped one; it can name other resolvers and roots to ask
    #[arg(long, value_name = "DIR")]
    pub(super) rules: Option<PathBuf>,

    #[command(flatten)]
    pub(super) report: ReportOptions,
}

#[derive(Debug, Group)]
pub(super) struct Verify {
    /// Module zips, `.mod` files, module caches, proxy trees, projects, vendor directories, checksum database stores, Go releases
    ///
    /// Everything given is compared with everything given. A zip says itself of which module and version it is.
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    /// A go.sum file
    #[arg(long, value_name = "FILE")]
    pub(super) go_sum: Vec<PathBuf>,

    /// A checksum database: a folder with `lookup`, `tile` or `latest`; or the URL of the database or of a mirror, which is
    /// then asked about the given modules
    ///
    /// Modules that GONOSUMDB or GOPRIVATE name are never asked about. Proxies are those of the environment.
    #[arg(long, value_name = "DIR|URL")]
    pub(super) sumdb: Vec<PathBuf>,

    /// PEM roots to trust beside Mozilla's when a URL is asked
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Vec<PathBuf>,

    /// The key of a checksum database of one's own, as in GOSUMDB
    #[arg(long, value_name = "NAME+HASH+KEY")]
    pub(super) sumdb_key: Vec<String>,

    /// A key that is trusted to sign Go's releases; of keys among the paths only Google's is
    #[arg(long, value_name = "FILE")]
    pub(super) signing_key: Vec<PathBuf>,

    /// Module and version of what does not say it itself
    #[arg(long, value_name = "M@V")]
    pub(super) module: Option<String>,

    /// Folder of reference data to lay over the shipped one
    #[arg(long, value_name = "DIR")]
    pub(super) rules: Option<PathBuf>,

    #[command(flatten)]
    pub(super) report: ReportOptions,
}

/// What `capture` asks the network about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum AskAbout {
    /// Go's own public hosts
    Go,
    /// Every host that failed
    All,
}

/// What is known of the run beside its traffic.
#[derive(Debug, Default, Group)]
#[command(next_help_heading = "What is known of the run")]
pub(super) struct Facts {
    /// TLS secrets, as an NSS key log
    #[arg(long, value_name = "FILE")]
    pub(super) keylog: Vec<PathBuf>,

    /// What the go command printed
    #[arg(long, value_name = "FILE")]
    pub(super) go_log: Option<PathBuf>,

    /// Exit status of the go command
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) go_exit: Option<i32>,

    /// Text of `env`, `go env` or `go env -json` of the run
    #[arg(long, value_name = "FILE")]
    pub(super) go_env: Option<PathBuf>,

    /// The go.sum of the project, to hold downloads against
    #[arg(long, value_name = "FILE")]
    pub(super) go_sum: Vec<PathBuf>,

    /// What honest resolvers answered, as written by `goprobe probe --save`
    #[arg(long, value_name = "FILE")]
    pub(super) reference: Option<PathBuf>,

    /// PEM roots to hold as publicly trusted in addition to Mozilla's
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Vec<PathBuf>,

    /// Folder of reference data to lay over the shipped one
    #[arg(long, value_name = "DIR")]
    pub(super) rules: Option<PathBuf>,

    /// Judge every connection and name, Go's or not
    #[arg(long)]
    pub(super) all_traffic: bool,
}

/// What to report, and how.
#[derive(Debug, Group)]
#[command(next_help_heading = "Report")]
pub(super) struct ReportOptions {
    /// Format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,

    /// Write the report into a file (`-` is standard output)
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Do not report these findings
    #[arg(long, value_name = "CODE|FAMILY")]
    pub(super) allow: Vec<String>,

    /// Report these findings with low severity
    #[arg(long, value_name = "CODE|FAMILY")]
    pub(super) warn: Vec<String>,

    /// Report these findings with high severity at least
    #[arg(long, value_name = "CODE|FAMILY")]
    pub(super) deny: Vec<String>,

    /// Report findings that are at least this sure
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(super) min_confidence: Option<LeastConfidence>,

    /// Exit with 1 when there are findings of this severity or worse [default: medium]
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub(super) fail_on: Option<Threshold>,

    /// Put the observations, of all traffic, into the JSON
    #[arg(long)]
    pub(super) observations: bool,

    /// No colours
    #[arg(long)]
    pub(super) no_color: bool,

    /// No remarks on standard error
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// More remarks on standard error
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Format {
    /// For a person
    Text,
    /// One document
    Json,
    /// One finding a line
    Jsonl,
    /// For a ticket
    Markdown,
    /// Not built yet
    Html,
    /// Not built yet
    Sarif,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum LeastConfidence {
    Weak,
    Moderate,
    Strong,
    Proven,
}

impl From<LeastConfidence> for Confidence {
    fn from(least: LeastConfidence) -> Self {
        match least {
            LeastConfidence::Weak => Self::Weak,
            LeastConfidence::Moderate => Self::Moderate,
            LeastConfidence::Strong => Self::Strong,
            LeastConfidence::Proven => Self::Proven,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Threshold {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl From<Threshold> for Severity {
    fn from(threshold: Threshold) -> Self {
        match threshold {
            Threshold::Info => Self::Info,
            Threshold::Low => Self::Low,
            Threshold::Medium => Self::Medium,
            Threshold::High => Self::High,
            Threshold::Critical => Self::Critical,
        }
    }
}

#[derive(Debug, Group)]
pub(super) struct Explain {
    /// A code such as `tls.sni_reset`, or a family such as `tls`
    #[arg(value_name = "CODE", required_unless_present = "all", conflicts_with = "all")]
    pub(super) code: Option<String>,

    /// Every code
    #[arg(long)]
    pub(super) all: bool,

    /// Format of the explanation
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
    pub(super) format: ExplainFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum ExplainFormat {
    /// For a person
    Text,
    /// One document
    Json,
    /// For a website or a ticket
    Markdown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum PlainFormat {
    /// For a person
    Text,
    /// One document
    Json,
}

#[derive(Debug, Group)]
pub(super) struct Rules {
    #[command(subcommand)]
    pub(super) command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Validate the shipped reference data, or a folder to be laid over it
    Check {
        /// The folder
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Format of the answer
        #[arg(long, value_enum, default_value_t = PlainFormat::Text)]
        format: PlainFormat,
    },
    /// Show every entry with its source and the day of its last check
    List {
        /// Folder of reference data to lay over the shipped one
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
        /// Format of the list
        #[arg(long, value_enum, default_value_t = PlainFormat::Text)]
        format: PlainFormat,
    },
    /// Import fresh lists from files: go.dev/dl (?mode=json&include=all), address ranges of Google and GitHub, intermediate
    /// certificates. The network is not asked
    Update {
        /// Lists as their publishers offer them; what each is shows in its form
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Folder to write them to, for `--rules DIR`; without it, they go to standard output
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Day on which the lists were fetched [default: the day on which each file was last written]
        #[arg(long, value_name = "YYYY-MM-DD")]
        checked: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(["goprobe"].iter().chain(arguments))
    }

    #[test]
    fn the_definition_holds_together() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn every_option_of_analyze_is_taken() {
        let all = "analyze a.pcap - --format jsonl -o out --keylog k1 --keylog k2 --go-log l --go-exit 1 --go-env e --reference r \
                   --ca c --rules d --allow dns --warn tls.not_tls --deny cert --min-confidence strong --observations \
                   --all-traffic --no-color -q -v --fail-on high --no-probe --extract x";
        let Command::Analyze(analyze) = parsed(&all.split_whitespace().collect::<Vec<_>>()).unwrap().command else {
            panic!("not analyze");
        };
        assert_eq!(analyze.files.len(), 2);
        assert_eq!(analyze.facts.keylog.len(), 2);
        assert_eq!(analyze.facts.go_exit, Some(1));
        assert_eq!(analyze.report.format, Format::Jsonl);
        assert!(!analyze.probe && analyze.no_probe);
    }

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        for wrong in [
            &["analyze"][..],
            &["analyze", "a", "--format", "yaml"],
            &["analyze", "a", "--fail-on", "bad"],
            &["explain"],
            &["explain", "tls", "--all"],
            &["frobnicate"],
            &[],
        ] {
            assert_eq!(parsed(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_subcommand_to_come_takes_any_arguments() {
        for arguments in ["capture -i any -w x.pcapng -- go get ./...", "verify . --go-sum go.sum", "doctor --help"] {
            parsed(&arguments.split_whitespace().collect::<Vec<_>>()).unwrap();
        }
    }
}
