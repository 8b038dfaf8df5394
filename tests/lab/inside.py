"""Records what can become of TLS and its keys, named cases or all: openssl with itself, into tests/decryption/.

Each recording is a pcapng file with its secrets in it. The network is one namespace with nothing but its loopback.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

from lab import HERE, goroot

TARGET = HERE.parent / "decryption"
GO_VERSION = "1.27.3"
NAME = "inside.lab.example"
END = "127.0.0.1:443"
GET = "GET /list HTTP/1.0\r\n\r\n"
# The suites with CBC that openssl knows of those that goprobe knows.
CBC = [f"{kind}-{suite}" for kind in ("ECDHE-ECDSA", "ECDHE-RSA")
       for suite in ("AES128-SHA", "AES256-SHA", "AES128-SHA256", "AES256-SHA384")]
CBC += [f"{kind}{suite}" for kind in ("", "DHE-RSA-")
        for suite in ("AES128-SHA", "AES256-SHA", "AES128-SHA256", "AES256-SHA256")]
# No extended master secret (RFC 7627): s_server has no option for it.
WITHOUT_EXTENDED_MASTER_SECRET = """openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
Options = -ExtendedMasterSecret
"""


def answer(text):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nContent-Type: text/plain\r\n\r\n{text}"


def ask(path):
    return f"GET /{path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n"


class Inside:
    """The namespace, the certificates, and the programs of one recording; leaves nothing behind."""

    def __init__(self, folder):
        self.folder = folder
        self.ns = f"goprobe-{os.getpid()}-inside"
        self.keys = folder / "keys.log"
        self.children = []

    def __enter__(self):
        self.sh("ip", "netns", "add", self.ns)
        self.sh("ip", "-n", self.ns, "link", "set", "lo", "up")
        (self.folder / "list").write_text("v1.0.0\n")
        (self.folder / "plain.cnf").write_text(WITHOUT_EXTENDED_MASTER_SECRET)
        self.certificate("ca", "Inside Root", None, "ec")
        self.certificate("ecdsa", NAME, "ca", "ec")
        self.certificate("rsa", NAME, "ca", "rsa")
        self.certificate("client", "Inside Client", "ca", "ec")
        self.start(["tcpdump", "-U", "--immediate-mode", "-Z", "root", "-B", "65536", "-i", "lo", "-w", "raw.pcap"])
        time.sleep(0.5)
        return self

    def __exit__(self, *error):
        for child in self.children:
            if child.poll() is None:
                end(child)
        self.sh("ip", "netns", "del", self.ns)

    def sh(self, *words):
        subprocess.run(words, cwd=self.folder, check=True, capture_output=True)

    def certificate(self, name, common_name, issuer, kind):
        key = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        signed = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else []
        self.sh("openssl", "req", "-x509", *key, "-noenc", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "3650",
                "-subj", f"/CN={common_name}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1", *signed)

    def start(self, words, config=None, environment=None):
        environment = {**os.environ, "OPENSSL_CONF": str(self.folder / config)} if config else environment
        child = subprocess.Popen(["ip", "netns", "exec", self.ns, *words], cwd=self.folder, stdin=subprocess.PIPE, bufsize=0,
                                 stdout=open(self.folder / "out.log", "ab"), stderr=subprocess.STDOUT, env=environment)
        self.children.append(child)
        return child

    def server(self, *options, config=None, chain=("ecdsa", "rsa")):
        """A server that speaks until it is ended; `-WWW` makes it answer by itself."""
        certificates = ["-cert", f"{chain[0]}.pem", "-key", f"{chain[0]}.key", "-cert_chain", "ca.pem"]
        if len(chain) > 1:
            certificates += ["-dcert", f"{chain[1]}.pem", "-dkey", f"{chain[1]}.key", "-dcert_chain", "ca.pem"]
        child = self.start(["openssl", "s_server", "-accept", END, *certificates, "-CAfile", "ca.pem",
                            "-keylogfile", "keys.log", *options], config)
        time.sleep(0.4)
        return child

    def client(self, *options, say=(GET,), config=None, pause=0.3):
        """A client that says one thing after the other, and leaves. What is a function is called instead."""
        child = self.start(["openssl", "s_client", "-connect", END, "-servername", NAME, "-CAfile", "ca.pem",
                            *options], config)
        time.sleep(pause)
        for words in say:
            if callable(words):
                words()
            else:
                tell(child, words)
            time.sleep(pause)
        end(child)
        time.sleep(0.1)


def tell(child, words):
    """Text, as it would be typed: a line that begins with K, k, R or c is a command."""
    try:
        child.stdin.write(words.encode())
    except BrokenPipeError:
        pass  # it was refused, which may be the point


def end(child):
    """Lets it end by itself, now that nothing more will be typed; else ends it."""
    child.stdin.close()
    try:
        child.wait(0.5)
    except subprocess.TimeoutExpired:
        child.terminate()
        child.wait(5)


def cbc(inside, *options, config=None):
    server = inside.server("-WWW", "-tls1_2", "-cipher", "ALL:@SECLEVEL=0", *options, config=config)
    for suite in CBC:
        inside.client("-tls1_2", "-cipher", suite, config=config)
    end(server)


def tls12_cbc(inside):
    """All CBC suites, encrypt-then-MAC and the extended master secret."""
    cbc(inside)


def tls12_cbc_mac_then_encrypt(inside):
    """All CBC suites, neither encrypt-then-MAC nor the extended master secret."""
    cbc(inside, "-no_etm", config="plain.cnf")


def tls12_resumption(inside):
    """A session, and the same again by ticket; then both by session id; each with GCM and with CBC."""
    for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"):
        for options in ([], ["-no_ticket"]):
            server = inside.server("-WWW", "-tls1_2", *options)
            inside.client("-tls1_2", "-cipher", suite, "-sess_out", "session", *options)
            inside.client("-tls1_2", "-cipher", suite, "-sess_in", "session", *options)
            end(server)


def tls13_early_data(inside):
    """A session; resumed; resumed with early data; the same session again, whose early data are refused."""
    server = inside.server("-tls1_3", "-early_data", "-num_tickets", "1")
    (inside.folder / "early").write_text(ask("early"), newline="")
    options = ["-tls1_3", "-sess_out"]
    inside.client(*options, "first", say=[ask("full"), lambda: tell(server, answer("full")), ""])
    inside.client(*options, "second", "-sess_in", "first", say=[ask("resumed"), lambda: tell(server, answer("resumed")), ""])
    early = ["-sess_in", "second", "-early_data", "early"]
    inside.client(*options, "third", *early, say=[lambda: tell(server, answer("early")), ask("late"),
                                                  lambda: tell(server, answer("late")), ""])
    inside.client(*options, "fourth", *early, say=[ask("again"), lambda: tell(server, answer("again")), ""])
    end(server)


def tls13_key_update(inside):
    """Both sides change their keys, now the one and now the other, with and without asking for it."""
    server = inside.server("-tls1_3")

    def say(*words):
        return [lambda word=word: (tell(server, word), time.sleep(0.2)) for word in words]

    inside.client("-tls1_3", say=[ask("one"), *say(answer("one") + "\n"), "k\n",
                                  ask("two"), *say(answer("two") + "\n", "k\n"),
                                  ask("three"), *say(answer("three") + "\n"), "K\n", *say("K\n"),
                                  ask("four"), *say(answer("four") + "\n")])
    end(server)


def client_certificates(inside):
    """TLS 1.2 and 1.3 with a client's certificate, and without one though it is required."""
    for version in ("-tls1_2", "-tls1_3"):
        server = inside.server("-WWW", version, "-Verify", "2", "-verify_return_error")
        inside.client(version, "-cert", "client.pem", "-key", "client.key", "-cert_chain", "ca.pem")
        inside.client(version)
        end(server)


def post_handshake_authentication(inside):
    """The server asks for the client's certificate after a request (RFC 8446 §4.6.2)."""
    server = inside.server("-tls1_3", "-verify", "2")
    inside.client("-tls1_3", "-enable_pha", "-cert", "client.pem", "-key", "client.key",
                  say=[ask("one"), lambda: tell(server, "c\n"), lambda: tell(server, answer("one")), ask("two"),
                       lambda: tell(server, answer("two")), ""])
    end(server)


def tls12_renegotiation(inside):
    """Renegotiation by the client, by the server, and refused by the client; GCM, then CBC."""
    for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA"):
        server = inside.server("-tls1_2", "-client_renegotiation")
        both = ["-tls1_2", "-cipher", suite]
        inside.client(*both, say=[ask("one"), lambda: tell(server, answer("one") + "\n"), "R\n", ask("two"),
                                  lambda: tell(server, answer("two") + "\n"), lambda: tell(server, "r\n"), ask("three"),
                                  lambda: tell(server, answer("three") + "\n")])
        inside.client(*both, "-no_renegotiation", say=[ask("four"), lambda: tell(server, "r\n"), ""])
        end(server)


def go_refuses_renegotiation(inside):
    """go is asked to renegotiate while it waits for an answer, as servers do that want a certificate for one path only."""
    server = inside.server("-tls1_2")
    environment = {"GOPROXY": "https://127.0.0.1", "GOSUMDB": "off", "GOFLAGS": "-modcacherw", "GOENV": "off",
                   "GOTOOLCHAIN": "local", "GOTELEMETRY": "off", "HOME": str(inside.folder), "PATH": "/usr/bin:/bin",
                   "SSL_CERT_FILE": str(inside.folder / "ca.pem")}
    go = inside.start([str(goroot(GO_VERSION) / "bin" / "go"), "list", "-m", "-versions", "lab.example/module"],
                      environment=environment)
    time.sleep(1)
    tell(server, "r\n")
    time.sleep(1)
    end(server)
    end(go)


def tls13_retry(inside):
    """The server asks for another key share (HelloRetryRequest)."""
    server = inside.server("-WWW", "-tls1_3", "-groups", "X25519")
    inside.client("-tls1_3", "-groups", "P-521:X25519")
    end(server)


def tls13_padding(inside):
    """Padded records, and short ones."""
    (inside.folder / "list").write_text("v1.0.0\n" * 300)
    for options in (["-record_padding", "512"], ["-max_send_frag", "512"]):
        server = inside.server("-WWW", "-tls1_3", *options)
        inside.client("-tls1_3", *options, pause=0.5)
        end(server)


CASES = [tls12_cbc, tls12_cbc_mac_then_encrypt, tls12_resumption, tls12_renegotiation, go_refuses_renegotiation,
         tls13_early_data, tls13_key_update, tls13_padding, tls13_retry, client_certificates,
         post_handshake_authentication]


def record(case):
    with tempfile.TemporaryDirectory(prefix="goprobe-inside-") as temporary:
        folder = pathlib.Path(temporary)
        with Inside(folder) as inside:
            case(inside)
            time.sleep(0.3)
        target = TARGET / (case.__name__.replace("_", "-") + ".pcapng")
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["editcap", "--inject-secrets", f"tls,{folder / 'keys.log'}", folder / "raw.pcap", target],
                       check=True, capture_output=True)
        print(f"{target.name}: {target.stat().st_size} bytes", flush=True)


def main():
    known = {case.__name__.replace("_", "-"): case for case in CASES}
    unknown = [name for name in sys.argv[1:] if name not in known]
    if unknown or os.getuid() != 0:
        sys.exit(f"needs root, and knows: {' '.join(known)}")
    for name in sys.argv[1:] or known:
        record(known[name])


if __name__ == "__main__":
    main()
