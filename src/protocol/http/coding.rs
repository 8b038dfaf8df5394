//! Content codings (RFC 9110 §8.4.1), undone at the beginning of bodies.

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::content::MAX_BODY_HEAD;
use crate::observation::Exchange;

/// Makes the body's first bytes those of the content, as far as they can be read. What is left coded is marked.
pub(crate) fn undo(exchange: &mut Exchange) {
    let Some(coding) = exchange.header("content-encoding").map(|coding| coding.trim().to_ascii_lowercase()) else {
        return;
    };
    let body = exchange.body_head.as_slice();
    let content = match coding.as_str() {
        _ if body.is_empty() => return,
        "" | "identity" => return,
        "gzip" | "x-gzip" => beginning(GzDecoder::new(body)),
        // With the zlib format around it, or, by old custom, without.
        "deflate" => Some(beginning(ZlibDecoder::new(body)).unwrap_or_default())
            .filter(|content| !content.is_empty())
            .or_else(|| beginning(DeflateDecoder::new(body))),
        _ => None,
    };
    match content {
        Some(content) => exchange.body_head = content,
        None => exchange.body_is_coded = true,
    }
}

/// What can be decoded, a head's length at most: a bomb gives no more, and what is cut off gives its beginning. `None` where
/// that is nothing.
fn beginning(mut decoder: impl Read) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut part = [0; 256];
    while content.len() < MAX_BODY_HEAD {
        match decoder.read(&mut part) {
            Ok(length) if length > 0 => content.extend_from_slice(part.get(..length)?),
            _ => break,
        }
    }
    content.truncate(MAX_BODY_HEAD);
    (!content.is_empty()).then_some(content)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;
    use crate::observation::HttpProtocol;
    use crate::protocol::http::h1::Setting;
    use crate::types::FlowId;

    const PAGE: &[u8] = b"<html><title>Access denied</title><p>This site is blocked.</p></html>";

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn undone(coding: &str, body: &[u8]) -> (Vec<u8>, bool) {
        let setting =
            Setting { flow: FlowId(0), server: "192.0.2.1:80".parse().unwrap(), secure: false, digest: false };
        let mut exchange = setting.exchange(HttpProtocol::Http1);
        exchange.headers.push(("content-encoding".to_owned(), coding.to_owned()));
        exchange.body_head = body.to_vec();
        undo(&mut exchange);
        (exchange.body_head, exchange.body_is_coded)
    }

    #[test]
    fn rfc_9110_8_4_1_gzip_and_deflate_are_undone() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(PAGE).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(PAGE).unwrap();
        for (coding, body) in [
            ("gzip", gzip(PAGE)),
            (" X-GZIP ", gzip(PAGE)),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
            ("identity", PAGE.to_vec()),
        ] {
            assert_eq!(undone(coding, &body), (PAGE.to_vec(), false), "{coding}");
        }
    }

    #[test]
    fn what_cannot_be_undone_stays_and_is_marked() {
        for (coding, body) in
            [("br", PAGE.to_vec()), ("gzip, gzip", gzip(PAGE)), ("gzip", PAGE.to_vec()), ("deflate", vec![0xff; 9])]
        {
            assert_eq!(undone(coding, &body), (body.clone(), true), "{coding}");
        }
        assert_eq!(undone("gzip", b""), (Vec::new(), false), "the answer to HEAD, or 304");
    }

    #[test]
    fn a_cut_stream_gives_its_beginning_and_a_bomb_no_more_than_a_head() {
        // Noise is stored as it is, so that half of the coded bytes are about half of the content.
        let noise: Vec<u8> =
            (0..4_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).take(1_500).collect();
        let coded = gzip(&noise);
        let (content, coded_still) = undone("gzip", &coded[..coded.len() / 2]);
        assert!(!coded_still && content.len() > 300 && noise.starts_with(&content), "{}", content.len());
        let bomb = gzip(&vec![b'a'; 10 << 20]);
        assert_eq!(undone("gzip", &bomb).0, vec![b'a'; MAX_BODY_HEAD]);
    }
}
