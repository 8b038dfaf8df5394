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
        self.sites = world.sites(case.get("sites", {}))
        # The device that has the client's addresses.
        self.link = "br0" if case.get("bridged") else "c0"
        # Where the go command runs.
        self.at = "client"
        if case.get("container"):
            self.at = "box"
            self.ns["box"] = f"goprobe-{os.getpid()}-box"

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
                "client_side": "p0", "server_side": "p1", "ways": self.case.get("ways", []) + world.WAYS, "rules": self.case.get("path", []),
            }))
            self.exit = stack.pop_all()
        return self

    def __exit__(self, *error):
        self.exit.close()

    def namespaces(self):
        for role, name in self.ns.items():
            sh("ip", "netns", "add", name)
            self.exit.callback(sh, "ip", "netns", "del", name)
            own = role in ("client", "box")
            servers = self.case.get("nameservers", [world.GATEWAY]) if own else [world.GATEWAY]
            lines = [f"nameserver {server}" for server in servers]
            lines += self.case.get("resolv_conf", []) if own else []
            etc = pathlib.Path("/etc/netns") / name
            etc.mkdir(parents=True)
            self.exit.callback(sh, "rm", "-r", etc)
            (etc / "resolv.conf").write_text("\n".join(lines) + "\n")
            hosts = ["127.0.0.1 localhost", *(self.case.get("hosts", []) if own else [])]
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
        if self.case.get("bridged"):
            self.run("client", "ip", "link", "add", self.link, "address", "02:00:00:00:01:23", "type", "bridge")
            self.run("client", "ip", "link", "set", "c0", "master", self.link)
            self.run("client", "ip", "link", "set", self.link, "up")
        self.run("client", "ip", "address", "add", f"{world.CLIENT}/24", "dev", self.link)
        self.run("client", "ip", "route", "add", "default", "via", world.GATEWAY)
        self.run("net", "ip", "address", "add", f"{world.GATEWAY}/24", "dev", "n0")
        public = [address for site in [*world.SITES.values(), *self.sites.values()] for address in site["addresses"]]
        for address in dict.fromkeys([*public, world.PROXY_ADDRESS, world.FAR_RESOLVER]):
            if ":" not in address:
                self.run("net", "ip", "address", "add", f"{address}/32", "dev", "lo")
            elif six:
                self.run("net", "ip", "address", "add", f"{address}/128", "dev", "lo", "nodad")
        if six:
            self.run("client", "ip", "address", "add", f"{world.CLIENT6}/64", "dev", self.link, "nodad")
            self.run("client", "ip", "route", "add", "default", "via", world.GATEWAY6)
            self.run("net", "ip", "address", "add", f"{world.GATEWAY6}/64", "dev", "n0", "nodad")

        if self.at == "box":
            self.container()

    def container(self):
        """A container at the client, behind a bridge and address translation, as container engines set it up."""
        sh("ip", "link", "add", "eth0", "address", "02:42:ac:11:00:02", "netns", self.ns["box"],
           "type", "veth", "peer", "name", "veth0", "netns", self.ns["client"])
        self.run("client", "ip", "link", "add", "docker0", "address", "02:42:ac:11:00:01", "type", "bridge")
        self.run("client", "ip", "link", "set", "veth0", "master", "docker0")
        self.run("client", "ip", "address", "add", f"{world.CONTAINER_GATEWAY}/16", "dev", "docker0")
        self.run("box", "ip", "address", "add", f"{world.CONTAINER}/16", "dev", "eth0")
        for role, link in (("client", "veth0"), ("client", "docker0"), ("box", "eth0")):
            self.run(role, "ethtool", "-K", link, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            self.run(role, "ip", "link", "set", link, "up")
        self.run("box", "ip", "route", "add", "default", "via", world.CONTAINER_GATEWAY)
        self.run("client", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for rule in ("add table ip nat", "add chain ip nat post { type nat hook postrouting priority 100 ; }",
                     "add rule ip nat post oifname c0 masquerade"):
            self.run("client", "nft", *rule.split())

    def check_closed(self):
        """Nothing but the lab's own links, and no way from the services to anywhere else."""
        inside = {"veth0", "docker0"} if self.at == "box" else set()
        expected = {"client": {"lo", "c0", self.link} | inside, "path": {"lo", "p0", "p1"}, "net": {"lo", "n0"}}
        for role, links in expected.items():
            found = {link["ifname"] for link in json.loads(self.run(role, "ip", "-json", "link"))}
            if found - {"sit0", "tunl0", "ip6tnl0"} != links:
                raise RuntimeError(f"{role} has the links {sorted(found)}")
        if self.run("net", "ip", "route", "show", "default") or self.run("path", "ip", "route"):
            raise RuntimeError("the lab has a route out")

    def services(self):
        listen = []
        for site in self.sites.values():
            used = [a for a in site["addresses"] if self.case.get("ipv6") or ":" not in a]
            listen.append({
                **{key: site[key] for key in ("names", "tls", "chain", "manners", "sumdb")},
                "listen": [f"[{a}]:{site['port']}" if ":" in a else f"{a}:{site['port']}" for a in used],
            })
        config = {"root_file": str(self.folder / "root.pem"), "sumdb_key_file": str(self.folder / "sumdb.key"),
                  "sumdb_name": self.case.get("sumdb_name", "sum.golang.org"), "sites": listen}
        if isinstance(self.case.get("sumdb"), str):
            config["sumdb_manners"] = self.case["sumdb"]
        proxy = self.case.get("proxy")
        if proxy and proxy.get("software") == "lab":
            user, _, password = proxy.get("auth", "").partition(" ")
            config["proxy"] = {"listen": f"{world.PROXY_ADDRESS}:{world.PROXY_PORT}", "scheme": proxy["scheme"],
                               "names": ["proxy.corp.example"], "chain": proxy.get("chain", "complete"),
                               "user": user, "password": password, "deny": proxy.get("deny", []),
                               **{key: proxy[key] for key in ("reply", "then", "code", "delay_ms") if key in proxy}}
        if self.case.get("keys"):
            config["keys_file"] = str(self.folder / "keys.log")
        if self.case.get("trusts_appliance"):
            config["appliance_file"] = str(self.folder / "appliance.pem")
        self.start("net", [SERVER], "ready", first_line=json.dumps(config), more_input=False)
        if self.case.get("resolver") == "unbound":
            self.unbound()
        elif self.case.get("resolver") != "none":
            self.dnsmasq()
        if "stub" in self.case:
            self.start("client", ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
                                  "--pid-file=", "--log-facility=-", f"--listen-address={self.case['stub']}",
                                  "--bind-interfaces", f"--server={world.GATEWAY}"], "started, version")
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
        if self.case.get("ipv6"):
            command.append(f"--listen-address={world.GATEWAY6}")
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
            sockets = self.run(self.at, "ss", "-Htan", "state", "connected", "exclude", "time-wait")
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
