"""Reading and building the few packets that the path box has to understand."""

import socket
import struct

ETHERNET = 14
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

RCODES = {"NOERROR": 0, "SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}
QTYPES = {"A": 1, "AAAA": 28}


class Packet:
    """An Ethernet frame with an IPv4 or IPv6 packet inside; `parse` gives None for others."""

    @classmethod
    def parse(cls, frame):
        kind = frame[12:14]
        if kind not in (b"\x08\x00", b"\x86\xdd"):
            return None
        self = cls()
        self.frame = frame
        self.ip = frame[ETHERNET:]
        if kind == b"\x08\x00":
            self.version = 4
            size = (self.ip[0] & 15) * 4
            end = struct.unpack_from("!H", self.ip, 2)[0]
            self.protocol = self.ip[9]
            self.src, self.dst = (socket.inet_ntop(socket.AF_INET, self.ip[i : i + 4]) for i in (12, 16))
        else:
            self.version = 6
            size = 40
            end = 40 + struct.unpack_from("!H", self.ip, 4)[0]
            self.protocol = self.ip[6]
            self.src, self.dst = (socket.inet_ntop(socket.AF_INET6, self.ip[i : i + 16]) for i in (8, 24))
        self.segment = self.ip[size:end]
        self.payload = self.options = b""
        self.sport = self.dport = self.seq = self.ack = self.flags = 0
        if self.protocol == TCP:
            self.sport, self.dport, self.seq, self.ack, offset, self.flags = struct.unpack_from("!HHIIBB", self.segment)
            self.payload = self.segment[(offset >> 4) * 4 :]
            self.options = self.segment[20 : (offset >> 4) * 4]
        elif self.protocol == UDP:
            self.sport, self.dport = struct.unpack_from("!HH", self.segment)
            self.payload = self.segment[8:]
        return self

    @property
    def ttl(self):
        return self.ip[7] if self.version == 6 else self.ip[8]

    @property
    def ip_id(self):
        return 0 if self.version == 6 else struct.unpack_from("!H", self.ip, 4)[0]

    @property
    def timestamps(self):
        """Value and echo of the TCP timestamps option (RFC 7323 section 3), None without it."""
        at = 0
        while at < len(self.options) and self.options[at]:
            if self.options[at] == 8 and at + 10 <= len(self.options):
                return struct.unpack_from("!II", self.options, at + 2)
            at += 1 if self.options[at] == 1 else max(2, self.options[at + 1] if at + 1 < len(self.options) else 2)
        return None

    def with_byte_changed(self, at):
        """The frame with one byte of the TCP payload turned round and a right checksum."""
        frame = bytearray(self.frame)
        start = ETHERNET + len(self.ip[: self.ip.index(self.segment)])
        data = start + len(self.segment) - len(self.payload)
        frame[data + at] ^= 0xFF
        frame[start + 16 : start + 18] = b"\0\0"
        end = start + len(self.segment)
        pseudo = packed(self.src) + packed(self.dst) + struct.pack("!IBBBB", len(self.segment), 0, 0, 0, TCP)
        struct.pack_into("!H", frame, start + 16, checksum(pseudo + bytes(frame[start:end])))
        return bytes(frame)

    def after_hops(self, hops):
        """The frame as it looks after `hops` routers."""
        frame = bytearray(self.frame)
        if self.version == 6:
            frame[ETHERNET + 7] = max(1, frame[ETHERNET + 7] - hops)
            return bytes(frame)
        frame[ETHERNET + 8] = max(1, frame[ETHERNET + 8] - hops)
        header = frame[ETHERNET : ETHERNET + (frame[ETHERNET] & 15) * 4]
        header[10:12] = b"\0\0"
        struct.pack_into("!H", frame, ETHERNET + 10, checksum(header))
        return bytes(frame)


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def framed(macs, version, src, dst, protocol, segment, checksum_at, ttl, ip_id=0, df=False):
    """An Ethernet frame from `src` to `dst`; the checksum of the segment is filled in."""
    segment = bytearray(segment)
    if protocol == ICMP:
        pseudo = b""
    else:
        pseudo = packed(src) + packed(dst) + struct.pack("!IBBBB", len(segment), 0, 0, 0, protocol)
    struct.pack_into("!H", segment, checksum_at, checksum(pseudo + segment))
    if version == 6:
        header = struct.pack("!IHBB", 6 << 28, len(segment), protocol, ttl) + packed(src) + packed(dst)
        return macs + b"\x86\xdd" + header + segment
    header = bytearray(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), ip_id, 0x4000 * df, ttl, protocol, 0))
    header += packed(src) + packed(dst)
    struct.pack_into("!H", header, 10, checksum(header))
    return macs + b"\x08\x00" + header + segment


def reply(to, src, ttl, protocol, segment, checksum_at):
    """A frame from `src` to the sender of the packet `to`."""
    return framed(to.frame[6:12] + to.frame[0:6], to.version, src, to.src, protocol, segment, checksum_at, ttl)


def tcp_segment(like, turned, flags, seq, ack, payload=b"", *, ttl=64, ip_id=0, df=False, window=None, timestamps=None):
    """A TCP segment of the connection of the packet `like`, from its receiver if `turned`, else from its sender."""
    macs = like.frame[6:12] + like.frame[0:6] if turned else like.frame[0:12]
    ends = [(like.src, like.sport), (like.dst, like.dport)]
    (src, sport), (dst, dport) = reversed(ends) if turned else ends
    if window is None:
        window = 0 if flags & RST else 512
    options = b"\1\1\x08\x0a" + struct.pack("!II", *timestamps) if timestamps else b""
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                       20 + len(options) << 2, flags, window, 0, 0)
    return framed(macs, like.version, src, dst, TCP, head + options + payload, 16, ttl, ip_id, df)


def icmp_error(to, src, ttl, kind, code, mtu=0):
    """An ICMP error of that type and code about the packet (RFC 792; over IPv6 RFC 4443), with the next hop's MTU if it says one."""
    quoted = to.ip[:28] if to.version == 4 else to.ip[:1232]
    rest = struct.pack("!I", mtu) + quoted
    return reply(to, src, ttl, ICMP if to.version == 4 else ICMPV6, struct.pack("!BBH", kind, code, 0) + rest, 2)


def question(payload):
    """Name, type and end of the only question of a DNS query; None for anything else."""
    if len(payload) < 17 or payload[2] & 0x80 or payload[4:6] != b"\0\x01":
        return None
    labels, at = [], 12
    while payload[at]:
        labels.append(payload[at + 1 : at + 1 + payload[at]].decode("ascii", "replace"))
        at += 1 + payload[at]
    return ".".join(labels).lower(), struct.unpack_from("!H", payload, at + 1)[0], at + 5


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(owner, kind, data):
    return owner + struct.pack("!HHIH", kind, 1, 180, len(data)) + data


def dns_reply(to, ttl, answer):
    """An answer to the query `to`: {"A": ADDRESS or list, "AAAA": the same, "CNAME": list of names before it, "rcode": NAME,
    "truncated", "soa" (in the authority section), "edns", "bare" (without the question): true, "case": "upper"}; as injectors
    send it, if nothing else is said. Without "A" or "AAAA" the question of that type has no answer."""
    _, qtype, end = question(to.payload)
    given = next((answer.get(name, []) for name, number in QTYPES.items() if number == qtype), [])
    addresses = [given] if isinstance(given, str) else given
    asked = to.payload[12:end]
    if answer.get("case") == "upper":
        asked = asked[:-4].upper() + asked[-4:]
    owner, answers = b"\xc0\x0c", []
    for alias in answer.get("CNAME", []):
        answers.append(record(owner, 5, wire_name(alias)))
        owner = wire_name(alias)
    answers += [record(owner, qtype, packed(address)) for address in addresses]
    authority = []
    if answer.get("soa"):
        data = wire_name("ns.lab.example") + wire_name("hostmaster.lab.example") + struct.pack("!IIIII", 1, 900, 900, 1800, 60)
        authority.append(record(wire_name("org"), 6, data))
    extra = [b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)] if answer.get("edns") else []
    flags = 0x8180 | RCODES[answer.get("rcode", "NOERROR")] | (0x0200 if answer.get("truncated") else 0)
    asks = not answer.get("bare")
    counts = (flags, int(asks), len(answers), len(authority), len(extra))
    message = to.payload[:2] + struct.pack("!HHHHH", *counts) + (asked if asks else b"")
    message += b"".join(answers + authority + extra)
    return reply(to, to.dst, ttl, UDP, struct.pack("!HHHH", to.dport, to.sport, 8 + len(message), 0) + message, 6)


def server_name(stream):
    """The server name in the start of a TLS ClientHello, as far as it is there (RFC 8446 section 4.1.2, RFC 6066 section 3)."""
    if stream[:1] != b"\x16" or stream[5:6] != b"\x01":
        return None
    try:
        at = 5 + 4 + 2 + 32
        at += 1 + stream[at]
        at += 2 + struct.unpack_from("!H", stream, at)[0]
        at += 1 + stream[at] + 2
        while True:
            kind, length = struct.unpack_from("!HH", stream, at)
            at += 4
            if kind == 0:
                return stream[at + 5 : at + length].decode("ascii", "replace") if len(stream) >= at + length else None
            at += length
    except (struct.error, IndexError):
        return None
