//! What lies under the given paths: a walk that tells module caches, proxy trees, vendor directories, projects, checksum
//! databases and Go releases by their layout. Links are followed as go follows them, but not in circles.

mod places;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::places::{head, is_database, is_partial, is_versioned, module_of_zip, tree_of, unnumbered};
use super::extracted;
use super::gosum::GoSum;
use super::module::ModuleVersion;
use super::sdk;

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
    /// Zips and `.mod` files in folders that were walked, which nothing but their names makes a module's: not looked at.
    pub ignored: Vec<PathBuf>,
    /// What could not be read or is not what its name says, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Inventory {
    /// Looks at a path.
    ///
    /// # Errors
    /// When it does not exist, cannot be read or is neither file nor folder. What cannot be read beneath it is noted in
    /// [`Inventory::unreadable`].
    pub fn add(&mut self, path: &Path) -> io::Result<()> {
        let about = fs::metadata(path)?;
        let before = [&self.zips, &self.mods, &self.zip_hashes].map(Vec::len);
        let root = if about.is_dir() {
            fs::read_dir(path)?;
            if is_project(path) {
                self.add_project(path);
            } else {
                self.walk(path)?;
            }
            path
        } else if about.is_file() {
            self.add_file(path)?;
            path.parent().unwrap_or(path)
        } else {
            return Err(io::Error::other("it is neither a file nor a folder"));
        };
        let [zips, mods, hashes] = before;
        let lists = (self.zips.get_mut(zips..), self.mods.get_mut(mods..), self.zip_hashes.get_mut(hashes..));
        if let (Some(zips), Some(mods), Some(hashes)) = lists {
            places::assign(zips, mods, hashes, root);
        }
        Ok(())
    }

    fn walk(&mut self, path: &Path) -> io::Result<()> {
        let mut folders = vec![path.to_owned()];
        let mut followed = vec![path.canonicalize()?];
        let refusals = extracted::others(path);
        let refused =
            |file: &Path| !refusals.is_empty() && std::path::absolute(file).is_ok_and(|file| refusals.contains(&file));
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
                    let fixture = is_fixture(&folder, path);
                    listing
                        .files
                        .iter()
                        .filter(|file| !refused(file))
                        .for_each(|file| self.find(file, cached, fixture));
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

    /// Keeps one of each file and folder that was come to in several ways: none is another copy of itself.
    pub fn dedup(&mut self) {
        let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for list in [&mut self.zips, &mut self.mods, &mut self.zip_hashes, &mut self.trees] {
            // Of two readings of its place one that says something counts.
            list.sort_by(|one, other| (one.module.is_none(), one).cmp(&(other.module.is_none(), other)));
            let mut known = HashSet::with_capacity(list.len());
            list.retain(|placed| known.insert(place(&placed.path)));
            list.sort();
        }
        let lists = [&mut self.vendors, &mut self.go_sums, &mut self.notes, &mut self.releases, &mut self.goroots];
        for list in lists.into_iter().chain(self.databases.values_mut()) {
            list.sort();
            let mut known = HashSet::new();
            list.retain(|path| known.insert(place(path)));
        }
    }

    /// Adds a folder that is a checksum database, whatever its name.
    pub fn add_database(&mut self, path: &Path, name: &str) {
        self.databases.entry(name.to_owned()).or_default().push(path.to_owned());
    }

    /// Whether a folder is something as a whole.
    fn recognised(&mut self, folder: &Path, root: &Path) -> bool {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let name = absolute.file_name().and_then(|name| name.to_str()).unwrap_or_default();
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
        if name == "vendor" && folder.join("modules.txt").exists() {
            self.vendors.push(folder.to_owned());
            return true;
        }
        if name != "@v" && is_database(&absolute) {
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
        // In a workspace go goes by the go.sum of each of its modules.
        let work = fs::read_to_string(folder.join("go.work")).unwrap_or_default();
        let used = used(&work).into_iter().map(|module| folder.join(module).join("go.sum"));
        let own = ["go.sum", "go.work.sum"].map(|name| folder.join(name));
        for path in own.into_iter().chain(used).filter(|path| path.is_file()) {
            if self.go_sums.iter().all(|known| !is_same(known, &path)) {
                self.go_sums.push(path);
            }
        }
        let vendor = folder.join("vendor");
        if vendor.join("modules.txt").is_file() {
            self.vendors.push(vendor);
        }
    }

    /// A file that was found in a folder: what it is must be seen by more than its name.
    fn find(&mut self, path: &Path, cached: bool, fixture: bool) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let plain = unnumbered(name).unwrap_or(name);
        let is = |suffix: &str| plain.ends_with(suffix);
        if cached && name.is_empty() {
            self.unreadable.push((path.to_owned(), "its name is not UTF-8".to_owned()));
        } else if cached && (is(".zip") || is(".mod") || is(".ziphash")) {
            self.sort_in(path);
        } else if fixture {
            // Test data is wrong on purpose.
        } else if sdk::is_release(name) {
            self.releases.push(path.to_owned());
        } else if is(".zip") {
            match head(path).map(|head| module_of_zip(&head)) {
                Ok(Some(module)) => self.add_loose_zip(path, name, module),
                Ok(None) => self.ignored.push(path.to_owned()),
                Err(error) => self.unreadable.push((path.to_owned(), error.to_string())),
            }
        } else if is(".mod") && name != "go.mod" {
            self.ignored.push(path.to_owned());
        } else if matches!(name, "go.sum" | "go.work.sum") {
            let read = fs::read(path).map_err(|error| error.to_string());
            match read.and_then(|text| GoSum::parse(&text).map_err(|error| error.to_string())) {
                Ok(_) => self.go_sums.push(path.to_owned()),
                Err(why) => self.unreadable.push((path.to_owned(), why)),
            }
        }
    }

    /// A module zip that lies in no `@v` folder. As Athens keeps modules, their go.mod lies beside it.
    fn add_loose_zip(&mut self, path: &Path, name: &str, module: ModuleVersion) {
        self.zips.push(Placed { path: path.to_owned(), module: None });
        let go_mod = path.with_file_name("go.mod");
        if name == "source.zip" && go_mod.is_file() {
            self.mods.push(Placed { path: go_mod, module: Some(module) });
        }
    }

    /// A file that is what its name says.
    fn sort_in(&mut self, path: &Path) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is = |suffix: &str| name.ends_with(suffix) || unnumbered(name).is_some_and(|name| name.ends_with(suffix));
        let list = if sdk::is_release(name) {
            self.releases.push(path.to_owned());
            return;
        } else if is(".zip") {
            &mut self.zips
        } else if is(".mod") {
            &mut self.mods
        } else if is(".ziphash") {
            &mut self.zip_hashes
        } else {
            return;
        };
        list.push(Placed { path: path.to_owned(), module: None });
    }

    /// A file that was named.
    fn add_file(&mut self, path: &Path) -> io::Result<()> {
        let head = head(path)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let text = String::from_utf8_lossy(&head);
        if text.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----") {
            self.keys.push(path.to_owned());
        } else if text.starts_with("go.sum database tree\n")
            || (text.starts_with(|c: char| c.is_ascii_digit()) && text.contains("\n\ngo.sum database tree\n"))
        {
            self.notes.push(path.to_owned());
        } else if name.ends_with(".sum") {
            self.go_sums.push(path.to_owned());
        } else if sdk::looks_like_release(name, &head) {
            self.releases.push(path.to_owned());
        } else if module_of_zip(&head).is_some() {
            self.zips.push(Placed { path: path.to_owned(), module: None });
        } else {
            let before = self.count();
            self.sort_in(path);
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

/// The folders that a go.work uses.
fn used(work: &str) -> Vec<&str> {
    let (mut used, mut inside) = (Vec::new(), false);
    for line in work.lines() {
        let words: Vec<&str> = line.split("//").next().unwrap_or_default().split_whitespace().collect();
        match words.as_slice() {
            ["use", "("] => inside = true,
            [")"] => inside = false,
            ["use", folder] => used.push(folder.trim_matches(['"', '`'])),
            [folder] if inside => used.push(folder.trim_matches(['"', '`'])),
            _ => {}
        }
    }
    used
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// Whether a folder below that root is one that go leaves out for holding test data.
fn is_fixture(folder: &Path, root: &Path) -> bool {
    folder.strip_prefix(root).is_ok_and(|below| below.components().any(|name| name.as_os_str() == "testdata"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::testing::zip_of;

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
        assert_eq!((inventory.ignored.len(), modules(&inventory.trees)), (3, vec!["example.com/m@v1.0.0".to_owned()]));
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

    fn write(root: &Path, name: &str, content: &[u8]) {
        touch(root, name);
        fs::write(root.join(name), content).unwrap();
    }

    fn zip(name: &str) -> Vec<u8> {
        zip_of(&[(name, "x")])
    }

    #[test]
    fn in_a_walk_only_what_is_seen_to_be_a_modules_is_one() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["photos.zip", "fortran.mod", "a/b__go.mod", "testdata/go.sum", "x/lookup/names.txt", "m/go.mod"] {
            touch(folder.path(), name);
        }
        write(folder.path(), "testdata/@v/v1.0.0.zip", b"x");
        write(folder.path(), "yarn.zip", &zip("node_modules/@vue/shared/index.js"));
        write(folder.path(), "bad/go.sum", b"a b\n");
        write(folder.path(), "kept/one.zip", &zip("example.com/m@v1.0.0/a.go"));
        write(folder.path(), "athens/example.com/m/v1.0.1/source.zip", &zip("example.com/m@v1.0.1/a.go"));
        touch(folder.path(), "athens/example.com/m/v1.0.1/go.mod");
        let mut inventory = Inventory::default();
        inventory.add(folder.path()).unwrap();
        assert_eq!((inventory.zips.len(), modules(&inventory.mods)), (3, vec!["example.com/m@v1.0.1".to_owned()]));
        assert_eq!((inventory.ignored.len(), inventory.unreadable.len()), (4, 1), "{inventory:?}");
        assert!(inventory.databases.is_empty() && inventory.go_sums.is_empty());
        // What is named is what it is said to be.
        let mut inventory = Inventory::default();
        inventory.add(&folder.path().join("photos.zip")).unwrap();
        inventory.add(&folder.path().join("m/go.mod")).unwrap();
        assert_eq!((inventory.zips.len(), inventory.mods.len(), inventory.unknown.len()), (1, 1, 0));
    }

    #[test]
    fn a_tree_below_the_folder_of_a_host_is_read_by_what_lies_in_it() {
        for base in ["proxy.golang.org", "nexus.example.com/repository/go", "deep/er"] {
            let folder = tempfile::tempdir().unwrap();
            let below = folder.path().join(base);
            write(&below, "github.com/!a/b/@v/v1.0.0.zip", &zip("github.com/A/b@v1.0.0/a.go"));
            write(&below, "github.com/!a/b/@v/v1.0.0.zip-2", &zip("github.com/A/b@v1.0.0/a.go"));
            write(&below, "gopkg.in/yaml.v3/@v/v3.0.1.mod", b"// a\nmodule \"gopkg.in/yaml.v3\"\n");
            // A fork says of itself that it is another.
            write(&below, "github.com/fork/c/@v/v1.0.0.mod", b"module github.com/orig/c\n");
            touch(&below, "github.com/!a/b/@v/v1.0.0.info");
            touch(&below, "github.com/!a/b/@v/v1.0.1.zip.incomplete");
            for start in [folder.path(), &below, &below.join("github.com")] {
                let mut inventory = Inventory::default();
                inventory.add(start).unwrap();
                assert_eq!(modules(&inventory.zips), ["github.com/A/b@v1.0.0"; 2], "{base}");
                let mods = modules(&inventory.mods);
                assert!(mods.contains(&"github.com/fork/c@v1.0.0".to_owned()), "{base}: {mods:?}");
                assert_eq!(mods.contains(&"gopkg.in/yaml.v3@v3.0.1".to_owned()), !start.ends_with("github.com"));
            }
            let mut inventory = Inventory::default();
            inventory.add(&below.join("github.com/!a/b/@v/v1.0.0.zip")).unwrap();
            assert_eq!(modules(&inventory.zips), ["github.com/A/b@v1.0.0"], "{base}");
        }
    }

    #[test]
    fn what_was_extracted_lies_below_its_host() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "manifest.jsonl");
        touch(folder.path(), "proxy.example.com/example.com/m/@v/v1.0.0.mod");
        touch(folder.path(), "proxy.example.com/sumdb/sum.golang.org/lookup/example.com/m@v1.0.0");
        touch(folder.path(), "sum.golang.org/lookup/example.com/m@v1.0.0");
        let mut inventory = Inventory::default();
        inventory.add(folder.path()).unwrap();
        assert_eq!(modules(&inventory.mods), ["example.com/m@v1.0.0"]);
        assert_eq!(inventory.databases.get("sum.golang.org").map(Vec::len), Some(2));
    }

    #[test]
    fn a_zip_of_another_module_does_not_choose_its_place() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            "cache/download/example.com/github.com/a/b/@v/v1.0.0.zip",
            &zip("github.com/a/b@v1.0.0/a"),
        );
        write(folder.path(), "other/example.com/m/@v/v1.0.0.zip", &zip("example.com/n@v1.0.0/a"));
        let mut inventory = Inventory::default();
        inventory.add(folder.path()).unwrap();
        let names = modules(&inventory.zips);
        assert_eq!(names, ["example.com/github.com/a/b@v1.0.0", "example.com/m@v1.0.0"]);
    }

    #[test]
    fn a_workspace_goes_by_the_sums_of_its_modules() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "go.work", b"go 1.21\n\nuse ./a // one\nuse (\n\t\"./b\"\n\t.\n)\nreplace x => ./c\n");
        for name in ["go.sum", "go.work.sum", "a/go.sum", "b/go.sum", "c/go.sum"] {
            touch(folder.path(), name);
        }
        let mut inventory = Inventory::default();
        inventory.add(folder.path()).unwrap();
        assert_eq!(inventory.go_sums.len(), 4, "{:?}", inventory.go_sums);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
        assert!(Inventory::default().add(&folder.path().join("s")).is_err());
        assert!(Inventory::default().add(Path::new("/dev/null")).is_err());
    }
}
