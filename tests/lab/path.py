"""The path between the client and the services: a box with one leg on each side.

It forwards Ethernet frames, adds the delay and the hops of the way, and does what the rules of a case say.
One JSON configuration comes on standard input: {"client_side", "server_side": interfaces, "ways": [...], "rules": [...]}.
Way: {"network": CIDR, "rtt_ms", "hops"}; the first that contains the address counts.
Rule, by the packet that triggers it (one of the client's, if nothing else is said):
  on = "question", name                   a DNS query for the name
  on = "syn", address                     a connection attempt
  on = "hello", name[, address]           a ClientHello with the server name, wherever it goes or to that address
  on = "hello-tail"                       what is left of a ClientHello after its first segment
  on = "nth-data", nth, address           the n-th segment with data of a connection to the address
  on = "data", every, most                every n-th segment with data, of either side, and how often at most
  on = "big", over                        a TCP segment of the server with more bytes of data
  on = "bytes", bytes                     a TCP segment with these bytes, in hexadecimal, in its data
and what it does: drop (the packet; after "hello" and "nth-data" the whole connection from there on), send (a list of
"reset", "reset-ack", "fin", "refuse", "prohibited", "alert", "page"), answer (DNS, see packet.dns_reply), ttl, after_ms,
block_s (for so long every connection attempt to the address is dropped), hop (who does it sees only what comes as far as in
front of the n-th router), ttl = "copied" (its packets start with what the trigger had left).
Packets of the client whose hops run out are answered by the router at which they do, router_address(n).
Each line on standard input is answered by one on standard output; the end of input ends the program. To "state":
{"waiting": frames not yet delivered, "client_frames": frames seen at the client's side}. To "interference": {"injected",
"dropped": the frames themselves, in hexadecimal}; dropped are those of the client.
"""

import heapq
import ipaddress
import itertools
import json
import select
import socket
import sys
import time

import packet as p

BLOCK_PAGE = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
    b"<html><head><title>Access denied</title></head><body><h1>This web site is blocked</h1></body></html>\n"
)
PACKET_OUTGOING = 4
ETH_P_ALL = 3


class Rules:
    """What the path does beside forwarding. `judge` says whether a packet passes and what is sent to the client."""

    def __init__(self, rules):
        self.rules = rules
        self.streams = {}
        self.cut = set()
        self.blocked = {}
        self.data = {}
        self.segments = 0
        self.lost = 0

    def judge(self, packet, from_client):
        here, there = (packet.src, packet.sport), (packet.dst, packet.dport)
        flow = (here, there) if from_client else (there, here)
        if flow in self.cut:
            return False, []
        if packet.protocol == p.TCP and packet.flags & p.SYN and self.blocked.get(packet.dst, 0) > time.monotonic():
            return False, []
        if from_client and packet.payload:
            self.data.setdefault(flow, set()).add(packet.seq)
        passes, sent = True, []
        for rule in self.rules:
            if not self.matches(rule, packet, flow, from_client):
                continue
            if rule.get("drop"):
                passes = False
                if rule["on"] in ("hello", "nth-data"):
                    self.cut.add(flow)
            if "block_s" in rule:
                self.blocked.setdefault(packet.dst, time.monotonic() + rule["block_s"])
            sent += [(rule.get("after_ms", 0) / 1000, frame) for frame in self.build(rule, packet)]
        return passes, sent

    def matches(self, rule, packet, flow, from_client):
        on = rule["on"]
        if from_client and packet.ttl < rule.get("hop", 1):
            return False
        tcp = packet.protocol == p.TCP
        if on == "data":
            return tcp and packet.payload and self.loses(rule)
        if on == "big":
            return tcp and not from_client and len(packet.payload) > rule["over"]
        if not from_client:
            return False
        if on == "question":
            asked = packet.protocol == p.UDP and packet.dport == 53 and p.question(packet.payload)
            return asked and asked[0] == rule["name"]
        if on == "syn":
            return tcp and packet.flags & (p.SYN | p.ACK) == p.SYN and packet.dst == rule["address"]
        if not tcp or not packet.payload:
            return False
        # The first segment of a flow is the start of its ClientHello: the lab speaks TLS to these addresses only.
        first_seq, first = self.streams.setdefault(flow, (packet.seq, packet.payload))
        if on == "nth-data":
            return packet.dst == rule["address"] and len(self.data[flow]) == rule["nth"]
        if on == "hello":
            meant = rule.get("address", packet.dst) == packet.dst
            return meant and packet.seq == first_seq and p.server_name(first) == rule["name"]
        if on == "bytes":
            return bytes.fromhex(rule["bytes"]) in packet.payload
        if on == "hello-tail":
            return packet.seq != first_seq and first[:1] == b"\x16" and len(first) < 5 + int.from_bytes(first[3:5], "big")
        raise ValueError(f"unknown trigger {on!r}")

    def loses(self, rule):
        self.segments += 1
        if self.segments % rule["every"] or self.lost >= rule["most"]:
            return False
        self.lost += 1
        return True

    @staticmethod
    def build(rule, packet):
        ttl = rule.get("ttl", 64)
        if ttl == "copied":
            routers = rule.get("hop", 1) - 1
            ttl = packet.ttl - 2 * routers
            if ttl < 1:
                return
        if "answer" in rule:
            yield p.dns_reply(packet, ttl, rule["answer"])
        end = packet.seq + len(packet.payload)
        for kind in rule.get("send", []):
            if kind == "reset":
                yield p.tcp_reply(packet, ttl, p.RST, packet.ack, 0)
            elif kind == "reset-ack":
                yield p.tcp_reply(packet, ttl, p.RST | p.ACK, packet.ack, end)
            elif kind == "fin":
                yield p.tcp_reply(packet, ttl, p.FIN | p.ACK, packet.ack, end)
            elif kind == "page":
                yield p.tcp_reply(packet, ttl, p.FIN | p.PSH | p.ACK, packet.ack, end, BLOCK_PAGE)
            elif kind == "refuse":
                yield p.tcp_reply(packet, ttl, p.RST | p.ACK, 0, packet.seq + 1)
            elif kind == "prohibited":
                yield p.prohibited(packet, rule["router"], ttl)
            elif kind == "alert":
                # Fatal, access_denied (RFC 8446 section 6.2).
                yield p.tcp_reply(packet, ttl, p.PSH | p.ACK, packet.ack, end, b"\x15\x03\x03\0\x02\x02\x31")
            else:
                raise ValueError(f"nothing is known to send as {kind!r}")


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
        passes, sent = self.rules.judge(packet, from_client)
        for after, forged in sent:
            self.interference["injected"].append(forged.hex())
            self.later(after, self.client, forged)
        if passes and from_client and packet.version == 4 and packet.ttl <= hops:
            router = router_address(packet.ttl)
            self.later(2 * delay * packet.ttl / (hops + 1), self.client, p.time_exceeded(packet, router, 255 - packet.ttl))
        elif passes:
            self.later(delay, other, packet.after_hops(hops))
        elif from_client:
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


def listen(interface):
    leg = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    leg.bind((interface, ETH_P_ALL))
    return leg


if __name__ == "__main__":
    box = Box(json.loads(sys.stdin.readline()))
    print("ready", flush=True)
    box.run()
