"""The closed network: three namespaces in a row, the services in the last one, and the programs that run in them."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import world

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE.parents[1] / "target" / "lab"
# Beside it: worktrees may share the toolchains, but not what is built of their own sources.
SERVER = WORK.parent / "lab-server"


def goroot(version):
    return WORK / f"go-{version}" / "go"


def sh(*words, **more):
    return subprocess.run([str(w) for w in words], check=True, text=True, capture_output=True, **more).stdout


def until(condition, seconds):
    """Polls until the condition holds; says whether it did before the time was over."""
    end = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return held


class Lab:
    """One case's network; a context manager that leaves nothing behind."""

    def __init__(self, case, folder):
        self.case = case
        self.folder = folder
        self.ns = {role: f"goprobe-{os.getpid()}-{role}" for role in ("client", "path", "net")}
        self.exit = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.exit = stack
            self.namespaces()
            self.addresses()
            self.check_closed()
            for rule in self.case.get("client_nft", []):
                self.run("client", "nft", *rule.split())
            self.services()
            self.path = self.start("path", [sys.executable, HERE / "path.py"], "ready", first_line=json.dumps({
                "client_side": "p0", "server_side": "p1", "ways": world.WAYS, "rules": self.case.get("path", []),
            }))
            self.exit = stack.pop_all()
        return self

    def __exit__(self, *error):
        self.exit.close()

    def namespaces(self):
        for role, name in self.ns.items():
            sh("ip", "netns", "add", name)
            self.exit.callback(sh, "ip", "netns", "del", name)
            servers = self.case.get("nameservers", [world.GATEWAY]) if role == "client" else [world.GATEWAY]
            lines = [f"nameserver {server}" for server in servers]
            lines += self.case.get("resolv_conf", []) if role == "client" else []
            etc = pathlib.Path("/etc/netns") / name
            etc.mkdir(parents=True)
            self.exit.callback(sh, "rm", "-r", etc)
            (etc / "resolv.conf").write_text("\n".join(lines) + "\n")
            hosts = ["127.0.0.1 localhost", *(self.case.get("hosts", []) if role == "client" else [])]
            (etc / "hosts").write_text("\n".join(hosts) + "\n")

    def addresses(self):
        six = self.case.get("ipv6", False)
        for role in self.ns:
            sixless = role == "path" or not six
            self.run(role, "sysctl", "-qw", f"net.ipv6.conf.all.disable_ipv6={int(sixless)}")
            self.run(role, "sysctl", "-qw", f"net.ipv6.conf.default.disable_ipv6={int(sixless)}")
            self.run(role, "ip", "link", "set", "lo", "up")
        for near, role, far, mac in (("c0", "client", "p0", "02:00:00:00:01:23"), ("n0", "net", "p1", "02:00:00:00:01:01")):
            sh("ip", "link", "add", near, "address", mac, "netns", self.ns[role],
               "type", "veth", "peer", "name", far, "netns", self.ns["path"])
            for where, link in ((role, near), ("path", far)):
                # Checksums and segments must be those of a wire.
                self.run(where, "ethtool", "-K", link, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off")
                self.run(where, "ip", "link", "set", link, "up")
        self.run("client", "ip", "address", "add", f"{world.CLIENT}/24", "dev", "c0")
        self.run("client", "ip", "route", "add", "default", "via", world.GATEWAY)
        self.run("net", "ip", "address", "add", f"{world.GATEWAY}/24", "dev", "n0")
        public = [address for site in world.SITES.values() for address in site["addresses"]]
        for address in [*public, world.PROXY_ADDRESS, world.FAR_RESOLVER]:
            if ":" not in address:
                self.run("net", "ip", "address", "add", f"{address}/32", "dev", "lo")
            elif six:
                self.run("net", "ip", "address", "add", f"{address}/128", "dev", "lo", "nodad")
        if six:
            self.run("client", "ip", "address", "add", f"{world.CLIENT6}/64", "dev", "c0", "nodad")
            self.run("client", "ip", "route", "add", "default", "via", world.GATEWAY6)
            self.run("net", "ip", "address", "add", f"{world.GATEWAY6}/64", "dev", "n0", "nodad")

    def check_closed(self):
        """Nothing but the lab's own links, and no way from the services to anywhere else."""
        expected = {"client": {"lo", "c0"}, "path": {"lo", "p0", "p1"}, "net": {"lo", "n0"}}
        for role, links in expected.items():
            found = {link["ifname"] for link in json.loads(self.run(role, "ip", "-json", "link"))}
            if found - {"sit0", "tunl0", "ip6tnl0"} != links:
                raise RuntimeError(f"{role} has the links {sorted(found)}")
        if self.run("net", "ip", "route", "show", "default") or self.run("path", "ip", "route"):
            raise RuntimeError("the lab has a route out")

    def services(self):
        sites = world.sites(self.case.get("sites", {}))
        listen = []
        for site in sites.values():
            used = [a for a in site["addresses"] if self.case.get("ipv6") or ":" not in a]
            listen.append({
                **{key: site[key] for key in ("names", "tls", "chain", "manners", "sumdb")},
                "listen": [f"[{a}]:{site['port']}" if ":" in a else f"{a}:{site['port']}" for a in used],
            })
        config = {"root_file": str(self.folder / "root.pem"), "sumdb_key_file": str(self.folder / "sumdb.key"), "sites": listen}
        proxy = self.case.get("proxy")
        if proxy and proxy.get("software") == "lab":
            user, _, password = proxy.get("auth", "").partition(" ")
            config["proxy"] = {"listen": f"{world.PROXY_ADDRESS}:{world.PROXY_PORT}", "scheme": proxy["scheme"],
                               "names": ["proxy.corp.example"], "chain": proxy.get("chain", "complete"),
                               "user": user, "password": password, "deny": proxy.get("deny", [])}
        if self.case.get("keys"):
            config["keys_file"] = str(self.folder / "keys.log")
        if self.case.get("trusts_appliance"):
            config["appliance_file"] = str(self.folder / "appliance.pem")
        self.start("net", [SERVER], "ready", first_line=json.dumps(config), more_input=False)
        if self.case.get("resolver") == "unbound":
            self.unbound()
        elif self.case.get("resolver") != "none":
            self.dnsmasq()
        if proxy is not None and proxy.get("software") != "lab":
            software = self.squid if proxy.get("software") == "squid" else self.tinyproxy
            software(proxy)
            # They say that they are ready before they listen.
            listens = ["ss", "-Htln", "src", f"{world.PROXY_ADDRESS}:{world.PROXY_PORT}"]
            if not until(lambda: self.run("net", *listens), 10):
                raise RuntimeError(f"{software.__name__} does not listen")

    def dnsmasq(self):
        command = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
                   "--pid-file=", "--local-ttl=300", "--bind-interfaces", "--log-facility=-",
                   f"--listen-address={world.GATEWAY},{world.FAR_RESOLVER}"]
        if self.case.get("resolver") != "nothing-known":
            command.append("--local=/#/")
            overridden = self.case.get("filtered", {})
            for name, addresses in world.answers().items():
                if name not in overridden:
                    command.append("--host-record=" + ",".join([name, *addresses]))
            for name, addresses in overridden.items():
                command += [f"--address=/{name}/{address}" for address in addresses] or [f"--address=/{name}/"]
        self.start("net", command, "started, version")

    def unbound(self):
        """A resolver that fails by itself: its only upstream refuses it."""
        self.start("net", ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
                           "--pid-file=", "--bind-interfaces", "--log-facility=-", "--listen-address=127.0.0.1",
                           "--port=5300"], "started, version")
        conf = self.folder / "unbound.conf"
        conf.write_text(f"""server:
 interface: {world.GATEWAY}
 access-control: 0.0.0.0/0 allow
 do-daemonize: no
 use-syslog: no
 logfile: ""
 verbosity: 1
 username: ""
 chroot: ""
 directory: "{self.folder}"
 pidfile: ""
 module-config: "iterator"
 do-not-query-localhost: no
remote-control:
 control-enable: no
forward-zone:
 name: "."
 forward-addr: 127.0.0.1@5300
""")
        self.start("net", ["unbound", "-d", "-c", conf], "start of service")

    def tinyproxy(self, settings):
        denied = self.folder / "denied"
        denied.write_text("".join(f"{name}\n" for name in settings.get("deny", [])))
        conf = self.folder / "tinyproxy.conf"
        lines = ["User root", "Group root", f"Port {world.PROXY_PORT}", f"Listen {world.PROXY_ADDRESS}", "Timeout 60",
                 "ConnectPort 443", "LogLevel Info", "MaxClients 20"]
        if "deny" in settings:
            lines += [f'Filter "{denied}"', "FilterType fnmatch"]
        if "auth" in settings:
            lines.append("BasicAuth " + settings["auth"])
        conf.write_text("\n".join(lines) + "\n")
        self.start("net", ["tinyproxy", "-d", "-c", conf], "Accepting connections")

    def squid(self, settings):
        conf = self.folder / "squid.conf"
        denied = " ".join(settings.get("deny", ["nothing.invalid"]))
        conf.write_text(f"""http_port {world.PROXY_ADDRESS}:{world.PROXY_PORT}
visible_hostname proxy.corp.example
acl denied dstdomain {denied}
http_access deny denied
http_access allow all
cache deny all
cache_effective_user proxy
pid_filename none
access_log none
cache_store_log none
cache_log /dev/null
coredump_dir {self.folder}
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
connect_timeout 3 seconds
""")
        # Its segments of shared memory carry its name, and stay behind when it ends.
        name = f"goprobe{os.getpid()}"
        self.exit.callback(lambda: [part.unlink() for part in pathlib.Path("/dev/shm").glob(f"{name}-*")])
        self.start("net", ["squid", "-N", "-n", name, "-d", "1", "-f", conf], "Accepting HTTP Socket connections")

    def run(self, role, *words):
        return sh("ip", "netns", "exec", self.ns[role], *words)

    def start(self, role, command, ready, first_line=None, more_input=True):
        """Starts a program and waits until it says that it is ready; it is ended with the lab."""
        command = ["ip", "netns", "exec", self.ns[role], *map(str, command)]
        log = open(self.folder / f"{pathlib.Path(command[4]).name}.log", "w+")
        self.exit.callback(log.close)
        talks = first_line is not None and more_input
        child = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, stderr=subprocess.STDOUT,
                                 stdout=subprocess.PIPE if talks else log)
        self.exit.callback(end, child)
        if first_line is not None:
            child.stdin.write(first_line + "\n")
            child.stdin.flush()
        if talks:
            line = child.stdout.readline()
            if line.strip() != ready:
                raise RuntimeError(f"{command[4:]}: {line}{child.stdout.read()}")
            return child

        def said():
            return child.poll() is not None or ready in pathlib.Path(log.name).read_text()

        if not until(said, 10) or child.poll() is not None:
            raise RuntimeError(f"{command[4:]} is not ready: {pathlib.Path(log.name).read_text()}")
        return child

    def ask_path(self, what):
        """The path's answer to "state" or "interference", see path.py."""
        self.path.stdin.write(what + "\n")
        self.path.stdin.flush()
        return json.loads(self.path.stdout.readline())

    def wait_for_quiet(self):
        """Until the client has no connection left and no frame has passed it for longer than any way takes; for 3 s at most."""
        last = {"frames": -1, "since": time.monotonic()}

        def quiet():
            state, now = self.ask_path("state"), time.monotonic()
            if state["client_frames"] != last["frames"] or state["waiting"]:
                last.update(frames=state["client_frames"], since=now)
            sockets = self.run("client", "ss", "-Htan", "state", "connected", "exclude", "time-wait")
            return not sockets and now - last["since"] > 0.15

        until(quiet, 3)


def end(child):
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe:
            pipe.close()
