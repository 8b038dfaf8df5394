//! Whose process: the command runs as the user who asked, and goprobe keeps no privilege that it does not need.

use std::ffi::{CString, OsString};
use std::path::PathBuf;

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, User, initgroups, setresgid, setresuid};

use super::Error;

/// A user whom the command is to run as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    uid: Uid,
    gid: Gid,
    name: String,
    home: PathBuf,
}

impl Identity {
    /// The user who called sudo, where goprobe runs under it; `None` where goprobe is its user's own.
    ///
    /// # Errors
    /// Where sudo names a user who is not known.
    pub fn behind_sudo(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, Error> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let number = |name| variable(name).and_then(|value| value.to_str()?.parse::<u32>().ok());
        let Some(uid) = number("SUDO_UID").filter(|uid| *uid != 0) else { return Ok(None) };
        let user =
            User::from_uid(Uid::from_raw(uid)).map_err(|error| Error::User(uid.to_string(), error.to_string()))?;
        user.map(Self::of).ok_or_else(|| Error::User(uid.to_string(), "no such user".to_owned())).map(Some)
    }

    /// A user by name or number.
    ///
    /// # Errors
    /// Where there is no such user.
    pub fn named(name: &str) -> Result<Self, Error> {
        let found = match name.parse() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)),
            Err(_) => User::from_name(name),
        };
        let found = found.map_err(|error| Error::User(name.to_owned(), error.to_string()))?;
        found.map(Self::of).ok_or_else(|| Error::User(name.to_owned(), "no such user".to_owned()))
    }

    fn of(user: User) -> Self {
        Self { uid: user.uid, gid: user.gid, name: user.name, home: user.dir }
    }

    /// What the user's environment has instead of root's.
    pub fn variables(&self) -> [(&'static str, OsString); 3] {
        [("HOME", self.home.clone().into()), ("USER", self.name.clone().into()), ("LOGNAME", self.name.clone().into())]
    }

    /// Becomes that user for good, with that user's groups and without capabilities.
    pub(super) fn become_for_good(&self) -> Result<(), Error> {
        let failed = |error: nix::Error| Error::User(self.name.clone(), error.to_string());
        let name = CString::new(self.name.as_str()).map_err(|_| failed(nix::Error::EINVAL))?;
        initgroups(&name, self.gid).map_err(failed)?;
        setresgid(self.gid, self.gid, self.gid).map_err(failed)?;
        setresuid(self.uid, self.uid, self.uid).map_err(failed)?;
        give_up(&CapsHashSet::new());
        Ok(())
    }
}

/// Gives up every capability of this thread but those that tracing another user's or root's programs needs.
pub(super) fn keep_tracing() {
    let held = caps::read(None, CapSet::Permitted).unwrap_or_default();
    give_up(&held.intersection(&CapsHashSet::from([Capability::CAP_SYS_PTRACE])).copied().collect());
}

/// Gives up every capability of this thread.
pub(super) fn keep_nothing() {
    give_up(&CapsHashSet::new());
}

fn give_up(kept: &CapsHashSet) {
    // None of these can fail: what is set is never more than what is there.
    for set in [CapSet::Ambient, CapSet::Inheritable] {
        let _ = caps::clear(None, set);
    }
    let _ = caps::set(None, CapSet::Effective, kept);
    let _ = caps::set(None, CapSet::Permitted, kept);
    // A program with capabilities of its own, and one that changed its user, may not be looked into, and its children
    // inherit that until they execute something.
    let _ = prctl::set_dumpable(true);
}
