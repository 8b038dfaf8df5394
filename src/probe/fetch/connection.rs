//! HTTP/1.1 on one connection (RFC 9112): a request, its answer, and whether another one can follow.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Unfetched;
use crate::observation::probe::Failure;
use crate::probe::tls::failure;

/// Bytes of an answer's head.
const MOST_HEAD: usize = 16 << 10;
/// Fields of an answer's head.
const MOST_FIELDS: usize = 64;

/// What bytes go to and come from.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection on which one request follows the other.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// Bytes that came and were not looked at yet.
    read: Vec<u8>,
    /// Whether an answer came on it before.
    used: bool,
}

/// The head of an answer, as far as it matters.
#[derive(Default)]
struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
    close: bool,
    html: bool,
    encoded: bool,
    location: String,
}

/// What came, and whether the connection can be used again.
pub(super) type Exchanged = (Result<Vec<u8>, Unfetched>, bool);

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, read: Vec::new(), used: false }
    }

    pub(super) const fn used(&self) -> bool {
        self.used
    }

    /// Sends a request and reads what is answered, a body of so many bytes at most.
    pub(super) async fn exchange(&mut self, request: &str, limit: usize) -> Result<Exchanged, Unfetched> {
        let failed = |error| Unfetched::Failed(failure(&error));
        self.stream.write_all(request.as_bytes()).await.map_err(failed)?;
        self.stream.flush().await.map_err(failed)?;
        let head = loop {
            let head = self.head().await?;
            // Interim answers (RFC 9110 §15.2).
            if !(100..200).contains(&head.status) {
                break head;
            }
        };
        match head.status {
            200 => {}
            status @ (404 | 410) => return Ok(self.refused(Unfetched::NotThere(status), &head, limit).await),
            status @ 300..=399 => return Ok((Err(Unfetched::Redirected(status, head.location)), false)),
            status => return Ok(self.refused(Unfetched::Status(status), &head, limit).await),
        }
        if head.encoded {
            return Ok((Err(Unfetched::Malformed("encoded, though nobody asked for that")), false));
        }
        let body = self.body(&head, limit).await?;
        self.used = true;
        Ok((if head.html || is_page(&body) { Err(Unfetched::Page) } else { Ok(body) }, !head.close))
    }

    /// An answer whose body says nothing, and is read so that the connection can be kept.
    async fn refused(&mut self, why: Unfetched, head: &Head, limit: usize) -> Exchanged {
        let read = self.body(head, limit).await.is_ok();
        self.used = true;
        (Err(why), read && !head.close)
    }

    async fn head(&mut self) -> Result<Head, Unfetched> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
            let mut response = httparse::Response::new(&mut fields);
            match response.parse(&self.read) {
                Ok(httparse::Status::Complete(length)) => {
                    let head = Head::of(&response)?;
                    self.read.drain(..length);
                    return Ok(head);
                }
                Ok(httparse::Status::Partial) if self.read.len() < MOST_HEAD => self.more().await?,
                Ok(httparse::Status::Partial) => return Err(Unfetched::Malformed("a head without an end")),
                Err(_) => return Err(Unfetched::Malformed("not HTTP")),
            }
        }
    }

    async fn body(&mut self, head: &Head, limit: usize) -> Result<Vec<u8>, Unfetched> {
        match (head.chunked, head.length) {
            _ if matches!(head.status, 204 | 304) => Ok(Vec::new()),
            (true, _) => self.chunks(limit).await,
            (false, Some(length)) if length > limit => Err(Unfetched::Long),
            (false, Some(length)) => self.exactly(length).await,
            (false, None) => loop {
                match self.more().await {
                    Ok(()) if self.read.len() > limit => return Err(Unfetched::Long),
                    Ok(()) => {}
                    Err(Unfetched::Failed(Failure::Closed)) => return Ok(std::mem::take(&mut self.read)),
                    Err(why) => return Err(why),
                }
            },
        }
    }

    /// RFC 9112 §7.1.
    async fn chunks(&mut self, limit: usize) -> Result<Vec<u8>, Unfetched> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| Unfetched::Malformed("a chunk without its size"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            if size > limit.saturating_sub(body.len()) {
                return Err(Unfetched::Long);
            }
            body.extend(self.exactly(size).await?);
            if !self.line().await?.is_empty() {
                return Err(Unfetched::Malformed("a chunk without its end"));
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Unfetched> {
        while self.read.len() < length {
            self.more().await?;
        }
        let rest = self.read.split_off(length);
        Ok(std::mem::replace(&mut self.read, rest))
    }

    async fn line(&mut self) -> Result<String, Unfetched> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.read) {
                let line: Vec<u8> = self.read.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.read.len() >= MOST_HEAD {
                return Err(Unfetched::Malformed("a line without an end"));
            }
            self.more().await?;
        }
    }

    /// Waits for bytes; that there are no more is a failure.
    async fn more(&mut self) -> Result<(), Unfetched> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) => Err(Unfetched::Failed(Failure::Closed)),
            Ok(_) => Ok(()),
            // Many servers leave without the farewell of TLS; what a length tells is not cut.
            Err(error) => Err(Unfetched::Failed(failure(&error))),
        }
    }
}

impl Head {
    fn of(response: &httparse::Response<'_, '_>) -> Result<Self, Unfetched> {
        let mut head =
            Self { status: response.code.unwrap_or(0), close: response.version != Some(1), ..Self::default() };
        for field in response.headers.iter() {
            let value = String::from_utf8_lossy(field.value);
            let value = value.trim();
            match field.name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    let length = value.parse().map_err(|_| Unfetched::Malformed("a length that is no number"))?;
                    if head.length.is_some_and(|known| known != length) {
                        return Err(Unfetched::Malformed("two lengths"));
                    }
                    head.length = Some(length);
                }
                "transfer-encoding" => {
                    if !value.eq_ignore_ascii_case("chunked") {
                        return Err(Unfetched::Malformed("an unknown transfer encoding"));
                    }
                    head.chunked = true;
                }
                "connection" => head.close |= value.to_ascii_lowercase().contains("close"),
                "content-type" => head.html = value.to_ascii_lowercase().starts_with("text/html"),
                "content-encoding" => head.encoded = !value.eq_ignore_ascii_case("identity"),
                "location" => value.clone_into(&mut head.location),
                _ => {}
            }
        }
        head.close |= !head.chunked && head.length.is_none();
        Ok(head)
    }
}

/// Whether it is a page, whatever its kind is said to be.
fn is_page(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let start = start.get(..start.len().min(9)).unwrap_or_default().to_ascii_lowercase();
    start.starts_with(b"<!doctype") || start.starts_with(b"<html")
}
