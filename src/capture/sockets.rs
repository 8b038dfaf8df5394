//! The system's table of TCP sockets: which socket a connection has. Asked by `sock_diag(7)`, which finds one among many at
//! once; where that is not to be had, read from proc(5).

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{FromRawFd as _, OwnedFd};

use crate::types::Ends;

/// `struct nlmsghdr`, and `struct inet_diag_req_v2` after it.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// Message types, and what asks for one answer.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
/// Where the answer, a `struct inet_diag_msg`, has the socket's identity (ports and addresses) and its inode.
const IDENTITY: usize = HEADER + 4;
const INODE: usize = IDENTITY + 48 + 16;

/// Answers which socket a connection has.
pub(super) struct Sockets {
    diagnosis: Option<File>,
}

impl Sockets {
    /// Those of the network namespace that this process is in.
    pub(super) fn new() -> Self {
        #[expect(unsafe_code, reason = "netlink sockets have no safe call")]
        // SAFETY: a descriptor that was just made belongs to nobody else.
        let socket = unsafe {
            let socket = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_SOCK_DIAG);
            (socket >= 0).then(|| OwnedFd::from_raw_fd(socket))
        };
        Self { diagnosis: socket.map(File::from) }
    }

    /// The inodes of the sockets that these connections have on this machine, in their order; `None` for those without.
    pub(super) fn inodes(&self, connections: &[Ends]) -> Vec<Option<u64>> {
        let asked = self.diagnosis.as_ref().and_then(|diagnosis| {
            connections.iter().map(|ends| ask(diagnosis, ends)).collect::<io::Result<Vec<_>>>().ok()
        });
        asked.unwrap_or_else(|| {
            let table = table();
            let inode = |ends: &Ends| {
                let socket = table.iter().find(|socket| socket.local == ends.client && socket.remote == ends.server);
                socket.map(|socket| socket.inode)
            };
            connections.iter().map(inode).collect()
        })
    }
}

fn ask(mut diagnosis: &File, ends: &Ends) -> io::Result<Option<u64>> {
    diagnosis.write_all(&request(ends))?;
    let mut answer = [0; 1024];
    let length = diagnosis.read(&mut answer)?;
    let answer = answer.get(..length).unwrap_or_default();
    inode(answer, ends)
}

/// Asks for the socket with these ends.
fn request(ends: &Ends) -> [u8; REQUEST] {
    let mut bytes = Vec::with_capacity(REQUEST);
    bytes.extend(u32::try_from(REQUEST).unwrap_or_default().to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    let family = if ends.client.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    bytes.extend([family, libc::IPPROTO_TCP].map(|number| u8::try_from(number).unwrap_or_default()));
    bytes.extend([0; 2]);
    bytes.extend(u32::MAX.to_ne_bytes()); // in whatever state
    bytes.extend(ends.client.port().to_be_bytes());
    bytes.extend(ends.server.port().to_be_bytes());
    for address in [ends.client.ip(), ends.server.ip()] {
        let start = bytes.len();
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
        bytes.resize(start + 16, 0);
    }
    bytes.extend([0; 4]); // any interface
    bytes.extend([0xff; 8]); // no cookie is known
    let mut request = [0; REQUEST];
    request.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    request
}

/// The inode in an answer. A listening socket that would take such a connection is not the connection's.
fn inode(answer: &[u8], asked: &Ends) -> io::Result<Option<u64>> {
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes).ok_or_else(cut)?;
    let number = |at: usize| answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
    if kind == NLMSG_ERROR {
        let number = number(HEADER).ok_or_else(cut)?.cast_signed().wrapping_neg();
        return if number == libc::ENOENT { Ok(None) } else { Err(io::Error::from_raw_os_error(number)) };
    }
    let inode = number(INODE).ok_or_else(cut)?;
    let end = |port: usize, address: usize| {
        let port = answer.get(port..port + 2)?.try_into().ok().map(u16::from_be_bytes)?;
        let bytes = answer.get(address..address + 16)?;
        let address = match answer.get(HEADER).copied().map(i32::from)? {
            libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?),
            // What speaks IPv4 over a socket of the newer family has such addresses.
            _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
        };
        Some(SocketAddr::new(address, port))
    };
    let same =
        end(IDENTITY, IDENTITY + 4) == Some(asked.client) && end(IDENTITY + 2, IDENTITY + 20) == Some(asked.server);
    // What has no owner any more has no inode.
    Ok((same && inode != 0).then_some(inode.into()))
}

/// A socket in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    inode: u64,
}

/// The TCP sockets that still have an owner.
fn table() -> Vec<Socket> {
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

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;

    use super::*;

    /// A connection over loopback, its client first.
    fn pair(address: &str) -> Option<(TcpStream, TcpStream, Ends)> {
        let listener = TcpListener::bind(address).ok()?;
        let server = listener.local_addr().unwrap();
        let client = TcpStream::connect(server).unwrap();
        let ends = Ends { client: client.local_addr().unwrap(), server };
        Some((client, listener.accept().unwrap().0, ends))
    }

    fn inode_of(stream: &TcpStream) -> Option<u64> {
        let target = fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd())).unwrap();
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    }

    #[test]
    fn both_ways_of_asking_find_the_clients_socket_and_nothing_where_it_is_closed() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Some((client, server, ends)) = pair(address) else { continue };
            let back = Ends { client: ends.server, server: ends.client };
            let wanted = vec![inode_of(&client), inode_of(&server)];
            for sockets in [Sockets::new(), Sockets { diagnosis: None }] {
                assert_eq!(sockets.inodes(&[ends, back]), wanted, "{address}");
            }
            // The listener at the same port is still there for such a connection.
            let listener = TcpListener::bind(address).unwrap();
            let nobody = Ends { client: ends.client, server: listener.local_addr().unwrap() };
            let back = Ends { client: nobody.server, server: nobody.client };
            drop((client, server));
            for sockets in [Sockets::new(), Sockets { diagnosis: None }] {
                assert_eq!(sockets.inodes(&[ends, nobody, back]), [None, None, None], "{address}");
            }
        }
    }

    #[test]
    fn a_socket_of_both_families_is_found_by_its_ipv4_addresses() {
        let Ok(listener) = TcpListener::bind("[::]:0") else { return };
        let server = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listener.local_addr().unwrap().port());
        let client = TcpStream::connect(server).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let back = Ends { client: server, server: client.local_addr().unwrap() };
        for sockets in [Sockets::new(), Sockets { diagnosis: None }] {
            assert_eq!(sockets.inodes(&[back]), [inode_of(&accepted)]);
        }
    }

    #[test]
    fn lines_of_the_table_are_read_as_proc_5_has_them() {
        let four =
            "   0: 0100007F:1F90 0200A8C0:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 20";
        let found = socket(four);
        if cfg!(target_endian = "little") {
            let local = "127.0.0.1:8080".parse().unwrap();
            let remote = "192.168.0.2:54321".parse().unwrap();
            assert_eq!(found, Some(Socket { local, remote, inode: 4711 }));
            let mapped = four.replace("0100007F", "0000000000000000FFFF00000100007F");
            let mapped = mapped.replace("0200A8C0", "0000000000000000FFFF00000200A8C0");
            assert_eq!(socket(&mapped), Some(Socket { local, remote, inode: 4711 }));
            let six = four.replace("0100007F", "B80D0120000000000000000001000000");
            assert_eq!(socket(&six).unwrap().local, "[2001:db8::1]:8080".parse().unwrap());
        }
        assert_eq!(socket(&four.replace("4711", "0")), None, "nobody has it any more");
        for hostile in
            ["", "0:", "0: x y", "0: 01:1 02:2 01 0 0 0 0 0 0 5", "0: é100007F:1F90 0200A8C0:D431 01 0 0 0 0 0 7"]
        {
            assert_eq!(socket(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn answers_that_are_cut_or_strange_are_errors() {
        let ends = Ends { client: "10.0.0.1:1".parse().unwrap(), server: "10.0.0.2:2".parse().unwrap() };
        let asked = &ends;
        assert!(inode(&[], asked).is_err());
        for length in 6..INODE + 4 {
            assert!(inode(&vec![0; length], asked).is_err(), "{length}");
        }
        let mut refused = vec![0; HEADER + 4];
        refused[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        refused[HEADER..].copy_from_slice(&(-libc::ENOENT).to_ne_bytes());
        assert_eq!(inode(&refused, asked).unwrap(), None);
        refused[HEADER..].copy_from_slice(&i32::MIN.to_ne_bytes());
        assert!(inode(&refused, asked).is_err());
    }
}
