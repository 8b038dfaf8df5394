//! Whose connections these are: which sockets belong to the command and its descendants, and which to other programs.
//!
//! Each first packet is held against the system's table of sockets while the socket is still there. What has gone by then is
//! nobody's, and judged by its names alone.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::Receiver;

use super::ptrace::Tid;
use crate::packet::{Packet, TcpFlags, Transport};
use crate::scope::Owners;
use crate::types::Ends;

/// Processes that are looked at for one command.
const MOST_PROCESSES: usize = 4_096;
/// Connections that are told apart.
const MOST_CONNECTIONS: usize = 65_536;

/// The connection that a packet opens, if it opens one.
pub(super) fn opened(packet: &Packet<'_>) -> Option<Ends> {
    let Transport::Tcp(tcp) = &packet.transport else { return None };
    let (source, destination) = (packet.ip.source, packet.ip.destination);
    (tcp.flags.syn() && !tcp.flags.has(TcpFlags::ACK)).then(|| Ends {
        client: SocketAddr::new(source, tcp.source_port),
        server: SocketAddr::new(destination, tcp.destination_port),
    })
}

/// Takes connections as they are opened until no more can come, and says whose they are.
pub(super) fn watch(command: Tid, openings: &Receiver<Ends>) -> Owners {
    let mut owners = Owners::default();
    while let Ok(first) = openings.recv() {
        // What has come meanwhile is looked up in the same table.
        let mut together = BTreeSet::from([first]);
        together.extend(openings.try_iter());
        together.retain(|ends| !owners.own.contains(ends) && !owners.foreign.contains(ends));
        if together.is_empty() || owners.own.len() + owners.foreign.len() > MOST_CONNECTIONS {
            continue;
        }
        let (own, foreign) = whose(together, sockets, || sockets_of(command));
        owners.own.extend(own);
        owners.foreign.extend(foreign);
    }
    owners
}

/// Divides connections into those whose sockets the command has, and those whose sockets somebody else has. Of the rest the
/// sockets had gone too soon.
fn whose(
    mut connections: BTreeSet<Ends>,
    table: impl Fn() -> Vec<Socket>,
    held: impl Fn() -> BTreeSet<u64>,
) -> (BTreeSet<Ends>, BTreeSet<Ends>) {
    let (mut own, mut foreign) = (BTreeSet::new(), BTreeSet::new());
    let mut before: BTreeSet<u64> = BTreeSet::new();
    // A socket that the command has not, and that is in the table both before and after it was asked, is another's: twice,
    // since the list of a process's children may lack one for a moment.
    for round in 0..3 {
        let table = table();
        let inode = |ends: &Ends| {
            let socket = table.iter().find(|socket| socket.local == ends.client && socket.remote == ends.server);
            socket.map(|socket| socket.inode)
        };
        connections.retain(|ends| inode(ends).is_some());
        if connections.is_empty() {
            break;
        }
        if round == 2 {
            foreign =
                connections.iter().filter(|ends| inode(ends).is_some_and(|it| before.contains(&it))).copied().collect();
            break;
        }
        let held = held();
        let (ours, others) = connections.into_iter().partition(|ends| inode(ends).is_some_and(|it| held.contains(&it)));
        connections = others;
        own.extend::<BTreeSet<Ends>>(ours);
        before = connections.iter().filter_map(inode).collect();
    }
    (own, foreign)
}

/// A socket in the system's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    inode: u64,
}

/// The TCP sockets of the machine that still have an owner (proc(5)).
fn sockets() -> Vec<Socket> {
    let texts =
        ["/proc/self/net/tcp", "/proc/self/net/tcp6"].into_iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.flat_map(|text| text.lines().skip(1).filter_map(socket).collect::<Vec<_>>()).collect()
}

fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace();
    let (local, remote) = (words.nth(1)?, words.next()?);
    let inode = words.nth(6)?.parse().ok().filter(|inode| *inode != 0)?;
    Some(Socket { local: address(local)?, remote: address(remote)?, inode })
}

/// `0100007F:1F90`: words of 32 bits in the byte order of the machine, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words = address.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    let address = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

/// The inodes of all sockets that a process and its descendants hold.
fn sockets_of(command: Tid) -> BTreeSet<u64> {
    let mut processes = BTreeSet::from([command]);
    let mut waiting = vec![command];
    while let Some(process) = waiting.pop() {
        for child in children(process) {
            if processes.len() < MOST_PROCESSES && processes.insert(child) {
                waiting.push(child);
            }
        }
    }
    processes.into_iter().flat_map(sockets_held).collect()
}

fn children(process: Tid) -> Vec<Tid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

fn sockets_held(process: Tid) -> Vec<u64> {
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else { return Vec::new() };
    files
        .filter_map(|file| {
            let target = fs::read_link(file.ok()?.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}
