//! `verify --sumdb URL`: asks a checksum database, or a mirror of it, for what proofs need. What comes is verified like a
//! folder's files, and nothing is believed for having come.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::output;
use super::probe::present_env;
use crate::artifact::collect::Inventory;
use crate::artifact::module::ModuleVersion;
use crate::artifact::note::VerifierKey;
use crate::artifact::sumdb::{Content, Item, Store};
use crate::artifact::tlog::Tile;
use crate::artifact::verify::{self, Settings};
use crate::go::env::GoEnv;
use crate::go::pattern::matching_pattern;
use crate::observation::artifact::Origin;
use crate::probe::fetch::{Limits, Mirror, Unfetched};
use crate::reference::Reference;

/// Reasons for missing answers that are told.
const REASONS: usize = 8;
/// What go asks about whatever the settings say.
const TOOLCHAIN: &str = "golang.org/toolchain";

/// Asks about all modules that are given, and adds what came to the stores that are verified.
pub(super) fn ask(
    url: &str,
    inventory: &Inventory,
    settings: &mut Settings,
    reference: &Reference,
    quiet: bool,
) -> anyhow::Result<()> {
    let env = present_env();
    let url = url.trim_end_matches('/');
    let mirror = Mirror::new(url, &env, reference.roots().clone(), Limits::default());
    let mirror = mirror.context("cannot ask what --sumdb gives")?;
    let mut asking = Asking { url, mirror, store: Store::default(), quiet };
    asking.lookups(verify::modules(inventory, settings).into_iter().collect(), &env)?;
    asking.store.name = name(url, &asking.store, &settings.keys);
    // Heads and lookups that lie on the disk are proven with its tiles, too.
    let known = settings.stores.len();
    settings.stores.push(asking.store.clone());
    let together = verify::stores(inventory, settings).into_iter().find(|store| store.name == asking.store.name);
    settings.stores.truncate(known);
    asking.tiles(&together.map(|store| store.wanted_tiles(&settings.keys)).unwrap_or_default())?;
    asking.account();
    settings.stores.push(asking.store);
    Ok(())
}

struct Asking<'a> {
    url: &'a str,
    mirror: Mirror,
    store: Store,
    quiet: bool,
}

impl Asking<'_> {
    fn say(&self, what: &str) {
        if !self.quiet {
            output::remark(&format!("goprobe: {}: {what}", self.url));
        }
    }

    /// What came, and what did not.
    fn account(&self) {
        let lookups = self.store.lookups.iter().map(|(_, item)| item);
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for item in lookups.chain(&self.store.heads).chain(self.store.tiles.values().flatten()) {
            if let Content::Absent(why) = &item.content {
                let count = reasons.entry(why).or_default();
                *count = count.saturating_add(1);
            }
        }
        for (why, count) in reasons.iter().take(REASONS) {
            self.say(&format!("{count} answers did not come: {why}"));
        }
        self.say(&format!("{} questions, {} bytes of answers", self.mirror.requests, self.mirror.received));
    }

    /// Lookups of the modules that it may be told of, and its newest head behind them: the log grows meanwhile.
    fn lookups(&mut self, modules: Vec<ModuleVersion>, env: &GoEnv) -> anyhow::Result<()> {
        let (mut asked, mut paths, mut private) = (Vec::new(), Vec::new(), 0_usize);
        for module in modules {
            match path(&module, env) {
                Ok(path) => {
                    asked.push(module);
                    paths.push(path);
                }
                Err(why) => {
                    private = private.saturating_add(1);
                    let item = Item { origin: Origin::Path(self.url.to_owned()), content: Content::Absent(why) };
                    self.store.lookups.push((module, item));
                }
            }
        }
        let via = self.mirror.proxy().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        let kept = if private == 0 { String::new() } else { format!(", and not about {private} that are private") };
        let plural = if asked.len() == 1 { "" } else { "s" };
        self.say(&format!("asking{via} about {} module{plural}{kept}", asked.len()));
        let answers = self.mirror.fetch(&paths)?;
        for ((module, path), answer) in asked.into_iter().zip(&paths).zip(answers) {
            let answer = answer.map_err(|why| match why {
                Unfetched::NotThere(status) => format!("not in the log, as {} says ({status})", self.mirror.host()),
                why => why.to_string(),
            });
            let item = self.item(path, answer);
            self.store.lookups.push((module, item));
        }
        let latest = "latest".to_owned();
        for answer in self.mirror.fetch(std::slice::from_ref(&latest))? {
            let item = self.item(&latest, answer.map_err(|why| why.to_string()));
            self.store.heads.push(item);
        }
        Ok(())
    }

    /// Tiles; where a narrow one is gone, the full one that came after it, as go does.
    fn tiles(&mut self, tiles: &[Tile]) -> anyhow::Result<()> {
        if !tiles.is_empty() {
            self.say(&format!("asking for {} tiles", tiles.len()));
        }
        let paths: Vec<String> = tiles.iter().map(ToString::to_string).collect();
        let answers = self.mirror.fetch(&paths)?;
        let mut full = Vec::new();
        for (tile, answer) in tiles.iter().zip(answers) {
            match answer {
                Err(Unfetched::NotThere(_)) if tile.width < 256 => full.push(Tile { width: 256, ..*tile }),
                answer => self.add(*tile, answer),
            }
        }
        let paths: Vec<String> = full.iter().map(ToString::to_string).collect();
        for (tile, answer) in full.iter().zip(self.mirror.fetch(&paths)?) {
            self.add(*tile, answer);
        }
        Ok(())
    }

    fn add(&mut self, tile: Tile, answer: Result<Vec<u8>, Unfetched>) {
        let item = self.item(&tile.to_string(), answer.map_err(|why| why.to_string()));
        self.store.tiles.entry(tile).or_default().push(item);
    }

    fn item(&self, path: &str, answer: Result<Vec<u8>, String>) -> Item {
        let content = answer.map_or_else(Content::Absent, Content::Bytes);
        Item { origin: Origin::Path(format!("{}/{path}", self.url)), content }
    }
}

/// Where a module is looked up, or why nobody is told of it.
fn path(module: &ModuleVersion, env: &GoEnv) -> Result<String, String> {
    let pattern = matching_pattern(env.gonosumdb(), &module.path).filter(|_| module.path != TOOLCHAIN);
    if let Some(pattern) = pattern {
        return Err(format!("not asked: GONOSUMDB or GOPRIVATE has the pattern {pattern}, so go does not ask either"));
    }
    module.check().map_err(|rule| format!("not asked: {rule}"))?;
    let (path, version) = module.escaped().ok_or("not asked: a name that cannot be encoded")?;
    Ok(format!("lookup/{path}@{version}"))
}

/// The name of the database: its address has it, or the notes that came, or the key that was given.
fn name(url: &str, store: &Store, keys: &[VerifierKey]) -> String {
    let below = url.split_once("://").map_or(url, |(_, rest)| rest);
    let named = below.split_once("/sumdb/").map_or(below, |(_, name)| name);
    let signers = store.signers();
    let known = |name: &str| keys.iter().any(|key| key.name() == name);
    let signer = signers.iter().find(|name| known(name)).or_else(|| {
        // One key beside Go's own was given for this.
        signers.first().filter(|_| keys.len() < 2)
    });
    match (signer, keys.first()) {
        _ if known(named) => named.to_owned(),
        (Some(signer), _) => signer.clone(),
        (None, Some(key)) if keys.len() > 1 => key.name().to_owned(),
        _ => named.to_owned(),
    }
}
