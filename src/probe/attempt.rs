//! One connection for the sake of its first bytes: opened, written to, listened to, and what came of it.

use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::hello::{GoHello, records, system_lot};
use super::sockopt::{TcpState, expired_at, forget_at_close, hide_ends, in_progress, report_icmp, tcp_state};
use crate::observation::probe::{Aim, Ending, HelloAttempt, Hop, Shape};
use crate::protocol::tls::starts_server_flight;
use crate::types::{Span, Timestamp};

/// Time for three SYNs.
const CONNECT: Duration = Duration::from_secs(4);
/// Time for the first bytes to be repeated four times.
const PATIENCE: Duration = Duration::from_secs(4);
/// The same where the first bytes are meant to expire: for a reset or ICMP from twenty hops away.
const PATIENCE_WITH_HOPS: Duration = Duration::from_millis(1_500);
/// A record header and the two bytes after it, which tell an alert from a hello.
const HEAD: usize = 7;
/// Kept of what is no TLS.
const MOST_HEAD: usize = 64;
/// Asked of whoever takes everything for HTTP. It names no host.
const NOT_TLS: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
/// Of a hello without a name, for want of a better place.
const CUT: usize = 100;

/// Carries out an attempt.
pub(super) async fn attempt(aim: Aim, hello: GoHello, clock: fn() -> Timestamp) -> HelloAttempt {
    let parts = first_bytes(&aim, &hello);
    let bytes = parts.iter().map(Vec::len).sum::<usize>();
    let mut attempt = HelloAttempt {
        aim,
        go: hello.of,
        bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        connected: None,
        acknowledged: None,
        repeated: None,
        expired: false,
        ending: Ending::Local(String::new()),
    };
    let began = clock();
    let stream = match open(&attempt.aim).await {
        Ok(stream) => stream,
        Err(why) => {
            attempt.ending = unopened(why, clock().since(began));
            return attempt;
        }
    };
    attempt.connected = Some(clock().since(began));
    let before = tcp_state(&stream).unwrap_or_default();
    attempt.ending = converse(stream, &parts, &mut attempt, before, clock).await;
    attempt
}

/// What is written, in one piece or two.
fn first_bytes(aim: &Aim, hello: &GoHello) -> Vec<Vec<u8>> {
    let hello = match aim.shape {
        Shape::WithoutPostQuantum => hello.without_post_quantum(),
        Shape::WithoutMlDsa => hello.without_ml_dsa(),
        Shape::Classic => GoHello::classic(),
        Shape::NotTls => return vec![NOT_TLS.to_vec()],
        _ => hello.clone(),
    };
    let message = hello.message(aim.name.as_deref(), &mut system_lot);
    let cut = aim.name.as_deref().and_then(|name| middle_of(&message, name.as_bytes())).unwrap_or(CUT);
    match aim.shape {
        Shape::TwoRecords => vec![records(&message, Some(cut))],
        Shape::TwoSegments => {
            let whole = records(&message, None);
            // Behind the record's header.
            let (first, second) = whole.split_at_checked(cut.saturating_add(5)).unwrap_or((&whole, &[]));
            vec![first.to_vec(), second.to_vec()]
        }
        _ => vec![records(&message, None)],
    }
}

fn middle_of(bytes: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    Some(bytes.windows(part.len()).position(|window| window == part)? + part.len() / 2)
}

/// Why a connection did not open.
enum Unopened {
    /// The system says so at once: nothing was sent.
    Local(Error),
    /// Something answered.
    Remote(Error),
    /// Nothing answered.
    Silence,
}

fn unopened(why: Unopened, after: Span) -> Ending {
    match why {
        Unopened::Silence => Ending::Unanswered { after },
        Unopened::Local(error) => Ending::Local(error.to_string()),
        Unopened::Remote(error) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Ending::Refused { after },
            ErrorKind::TimedOut => Ending::Unanswered { after },
            ErrorKind::PermissionDenied => Ending::Local(error.to_string()),
            _ => Ending::Unreachable,
        },
    }
}

async fn open(aim: &Aim) -> Result<TcpStream, Unopened> {
    let socket = socket(aim.address).map_err(Unopened::Local)?;
    if let Some(most) = aim.max_segment {
        socket.set_tcp_mss(most.into()).map_err(Unopened::Local)?;
    }
    connect(socket, aim.address, CONNECT).await
}

fn socket(address: SocketAddr) -> Result<Socket, Error> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

async fn connect(socket: Socket, address: SocketAddr, patience: Duration) -> Result<TcpStream, Unopened> {
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if in_progress(&error) => {}
        Err(error) => return Err(Unopened::Local(error)),
    }
    let stream = TcpStream::from_std(StdStream::from(socket)).map_err(Unopened::Local)?;
    match timeout(patience, stream.writable()).await {
        Err(_) => return Err(Unopened::Silence),
        Ok(ready) => ready.map_err(Unopened::Remote)?,
    }
    match stream.take_error() {
        Ok(None) => Ok(stream),
        Ok(Some(error)) | Err(error) => Err(Unopened::Remote(error)),
    }
}

async fn converse(
    mut stream: TcpStream,
    parts: &[Vec<u8>],
    attempt: &mut HelloAttempt,
    before: TcpState,
    clock: fn() -> Timestamp,
) -> Ending {
    if let Err(error) = prepare(&stream, &attempt.aim) {
        return Ending::Local(error.to_string());
    }
    let patience = if attempt.aim.ttl.is_some() { PATIENCE_WITH_HOPS } else { PATIENCE };
    let began = clock();
    let until = Instant::now() + patience;
    let mut heard = Vec::new();
    let mut written = Ok(());
    for part in parts {
        written = stream.write_all(part).await;
        if written.is_err() {
            break;
        }
    }
    let heard = match written {
        Ok(()) => listen(&stream, &mut heard, until, &mut attempt.expired, attempt.aim.ttl.is_some()).await,
        Err(error) => Heard::End(error.kind()),
    };
    let after = clock().since(began);
    if let Some(state) = tcp_state(&stream) {
        let acknowledged = state.acknowledged.saturating_sub(before.acknowledged);
        attempt.acknowledged = Some(u32::try_from(acknowledged).unwrap_or(u32::MAX).min(attempt.bytes));
        attempt.repeated = Some(state.repeated.saturating_sub(before.repeated));
    }
    leave(&stream, &attempt.aim, &heard);
    match heard {
        Heard::Hello => Ending::Answered { after },
        Heard::Alert(description) => Ending::Alert { description, after },
        Heard::Foreign(head) => Ending::NotTls { head, after },
        Heard::Nothing => Ending::Silent { after },
        Heard::Close => Ending::Closed { after },
        Heard::End(ErrorKind::TimedOut) => Ending::Silent { after },
        Heard::End(_) => Ending::Reset { after },
    }
}

fn prepare(stream: &TcpStream, aim: &Aim) -> Result<(), Error> {
    let socket = SockRef::from(stream);
    if aim.hides_ends {
        hide_ends(&socket)?;
    }
    if let Some(ttl) = aim.ttl {
        report_icmp(stream);
        match aim.address {
            SocketAddr::V4(_) => socket.set_ttl_v4(ttl.into())?,
            SocketAddr::V6(_) => socket.set_unicast_hops_v6(ttl.into())?,
        }
    }
    Ok(())
}

/// Whoever does not answer is not pestered: the connection ends with one reset that goes all the way.
fn leave(stream: &TcpStream, aim: &Aim, heard: &Heard) {
    const FAR: u32 = 64;
    let socket = SockRef::from(stream);
    if aim.ttl.is_some() {
        let _ = match aim.address {
            SocketAddr::V4(_) => socket.set_ttl_v4(FAR),
            SocketAddr::V6(_) => socket.set_unicast_hops_v6(FAR),
        };
    }
    if aim.hides_ends || aim.ttl.is_some() || matches!(heard, Heard::Nothing) {
        forget_at_close(&socket);
    }
}

/// What was heard.
enum Heard {
    Hello,
    Alert(u8),
    Foreign(Vec<u8>),
    Nothing,
    Close,
    End(ErrorKind),
}

async fn listen(stream: &TcpStream, heard: &mut Vec<u8>, until: Instant, expired: &mut bool, expires: bool) -> Heard {
    loop {
        if let Some(what) = tell(heard) {
            return what;
        }
        // ICMP makes an open connection no more readable than before.
        let ready = timeout_at(until, stream.ready(Interest::READABLE | Interest::ERROR)).await;
        let mut buffer = [0; MOST_HEAD];
        let read = match ready {
            Ok(ready) => ready.and_then(|_| stream.try_read(&mut buffer)),
            Err(_) if heard.is_empty() => return Heard::Nothing,
            Err(_) => return Heard::Foreign(std::mem::take(heard)),
        };
        let error = match read {
            Ok(0) if heard.is_empty() => return Heard::Close,
            Ok(0) => return Heard::Foreign(std::mem::take(heard)),
            Ok(count) => {
                heard.extend(buffer.get(..count).unwrap_or_default());
                continue;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => match pending_error(stream) {
                Some(error) => error,
                None => continue,
            },
            Err(error) => error,
        };
        // It ends no open connection (RFC 5461 §4); it is only told of.
        if expires && error.kind() == ErrorKind::HostUnreachable {
            *expired = true;
        } else {
            return Heard::End(error.kind());
        }
    }
}

/// What is reported beside the stream, once.
fn pending_error(stream: &TcpStream) -> Option<Error> {
    let pending = stream.try_io(Interest::ERROR, || match stream.take_error()? {
        Some(error) => Ok(error),
        None => Err(Error::from(ErrorKind::WouldBlock)),
    });
    pending.ok()
}

/// What the bytes are, once there are enough of them. Warnings before the hello are passed over (RFC 6066 §3).
fn tell(heard: &mut Vec<u8>) -> Option<Heard> {
    const WARNING: u8 = 1;
    loop {
        let head: [u8; HEAD] = *heard.first_chunk()?;
        if !starts_server_flight(heard) {
            heard.truncate(MOST_HEAD);
            return Some(Heard::Foreign(std::mem::take(heard)));
        }
        match head {
            [22, ..] => return Some(Heard::Hello),
            [.., WARNING, _] => drop(heard.drain(..HEAD)),
            [.., description] => return Some(Heard::Alert(description)),
        }
    }
}

/// A SYN that expires on its way, or arrives.
pub(super) async fn hop(address: SocketAddr, ttl: u8) -> Hop {
    const PATIENCE: Duration = Duration::from_millis(1_200);
    let mut hop = Hop { ttl, expired: false, router: None, reached: false };
    let Ok(socket) = socket(address) else { return hop };
    if socket.set_ttl_v4(ttl.into()).is_err() {
        return hop;
    }
    report_icmp(&socket);
    // The descriptor is kept beside the stream, to be asked who complained.
    let Ok(asked) = socket.try_clone() else { return hop };
    match connect(socket, address, PATIENCE).await {
        Ok(stream) => {
            hop.reached = true;
            forget_at_close(&SockRef::from(&stream));
        }
        Err(Unopened::Remote(error)) if error.kind() == ErrorKind::ConnectionRefused => hop.reached = true,
        Err(Unopened::Remote(_)) => {
            hop.router = expired_at(&asked);
            hop.expired = true;
        }
        Err(_) => {}
    }
    hop
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::observation::probe::{Part, Place};

    fn clock() -> Timestamp {
        static TICKS: AtomicI64 = AtomicI64::new(0);
        Timestamp::from_nanos(TICKS.fetch_add(1_000_000, Ordering::Relaxed))
    }

    fn aim(address: SocketAddr, shape: Shape) -> Aim {
        Aim {
            about: "a.example".to_owned(),
            address,
            place: Place::Own,
            name: Some("a.example".to_owned()),
            part: Part::Target,
            shape,
            max_segment: None,
            ttl: None,
            hides_ends: false,
        }
    }

    fn carry_out(aim: Aim) -> HelloAttempt {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(attempt(aim, GoHello::default(), clock))
    }

    /// What is made of a server that takes the first bytes, answers with these and then closes, or resets.
    fn met(answer: &'static [u8], resets: bool, change: impl FnOnce(Aim) -> Aim) -> (HelloAttempt, Vec<u8>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut taken = vec![0; 4_096];
            // A reset by what is left unread would be another end than is meant.
            let mut count = 0;
            while count < 18 || taken[0] == 22 && !is_whole(&taken[..count]) {
                count += stream.read(&mut taken[count..]).unwrap();
            }
            stream.write_all(answer).unwrap();
            if resets {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
            taken.truncate(count);
            taken
        });
        let attempt = carry_out(change(aim(address, Shape::Go)));
        (attempt, server.join().unwrap())
    }

    /// Records hold a whole message.
    fn is_whole(bytes: &[u8]) -> bool {
        let (mut at, mut message) = (0, Vec::new());
        while at + 5 <= bytes.len() {
            let end = at + 5 + usize::from(u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]));
            message.extend(&bytes[at + 5..end.min(bytes.len())]);
            at = end;
        }
        message.len() >= 4 && message.len() - 4 >= usize::from(u16::from_be_bytes([message[2], message[3]]))
    }

    #[test]
    fn ends_are_told_apart() {
        let plain = |answer, resets| met(answer, resets, |aim| aim).0;
        let hello = plain(b"\x16\x03\x03\0\x7a\x02\0\0\x76", false);
        assert!(matches!(hello.ending, Ending::Answered { .. }), "{:?}", hello.ending);
        assert!(hello.passed() && hello.connected.is_some());
        #[cfg(target_os = "linux")]
        assert!(hello.all_acknowledged(), "{:?} of {}", hello.acknowledged, hello.bytes);
        let alert = plain(b"\x15\x03\x03\0\x02\x02\x28", false);
        assert!(matches!(alert.ending, Ending::Alert { description: 40, .. }), "{:?}", alert.ending);
        let warned = plain(b"\x15\x03\x03\0\x02\x01\x70\x16\x03\x03\0\x7a\x02\0\0\x76", false);
        assert!(matches!(warned.ending, Ending::Answered { .. }), "a warning is no answer: {:?}", warned.ending);
        let page = plain(b"HTTP/1.1 403 Forbidden\r\n\r\n", false);
        assert!(matches!(&page.ending, Ending::NotTls { head, .. } if head.starts_with(b"HTTP")), "{:?}", page.ending);
        assert!(matches!(plain(b"", false).ending, Ending::Closed { .. }));
        assert!(matches!(plain(b"", true).ending, Ending::Reset { .. }));
        assert!(matches!(plain(b"\x16\x03", false).ending, Ending::NotTls { .. }), "too little for a record");
    }

    #[test]
    fn an_address_at_which_nobody_listens_refuses() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let attempt = carry_out(aim(address, Shape::Go));
        assert!(matches!(attempt.ending, Ending::Refused { .. }), "{:?}", attempt.ending);
        assert!(attempt.failed() && attempt.connected.is_none());
    }

    #[test]
    fn what_is_sent_is_what_the_shape_says() {
        let sent = |shape| met(b"", false, |aim| Aim { shape, ..aim }).1;
        let go = sent(Shape::Go);
        // As long as go's for a name of nine letters.
        assert_eq!((go.len(), &go[..3]), (1_531, &[22, 3, 1][..]));
        let two = sent(Shape::TwoRecords);
        let first = 5 + usize::from(u16::from_be_bytes([two[3], two[4]]));
        assert_eq!(two.len(), go.len() + 5);
        assert!(two[..first].ends_with(b"a.ex") && two[first..].starts_with(&[22, 3, 1]), "cut within the name");
        assert_eq!(sent(Shape::TwoSegments).len(), go.len());
        assert_eq!(sent(Shape::Classic).len(), 279);
        assert!(sent(Shape::WithoutPostQuantum).len() < 400);
        assert_eq!(sent(Shape::NotTls), NOT_TLS);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn hidden_ends_do_not_end_the_connection() {
        for resets in [false, true] {
            let (attempt, _) = met(b"", resets, |aim| Aim { hides_ends: true, ..aim });
            assert!(matches!(attempt.ending, Ending::Silent { .. }), "{:?}", attempt.ending);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_way_of_one_hop_is_measured() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(hop(address, 1)), Hop { ttl: 1, expired: false, router: None, reached: true });
    }
}
