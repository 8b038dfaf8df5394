//! Hellos written byte by byte, for tests.

use super::hello::{SUITES, client_hello};
use crate::observation::ClientHello;
use crate::types::{FrameNo, Moment, Timestamp};

pub(crate) const AT: Moment = Moment { time: Timestamp::from_nanos(1), frame: FrameNo { file: 0, number: 1 } };

pub(super) fn vector16(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

pub(super) fn extension_bytes(kind: u16, content: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().as_slice(), &vector16(content)].concat()
}

fn list(values: &[u16]) -> Vec<u8> {
    vector16(&values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>())
}

/// A hello like that of go 1.27 for `name`, as a message body.
pub(crate) fn go_hello(name: &str, signature_algorithms: &[u16], post_quantum: bool) -> Vec<u8> {
    let server_name = [&[0][..], &vector16(name.as_bytes())].concat();
    let classic = [&29_u16.to_be_bytes()[..], &vector16(&[8; 32])].concat();
    let share = [&0x11ec_u16.to_be_bytes()[..], &vector16(&[7; 1216]), &classic].concat();
    let share = if post_quantum { share } else { classic };
    let groups: &[u16] = if post_quantum { &[0x11ec, 0x11eb, 29] } else { &[29] };
    let extensions = [
        extension_bytes(0, &vector16(&server_name)),
        extension_bytes(11, &[1, 0]),
        extension_bytes(65281, &[0]),
        extension_bytes(23, &[]),
        extension_bytes(18, &[]),
        extension_bytes(5, &[1, 0, 0, 0, 0]),
        extension_bytes(10, &list(groups)),
        extension_bytes(13, &list(signature_algorithms)),
        extension_bytes(50, &list(signature_algorithms)),
        extension_bytes(16, &vector16(b"\x02h2\x08http/1.1")),
        extension_bytes(43, &[4, 3, 4, 3, 3]),
        extension_bytes(51, &vector16(&share)),
    ]
    .concat();
    let suites = [SUITES, &[0x1301, 0x1302, 0x1303]].concat();
    [&[3, 3][..], &[9; 32], &[32], &[1; 32], &list(&suites), &[1, 0], &vector16(&extensions)].concat()
}

/// What is read of a whole hello, a message body, and the name in it.
#[cfg_attr(not(feature = "probe"), expect(dead_code, reason = "who writes hellos reads them back"))]
pub(crate) fn read_hello(body: &[u8]) -> (ClientHello, Option<String>) {
    let parsed = client_hello(body, AT, AT).unwrap();
    assert!(parsed.whole);
    (ClientHello { complete: true, ..parsed.hello }, parsed.server_name)
}
