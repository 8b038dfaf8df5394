//! The calls of ptrace(2) that the tracer needs, each made safe to call.
#![expect(unsafe_code, reason = "ptrace has no safe interface that knows real-time signals")]

use std::io;

/// A thread, by its number.
pub(super) type Tid = libc::pid_t;

/// What a stopped thread or an ended process reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Report {
    /// It exited with that status.
    Exited(i32),
    /// That signal killed it.
    Killed(i32),
    /// That signal is about to be delivered.
    Signal(i32),
    /// It executed another program; before, it was the thread of that number.
    Exec(Tid),
    /// It made a process of its own, with a copy of its memory.
    Forked(Tid),
    /// It made a thread, or a child that shares its memory until it executes something.
    Cloned(Tid),
    /// It stopped as job control wants it.
    GroupStop,
    /// It stopped because the tracer attached or asked for it.
    Paused,
}

/// What to see of every child.
const OPTIONS: libc::c_int =
    libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK | libc::PTRACE_O_TRACECLONE;

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A request that takes a number and changes nothing of this process.
fn request(request: libc::c_uint, tid: Tid, data: usize) -> io::Result<()> {
    // SAFETY: none of the requests given here reads or writes memory of this process.
    check(unsafe { libc::ptrace(request, tid, 0_usize, data) })
}

/// Attaches to a process without stopping it.
pub(super) fn seize(tid: Tid) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, tid, usize::try_from(OPTIONS).unwrap_or_default())
}

/// What allows it where it is forbidden.
pub(super) fn how_to_allow() -> &'static str {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match scope.trim() {
        "3" => "kernel.yama.ptrace_scope is 3, which forbids it to everybody until the machine starts anew",
        "2" => "allow it with: sudo sysctl kernel.yama.ptrace_scope=1",
        _ => "it is already traced, or a container forbids it: docker run --cap-add SYS_PTRACE",
    }
}

/// Lets a stopped thread go on, with a signal or with none (0).
pub(super) fn go_on(tid: Tid, signal: i32) {
    // It may have been killed meanwhile: then there is nothing to let go on.
    let _ = request(libc::PTRACE_CONT, tid, usize::try_from(signal).unwrap_or_default());
}

/// Leaves a thread stopped as job control has it, but hears of what follows.
pub(super) fn listen(tid: Tid) {
    let _ = request(libc::PTRACE_LISTEN, tid, 0);
}

/// Asks a running thread to stop.
pub(super) fn interrupt(tid: Tid) {
    let _ = request(libc::PTRACE_INTERRUPT, tid, 0);
}

/// Lets a stopped thread go for good, with a signal or with none (0).
pub(super) fn detach(tid: Tid, signal: i32) {
    let _ = request(libc::PTRACE_DETACH, tid, usize::try_from(signal).unwrap_or_default());
}

/// Waits for the next report of any thread; `None` when there is none left to wait for.
pub(super) fn wait() -> io::Result<Option<(Tid, Report)>> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a local.
        let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        if tid < 0 {
            match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::EINTR) => continue,
                error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                error => return Err(error),
            }
        }
        return Ok(Some((tid, report(tid, status))));
    }
}

fn report(tid: Tid, status: i32) -> Report {
    if libc::WIFEXITED(status) {
        return Report::Exited(libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        return Report::Killed(libc::WTERMSIG(status));
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        0 => Report::Signal(signal),
        libc::PTRACE_EVENT_EXEC => Report::Exec(message(tid)),
        libc::PTRACE_EVENT_FORK => Report::Forked(message(tid)),
        libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => Report::Cloned(message(tid)),
        libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => Report::GroupStop,
        _ => Report::Paused,
    }
}

fn message(tid: Tid) -> Tid {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the request writes one long, to a local.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, tid, 0_usize, &raw mut message) };
    if result < 0 { 0 } else { Tid::try_from(message).unwrap_or(0) }
}

/// Reads a word of a stopped thread's memory.
pub(super) fn peek(tid: Tid, address: u64) -> io::Result<u64> {
    let address = usize::try_from(address).map_err(io::Error::other)?;
    // SAFETY: errno is this thread's own; the word comes as the result, which may be -1.
    let word = unsafe {
        *libc::__errno_location() = 0;
        libc::ptrace(libc::PTRACE_PEEKDATA, tid, address, 0_usize)
    };
    let error = io::Error::last_os_error();
    if word == -1 && error.raw_os_error() != Some(0) {
        return Err(error);
    }
    Ok(word.cast_unsigned())
}

/// Writes a word of a stopped thread's memory, of its code, too.
pub(super) fn poke(tid: Tid, address: u64, word: u64) -> io::Result<()> {
    let address = usize::try_from(address).map_err(io::Error::other)?;
    let word = usize::try_from(word).map_err(io::Error::other)?;
    // SAFETY: it writes to the other process.
    check(unsafe { libc::ptrace(libc::PTRACE_POKEDATA, tid, address, word) })
}

/// Reads `length` bytes.
pub(super) fn read(tid: Tid, address: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut at = address;
    while bytes.len() < length {
        bytes.extend_from_slice(&peek(tid, at)?.to_ne_bytes());
        at = at.wrapping_add(8);
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// The general registers of a stopped thread.
#[cfg(target_arch = "x86_64")]
pub(super) type Registers = libc::user_regs_struct;
/// The general registers of a stopped thread.
#[cfg(target_arch = "aarch64")]
pub(super) type Registers = libc::user_regs_struct;

/// Reads the registers of a stopped thread.
pub(super) fn registers(tid: Tid) -> io::Result<Registers> {
    // SAFETY: all zeros are registers, and the request writes no more than the length given.
    unsafe {
        let mut registers: Registers = std::mem::zeroed();
        let mut all = libc::iovec { iov_base: (&raw mut registers).cast(), iov_len: size_of::<Registers>() };
        check(libc::ptrace(libc::PTRACE_GETREGSET, tid, libc::NT_PRSTATUS, &raw mut all))?;
        Ok(registers)
    }
}

/// Writes the registers of a stopped thread.
pub(super) fn set_registers(tid: Tid, registers: &Registers) -> io::Result<()> {
    let mut registers = *registers;
    let mut all = libc::iovec { iov_base: (&raw mut registers).cast(), iov_len: size_of::<Registers>() };
    // SAFETY: the request reads the registers given, no more.
    check(unsafe { libc::ptrace(libc::PTRACE_SETREGSET, tid, libc::NT_PRSTATUS, &raw mut all) })
}
