//! `goprobe capture` and the command that it runs: status, streams, signals, terminal, and what is left behind. Needs neither
//! root nor go; what needs the network's packets is in `live.rs`.

#![cfg(all(target_os = "linux", feature = "capture"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, Uid};
use serde_json::Value;
use tempfile::TempDir;

/// A place of its own for one test: temporary files, state, home.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        for part in ["tmp", "state", "home", "work"] {
            fs::create_dir(root.path().join(part)).unwrap();
        }
        Self { root }
    }

    fn path(&self, part: &str) -> PathBuf {
        self.root.path().join(part)
    }

    /// `goprobe capture --no-packets OPTIONS -- COMMAND`.
    fn capture(&self, options: &[&str], command: &[&str]) -> Command {
        let mut goprobe = Command::new(env!("CARGO_BIN_EXE_goprobe"));
        goprobe.args(["capture", "--no-probe", "--no-packets"]).args(options).arg("--").args(command);
        self.settle(&mut goprobe);
        goprobe
    }

    fn settle(&self, command: &mut Command) {
        command
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("HOME", self.path("home"))
            .env_remove("SUDO_UID")
            .env_remove("SSLKEYLOGFILE")
            .current_dir(self.path("work"))
            .stdin(Stdio::null());
    }

    /// Runs it quietly, the report into a file.
    fn quiet(&self, command: &[&str]) -> Output {
        let report = self.path("report");
        self.capture(&["-q", "--discard", "-o", report.to_str().unwrap()], command).output().unwrap()
    }

    /// What is in a part of it, at any depth.
    fn files(&self, part: &str) -> Vec<PathBuf> {
        fn below(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    below(&path, found);
                }
                found.push(path);
            }
        }
        let mut found = Vec::new();
        below(&self.path(part), &mut found);
        found
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("{what} did not come about within ten seconds");
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Whether this process, and so its children, ignores a signal.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    u64::from_str_radix(mask, 16).unwrap() >> (signal as i32 - 1) & 1 == 1
}

/// Whether a program is there; where not, that a test is skipped is said on the real standard error.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a test of tests/capture.rs: there is no {program}");
    }
    there
}

#[test]
fn the_status_is_that_of_the_command() {
    let place = Place::new();
    for (command, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 125", 125),
        ("exit 255", 255),
        ("kill -KILL $$", 128 + 9),
        ("kill -SEGV $$", 128 + 11),
        ("kill -PIPE $$", 128 + 13),
        ("kill -TERM $$", 128 + 15),
        ("kill -64 $$", 128 + 64),
    ] {
        let output = place.quiet(&["sh", "-c", command]);
        assert_eq!(output.status.code(), Some(status), "{command}: {}", text(&output.stderr));
    }
}

#[test]
fn what_cannot_be_run_is_told_from_what_is_not_there() {
    let place = Place::new();
    fs::write(place.path("work/data"), "text").unwrap();
    let folder = place.path("work");
    for (command, status) in
        [("no-such-program-anywhere", 127), ("./no/such/file", 127), ("./data", 126), (folder.to_str().unwrap(), 126)]
    {
        let output = place.quiet(&[command]);
        assert_eq!(output.status.code(), Some(status), "{command}");
        assert!(text(&output.stderr).contains(command), "{}", text(&output.stderr));
    }
    assert_eq!(place.files("tmp"), Vec::<PathBuf>::new());
}

#[test]
fn its_own_failures_have_a_status_of_their_own() {
    let place = Place::new();
    for options in [
        &["-w", "no/such/folder/x.pcapng"][..],
        &["--deny", "tls.no_such_code"],
        &["--user", "no-such-user-anywhere"],
        &["--rules", "no/such/folder"],
        &["--reference", "no/such/file"],
        &["--keylog", "no/such/file"],
        &["-o", "no/such/folder/report"],
        &["--format", "html"],
    ] {
        let output = place.capture(options, &["touch", "ran"]).output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{options:?}: {}", text(&output.stderr));
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
        assert!(!place.path("work/ran").exists(), "{options:?} did not keep the command from running");
        let with_threshold = [options, &["--fail-on", "high"]].concat();
        assert_eq!(place.capture(&with_threshold, &["true"]).output().unwrap().status.code(), Some(2), "{options:?}");
    }
}

#[test]
fn with_a_threshold_the_status_is_that_of_the_findings() {
    let place = Place::new();
    let status = |command: &str| {
        let options = ["-q", "--discard", "--fail-on", "medium", "-o", "report"];
        place.capture(&options, &["sh", "-c", command]).output().unwrap().status.code()
    };
    assert_eq!(status("exit 7"), Some(3), "nothing of go was seen");
    let denied = "echo 'go: example.com/m@v1.0.0: verifying module: checksum mismatch
\tdownloaded: h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
\tgo.sum:     h1:AAAAQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=

SECURITY ERROR' >&2; exit 1";
    assert_eq!(status(denied), Some(1), "{}", fs::read_to_string(place.path("work/report")).unwrap());
}

#[test]
fn the_streams_pass_through_byte_for_byte() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    fs::write(place.path("in"), &bytes).unwrap();
    let report = place.path("report");
    let mut command =
        place.capture(&["-q", "--discard", "-o", report.to_str().unwrap()], &["sh", "-c", "tee /dev/stderr"]);
    let output = command.stdin(fs::File::open(place.path("in")).unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == bytes, "{} bytes on standard output", output.stdout.len());
    assert!(output.stderr == bytes, "{} bytes on standard error", output.stderr.len());
}

#[test]
fn a_stream_that_the_command_closes_or_leaves_to_a_daemon_keeps_nobody_waiting() {
    let place = Place::new();
    let output = place.quiet(&["sh", "-c", "exec 2>&-; sleep 0.1; exit 4"]);
    assert_eq!(output.status.code(), Some(4));
    let pid = place.path("pid");
    let script = format!("sleep 60 >/dev/null & echo $! >{}; echo done >&2; exit 5", pid.display());
    let output = place.quiet(&["sh", "-c", &script]);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(text(&output.stderr), "done\n");
    let daemon: i32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let status = fs::read_to_string(format!("/proc/{daemon}/status")).expect("what outlives the command is left alone");
    assert!(status.contains("TracerPid:\t0"), "{status}");
    kill(Pid::from_raw(daemon), Signal::SIGKILL).unwrap();
}

#[test]
fn folder_and_environment_are_the_commands_own() {
    let place = Place::new();
    let show = "pwd; env | grep -v -e ^_= -e ^SHLVL= -e ^SSLKEYLOGFILE= | sort";
    let mut plain = Command::new("sh");
    place.settle(&mut plain);
    plain.args(["-c", show]).env("ODD", "a=b\nc");
    let plain = plain.output().unwrap();
    let report = place.path("report");
    let options = ["-q", "--discard", "-o", report.to_str().unwrap()];
    let recorded = place.capture(&options, &["sh", "-c", show]).env("ODD", "a=b\nc").output().unwrap();
    assert_eq!(text(&recorded.stdout), text(&plain.stdout));
}

#[test]
fn open_files_and_the_signal_mask_are_as_without() {
    let place = Place::new();
    let show = "ls /proc/self/fd | sort; grep -e ^Sig[BI] /proc/self/status";
    let mut plain = Command::new("sh");
    place.settle(&mut plain);
    // What the test's own runner does about SIGPIPE is not the question.
    let plain = plain.args(["-c", show]).stderr(Stdio::piped()).output().unwrap();
    let recorded = place.quiet(&["sh", "-c", show]);
    assert_eq!(text(&recorded.stdout), text(&plain.stdout));
}

#[test]
fn a_signal_to_goprobe_reaches_the_command_and_the_report_still_comes() {
    let place = Place::new();
    for (number, name) in [(Signal::SIGTERM, "TERM"), (Signal::SIGINT, "INT"), (Signal::SIGHUP, "HUP")] {
        // What is ignored from the start no shell can trap: so it is for background jobs, and under nohup.
        if is_ignored(number) {
            continue;
        }
        let ready = place.path("ready");
        let script = format!("trap 'exit 9' {name}; : >{}; while :; do sleep 0.02; done", ready.display());
        let child = place
            .capture(&["--discard"], &["sh", "-c", &script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until("the command", || ready.exists());
        signal(&child, number);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(9), "{name}");
        assert!(text(&output.stderr).contains("NO TRAFFIC"), "{name}: {}", text(&output.stderr));
        fs::remove_file(ready).unwrap();
    }
}

#[test]
fn job_control_stops_and_continues_the_command() {
    let place = Place::new();
    let count = place.path("count");
    let script =
        format!("i=0; while [ $i -lt 30 ]; do echo >>{}; sleep 0.02; i=$((i+1)); done; exit 3", count.display());
    let report = place.path("report");
    let pid = place.path("pid");
    let script = format!("echo $$ >{}; {script}", pid.display());
    let options = ["-q", "--discard", "-o", report.to_str().unwrap()];
    // In a group that nobody outside looks after the system would not stop it (POSIX, orphaned process groups).
    let mut child = place.capture(&options, &["sh", "-c", &script]).process_group(0).spawn().unwrap();
    let lines = || fs::read(&count).map_or(0, |bytes| bytes.len());
    until("the first lines", || lines() > 2);
    let command = Pid::from_raw(fs::read_to_string(pid).unwrap().trim().parse().unwrap());
    kill(command, Signal::SIGTSTP).unwrap();
    sleep(Duration::from_millis(200));
    let stopped = lines();
    sleep(Duration::from_millis(200));
    assert_eq!(lines(), stopped, "it was not stopped");
    assert!(child.try_wait().unwrap().is_none());
    kill(command, Signal::SIGCONT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(lines(), 30);
}

#[test]
fn a_stop_from_the_terminal_stops_both_and_both_go_on() {
    let place = Place::new();
    let count = place.path("count");
    let line = "i=0; while [ $i -lt 30 ]; do echo >>COUNT; sleep 0.02; i=$((i+1)); done; exit 3";
    let report = place.path("report");
    let options = ["-q", "--discard", "-o", report.to_str().unwrap()];
    let line = line.replace("COUNT", count.to_str().unwrap());
    // A group of its own is what a shell with job control makes.
    let mut child = place.capture(&options, &["sh", "-c", &line]).process_group(0).spawn().unwrap();
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let lines = || fs::read(&count).map_or(0, |bytes| bytes.len());
    until("the first lines", || lines() > 2);
    killpg(group, Signal::SIGTSTP).unwrap();
    let state = || fs::read_to_string(format!("/proc/{group}/stat")).unwrap();
    until("goprobe to stop", || state().contains(") T "));
    sleep(Duration::from_millis(100));
    let stopped = lines();
    sleep(Duration::from_millis(200));
    assert_eq!(lines(), stopped, "the command was not stopped");
    killpg(group, Signal::SIGCONT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(lines(), 30);
}

#[test]
fn where_tracing_is_refused_the_run_goes_on_and_what_is_missing_is_said() {
    let place = Place::new();
    // What one goprobe traces, another cannot.
    let inner = [
        env!("CARGO_BIN_EXE_goprobe"),
        "capture",
        "--no-probe",
        "--no-packets",
        "--discard",
        "--",
        "sh",
        "-c",
        "exit 6",
    ];
    let output = place.capture(&["-q", "--discard", "-o", "report"], &inner).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("forbids to trace") && said.contains("SYS_PTRACE"), "{said}");
    let quiet = [&inner[..3], &["--no-keys"], &inner[3..]].concat();
    let output = place.capture(&["-q", "--discard", "-o", "report"], &quiet).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(!text(&output.stderr).contains("trace"), "{}", text(&output.stderr));
}

#[test]
fn many_runs_leave_no_process_and_no_file() {
    let place = Place::new();
    for run in 0..100 {
        let line = format!("for i in 1 2 3; do (sh -c 'exit 0') & done; wait; exit {run}");
        let output = place.quiet(&["sh", "-c", &line]);
        assert_eq!(output.status.code(), Some(run), "{}", text(&output.stderr));
    }
    assert_eq!(place.files("tmp"), Vec::<PathBuf>::new());
    let mark = place.root.path().to_str().unwrap().as_bytes().to_vec();
    let strays: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            Some(fs::read(entry.ok()?.path().join("environ")).ok()?.windows(mark.len()).any(|it| it == mark))
        })
        .filter(|stray| *stray)
        .collect();
    assert!(strays.is_empty(), "{} processes are left", strays.len());
}

#[test]
fn a_killed_goprobe_leaves_a_readable_file_and_no_stopped_command() {
    let place = Place::new();
    let (ready, ended) = (place.path("ready"), place.path("ended"));
    let script = format!(": >{}; sleep 0.5; : >{}", ready.display(), ended.display());
    let file = place.path("kept.pcapng");
    let mut child =
        place.capture(&["-w", file.to_str().unwrap()], &["sh", "-c", &script]).stderr(Stdio::null()).spawn().unwrap();
    until("the command", || ready.exists());
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    until("the end of the command", || ended.exists());
    let output = Command::new(env!("CARGO_BIN_EXE_goprobe")).arg("analyze").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

#[test]
fn a_discarded_recording_leaves_nothing() {
    let place = Place::new();
    let output = place.capture(&["--discard"], &["sh", "-c", "echo x >$SSLKEYLOGFILE"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    for part in ["tmp", "state", "home", "work"] {
        assert_eq!(place.files(part), Vec::<PathBuf>::new(), "{part}");
    }
    assert!(!text(&output.stderr).contains(".pcapng"), "{}", text(&output.stderr));
}

#[test]
fn the_state_folder_keeps_the_newest_ten_for_their_owner_alone() {
    let place = Place::new();
    let folder = place.path("state/goprobe");
    fs::create_dir(&folder).unwrap();
    for at in 0..12 {
        fs::write(folder.join(format!("16000000000{at:02}-1.pcapng")), "").unwrap();
    }
    fs::write(folder.join("notes.txt"), "").unwrap();
    let output = place.capture(&[], &["true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let kept: Vec<_> =
        place.files("state").into_iter().filter(|path| path.extension() == Some("pcapng".as_ref())).collect();
    assert_eq!(kept.len(), 10);
    assert!(folder.join("notes.txt").exists(), "what is no recording stays");
    assert!(!folder.join("1600000000002-1.pcapng").exists() && folder.join("1600000000003-1.pcapng").exists());
    let newest = kept.iter().max().unwrap();
    assert!(text(&output.stderr).contains(newest.to_str().unwrap()), "{}", text(&output.stderr));
    assert_eq!(fs::metadata(newest).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(place.files("tmp"), Vec::<PathBuf>::new());
}

#[test]
fn a_kept_file_is_its_owners_alone_even_where_it_was_there_before() {
    let place = Place::new();
    let file = place.path("kept.pcapng");
    fs::write(&file, "older").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let output = place.capture(&["-q", "-w", file.to_str().unwrap()], &["true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(place.root.path()).unwrap().count(), 5, "nothing lies beside it");
}

#[test]
fn the_kept_file_analysed_again_gives_the_same_report() {
    let place = Place::new();
    let (file, report) = (place.path("kept.pcapng"), place.path("report.json"));
    let options =
        ["-q", "-w", file.to_str().unwrap(), "-o", report.to_str().unwrap(), "--format", "json", "--observations"];
    let said = "echo 'go: example.com/m@v1.0.0: Get \"https://proxy.golang.org/example.com/m/@v/v1.0.0.info\": dial tcp: \
                lookup proxy.golang.org: no such host' >&2; exit 1";
    let mut capture = place.capture(&options, &["sh", "-c", said]);
    capture.env("HTTPS_PROXY", "http://somebody:hunter2@proxy.example:3128");
    assert_eq!(capture.output().unwrap().status.code(), Some(1));
    let first = fs::read(&report).unwrap();
    let again = Command::new(env!("CARGO_BIN_EXE_goprobe"))
        .args(["analyze", file.to_str().unwrap(), "--format", "json", "--observations"])
        .output()
        .unwrap();
    let [first, again] = [&first, &again.stdout].map(|bytes| {
        let mut report: Value = serde_json::from_slice(bytes).unwrap();
        for key in ["mode", "started", "finished"] {
            report["run"].as_object_mut().unwrap().remove(key).unwrap();
        }
        report
    });
    assert_eq!(first, again);
    assert_eq!(first["run"]["command"][0], "sh");
    assert_eq!(first["run"]["exit_status"], 1);
    let kept = fs::read(&file).unwrap();
    assert!(!kept.windows(7).any(|part| part == b"hunter2"), "a password is in the file");
}

#[test]
fn key_logs_of_children_are_taken_in_and_their_file_goes() {
    let place = Place::new();
    let file = place.path("kept.pcapng");
    let line = format!("CLIENT_RANDOM {} {}", "ab".repeat(32), "cd".repeat(48));
    let script = format!("echo {line} >>$SSLKEYLOGFILE");
    let output = place.capture(&["-q", "-w", file.to_str().unwrap()], &["sh", "-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let kept = fs::read(&file).unwrap();
    assert!(kept.windows(line.len()).any(|part| part == line.as_bytes()));
    assert_eq!(place.files("tmp"), Vec::<PathBuf>::new());
    // The user's own key log stays, and gives only what is new.
    let own = place.path("own.log");
    fs::write(&own, format!("CLIENT_RANDOM {} {}\n", "01".repeat(32), "23".repeat(48))).unwrap();
    let mut capture = place.capture(&["-q", "-w", file.to_str().unwrap()], &["sh", "-c", &script]);
    assert_eq!(capture.env("SSLKEYLOGFILE", &own).output().unwrap().status.code(), Some(0));
    let kept = fs::read(&file).unwrap();
    assert!(kept.windows(line.len()).any(|part| part == line.as_bytes()));
    assert!(!kept.windows(64).any(|part| part == "01".repeat(32).as_bytes()));
    assert!(fs::read_to_string(&own).unwrap().contains(&line));
    // And without keys there is none.
    let output = place.capture(&["-q", "--discard", "--no-keys"], &["sh", "-c", "test -z \"$SSLKEYLOGFILE\""]).output();
    assert_eq!(output.unwrap().status.code(), Some(0));
}

#[test]
fn without_privileges_one_command_is_named_that_gives_them() {
    let place = Place::new();
    let copy = place.path("goprobe");
    fs::copy(env!("CARGO_BIN_EXE_goprobe"), &copy).unwrap();
    let mut command = if Uid::effective().is_root() {
        if !has("setpriv") {
            return;
        }
        fs::set_permissions(place.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for part in ["work", "tmp", "state", "home"] {
            fs::set_permissions(place.path(part), fs::Permissions::from_mode(0o777)).unwrap();
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--"]).arg(&copy);
        command
    } else {
        Command::new(&copy)
    };
    command.args(["capture", "--no-probe", "--", "touch", "ran"]);
    place.settle(&mut command);
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains(&format!("sudo setcap cap_net_raw+ep {}", copy.display())), "{said}");
    assert!(said.contains("--no-packets"), "{said}");
    assert!(!place.path("work/ran").exists());
}

/// Runs a shell line at a terminal of its own, and types what is given when `ready` is there.
fn at_terminal(place: &Place, line: &str, ready: &Path, typed: &[u8]) -> String {
    let mut terminal = Command::new("script");
    place.settle(&mut terminal);
    let mut child = terminal
        .args(["-qec", line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    until("the command", || ready.exists());
    input.write_all(typed).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(input);
    text(&output.stdout)
}

#[test]
fn a_terminal_stays_one() {
    if !has("script") {
        return;
    }
    let place = Place::new();
    let goprobe = format!(
        "{} capture --no-packets --discard -q -o {}",
        env!("CARGO_BIN_EXE_goprobe"),
        place.path("report").display()
    );
    let ready = place.path("ready");
    let show = format!("test -t 0 && test -t 1 && test -t 2 && stty size <&2 && echo all >&2; : >{}", ready.display());
    let said = at_terminal(&place, &format!("stty rows 33 cols 77; {goprobe} -- sh -c '{show}'"), &ready, b"");
    assert!(said.contains("33 77\r\n") && said.contains("all\r\n"), "{said:?}");
}

#[test]
fn an_interrupt_from_the_terminal_comes_once() {
    if is_ignored(Signal::SIGINT) || !has("script") {
        return;
    }
    let place = Place::new();
    let goprobe = format!("{} capture --no-packets --discard", env!("CARGO_BIN_EXE_goprobe"));
    let ready = place.path("ready");
    let script = place.path("script");
    let count = format!(
        "n=0; trap 'n=$((n+1))' INT; : >{}; i=0; while [ $i -lt 25 ]; do sleep 0.02; i=$((i+1)); done; echo \"interrupts: $n\"",
        ready.display()
    );
    fs::write(&script, count).unwrap();
    let said = at_terminal(
        &place,
        &format!("trap : INT; {goprobe} -- sh {}; echo status $?", script.display()),
        &ready,
        b"\x03",
    );
    assert!(said.contains("interrupts: 1\r\n"), "{said:?}");
    assert!(said.contains("NO TRAFFIC") && said.contains("status 0"), "goprobe outlives it: {said:?}");
}
