"""Runs `goprobe probe` in the lab, with real root, TLD and authoritative servers and honest resolvers over UDP, TCP, TLS and
HTTPS: see tests/lab/README.md. What it says must be what the case says, and what it sends is looked at."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import tomllib

import record
import world
from lab import HERE, WORK, Lab, end, sh, until

GOPROBE = pathlib.Path(os.environ.get("GOPROBE") or HERE.parents[1] / "target" / "debug" / "goprobe")
CASES = {name: case for file in ("probe.toml", "shape.toml") for name, case in tomllib.loads((HERE / file).read_text()).items()}
ROOTS = ["198.41.0.4", "170.247.170.2", "192.33.4.12"]
TLD, ZONE = "199.19.56.1", "216.239.32.10"
TRUSTED = {"1.1.1.1": ["one.one.one.one", "cloudflare-dns.com"], "8.8.8.8": ["dns.google"]}
CONTROL = "93.184.215.14"


def names(case):
    """What honest servers say: the lab's sites, and the control name."""
    return world.answers() | case.get("names", {})


def records(owned):
    return "".join(
        f"{name}. 300 IN {'AAAA' if ':' in address else 'A'} {address}\n" for name, addresses in owned.items() for address in addresses
    )


class Internet(Lab):
    """The lab's network, with a name system of its own."""

    def addresses(self):
        super().addresses()
        for address in [*ROOTS, TLD, ZONE, "1.1.1.1", *self.case.get("more_addresses", [])]:
            self.run("net", "ip", "address", "add", f"{address}/32", "dev", "lo")

    def services(self):
        super().services()
        for rule in self.case.get("net_nft", []):
            self.run("net", "nft", *rule.split())
        if self.case.get("unroute"):
            self.run("client", "ip", "route", "del", "default")

    def dnsmasq(self):
        super().dnsmasq()
        self.zones()
        self.resolvers()

    def zones(self):
        """Three servers with a zone cut between them; what has no TLD of its own in the real world has one here."""
        known = names(self.case)
        tops = sorted({name.rsplit(".", 1)[1] for name in known})
        zones = sorted({".".join(name.split(".")[-2:]) for name in known})
        soa = "@ 300 IN SOA ns. admin. 1 3600 900 86400 300\n"
        root = soa + "@ 300 IN NS a.root-servers.net.\n" + "".join(
            f"{top}. 300 IN NS ns.{top}.\nns.{top}. 300 IN A {TLD}\n" for top in tops)
        self.nsd("root", ROOTS, {".": root})
        self.nsd("tld", [TLD], {
            top: soa + f"@ 300 IN NS ns.{top}.\nns.{top}. 300 IN A {TLD}\n" + "".join(
                f"{zone}. 300 IN NS ns.{zone}.\nns.{zone}. 300 IN A {ZONE}\n" for zone in zones if zone.endswith(f".{top}"))
            for top in tops})
        self.nsd("zone", [ZONE], {
            zone: soa + f"@ 300 IN NS ns.{zone}.\nns.{zone}. 300 IN A {ZONE}\n" + records(
                {name: addresses for name, addresses in known.items() if ".".join(name.split(".")[-2:]) == zone})
            for zone in zones})

    def nsd(self, name, addresses, zones):
        folder = self.folder / f"nsd-{name}"
        folder.mkdir()
        lines = ["server:", *(f" ip-address: {address}" for address in addresses), ' username: ""', ' database: ""',
                 f' pidfile: "{folder}/pid"', f' zonesdir: "{folder}"', f' xfrdfile: "{folder}/xfrd"', f' xfrdir: "{folder}"',
                 f' zonelistfile: "{folder}/list"', " server-count: 1", " verbosity: 1", " do-ip6: no",
                 "remote-control:", " control-enable: no"]
        for number, (zone, text) in enumerate(zones.items()):
            origin = zone if zone == "." else f"{zone}."
            (folder / f"zone{number}").write_text(f"$ORIGIN {origin}\n{text}")
            lines += ["zone:", f' name: "{zone}"', f' zonefile: "zone{number}"']
        (folder / "nsd.conf").write_text("\n".join(lines) + "\n")
        log = open(folder / "log", "w+")
        self.exit.callback(log.close)
        child = subprocess.Popen(["ip", "netns", "exec", self.ns["net"], "nsd", "-d", "-c", folder / "nsd.conf"],
                                 stdout=log, stderr=subprocess.STDOUT)
        self.exit.callback(end, child)
        if not until(lambda: "nsd started" in (folder / "log").read_text() or child.poll() is not None, 10) or child.poll() is not None:
            raise RuntimeError(f"nsd {name} is not ready: {(folder / 'log').read_text()}")

    def resolvers(self):
        """Resolvers that nobody filters, with an authority that goprobe is told to trust."""
        folder = self.folder / "trusted"
        folder.mkdir()
        sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
           "-subj", "/O=Lab/CN=Lab resolvers' root", "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
           "-addext", "keyUsage=critical,keyCertSign")
        for address, hosts in TRUSTED.items():
            own = folder / address
            own.mkdir()
            (own / "ext").write_text("subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts) + "\nextendedKeyUsage=serverAuth\n")
            sh("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={hosts[0]}",
               "-keyout", own / "key", "-out", own / "csr")
            sh("openssl", "x509", "-req", "-in", own / "csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-days", "30",
               "-CAcreateserial", "-extfile", own / "ext", "-out", own / "pem")
            data = "".join(f' local-data: "{line}"\n' for line in records(names(self.case)).splitlines())
            (own / "conf").write_text(f"""server:
 interface: {address}@53
 interface: {address}@853
 interface: {address}@443
 tls-port: 853
 https-port: 443
 tls-service-key: "{own}/key"
 tls-service-pem: "{own}/pem"
 access-control: 0.0.0.0/0 allow
 do-ip6: no
 do-daemonize: no
 use-syslog: no
 logfile: ""
 verbosity: 1
 username: ""
 chroot: ""
 directory: "{own}"
 pidfile: ""
 module-config: "iterator"
 local-zone: "." static
{data}remote-control:
 control-enable: no
""")
            log = open(own / "log", "w+")
            self.exit.callback(log.close)
            child = subprocess.Popen(["ip", "netns", "exec", self.ns["net"], "unbound", "-d", "-c", own / "conf"],
                                     stdout=log, stderr=subprocess.STDOUT)
            self.exit.callback(end, child)
            if not until(lambda: "start of service" in (own / "log").read_text() or child.poll() is not None, 10):
                raise RuntimeError(f"unbound {address} is not ready: {(own / 'log').read_text()}")


def strangers(capture):
    """Whom the client sent something to, beside its own network: (address, port, protocol) by tshark."""
    text = sh("tshark", "-r", capture, "-Y", f"ip.src=={world.CLIENT}", "-T", "fields", "-e", "ip.dst", "-e", "udp.dstport",
              "-e", "tcp.dstport", "-e", "dns.qry.name")
    return [line.split("\t") for line in text.splitlines()]


def probe(name, case):
    with tempfile.TemporaryDirectory(prefix="goprobe-probe-") as temporary:
        folder = pathlib.Path(temporary)
        # The far resolver of the other cases is one of the honest ones here.
        far, world.FAR_RESOLVER = world.FAR_RESOLVER, "192.168.1.2"
        known, inside = world.answers, world.answers() | {"example.com": [CONTROL]}
        world.answers = lambda: inside
        try:
            with Internet({**case, "more_addresses": ["8.8.8.8", *case.get("more_addresses", [])]}, folder) as lab:
                return ask(name, case, lab, folder)
        finally:
            world.FAR_RESOLVER, world.answers = far, known


def ask(name, case, lab, folder):
    inside = ["ip", "netns", "exec", lab.ns["client"]]
    capture = folder / "sent.pcap"
    dump = subprocess.Popen([*inside, "tcpdump", "-i", "c0", "--immediate-mode", "-U", "-w", capture, "ip"], stderr=subprocess.PIPE, text=True)
    until(lambda: capture.exists() and capture.stat().st_size >= 24, 5)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "GOENV": "off", **case.get("env", {})}
    saved, told = folder / "reference.json", folder / "report.json"
    facts = ["--format", "json", "-o", told, "--ca", folder / "root.pem", "--ca", folder / "trusted" / "ca.pem", "-v", *case.get("options", [])]
    project = folder / "project"
    project.mkdir()
    if "capture" in case:
        (project / "go.mod").write_text("module lab.example/project\n\ngo 1.21\n")
        for part in ("home", "gopath", "gocache", "modcache"):
            (folder / part).mkdir()
        environment = record.go_environment({**case, "go": record.GO_VERSION}, folder)
        words = ["capture", *facts, "--discard", "--fail-on", "medium", "--", *case["capture"].split()]
    elif "analyze" in case:
        words = ["analyze", HERE.parents[1] / case["analyze"], "--probe", *facts]
    else:
        words = ["probe", *case["targets"], "--save", saved, *facts]
    began = time.monotonic()
    done = subprocess.run(list(map(str, [*inside, GOPROBE, *words])), env=environment, cwd=project, text=True,
                          capture_output=True, timeout=150)
    took = time.monotonic() - began
    time.sleep(0.2)
    end(dump)
    wrong = []
    try:
        report = json.loads(told.read_text())
    except (ValueError, OSError):
        print(f"{name}: no report: {done.stdout}{done.stderr}", flush=True)
        return False
    verdict = report["verdict"]
    found = {finding["code"]: finding for finding in report["findings"]}
    if verdict["outcome"] != case["outcome"]:
        wrong.append(f"outcome {verdict['outcome']}, not {case['outcome']}: {verdict['summary']}")
    wrong += [f"{code} is missing" for code in case.get("expect", []) if code not in found]
    for code, finding in found.items():
        if code not in case.get("expect", []) and finding["severity"] not in ("low", "info"):
            wrong.append(f"{code} was not expected: {finding['summary']}")
        probes = [item["probe"] is not None for item in finding["evidence"]]
        if not ("targets" in case and (all(probes) or any(probes) and code == "proxy.bypassed") or "targets" not in case and (any(probes) or code not in case["expect"])):
            wrong.append(f"{code} cites {'something else than' if 'targets' in case else 'no'} probes")
    for code, confidence in case.get("confidence", {}).items():
        if code in found and found[code]["confidence"] != confidence:
            wrong.append(f"{code} is {found[code]['confidence']}, not {confidence}")
    sent = strangers(capture)
    own = {world.GATEWAY, world.CLIENT, *case.get("nameservers", [])}
    for word in case.get("unasked", []):
        if any(word == address for address, *_ in sent):
            wrong.append(f"{word} was spoken to")
    for secret in case.get("secret", []):
        for address, *_, asked in sent:
            if asked and secret in asked.split(",") and address not in own:
                wrong.append(f"{address} was asked for {secret}")
    if case.get("nobody"):
        # Nobody is spoken to but the configured resolvers and those hosts.
        allowed = own | set(case["nobody"])
        others = sorted({address for address, *_ in sent if address and address not in allowed})
        if others:
            wrong.append(f"packets went to {others}")
    for code, text in case.get("place", {}).items():
        if code in found and found[code]["details"].get("place") != text:
            wrong.append(f"{code} is placed {found[code]['details'].get('place')}, not {text}")
    if len(sent) > 1_500 or took > 61:
        wrong.append(f"{len(sent)} packets, {took:.0f} s")
    for word in case.get("says", []):
        if word not in done.stderr:
            wrong.append(f"it does not say {word!r}: {done.stderr}")
    honest = json.loads(saved.read_text())["names"] if saved.exists() else {}
    for host, addresses in case.get("saved", {}).items():
        got = honest.get(host, {})
        if sorted(got.get("A", []) + got.get("AAAA", [])) != sorted(addresses):
            wrong.append(f"saved for {host}: {got}")
    status = 1 if any(f["severity"] not in ("low", "info") for f in report["findings"]) else 3 if verdict["outcome"] in ("inconclusive", "no_traffic") else 0
    if done.returncode != status:
        wrong.append(f"it ended with {done.returncode}, not {status}")
    print(f"{name}: {verdict['outcome']} {verdict['cause'] or ''}, {len(sent)} packets sent, {took:.1f} s"
          + "".join(f"\n    {what}" for what in wrong), flush=True)
    if os.environ.get("SHOW"):
        print(json.dumps(report["findings"], indent=1), done.stderr, json.dumps(honest))
    return not wrong


def main():
    wanted = sys.argv[1:] or list(CASES)
    if unknown := [name for name in wanted if name not in CASES]:
        sys.exit(f"no such case: {', '.join(unknown)}\nknown: {' '.join(CASES)}")
    record.build_server()
    failed = []
    for name in wanted:
        try:
            held = probe(name, CASES[name])
        except (RuntimeError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            held = False
            print(f"{name}: FAILED: {error!r} {getattr(error, 'stderr', '') or ''}", flush=True)
        if not held:
            failed.append(name)
    print(f"{len(wanted) - len(failed)} of {len(wanted)} cases are told as they are")
    if failed:
        sys.exit(f"otherwise: {' '.join(failed)}")


if __name__ == "__main__":
    main()
