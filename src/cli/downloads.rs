//! What was downloaded in a recording, held against all that is at hand of it.

use std::path::{Path, PathBuf};

use super::examine::Disk;
use crate::artifact::collect::{Inventory, Placed};
use crate::artifact::download::{Downloaded, Downloads};
use crate::artifact::gosum::GoSum;
use crate::artifact::module::ModuleVersion;
use crate::artifact::note::VerifierKey;
use crate::artifact::verify::{self, Settings};
use crate::go::env::{GoEnv, SumDb};
use crate::observation::Case;
use crate::reference::Reference;

/// The key of Go's own checksum database (cmd/go/internal/modfetch/key.go).
pub(super) const SUM_GOLANG_ORG: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

/// The keys of checksum databases that go goes by, as far as is known: its settings', then the reference's, then Go's own
/// unless one of these stands in its place. What is no key is none.
pub(super) fn keys(reference: &Reference, env: Option<&GoEnv>) -> Vec<VerifierKey> {
    let set = env.and_then(|env| match env.gosumdb() {
        SumDb::On { key, .. } => key,
        SumDb::Off => None,
    });
    let given = set.into_iter().chain(reference.honest().sumdb_key.clone());
    let mut keys: Vec<VerifierKey> = given.filter_map(|text| VerifierKey::parse(&text).ok()).collect();
    let own = VerifierKey::parse(SUM_GOLANG_ORG).ok();
    if let Some(own) = own.filter(|own| keys.iter().all(|key| key.name() != own.name())) {
        keys.push(own);
    }
    keys
}

/// Fills in [`Case::artifacts`].
pub(super) fn verify(case: &mut Case, downloads: &mut Downloads, reference: &Reference, disk: Disk) {
    let downloaded = downloads.finish(case);
    let inventory = match case.go.env.as_ref().filter(|_| disk != Disk::Elsewhere) {
        Some(env) => beside(&downloaded, env),
        None => Inventory::default(),
    };
    let Downloaded { facts, stores, releases } = &downloaded;
    if facts.is_empty() && stores.is_empty() && releases.is_empty() {
        return;
    }
    let settings = Settings {
        keys: keys(reference, case.go.env.as_ref()),
        releases: reference.releases().clone(),
        downloaded,
        ..Settings::default()
    };
    if let Ok(outcome) = verify::run(&inventory, &settings, &|_, _| {}) {
        case.artifacts = outcome.artifacts;
    }
}

/// What lies on this machine's disk of the modules that were downloaded: the module cache's copies, the go.sum of the
/// project, what go remembers of the checksum database.
fn beside(downloaded: &Downloaded, env: &GoEnv) -> Inventory {
    let mut inventory = Inventory::default();
    let path = |key: &str| env.get(key).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(cache) = path("GOMODCACHE") {
        let mut modules: Vec<&ModuleVersion> =
            downloaded.facts.iter().filter_map(|facts| facts.module.as_ref()).collect();
        modules.sort();
        modules.dedup();
        for module in modules {
            add_cached(&mut inventory, &cache, module);
        }
        for store in &downloaded.stores {
            add_folder(&mut inventory, &cache.join("cache/download/sumdb").join(&store.name), &store.name);
        }
    }
    let gopath =
        env.get("GOPATH").and_then(|list| std::env::split_paths(list).next()).filter(|path| path.is_absolute());
    if let Some(gopath) = gopath {
        for store in &downloaded.stores {
            add_folder(&mut inventory, &gopath.join("pkg/sumdb").join(&store.name), &store.name);
        }
    }
    let module = path("GOMOD").filter(|file| file.ends_with("go.mod")).map(|file| file.with_file_name("go.sum"));
    let work = path("GOWORK").filter(|file| file.ends_with("go.work")).map(|file| file.with_file_name("go.work.sum"));
    // One that cannot be read holds nothing; go says so itself.
    let readable = |file: &PathBuf| std::fs::read(file).is_ok_and(|text| GoSum::parse(&text).is_ok());
    inventory.go_sums = module.into_iter().chain(work).filter(readable).collect();
    inventory
}

fn add_cached(inventory: &mut Inventory, cache: &Path, module: &ModuleVersion) {
    let Some((path, version)) = module.escaped() else { return };
    let folder = cache.join("cache/download").join(&path).join("@v");
    let placed = |path: PathBuf| Placed { path, module: Some(module.clone()) };
    for (suffix, list) in
        [("zip", &mut inventory.zips), ("mod", &mut inventory.mods), ("ziphash", &mut inventory.zip_hashes)]
    {
        let file = folder.join(format!("{version}.{suffix}"));
        if file.is_file() {
            list.push(placed(file));
        }
    }
    let tree = cache.join(format!("{path}@{version}"));
    if tree.is_dir() {
        inventory.trees.push(placed(tree));
    }
}

fn add_folder(inventory: &mut Inventory, folder: &Path, name: &str) {
    if folder.is_dir() {
        inventory.add_database(folder, name);
    }
}
