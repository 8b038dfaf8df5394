//! What lies on this machine's disk of what a recording shows to be downloaded.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::artifact::collect::{Inventory, Placed};
use crate::artifact::download::Downloaded;
use crate::artifact::gosum::GoSum;
use crate::artifact::module::ModuleVersion;
use crate::go::GoRun;
use crate::go::env::GoEnv;

/// The module cache's copies of the modules, the go.sum of the project, what go remembers of the checksum database.
pub(super) fn beside(downloaded: &Downloaded, env: &GoEnv, go: &GoRun) -> Inventory {
    let mut inventory = Inventory::default();
    let seen = downloaded.facts.iter().filter_map(|facts| facts.module.clone());
    let named = go.errors().iter().filter_map(|error| ModuleVersion::parse(error.module.as_deref()?));
    let modules: BTreeSet<ModuleVersion> = seen.chain(named).filter(|module| module.check().is_ok()).collect();
    if modules.is_empty() {
        return inventory;
    }
    let path = |key: &str| env.get(key).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(cache) = path("GOMODCACHE") {
        for module in &modules {
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
