"""The path between the client and the services: a box with one leg on each side.

It forwards Ethernet frames, adds the delay and the hops of the way, and does what the rules of a case say.
One JSON configuration comes on standard input: {"client_side", "server_side": interfaces, "ways": [...], "rules": [...]}.
Way: {"network": CIDR, "rtt_ms", "hops"}; the first that contains the address counts.
Rule, by the packet that triggers it (one of the client's, if nothing else is said):
  on = "question", name, type, address    a DNS query for the name ("*": for any), of the type and to the resolver if they are given
  on = "syn", address                     a connection attempt to the address or network
  on = "hello", name                      a ClientHello with the server name (or one of a list of names, or "*" for any), also
                                          inside a CONNECT tunnel; over: only if it has more bytes; address: only to that one
  on = "hello-tail"                       what is left of a ClientHello after its first segment
  on = "connect", name                    a CONNECT request for the name
  on = "nth-data", nth, address           the n-th segment with data of a connection to the address
  on = "server-data", address             a segment of the server with data: the n-th with "nth", the one with which more than
                                          "bytes" bytes have come
  on = "data", every                      every n-th segment with data, of either side; with "share" so many of them by chance (of "seed")
  on = "big", over, of                    a TCP segment of the server with more bytes of data; of the client with of = "client"
  on = "rate", address, kbps, burst       a segment of the server that exceeds a token bucket
  on = "bytes", bytes                     a segment of the client with these bytes, in hexadecimal, in its data
  on = "idle", address, after_s           a segment of either side after so long a silence
and what it does:
  drop        the packet; after "hello", "connect", "nth-data", "server-data" and "idle" the whole connection from there on
              ("client" or "server": only what that side sends, "packet": only the packet)
  send        a list of "reset", "reset-ack", "reset-data", "fin", "refuse", "prohibited", "alert" (or "alert:N"), "page"; with
              "+N" the sequence number is N too high; "icmp": an error of the type and code in `icmp`, from `router`, else
              from the host itself, with `mtu` where it says one
  to          whom: "client" (default), "server", "both"
  hop         who does it stands in front of the n-th router, and sees only what comes so far
  ttl         a number, a list that is gone through, "client" or "server": as that side's packets have it at the client; "copied":
              what the trigger has left is what it starts with
  ip_id, df, window, timestamps (true: those that the server would write)
  answer      DNS, see packet.dns_reply
  after_ms    when it is sent
  delay_ms    the packet itself comes so much later
  twice       the packet itself comes twice
  change      the byte of the payload at that place is turned round
  most        how often the rule acts at most
  block_s     for so long the path blocks the address for the client: what opens a connection is dropped, or with
              block_on = "data" what first goes to the server; block_send: what is sent instead, as with send
Where the hops of a client's packet run out, the router there says so: router_address(n).
Each line on standard input is answered by one on standard output; the end of input ends the program. To "state":
{"waiting": frames not yet delivered, "client_frames": frames seen at the client's side}. To "interference": {"injected",
"dropped": the frames themselves, in hexadecimal}; dropped are those of the client.
"""

import heapq
import ipaddress
import itertools
import json
import random
import select
import socket
import sys
import time

import packet as p

BLOCK_PAGE = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
    b"<html><head><title>Access denied</title></head><body><h1>This web site is blocked</h1></body></html>\n"
)
# RFC 8446 section 6.2.
ACCESS_DENIED = 49
# Flags and data of what the path forges.
FORGED = {
    "reset": (p.RST, b""),
    "reset-ack": (p.RST | p.ACK, b""),
    # As the Henan firewall sends it (Wu et al., S&P 2025).
    "reset-data": (p.RST | p.ACK, bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 0])),
    "refuse": (p.RST | p.ACK, b""),
    "fin": (p.FIN | p.ACK, b""),
    "alert": (p.PSH | p.ACK, b""),
    "page": (p.FIN | p.PSH | p.ACK, BLOCK_PAGE),
}
PACKET_OUTGOING = 4
ETH_P_ALL = 3


# Triggers after which nothing more of the connection passes.
CUTTING = ("hello", "connect", "nth-data", "server-data", "idle")


class Rules:
    """What the path does beside forwarding."""

    def __init__(self, rules):
        self.rules = rules
        self.acted = [0] * len(rules)
        self.flows = {}
        self.blocked = {}
        self.segments = 0
        self.chance = random.Random(next((rule["seed"] for rule in rules if "seed" in rule), 1))

    def judge(self, packet, from_client, hops):
        """What becomes of the packet: a verdict with `frames` that pass (each with a delay) and `sent` ones."""
        here, there = (packet.src, packet.sport), (packet.dst, packet.dport)
        flow = self.flows.setdefault((here, there) if from_client else (there, here), Flow())
        verdict = Verdict(packet)
        if from_client in flow.cut:
            verdict.frames = []
            return verdict
        flow.note(packet, from_client, hops)
        block = self.blocked.get(packet.dst) if from_client and packet.protocol == p.TCP else None
        if block and time.monotonic() < block["until"]:
            opens = packet.flags & (p.SYN | p.ACK) == p.SYN
            if (packet.payload and not flow.old) if block.get("block_on") == "data" else opens:
                self.act(block | {"send": block.get("block_send", []), "drop": True, "on": "block"}, flow, packet, True, verdict)
                if not opens:
                    flow.cut |= {True, False}
                return verdict
        for number, rule in enumerate(self.rules):
            if self.acted[number] < rule.get("most", 1 << 30) and self.matches(rule, packet, flow, from_client):
                self.acted[number] += 1
                self.act(rule, flow, packet, from_client, verdict)
        flow.last = time.monotonic()
        return verdict

    def act(self, rule, flow, packet, from_client, verdict):
        drop = rule.get("drop")
        if drop:
            if rule["on"] in CUTTING and drop != "packet":
                flow.cut |= {"client": {True}, "server": {False}}.get(drop, {True, False})
            if drop not in ("client", "server") or (drop == "client") == from_client:
                verdict.frames = []
        if "change" in rule and len(packet.payload) > rule["change"]:
            verdict.frames = [(delay, packet.with_byte_changed(rule["change"])) for delay, _ in verdict.frames]
        if "delay_ms" in rule:
            verdict.frames = [(delay + rule["delay_ms"] / 1000, frame) for delay, frame in verdict.frames]
        if rule.get("twice"):
            verdict.frames *= 2
        if "block_s" in rule and rule["on"] != "block":
            flow.old = True
            self.blocked.setdefault(packet.dst, rule | {"until": time.monotonic() + rule["block_s"]})
        passes = bool(verdict.frames)
        after = rule.get("after_ms", 0) / 1000
        verdict.sent += [(after, to_client, frame) for to_client, frame in build(rule, packet, from_client, passes, flow)]

    def matches(self, rule, packet, flow, from_client):
        on = rule["on"]
        tcp = packet.protocol == p.TCP
        if from_client and packet.ttl < rule.get("hop", 1):
            return False
        if on == "data":
            self.segments += bool(tcp and packet.payload)
            chosen = self.chance.random() < rule["share"] if "share" in rule else self.segments % rule["every"] == 0
            return tcp and packet.payload and chosen
        if on == "big":
            return tcp and from_client == (rule.get("of") == "client") and len(packet.payload) > rule["over"]
        if on == "idle":
            near = packet.dst if from_client else packet.src
            return tcp and near == rule["address"] and time.monotonic() - flow.last >= rule["after_s"]
        if on == "server-data":
            if from_client or not tcp or not packet.payload or packet.src != rule["address"]:
                return False
            return len(flow.answers) == rule["nth"] if "nth" in rule else sum(flow.answers.values()) > rule["bytes"]
        if on == "rate":
            return tcp and not from_client and packet.src == rule["address"] and flow.exceeds(packet, rule)
        if not from_client:
            return False
        if on == "question":
            asked = packet.protocol == p.UDP and packet.dport == 53 and p.question(packet.payload)
            of_type = "type" not in rule or (asked and asked[1] == p.QTYPES[rule["type"]])
            return asked and rule["name"] in (asked[0], "*") and of_type and rule.get("address", packet.dst) == packet.dst
        if on == "syn":
            return tcp and packet.flags & (p.SYN | p.ACK) == p.SYN and within(packet.dst, rule["address"])
        if not tcp or not packet.payload:
            return False
        if on == "nth-data":
            return packet.dst == rule["address"] and len(flow.data) == rule["nth"]
        if on == "connect":
            return packet.payload.startswith(b"CONNECT ") and named(rule, packet.payload.split(b" ")[1].decode().rsplit(":", 1)[0])
        if on == "bytes":
            return bytes.fromhex(rule["bytes"]) in packet.payload
        if flow.hello is None:
            return False
        start, first = flow.hello
        size = 5 + int.from_bytes(first[3:5], "big")
        if on == "hello":
            meant = size > rule.get("over", 0) and rule.get("address", packet.dst) == packet.dst
            return packet.seq == start and meant and named(rule, p.server_name(first))
        if on == "hello-tail":
            return 0 < (packet.seq - start) % (1 << 32) < size and named(rule, p.server_name(first))
        raise ValueError(f"unknown trigger {on!r}")


def named(rule, name):
    wanted = rule.get("name", "*")
    return wanted == "*" or name in ([wanted] if isinstance(wanted, str) else wanted)


class Verdict:
    def __init__(self, packet):
        self.frames = [(0, packet.frame)]
        self.sent = []


class Flow:
    """What is remembered of a connection."""

    def __init__(self):
        # The sides whose packets do not pass any more: True is the client's.
        self.cut = set()
        self.data = set()
        self.answers = {}
        self.hello = None
        self.old = False
        self.last = time.monotonic()
        self.ttls = {}
        self.clock = (0, 0)
        self.tokens = None

    def note(self, packet, from_client, hops):
        self.ttls["client" if from_client else "server"] = packet.ttl if from_client else packet.ttl - hops
        if packet.protocol != p.TCP:
            return
        if packet.timestamps:
            ours, echo = packet.timestamps
            self.clock = (echo, ours) if from_client else (ours, echo)
        if not packet.payload:
            return
        if not from_client:
            self.answers[packet.seq] = len(packet.payload)
            return
        self.data.add(packet.seq)
        if self.hello is None and packet.payload[:2] == b"\x16\x03" and packet.payload[5:6] == b"\x01":
            self.hello = (packet.seq, packet.payload)

    def exceeds(self, packet, rule):
        now = time.monotonic()
        tokens, at = self.tokens or (rule["burst"], now)
        tokens = min(rule["burst"], tokens + (now - at) * rule["kbps"] * 125)
        fits = tokens >= len(packet.ip)
        self.tokens = (tokens - len(packet.ip) if fits else tokens, now)
        return not fits


def build(rule, packet, from_client, passes, flow):
    """The frames that a rule sends, each with whether it goes to the client."""
    ttls = rule.get("ttl", 64)
    if ttls == "copied":
        ttls = packet.ttl - 2 * (rule.get("hop", 1) - 1)
        if ttls < 1:
            return
    ttls = itertools.cycle(flow.ttls[t] if isinstance(t, str) else t for t in (ttls if isinstance(ttls, list) else [ttls]))
    if "answer" in rule:
        yield True, p.dns_reply(packet, next(ttls), rule["answer"])
    more = {key: rule[key] for key in ("df", "window") if key in rule}
    more["ip_id"] = packet.ip_id if rule.get("ip_id") == "client" else rule.get("ip_id", 0)
    length = len(packet.payload)
    sides = {"client": [True], "server": [False], "both": [True, False]}[rule.get("to", "client")]
    for what in rule.get("send", []):
        kind, _, ahead = what.partition("+")
        ttl = next(ttls)
        if kind == "prohibited":
            # RFC 1812 section 5.2.7.1.
            yield True, p.icmp_error(packet, rule["router"], ttl, 3, 13)
            continue
        if kind == "icmp":
            yield True, p.icmp_error(packet, rule.get("router", packet.dst), ttl, *rule["icmp"], rule.get("mtu", 0))
            continue
        for to_client in sides:
            turned = to_client == from_client
            # In the name of the packet's receiver, or of its sender, after it or in its place.
            seq = packet.ack if turned else packet.seq + length * passes
            ack = packet.seq + length if turned else packet.ack
            flags, payload = FORGED[kind.partition(":")[0]]
            if kind == "reset":
                ack = 0
            elif kind == "refuse":
                seq, ack = 0, packet.seq + 1
            elif kind.startswith("alert"):
                payload = b"\x15\x03\x03\0\x02\x02" + bytes([int(kind.partition(":")[2] or ACCESS_DENIED)])
            if rule.get("timestamps"):
                more["timestamps"] = flow.clock if to_client else flow.clock[::-1]
            yield to_client, p.tcp_segment(packet, turned, flags, seq + int(ahead or 0), ack, payload, ttl=ttl, **more)


class Box:
    def __init__(self, config):
        self.client = listen(config["client_side"])
        self.server = listen(config["server_side"])
        self.ways = [(ipaddress.ip_network(way["network"]), way["rtt_ms"] / 2000, way["hops"]) for way in config["ways"]]
        self.rules = Rules(config["rules"])
        self.pending = []
        self.order = itertools.count()
        self.client_frames = 0
        self.interference = {"injected": [], "dropped": []}

    def way(self, address):
        address = ipaddress.ip_address(address)
        return next(((delay, hops) for network, delay, hops in self.ways if address in network), (0, 0))

    def later(self, delay, to, frame):
        heapq.heappush(self.pending, (time.monotonic() + delay, next(self.order), to, frame))

    def take(self, leg):
        frame, (_, _, kind, _, _) = leg.recvfrom(65536)
        if kind == PACKET_OUTGOING:
            return
        from_client = leg is self.client
        self.client_frames += from_client
        other = self.server if from_client else self.client
        packet = p.Packet.parse(frame)
        if packet is None:
            self.later(0, other, frame)
            return
        delay, hops = self.way(packet.dst if from_client else packet.src)
        verdict = self.rules.judge(packet, from_client, hops)
        for after, to_client, forged in verdict.sent:
            if to_client:
                self.interference["injected"].append(forged.hex())
            self.later(after, self.client if to_client else self.server, forged)
        expires = from_client and packet.version == 4 and packet.ttl <= hops
        for more, passed in verdict.frames:
            if expires:
                told = p.icmp_error(packet, router_address(packet.ttl), 255 - packet.ttl, 11, 0)
                self.later(2 * delay * packet.ttl / (hops + 1) + more, self.client, told)
                continue
            self.later(delay + more, other, p.Packet.parse(passed).after_hops(hops))
        if from_client and not verdict.frames:
            self.interference["dropped"].append(frame.hex())

    def deliver(self):
        while self.pending and self.pending[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(self.pending)
            to.send(frame)
            self.client_frames += to is self.client

    def run(self):
        while True:
            wait = max(0, self.pending[0][0] - time.monotonic()) if self.pending else None
            ready, _, _ = select.select([self.client, self.server, sys.stdin], [], [], wait)
            self.deliver()
            for source in ready:
                if source is not sys.stdin:
                    self.take(source)
                elif asked := sys.stdin.readline().strip():
                    state = {"waiting": len(self.pending), "client_frames": self.client_frames}
                    print(json.dumps(state if asked == "state" else self.interference), flush=True)
                else:
                    return


def router_address(number):
    return f"10.255.0.{number}"


def within(address, network):
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


def listen(interface):
    leg = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    leg.bind((interface, ETH_P_ALL))
    return leg


if __name__ == "__main__":
    box = Box(json.loads(sys.stdin.readline()))
    print("ready", flush=True)
    box.run()
