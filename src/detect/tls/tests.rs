//! Every TLS code beside its nearest innocent look-alike, written packet by packet.

mod answered;
mod residual;
mod silent;
mod tunnel;

use crate::observation::RecordType;
use crate::testing::{RTT_MS, Scene, Tcp, hello_record, record, small_hello_record};

const HOST: &str = "proxy.golang.org";
const SERVER: &str = "142.250.74.113:443";
const FIN: u16 = 1;
const RST: u16 = 4;
const PSH: u16 = 8;
const ACK: u16 = 16;

/// go has asked for the proxy's address.
fn scene() -> Scene {
    let mut scene = Scene::new();
    let question = scene.ask(HOST, RecordType::A);
    scene.answer(&question, &["142.250.74.113"]);
    scene
}

/// An open connection that has sent go's hello.
fn greeted(scene: &mut Scene) -> Tcp {
    let mut tcp = scene.connect(SERVER);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, HOST);
    tcp
}

/// The hello once more, as it was.
fn repeat_hello(scene: &mut Scene, tcp: &Tcp, name: &str) {
    let hello = hello_record(name);
    let start = tcp.client_seq.wrapping_sub(u32::try_from(hello.len()).unwrap());
    scene.tcp(tcp, true, 64, PSH | ACK, start, tcp.server_seq, &hello[..1_448], true);
}

/// Another name at the same address works.
fn other_name_works(scene: &mut Scene, name: &str) {
    let mut tcp = scene.connect(SERVER);
    scene.tls13_session(&mut tcp, name);
}

/// A TLS alert record.
fn alert(level: u8, description: u8) -> Vec<u8> {
    record(21, &[level, description])
}

/// The server's bare acknowledgement of all that it has.
fn acknowledge(scene: &mut Scene, tcp: &mut Tcp) {
    scene.server_sends(tcp, ACK, &[]);
}

fn small_greeted(scene: &mut Scene) -> Tcp {
    let mut tcp = scene.connect(SERVER);
    scene.open(&mut tcp);
    scene.send_in_segments(&mut tcp, &small_hello_record(HOST));
    tcp
}
