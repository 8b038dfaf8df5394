//! What lies under the given paths: a walk that tells module caches, proxy trees, vendor directories, projects, checksum
//! databases and Go releases by their layout. Links are followed as go follows them, but not in circles.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use super::module::{ModuleVersion, check_path};
use super::sdk;

/// Bytes of a file that are looked at to tell what it is.
const HEAD: u64 = 4 << 10;

/// A file or folder of a module, and which module its place says it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Placed {
    /// Where.
    pub path: PathBuf,
    /// Of which module, where the place tells.
    pub module: Option<ModuleVersion>,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Module zips.
    pub zips: Vec<Placed>,
    /// `.mod` files.
    pub mods: Vec<Placed>,
    /// `.ziphash` files.
    pub zip_hashes: Vec<Placed>,
    /// Unpacked modules.
    pub trees: Vec<Placed>,
    /// Vendor directories.
    pub vendors: Vec<PathBuf>,
    /// go.sum files.
    pub go_sums: Vec<PathBuf>,
    /// Folders of checksum databases, by the database's name.
    pub databases: BTreeMap<String, Vec<PathBuf>>,
    /// Loose signed heads and lookups.
    pub notes: Vec<PathBuf>,
    /// Archives and installers of Go releases.
    pub releases: Vec<PathBuf>,
    /// Installed Gos.
    pub goroots: Vec<PathBuf>,
    /// OpenPGP key blocks.
    pub keys: Vec<PathBuf>,
    /// Files that were named and are nothing of all this.
    pub unknown: Vec<PathBuf>,
    /// What could not be read or is not what its name says, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Inventory {
    /// Looks at a path.
    ///
    /// # Errors
    /// When it does not exist or cannot be read. What cannot be read beneath it is noted in [`Inventory::unreadable`].
    pub fn add(&mut self, path: &Path) -> io::Result<()> {
        if !fs::metadata(path)?.is_dir() {
            return self.add_file(path);
        }
        fs::read_dir(path)?;
        if is_project(path) {
            self.add_project(path);
            return Ok(());
        }
        let mut folders = vec![path.to_owned()];
        let mut followed = vec![path.canonicalize()?];
        while let Some(folder) = folders.pop() {
            if self.recognised(&folder, path) {
                continue;
            }
            let cached = folder.file_name().is_some_and(|name| name == "@v");
            match listing(&folder) {
                Ok(listing) => {
                    // The last one is taken first.
                    folders.extend(listing.folders.into_iter().rev().filter(|below| !cached || !self.misnamed(below)));
                    folders.extend(listing.linked.into_iter().filter(|linked| is_elsewhere(linked, &mut followed)));
                    listing.files.iter().for_each(|file| self.sort_in(file, path, cached));
                    listing.others.iter().filter(|_| cached).for_each(|other| {
                        self.misnamed(other);
                    });
                }
                Err(error) => self.unreadable.push((folder, error.to_string())),
            }
        }
        Ok(())
    }

    /// Notes a folder, pipe or broken link that has the name of a file of a module cache.
    fn misnamed(&mut self, path: &Path) -> bool {
        let is_one = path.extension().is_some_and(|it| ["zip", "mod", "ziphash"].iter().any(|name| it == *name));
        if is_one {
            self.unreadable.push((path.to_owned(), "no regular file".to_owned()));
        }
        is_one
    }

    /// Adds a folder that is a checksum database, whatever its name.
    pub fn add_database(&mut self, path: &Path, name: &str) {
        self.databases.entry(name.to_owned()).or_default().push(path.to_owned());
    }

    /// Whether a folder is something as a whole.
    fn recognised(&mut self, folder: &Path, root: &Path) -> bool {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let has = |child: &str| folder.join(child).exists();
        if name == ".git" || (name == "vcs" && folder.parent().is_some_and(|parent| parent.ends_with("cache"))) {
            return true;
        }
        if let Some(module) = tree_of(folder, root) {
            if is_partial(folder, &module) {
                let why = "it was not wholly unpacked (.partial): go does not use it, and unpacks it anew";
                self.unreadable.push((folder.to_owned(), why.to_owned()));
            } else if module.path == sdk::TOOLCHAIN {
                // What go unpacks of a toolchain is an installed Go, with more files in it than its zip.
                self.goroots.push(folder.to_owned());
            } else {
                self.trees.push(Placed { path: folder.to_owned(), module: Some(module) });
            }
            return true;
        }
        if name == "vendor" && has("modules.txt") {
            self.vendors.push(folder.to_owned());
            return true;
        }
        let in_sumdb = folder.parent().is_some_and(|parent| parent.ends_with("sumdb"));
        if (has("lookup") || has("tile/8") || (in_sumdb && has("latest"))) && name != "@v" {
            self.add_database(folder, name);
            return true;
        }
        if sdk::is_goroot(folder) {
            self.goroots.push(folder.to_owned());
            return true;
        }
        false
    }

    fn add_project(&mut self, folder: &Path) {
        for name in ["go.sum", "go.work.sum"] {
            let path = folder.join(name);
            if path.is_file() {
                self.go_sums.push(path);
            }
        }
        let vendor = folder.join("vendor");
        if vendor.join("modules.txt").is_file() {
            self.vendors.push(vendor);
        }
    }

    /// A file that was found in a folder.
    fn sort_in(&mut self, path: &Path, root: &Path, cached: bool) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let module = |suffix: &str| if cached { cached_module(path, root, name.strip_suffix(suffix)?) } else { None };
        let list = if name.ends_with(".zip") && !sdk::is_release(name) {
            let module = module(".zip");
            self.zips.push(Placed { path: path.to_owned(), module });
            return;
        } else if name.ends_with(".mod") && name != "go.mod" {
            &mut self.mods
        } else if name.ends_with(".ziphash") {
            &mut self.zip_hashes
        } else {
            match name {
                "go.sum" | "go.work.sum" => self.go_sums.push(path.to_owned()),
                _ if sdk::is_release(name) => self.releases.push(path.to_owned()),
                _ => {}
            }
            return;
        };
        let module = module(".mod").or_else(|| module(".ziphash"));
        list.push(Placed { path: path.to_owned(), module });
    }

    /// A file that was named.
    fn add_file(&mut self, path: &Path) -> io::Result<()> {
        let mut head = Vec::new();
        fs::File::open(path)?.take(HEAD).read_to_end(&mut head)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let root = path.parent().unwrap_or(path);
        let cached = path.parent().is_some_and(|parent| parent.ends_with("@v"));
        let text = String::from_utf8_lossy(&head);
        if text.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----") {
            self.keys.push(path.to_owned());
        } else if text.starts_with("go.sum database tree\n")
            || (text.starts_with(|c: char| c.is_ascii_digit()) && text.contains("\n\ngo.sum database tree\n"))
        {
            self.notes.push(path.to_owned());
        } else if name == "go.mod" {
            self.mods.push(Placed { path: path.to_owned(), module: None });
        } else if name.ends_with(".sum") {
            self.go_sums.push(path.to_owned());
        } else if sdk::looks_like_release(name, &head) {
            self.releases.push(path.to_owned());
        } else if head.starts_with(b"PK") && !sdk::is_release(name) && !name.ends_with(".zip") {
            self.zips.push(Placed { path: path.to_owned(), module: None });
        } else {
            let before = self.count();
            self.sort_in(path, root, cached);
            if self.count() == before && !is_companion(name) {
                self.unknown.push(path.to_owned());
            }
        }
        Ok(())
    }

    fn count(&self) -> usize {
        [&self.zips, &self.mods, &self.zip_hashes].map(Vec::len).iter().sum::<usize>()
            + self.go_sums.len()
            + self.releases.len()
    }
}

/// What stands beside artifacts and is none: signatures are read with what they sign.
fn is_companion(name: &str) -> bool {
    [".asc", ".info", ".lock", ".sha256"].iter().any(|suffix| name.ends_with(suffix)) || name == "list"
}

fn is_project(folder: &Path) -> bool {
    ["go.mod", "go.sum", "go.work"].iter().any(|name| folder.join(name).is_file()) && !is_versioned(folder)
}

/// What is in a folder, each sorted.
#[derive(Default)]
struct Listing {
    folders: Vec<PathBuf>,
    /// Links to folders.
    linked: Vec<PathBuf>,
    /// Files, and links to such.
    files: Vec<PathBuf>,
    /// Pipes, devices, and links to nothing.
    others: Vec<PathBuf>,
}

fn listing(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let list = if kind.is_dir() {
            &mut listing.folders
        } else if kind.is_file() || (kind.is_symlink() && path.is_file()) {
            &mut listing.files
        } else if kind.is_symlink() && path.is_dir() {
            &mut listing.linked
        } else {
            &mut listing.others
        };
        list.push(path);
    }
    for list in [&mut listing.folders, &mut listing.linked, &mut listing.files, &mut listing.others] {
        list.sort();
    }
    Ok(listing)
}

/// Whether a link leads to what is looked at neither as a part of the rest nor through another link.
fn is_elsewhere(link: &Path, followed: &mut Vec<PathBuf>) -> bool {
    let Ok(target) = link.canonicalize() else { return false };
    let known = followed.iter().any(|known| target.starts_with(known) || known.starts_with(&target));
    if !known {
        followed.push(target);
    }
    !known
}

/// Whether go has begun to unpack a module of a cache and has not finished (modfetch.DownloadDir).
fn is_partial(tree: &Path, module: &ModuleVersion) -> bool {
    let Some((path, version)) = module.escaped() else { return false };
    let root = tree.ancestors().nth(path.split('/').count());
    root.is_some_and(|root| root.join(format!("cache/download/{path}/@v/{version}.partial")).exists())
}

fn is_versioned(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split_once('@').is_some_and(|(name, version)| !name.is_empty() && version.starts_with('v'))
}

/// The module that a folder of a module cache is the tree of.
fn tree_of(folder: &Path, root: &Path) -> Option<ModuleVersion> {
    if !is_versioned(folder) {
        return None;
    }
    let names = names(folder)?;
    let escaped = |from: usize| {
        let joined = names.get(from..)?.join("/");
        let (path, version) = joined.split_once('@')?;
        ModuleVersion::from_escaped(path, version).filter(|module| module.check().is_ok())
    };
    first_module(&names, root, escaped)
}

/// The module of a file in a `@v` folder.
fn cached_module(file: &Path, root: &Path, version: &str) -> Option<ModuleVersion> {
    let names = names(file.parent()?.parent()?)?;
    let module = |from: usize| {
        let module = ModuleVersion::from_escaped(&names.get(from..)?.join("/"), version)?;
        check_path(&module.path).ok().map(|()| module)
    };
    first_module(&names, root, module)
}

/// The names on the way to a place, from the root of the file system on.
fn names(path: &Path) -> Option<Vec<String>> {
    let path = std::path::absolute(path).ok()?;
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_str().map(str::to_owned)),
        _ => None,
    });
    names.collect()
}

/// Where in a path a module's name begins: behind `cache/download` or `pkg/mod`, behind the path that was given, else as
/// early as a valid name begins.
fn first_module(
    names: &[String],
    root: &Path,
    module: impl Fn(usize) -> Option<ModuleVersion>,
) -> Option<ModuleVersion> {
    let behind = |mark: [&str; 2]| {
        let at = names.windows(2).rposition(|pair| pair == mark)?;
        at.checked_add(2)
    };
    let below = self::names(root).map(|root| root.len()).filter(|below| *below < names.len());
    let marked = [behind(["cache", "download"]), behind(["pkg", "mod"]), below];
    marked.into_iter().flatten().chain(0..names.len()).find_map(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, name: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    fn modules(placed: &[Placed]) -> Vec<String> {
        placed.iter().map(|it| it.module.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
    }

    #[test]
    fn a_module_cache_is_known_by_its_layout_wherever_one_starts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("my.home/go/pkg/mod");
        let entry = "cache/download/github.com/!burnt!sushi/toml/@v/v0.3.1";
        for suffix in ["zip", "mod", "ziphash", "info", "lock"] {
            touch(&root, &format!("{entry}.{suffix}"));
        }
        touch(&root, "cache/download/sumdb/sum.golang.org/lookup/a.b@v1.0.0");
        touch(&root, "github.com/!burnt!sushi/toml@v0.3.1/go.mod");
        touch(&root, "cache/vcs/0123/a.zip");
        for start in ["", "cache/download", "cache/download/github.com/!burnt!sushi/toml/@v"] {
            let mut inventory = Inventory::default();
            inventory.add(&root.join(start)).unwrap();
            let name = ["github.com/BurntSushi/toml@v0.3.1"];
            for list in [&inventory.zips, &inventory.mods, &inventory.zip_hashes] {
                assert_eq!(modules(list), name, "{start}");
            }
            if start.is_empty() {
                assert_eq!(modules(&inventory.trees), name);
                assert_eq!(inventory.databases.keys().collect::<Vec<_>>(), ["sum.golang.org"]);
            }
        }
        let mut inventory = Inventory::default();
        inventory.add(&root.join("github.com/!burnt!sushi/toml@v0.3.1")).unwrap();
        assert_eq!(modules(&inventory.trees), ["github.com/BurntSushi/toml@v0.3.1"]);
        let mut inventory = Inventory::default();
        inventory.add(&root.join(format!("{entry}.zip"))).unwrap();
        assert_eq!(modules(&inventory.zips), ["github.com/BurntSushi/toml@v0.3.1"]);
    }

    #[test]
    fn a_project_gives_its_go_sum_and_its_vendor_directory() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["go.mod", "go.sum", "vendor/modules.txt", "testdata/a.zip", "sub/go.sum"] {
            touch(folder.path(), name);
        }
        let mut inventory = Inventory::default();
        inventory.add(folder.path()).unwrap();
        assert_eq!((inventory.go_sums.len(), inventory.vendors.len(), inventory.zips.len()), (1, 1, 0));
    }

    #[test]
    fn what_is_nothing_of_ours_is_said_to_be_so() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "notes.txt");
        let mut inventory = Inventory::default();
        inventory.add(&folder.path().join("notes.txt")).unwrap();
        assert_eq!(inventory.unknown.len(), 1);
        assert!(inventory.add(&folder.path().join("no-such-file")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| folder.path().join(name);
        touch(folder.path(), "a/x.zip");
        touch(other.path(), "m@v1.0.0/go.mod");
        touch(other.path(), "b/y.zip");
        symlink(folder.path(), at("a/round")).unwrap();
        symlink(other.path(), at("example.com")).unwrap();
        symlink(folder.path(), other.path().join("back")).unwrap();
        symlink(other.path().join("b/y.zip"), at("a/y.zip")).unwrap();
        let mut inventory = Inventory::default();
        inventory.add(folder.path()).unwrap();
        assert_eq!((inventory.zips.len(), modules(&inventory.trees)), (3, vec!["example.com/m@v1.0.0".to_owned()]));
    }

    #[cfg(unix)]
    #[test]
    fn what_only_has_the_name_of_a_file_is_told_and_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("example.com/m/@v").join(name);
        fs::create_dir_all(at("v1.0.0.zip")).unwrap();
        std::os::unix::fs::symlink("/nowhere", at("v1.0.0.ziphash")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("v1.0.0.mod")).unwrap();
        let mut inventory = Inventory::default();
        inventory.add(folder.path()).unwrap();
        assert_eq!((inventory.unreadable.len(), inventory.count()), (3, 0));
    }

    #[test]
    fn a_tree_that_go_has_not_finished_is_none() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "cache/download/example.com/!m/@v/v1.0.0.partial");
        touch(folder.path(), "example.com/!m@v1.0.0/go.mod");
        touch(folder.path(), "example.com/!m@v1.0.1/go.mod");
        let mut inventory = Inventory::default();
        inventory.add(folder.path()).unwrap();
        assert_eq!(
            (modules(&inventory.trees), inventory.unreadable.len()),
            (vec!["example.com/M@v1.0.1".to_owned()], 1)
        );
    }
}
