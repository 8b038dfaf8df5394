//! What was downloaded in a recording, held against all that is at hand of it.

use super::collect::Inventory;
use super::download::Downloaded;
use super::note::VerifierKey;
use super::verify::{self, Settings, VerifyError};
use crate::go::env::{GoEnv, SumDb};
use crate::observation::Case;
use crate::reference::Reference;

/// The key of Go's own checksum database (cmd/go/internal/modfetch/key.go).
pub const SUM_GOLANG_ORG: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

/// The keys of checksum databases that go goes by, as far as is known: its settings', then the reference's, then Go's own
/// unless one of these stands in its place. What is no key is none.
#[must_use]
pub fn keys(reference: &Reference, env: Option<&GoEnv>) -> Vec<VerifierKey> {
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

/// Fills in [`Case::artifacts`]. The inventory holds what lies on a disk beside it.
///
/// # Errors
/// When a go.sum among that cannot be used.
pub fn verify(
    case: &mut Case,
    downloaded: Downloaded,
    inventory: &Inventory,
    reference: &Reference,
) -> Result<(), VerifyError> {
    if downloaded.is_empty() && *inventory == Inventory::default() {
        return Ok(());
    }
    let settings = Settings {
        keys: keys(reference, case.go.env.as_ref()),
        releases: reference.releases().clone(),
        downloaded,
        ..Settings::default()
    };
    case.artifacts = verify::run(inventory, &settings, &|_, _| {})?.artifacts;
    Ok(())
}
