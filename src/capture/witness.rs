//! Whose connections these are: which sockets belong to the command and its descendants, and which to other programs.
//!
//! Each first packet is held against the system's table of sockets while the socket is still there. What has gone by then is
//! nobody's, and judged by its names alone.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::mpsc::Receiver;

use super::ptrace::Tid;
use super::sockets::Sockets;
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
    let sockets = Sockets::new();
    while let Ok(first) = openings.recv() {
        // What has come meanwhile is looked up in the same table.
        let mut together = BTreeSet::from([first]);
        together.extend(openings.try_iter());
        together.retain(|ends| !owners.own.contains(ends) && !owners.foreign.contains(ends));
        if together.is_empty() || owners.own.len() + owners.foreign.len() > MOST_CONNECTIONS {
            continue;
        }
        let (own, foreign) =
            whose(together.into_iter().collect(), |connections| sockets.inodes(connections), || sockets_of(command));
        owners.own.extend(own);
        owners.foreign.extend(foreign);
    }
    owners
}

/// Divides connections into those whose sockets the command has, and those whose sockets somebody else has. Of the rest the
/// sockets had gone too soon.
fn whose(
    mut connections: Vec<Ends>,
    inodes: impl Fn(&[Ends]) -> Vec<Option<u64>>,
    held: impl Fn() -> BTreeSet<u64>,
) -> (Vec<Ends>, Vec<Ends>) {
    let mut own = Vec::new();
    let mut seen = inodes(&connections);
    // A socket is another's if it was there before the command was asked for its own and is there afterwards; and that
    // twice, since the list of a process's children may lack one for a moment.
    for _ in 0..2 {
        if seen.iter().all(Option::is_none) {
            return (own, Vec::new());
        }
        let held = held();
        let now = inodes(&connections);
        let mut others = Vec::new();
        for ((ends, before), after) in connections.into_iter().zip(seen).zip(now) {
            match before {
                Some(inode) if held.contains(&inode) => own.push(ends),
                Some(_) if before == after => others.push((ends, after)),
                _ => {}
            }
        }
        (connections, seen) = others.into_iter().unzip();
    }
    (own, connections)
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn ends(port: u16) -> Ends {
        Ends { client: SocketAddr::new([10, 0, 0, 1].into(), port), server: "10.0.0.2:443".parse().unwrap() }
    }

    /// Connections with their inodes each time that they are looked up, and what the command holds each time.
    fn told(table: &[(u16, [u64; 3])], held: [&[u64]; 2]) -> (Vec<Ends>, Vec<Ends>) {
        let (lookups, asked) = (Cell::new(0), Cell::new(0));
        let inodes = |connections: &[Ends]| {
            let at = lookups.replace(lookups.get() + 1);
            let inode = |port: u16| table.iter().find(|(known, _)| *known == port).map(|(_, inodes)| inodes[at]);
            connections.iter().map(|ends| inode(ends.client.port()).filter(|inode| *inode != 0)).collect()
        };
        let held = || held[asked.replace(asked.get() + 1)].iter().copied().collect();
        whose(table.iter().map(|(port, _)| ends(*port)).collect(), inodes, held)
    }

    #[test]
    fn what_the_command_holds_is_its_own_and_what_stays_without_is_not() {
        let table = [(1, [11, 11, 11]), (2, [12, 12, 12])];
        assert_eq!(told(&table, [&[11], &[11]]), (vec![ends(1)], vec![ends(2)]));
    }

    #[test]
    fn a_socket_that_is_closed_while_the_command_is_asked_is_nobodys() {
        for gone in [[11, 0, 0], [11, 11, 0], [11, 12, 12], [0, 0, 0]] {
            assert_eq!(told(&[(1, gone)], [&[], &[]]), (vec![], vec![]), "{gone:?}");
        }
    }

    #[test]
    fn a_child_that_was_missed_once_is_seen_at_the_second_look() {
        assert_eq!(told(&[(1, [11, 11, 11])], [&[], &[11]]), (vec![ends(1)], vec![]));
    }

    #[test]
    fn the_sockets_of_a_process_are_found_with_those_of_its_children() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = Tid::try_from(std::process::id()).unwrap();
        assert!(!sockets_of(own).is_empty());
        drop(listener);
        assert_eq!(sockets_of(-1), BTreeSet::new());
    }
}
