//! Which names and addresses belong to the go command: Go's hosts, and those that its log and its environment name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::go::GoRun;
use crate::observation::{Case, Connection, Handshake, Lookup, Relevance};
use crate::reference::Reference;
use crate::types::Ends;

/// Whose connections are whose, as far as the system said so while they were open. Questions are not told apart: a resolver
/// on the machine asks for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// The command's and its descendants'.
    pub own: BTreeSet<Ends>,
    /// Client randoms of TLS sessions whose secrets the command's processes gave: what has them is its own, too.
    pub randoms: BTreeSet<[u8; 32]>,
    /// Other programs': never judged.
    pub foreign: BTreeSet<Ends>,
}

impl Owners {
    /// Whether a connection is known to be the command's.
    pub(crate) fn are_of(&self, connection: &Connection, handshakes: &[Handshake]) -> bool {
        let mut hellos = handshakes.iter().filter_map(|handshake| handshake.hello.as_ref());
        self.own.contains(&ends(connection)) || hellos.any(|hello| self.randoms.contains(&hello.random))
    }
}

const fn ends(connection: &Connection) -> Ends {
    Ends { client: connection.client, server: connection.server }
}

/// What is judged (see `CONTRACT` section 1: everything else in a recording is somebody else's traffic).
#[derive(Debug)]
pub struct Scope {
    /// Names beyond the rules' list.
    named: BTreeSet<String>,
    /// Addresses that the reference or the go log tie to a name.
    tied: BTreeMap<IpAddr, BTreeSet<String>>,
    all: bool,
}

impl Scope {
    /// From the rules, what go printed, how it was set up, and what honest resolvers answered. `all` judges everything.
    #[must_use]
    pub fn new(reference: &Reference, go: &GoRun, all: bool) -> Self {
        let named: BTreeSet<String> = go.hosts().into_iter().collect();
        let mut scope = Self { named, tied: BTreeMap::new(), all };
        for (name, honest) in &reference.honest().names {
            if scope.judges(reference, name) {
                honest.addresses().for_each(|address| scope.tie(address, name));
            }
        }
        for (address, host) in go.addresses() {
            scope.tied.entry(address).or_default().extend(host);
        }
        scope
    }

    /// Whether go asks for that name.
    #[must_use]
    pub fn judges(&self, reference: &Reference, name: &str) -> bool {
        self.all || self.named.contains(name) || reference.is_go_host(name)
    }

    /// The name itself, or the judged name that a search suffix was added to (resolv.conf(5), `search`).
    #[must_use]
    pub fn base_name<'a>(&self, reference: &Reference, name: &'a str) -> Option<&'a str> {
        if self.judges(reference, name) {
            return Some(name);
        }
        name.match_indices('.').map(|(dot, _)| name.split_at(dot).0).filter(|base| base.contains('.')).rfind(|base| {
            self.named.contains(*base)
                || reference.host(base).is_some_and(|host| host.judged && !host.name.starts_with("*."))
        })
    }

    fn tie(&mut self, address: IpAddr, name: &str) {
        self.tied.entry(address).or_default().insert(name.to_owned());
    }

    /// Marks what of a case is go's and names the connections.
    pub(crate) fn mark(&self, case: &mut Case, reference: &Reference, owners: &Owners) {
        let mut tied = self.tied.clone();
        for lookup in &mut case.lookups {
            if let Some(base) = self.base_name(reference, &lookup.name).map(str::to_owned) {
                lookup.relevance = Relevance::Go;
                let addresses: Vec<IpAddr> = lookup.answers.iter().flat_map(|answer| answer.addresses()).collect();
                for address in addresses {
                    tied.entry(address).or_default().insert(base.clone());
                }
            }
        }
        let by_client = resolved(&case.lookups);
        for connection in &mut case.connections {
            name(connection, &tied, &by_client);
        }
        let mut named = BTreeSet::new();
        for handshake in &case.handshakes {
            let Ok(index) = case.connections.binary_search_by_key(&handshake.flow, |connection| connection.flow) else {
                continue;
            };
            let Some(connection) = case.connections.get_mut(index) else { continue };
            if let Some(server_name) = handshake.server_name.seen() {
                // Inside a tunnel the connection itself leads to the proxy; its name stays the proxy's.
                if handshake.tunnel.is_none() {
                    connection.names.retain(|name| name != server_name);
                    connection.names.insert(0, server_name.clone());
                }
                // A name overrides what the address seemed to be. Of several, to a proxy and through it, one is enough.
                let first = named.insert(handshake.flow);
                if self.judges(reference, server_name) {
                    connection.relevance = Relevance::Go;
                } else if first {
                    connection.relevance = Relevance::Other;
                }
            }
            let go_shaped = handshake.hello.as_ref().is_some_and(|hello| hello.go.is_some());
            if connection.relevance == Relevance::Other && go_shaped {
                connection.relevance = Relevance::GoShaped;
            }
        }
        for exchange in &case.exchanges {
            let host = exchange.host().unwrap_or_default().to_owned();
            let Ok(index) = case.connections.binary_search_by_key(&exchange.flow, |connection| connection.flow) else {
                continue;
            };
            if let Some(connection) = case.connections.get_mut(index)
                && self.judges(reference, &host)
            {
                connection.relevance = Relevance::Go;
            }
        }
        self.claim(case, owners);
        if self.all {
            case.lookups.iter_mut().for_each(|lookup| lookup.relevance = Relevance::Go);
            case.connections.iter_mut().for_each(|connection| connection.relevance = Relevance::Go);
        }
    }

    /// Who owns a connection has the last word on it; and what the command spoke with, it had asked for.
    fn claim(&self, case: &mut Case, owners: &Owners) {
        let mut spoken_with: BTreeSet<String> = BTreeSet::new();
        // A command that fails without a word may have failed at anything.
        let talks = case.go.failed() != Some(true) || !case.go.errors().is_empty();
        let expected: BTreeSet<IpAddr> = case.go.addresses().into_iter().map(|(address, _)| address).collect();
        let told_apart = talks && (!owners.own.is_empty() || !owners.foreign.is_empty());
        for connection in &mut case.connections {
            let from = case.handshakes.partition_point(|handshake| handshake.flow < connection.flow);
            let to = case.handshakes.partition_point(|handshake| handshake.flow <= connection.flow);
            let handshakes = case.handshakes.get(from..to).unwrap_or_default();
            // Questions over TCP are judged as questions.
            if connection.server.port() == DNS {
                continue;
            }
            if owners.are_of(connection, handshakes) {
                connection.relevance = Relevance::Go;
                let names: Vec<&String> = handshakes.iter().filter_map(|it| it.server_name.seen()).collect();
                match (names.as_slice(), connection.names.as_slice()) {
                    ([], [name]) => {
                        spoken_with.insert(name.clone());
                    }
                    // Several names at one address may be several programs'.
                    (names, _) => spoken_with.extend(names.iter().map(|name| (*name).clone())),
                }
            } else if owners.foreign.contains(&ends(connection)) {
                connection.relevance = Relevance::Other;
            } else if told_apart
                && !expected.contains(&connection.server.ip())
                && !connection.names.iter().any(|name| self.named.contains(name))
            {
                // Nobody knows whose it was, and the command's words and settings do not name its far end.
                let mut hellos = handshakes.iter().filter_map(|handshake| handshake.hello.as_ref());
                let go_shaped = hellos.any(|hello| hello.go.is_some());
                connection.relevance = if go_shaped { Relevance::GoShaped } else { Relevance::Other };
            }
        }
        for lookup in &mut case.lookups {
            let asked_for = |name: &str| spoken_with.contains(name) || self.named.contains(name);
            let mut suffixes = lookup.name.match_indices('.').map(|(dot, _)| lookup.name.split_at(dot).0);
            if asked_for(&lookup.name) || suffixes.any(asked_for) {
                lookup.relevance = Relevance::Go;
            } else if told_apart {
                lookup.relevance = Relevance::Other;
            }
        }
    }
}

/// The port of DNS over TCP.
const DNS: u16 = 53;

/// Names that each client's lookups led to an address.
fn resolved(lookups: &[Lookup]) -> BTreeMap<(IpAddr, IpAddr), BTreeSet<String>> {
    let mut names: BTreeMap<(IpAddr, IpAddr), BTreeSet<String>> = BTreeMap::new();
    for lookup in lookups {
        for address in lookup.answers.iter().flat_map(|answer| answer.addresses()) {
            names.entry((lookup.client.ip(), address)).or_default().insert(lookup.name.clone());
        }
    }
    names
}

/// Gives a connection its names by address, and its relevance by them.
fn name(
    connection: &mut Connection,
    tied: &BTreeMap<IpAddr, BTreeSet<String>>,
    by_client: &BTreeMap<(IpAddr, IpAddr), BTreeSet<String>>,
) {
    let address = connection.server.ip();
    if let Some(names) = tied.get(&address) {
        connection.relevance = Relevance::Go;
        connection.names.extend(names.iter().cloned());
    }
    if let Some(names) = by_client.get(&(connection.client.ip(), address)) {
        for name in names {
            if !connection.names.contains(name) {
                connection.names.push(name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::RecordType;
    use crate::testing::{Scene, Tcp};

    /// A hello that is reset, after the question for its name. Every hello of a scene has the same client random.
    fn reset(scene: &mut Scene, name: &str, address: &str) -> Tcp {
        let question = scene.ask(name, RecordType::A);
        scene.answer(&question, &[address]);
        let mut tcp = scene.connect(&format!("{address}:443"));
        scene.open(&mut tcp);
        scene.hello(&mut tcp, name);
        scene.after_ms(4).reset(&tcp, 118);
        tcp
    }

    const fn of(tcp: &Tcp) -> Ends {
        Ends { client: tcp.client, server: tcp.server }
    }

    fn relevances(scene: &Scene) -> (Vec<Relevance>, Vec<Relevance>) {
        let case = scene.case();
        let of_connections = case.connections.iter().map(|connection| connection.relevance).collect();
        (of_connections, case.lookups.iter().map(|lookup| lookup.relevance).collect())
    }

    #[test]
    fn without_owners_names_decide() {
        let mut scene = Scene::new();
        reset(&mut scene, "proxy.golang.org", "142.250.74.113");
        reset(&mut scene, "api.example.net", "198.51.100.7");
        let judged = relevances(&scene);
        assert_eq!(judged, (vec![Relevance::Go, Relevance::GoShaped], vec![Relevance::Go, Relevance::Other]));
    }

    #[test]
    fn what_the_command_owns_is_judged_whatever_its_name() {
        let mut scene = Scene::new();
        let own = reset(&mut scene, "api.example.net", "198.51.100.7");
        scene.owners.own.insert(of(&own));
        assert_eq!(relevances(&scene), (vec![Relevance::Go], vec![Relevance::Go]));
    }

    #[test]
    fn what_has_a_client_random_of_the_commands_is_its_own() {
        let mut scene = Scene::new();
        reset(&mut scene, "api.example.net", "198.51.100.7");
        let random = scene.case().handshakes[0].hello.as_ref().unwrap().random;
        scene.owners.randoms.insert(random);
        assert_eq!(relevances(&scene).0, [Relevance::Go]);
    }

    #[test]
    fn what_another_program_owns_is_not_judged_whatever_its_name() {
        let mut scene = Scene::new();
        let foreign = reset(&mut scene, "proxy.golang.org", "142.250.74.113");
        scene.owners.foreign.insert(of(&foreign));
        assert_eq!(relevances(&scene), (vec![Relevance::Other], vec![Relevance::Other]));
        scene.env("GOPROXY=https://proxy.golang.org\n");
        assert_eq!(relevances(&scene).1, [Relevance::Go], "the command asks for it, too");
    }

    #[test]
    fn what_is_nobodys_is_judged_where_the_command_names_it() {
        let mut scene = Scene::new();
        let own = reset(&mut scene, "api.example.net", "198.51.100.7");
        reset(&mut scene, "proxy.golang.org", "142.250.74.113");
        scene.owners.own.insert(of(&own));
        scene.go.exit = Some(0);
        assert_eq!(relevances(&scene).0, [Relevance::Go, Relevance::GoShaped]);
        scene.go.exit = Some(1);
        assert_eq!(relevances(&scene).0, [Relevance::Go, Relevance::Go], "it failed and says nothing of why");
        scene.log("go: m@v1: Get \"https://proxy.golang.org/m/@v/v1.info\": EOF\n");
        assert_eq!(relevances(&scene).0, [Relevance::Go, Relevance::Go], "it names the host");
        scene.log("go: m@v1: Get \"https://goproxy.example/m/@v/v1.info\": EOF\n");
        assert_eq!(relevances(&scene).0, [Relevance::Go, Relevance::GoShaped], "it names another");
    }

    #[test]
    fn what_is_nobodys_is_judged_where_the_settings_name_its_address() {
        let mut scene = Scene::new();
        let own = reset(&mut scene, "api.example.net", "198.51.100.7");
        let mut tcp = scene.connect("10.44.0.20:80");
        scene.open(&mut tcp);
        scene.owners.own.insert(of(&own));
        scene.go.exit = Some(0);
        assert_eq!(relevances(&scene).0, [Relevance::Go, Relevance::Other]);
        scene.env("GOPROXY=http://10.44.0.20\n");
        assert_eq!(relevances(&scene).0, [Relevance::Go, Relevance::Go]);
    }

    #[test]
    fn questions_over_tcp_are_judged_as_questions() {
        let mut scene = Scene::new();
        let mut tcp = scene.connect("192.168.1.1:53");
        scene.open(&mut tcp);
        scene.owners.own.insert(of(&tcp));
        assert_eq!(relevances(&scene).0, [Relevance::Other]);
    }
}
