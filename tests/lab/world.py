"""What the lab's small internet looks like when nothing interferes."""

CLIENT = "192.168.1.23"
CLIENT6 = "2a01:4f8:1c1c::23"
CONTAINER = "172.17.0.2"
CONTAINER_GATEWAY = "172.17.0.1"
GATEWAY = "192.168.1.1"
GATEWAY6 = "2a01:4f8:1c1c::1"
FAR_RESOLVER = "8.8.8.8"
PROXY_ADDRESS = "10.44.0.8"
PROXY_PORT = 3128

MODULE = "example.com/lab/greeting@v1.0.0"

# Sites by a short name that the cases use; the answers of honest resolvers follow from them.
SITES = {
    "golang": {
        "names": ["proxy.golang.org", "modules.lab.example"],
        "addresses": ["142.250.74.113", "2607:f8b0:4004:c1b::8d"],
        "manners": "modules",
        "sumdb": True,
    },
    "sumdb": {"names": ["sum.golang.org"], "addresses": ["142.250.74.145"], "manners": "sumdb"},
    "mirror": {"names": ["goproxy.io"], "addresses": ["5.9.80.100"], "manners": "modules"},
    "corp": {"names": ["artifactory.corp.example"], "addresses": ["10.44.0.20"], "manners": "modules"},
    "portal": {
        "names": ["login.portal.example"],
        "addresses": ["10.44.0.30"],
        "tls": "none",
        "port": 80,
        "manners": "html",
    },
    "storage": {"names": ["storage.googleapis.com"], "addresses": ["142.250.74.155"], "manners": "storage"},
    "sso": {"names": ["sso.corp.example"], "addresses": ["10.44.0.31"], "manners": "html"},
    "vanity": {"names": ["go.vanity.example"], "addresses": ["195.66.10.30"], "manners": "challenge"},
    "github": {"names": ["github.com"], "addresses": ["140.82.121.4"], "manners": "empty"},
    "parked": {
        "names": ["parked.example"],
        "addresses": ["195.66.10.20"],
        "manners": "modules",
        "chain": "other-name",
    },
    # There where a case wants a server that has nothing to do with Go.
    "control": {"names": ["example.com"], "addresses": ["93.184.215.14"], "manners": "html", "absent": True},
}
SITE_DEFAULTS = {"tls": "1.3", "chain": "complete", "port": 443, "sumdb": False}

RANGES = {"google": ["142.250.0.0/15", "2607:f8b0::/32"], "corp": ["10.44.0.0/16"]}

# The first way that contains an address is the one to it.
WAYS = [
    {"network": "192.168.1.0/24", "rtt_ms": 1, "hops": 0},
    {"network": "2a01:4f8:1c1c::/64", "rtt_ms": 1, "hops": 0},
    {"network": "fe80::/10", "rtt_ms": 1, "hops": 0},
    {"network": "ff00::/8", "rtt_ms": 1, "hops": 0},
    {"network": "10.44.0.0/16", "rtt_ms": 4, "hops": 2},
    {"network": "8.8.8.8/32", "rtt_ms": 18, "hops": 9},
    {"network": "5.9.80.100/32", "rtt_ms": 24, "hops": 12},
    {"network": "0.0.0.0/0", "rtt_ms": 30, "hops": 11},
    {"network": "::/0", "rtt_ms": 30, "hops": 11},
]


def sites(changes):
    """The sites with a case's changes: {site: {key: value}}, or more sites; `absent = true` takes a site's listeners away."""
    merged = {name: {**SITE_DEFAULTS, **SITES.get(name, {}), **changes.get(name, {})} for name in {**SITES, **changes}}
    return {name: site for name, site in merged.items() if not site.get("absent")}


def answers():
    """Name to addresses, as an honest resolver knows them."""
    return {name: site["addresses"] for site in SITES.values() if not site.get("absent") for name in site["names"]} | {
        "proxy.corp.example": [PROXY_ADDRESS]
    }
