//! TLS secrets of unmodified Go programs, read where crypto/tls hands them to its key log.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::breakpoint::Effect;
use super::program::{Convention, GoProgram, Secrets, SecretsAt};
use super::ptrace::{self, Registers, Report, Tid};

/// Longest label (`CLIENT_HANDSHAKE_TRAFFIC_SECRET` has 31 characters) and secret (SHA-384) that are read.
const MAX_LABEL: u64 = 64;
const MAX_SECRET: u64 = 64;
const RANDOM: u64 = 32;

/// One secret of one TLS session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Secret {
    label: String,
    random: Vec<u8>,
    secret: Vec<u8>,
}

impl Secret {
    /// As a line of a key log.
    pub(super) fn line(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("{} {} {}\n", self.label, hex(&self.random), hex(&self.secret))
    }
}

/// A breakpoint that is set in a process.
#[derive(Clone, Copy)]
struct Breakpoint {
    address: u64,
    at: SecretsAt,
    /// The word that stood there.
    original: u64,
}

/// What identifies a program file, and tells that it has not changed.
type FileId = (u64, u64, i64, i64, u64);

/// Follows processes and reads their secrets. All of its methods must be called by one thread, the one that attached.
#[derive(Default)]
pub(super) struct Tracer {
    /// The breakpoint of each process that has one.
    armed: HashMap<Tid, Breakpoint>,
    /// The process of each thread that is followed.
    processes: HashMap<Tid, Tid>,
    known: HashMap<FileId, Option<GoProgram>>,
    seen: BTreeSet<Secret>,
    /// A Go program with crypto/tls whose secrets could not be read.
    pub(super) unread: Option<PathBuf>,
    /// A program that was to run with another user's privileges, and runs without under a tracer that has none itself.
    pub(super) weakened: Option<PathBuf>,
    leaving: bool,
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// With that status.
    Exited(i32),
    /// By that signal.
    Killed(i32),
}

impl Tracer {
    /// Attaches to a process that has not executed anything yet.
    pub(super) fn attach(&mut self, process: Tid) -> io::Result<()> {
        ptrace::seize(process)?;
        self.processes.insert(process, process);
        Ok(())
    }

    /// Follows everything until `command` has ended, then lets go what is left. `found` gets each secret once.
    pub(super) fn run(&mut self, command: Tid, mut found: impl FnMut(&Secret)) -> io::Result<Option<Ended>> {
        let mut ended = None;
        while let Some((tid, report)) = ptrace::wait()? {
            match report {
                Report::Exited(_) | Report::Killed(_) => {
                    self.processes.remove(&tid);
                    self.armed.remove(&tid);
                    if tid == command {
                        ended = Some(match report {
                            Report::Killed(signal) => Ended::Killed(signal),
                            Report::Exited(status) => Ended::Exited(status),
                            _ => continue,
                        });
                        self.leave_all();
                    }
                }
                _ if self.leaving => self.leave(tid, report),
                Report::Signal(libc::SIGTRAP) => {
                    let signal = if self.harvest(tid, &mut found) { 0 } else { libc::SIGTRAP };
                    ptrace::go_on(tid, signal);
                }
                Report::Signal(signal) => ptrace::go_on(tid, signal),
                Report::Exec(former) => {
                    // The thread that did it has become the process's first.
                    self.processes.remove(&former);
                    self.executed(tid);
                }
                Report::Forked(child) => {
                    // Its memory is a copy, breakpoint included.
                    if let Some(breakpoint) = self.breakpoint_of(tid) {
                        self.armed.insert(child, breakpoint);
                    }
                    self.processes.insert(child, child);
                    ptrace::go_on(tid, 0);
                }
                Report::Cloned(child) => {
                    // Whatever had that number before is gone.
                    self.processes.insert(child, 0);
                    ptrace::go_on(tid, 0);
                }
                Report::GroupStop => ptrace::listen(tid),
                Report::Paused => {
                    self.processes.entry(tid).or_insert(0);
                    ptrace::go_on(tid, 0);
                }
            }
            if self.leaving && self.processes.is_empty() {
                break;
            }
        }
        Ok(ended)
    }

    /// Asks all that is still followed to stop, so that it can be let go.
    fn leave_all(&mut self) {
        self.leaving = true;
        for tid in self.processes.keys() {
            ptrace::interrupt(*tid);
        }
    }

    /// Lets a stopped thread go, its process without our breakpoint.
    fn leave(&mut self, tid: Tid, report: Report) {
        let signal = match report {
            Report::Signal(libc::SIGTRAP) if self.step_back(tid) => 0,
            Report::Signal(signal) => signal,
            Report::Forked(child) | Report::Cloned(child) => {
                if matches!(report, Report::Forked(_))
                    && let Some(breakpoint) = self.breakpoint_of(tid)
                {
                    self.armed.insert(child, breakpoint);
                }
                self.processes.entry(child).or_insert(0);
                0
            }
            _ => 0,
        };
        self.disarm(tid);
        self.processes.remove(&tid);
        ptrace::detach(tid, signal);
    }

    /// A thread that hit the breakpoint executes the instruction that stood there.
    fn step_back(&self, tid: Tid) -> bool {
        let Some(breakpoint) = self.breakpoint_of(tid) else { return false };
        let Ok(mut registers) = ptrace::registers(tid) else { return false };
        if hit(&registers) != breakpoint.address {
            return false;
        }
        set_pc(&mut registers, breakpoint.address);
        ptrace::set_registers(tid, &registers).is_ok()
    }

    fn disarm(&self, tid: Tid) {
        if let Some(breakpoint) = self.breakpoint_of(tid) {
            let _ = ptrace::poke(tid, breakpoint.address, breakpoint.original);
        }
    }

    fn process_of(&self, tid: Tid) -> Option<Tid> {
        match self.processes.get(&tid) {
            Some(0) | None => process_of(tid),
            Some(process) => Some(*process),
        }
    }

    fn breakpoint_of(&self, tid: Tid) -> Option<Breakpoint> {
        self.armed.get(&self.process_of(tid)?).copied()
    }

    /// A new program is in place: breaks where its secrets come by, or lets it go if there is nothing to see in it.
    fn executed(&mut self, process: Tid) {
        self.armed.remove(&process);
        self.processes.insert(process, process);
        let program = self.program(process);
        match program {
            Some(GoProgram { secrets: Secrets::At(at), .. }) => {
                match arm(process, at) {
                    Some(breakpoint) => drop(self.armed.insert(process, breakpoint)),
                    None => self.unread = self.unread.take().or_else(|| path(process)),
                }
                ptrace::go_on(process, 0);
            }
            Some(GoProgram { secrets: Secrets::Unknown, .. }) => {
                self.unread = self.unread.take().or_else(|| path(process));
                ptrace::go_on(process, 0);
            }
            // The tools of the toolchain speak with nobody, and start nobody who does.
            Some(GoProgram { path: Some(path), .. }) if path.starts_with("cmd/") && path != "cmd/go" => {
                self.processes.remove(&process);
                ptrace::detach(process, 0);
            }
            _ => ptrace::go_on(process, 0),
        }
    }

    fn program(&mut self, process: Tid) -> Option<GoProgram> {
        let exe = format!("/proc/{process}/exe");
        let about = fs::metadata(&exe).ok()?;
        if self.weakened.is_none() && is_weakened(process, &about) {
            self.weakened = path(process);
        }
        let file = File::open(exe).ok()?;
        let id = (about.dev(), about.ino(), about.mtime(), about.mtime_nsec(), about.size());
        self.known.entry(id).or_insert_with(|| GoProgram::read(&file)).clone()
    }

    /// Reads the secret if the thread stands at its process's breakpoint, and brings it past it.
    fn harvest(&mut self, tid: Tid, found: &mut impl FnMut(&Secret)) -> bool {
        let Some(breakpoint) = self.breakpoint_of(tid) else { return false };
        let Ok(mut registers) = ptrace::registers(tid) else { return false };
        if hit(&registers) != breakpoint.address {
            return false;
        }
        // Stack growth and preemption bring the same call here more than once.
        if let Some(secret) = read_secret(tid, &registers, breakpoint.at.convention)
            && self.seen.insert(secret.clone())
        {
            found(&secret);
        }
        let instruction = breakpoint.at.instruction;
        set_pc(&mut registers, breakpoint.address.wrapping_add(instruction.length));
        // Where this fails, the process has been killed meanwhile, and its end is still to be heard.
        let _ = apply(tid, &mut registers, instruction.effect).and_then(|()| ptrace::set_registers(tid, &registers));
        true
    }
}

fn path(process: Tid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/exe")).ok()
}

/// Whether a program is another user's by its mode (execve(2), set-user-ID), and its process is not: Linux does that where
/// the tracer could not do as much to that user's processes.
fn is_weakened(process: Tid, about: &Metadata) -> bool {
    if about.mode() & libc::S_ISUID == 0 {
        return false;
    }
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_ascii_whitespace().nth(1));
    effective.and_then(|uid| uid.parse().ok()) != Some(about.uid())
}

/// The process that a thread belongs to.
fn process_of(tid: Tid) -> Option<Tid> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// Where a program was loaded, as against where it is linked.
fn load_base(process: Tid, entry_point: u64) -> Option<u64> {
    let auxiliary = fs::read(format!("/proc/{process}/auxv")).ok()?;
    let entry = auxiliary.chunks_exact(16).find_map(|pair| {
        let (kind, value) = pair.split_at_checked(8)?;
        (u64::from_ne_bytes(kind.try_into().ok()?) == libc::AT_ENTRY).then_some(value)
    })?;
    Some(u64::from_ne_bytes(entry.try_into().ok()?).wrapping_sub(entry_point))
}

fn arm(process: Tid, at: SecretsAt) -> Option<Breakpoint> {
    let address = load_base(process, at.entry_point)?.wrapping_add(at.address);
    let original = ptrace::peek(process, address).ok()?;
    ptrace::poke(process, address, with_trap(original)).ok()?;
    Some(Breakpoint { address, at, original })
}

fn read_secret(tid: Tid, registers: &Registers, convention: Convention) -> Option<Secret> {
    let [label, label_length, random, random_length, secret, secret_length] = match convention {
        Convention::Registers => in_registers(registers),
        Convention::Stack => {
            let stack = stack_pointer(registers);
            let word = |offset: u64| ptrace::peek(tid, stack.wrapping_add(offset)).ok();
            [word(16)?, word(24)?, word(32)?, word(40)?, word(56)?, word(64)?]
        }
    };
    if !(1..=MAX_LABEL).contains(&label_length) || random_length != RANDOM || !(1..=MAX_SECRET).contains(&secret_length)
    {
        return None;
    }
    let bytes = |address, length: u64| ptrace::read(tid, address, usize::try_from(length).ok()?).ok();
    let label = String::from_utf8(bytes(label, label_length)?).ok()?;
    let plain = label.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    plain.then_some(Secret { label, random: bytes(random, random_length)?, secret: bytes(secret, secret_length)? })
}

#[cfg(target_arch = "x86_64")]
mod machine {
    use super::*;

    /// `int3` in place of the first byte.
    pub(super) const fn with_trap(word: u64) -> u64 {
        (word & !0xff) | 0xcc
    }

    /// The address of the trap that was hit.
    pub(super) const fn hit(registers: &Registers) -> u64 {
        registers.rip.wrapping_sub(1)
    }

    pub(super) const fn set_pc(registers: &mut Registers, address: u64) {
        registers.rip = address;
    }

    pub(super) const fn stack_pointer(registers: &Registers) -> u64 {
        registers.rsp
    }

    /// Label, client random and secret, each with its length: arguments 2 and 3, 4 and 5, 7 and 8 of Go's register ABI.
    pub(super) const fn in_registers(registers: &Registers) -> [u64; 6] {
        [registers.rbx, registers.rcx, registers.rdi, registers.rsi, registers.r9, registers.r10]
    }

    pub(super) fn apply(tid: Tid, registers: &mut Registers, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::PushFramePointer => {
                registers.rsp = registers.rsp.wrapping_sub(8);
                ptrace::poke(tid, registers.rsp, registers.rbp)
            }
            Effect::GrowStack(bytes) => {
                registers.rsp = registers.rsp.wrapping_sub(bytes);
                Ok(())
            }
            Effect::PushLink(_) => Err(io::Error::other("an instruction of another machine")),
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    use super::*;

    /// `brk #0` in place of the first instruction.
    pub(super) const fn with_trap(word: u64) -> u64 {
        (word & !0xffff_ffff) | 0xd420_0000
    }

    /// The address of the trap that was hit.
    pub(super) const fn hit(registers: &Registers) -> u64 {
        registers.pc
    }

    pub(super) const fn set_pc(registers: &mut Registers, address: u64) {
        registers.pc = address;
    }

    pub(super) const fn stack_pointer(registers: &Registers) -> u64 {
        registers.sp
    }

    /// Label, client random and secret, each with its length: arguments 2 and 3, 4 and 5, 7 and 8 of Go's register ABI.
    pub(super) const fn in_registers(registers: &Registers) -> [u64; 6] {
        let [_, label, label_length, random, random_length, _, secret, secret_length, ..] = registers.regs;
        [label, label_length, random, random_length, secret, secret_length]
    }

    pub(super) fn apply(tid: Tid, registers: &mut Registers, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::PushLink(bytes) => {
                registers.sp = registers.sp.wrapping_sub(bytes);
                ptrace::poke(tid, registers.sp, registers.regs[30])
            }
            Effect::GrowStack(_) | Effect::PushFramePointer => {
                Err(io::Error::other("an instruction of another machine"))
            }
        }
    }
}

use machine::{apply, hit, in_registers, set_pc, stack_pointer, with_trap};
