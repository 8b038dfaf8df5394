use std::io::Cursor;

use pgp::composed::{ArmorOptions, DetachedSignature, SignedKeyDetails};
use pgp::crypto::ed25519::{Mode, SecretKey as Ed25519};
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{PubKeyInner, PublicKey, PublicSubkey, SecretKey, SecretSubkey, SignatureConfig, Subpacket, UserId};
use pgp::ser::Serialize;
use pgp::types::{
    Duration, Ed25519PublicParams, KeyVersion, PacketHeaderVersion, Password, PlainSecretParams, PublicParams,
    SecretParams, SignedUser, SigningKey,
};

use super::*;

const DATA: &[u8] = b"an archive\nof Go";
/// 2024-01-01, when the keys are made.
const MADE: u32 = 1_704_067_200;
const DAY: u32 = 86_400;
const YEAR: u32 = 365 * DAY;
/// When files are signed unless a test says otherwise.
pub(crate) const SIGNED: u32 = MADE + YEAR / 2;

/// What a signature says of itself, beside its issuer.
#[derive(Clone)]
struct Terms {
    time: u32,
    kind: SignatureType,
    more: Vec<SubpacketData>,
}

fn terms(kind: SignatureType, time: u32, more: Vec<SubpacketData>) -> Terms {
    Terms { time, kind, more }
}

impl Terms {
    fn config(&self, key: &impl SigningKey) -> SignatureConfig {
        let mut config = SignatureConfig::v4(self.kind, key.algorithm(), HashAlgorithm::Sha256);
        let own = [
            SubpacketData::SignatureCreationTime(pgp::types::Timestamp::from_secs(self.time)),
            SubpacketData::IssuerFingerprint(key.fingerprint()),
        ];
        config.hashed_subpackets =
            own.into_iter().chain(self.more.clone()).map(|data| Subpacket::regular(data).unwrap()).collect();
        config
    }
}

fn expires(lifetime: u32) -> SubpacketData {
    SubpacketData::KeyExpirationTime(Duration::from_secs(lifetime))
}

fn may(sign: bool) -> SubpacketData {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(sign);
    SubpacketData::KeyFlags(flags)
}

fn reason(code: RevocationCode) -> Vec<SubpacketData> {
    vec![SubpacketData::RevocationReason(code, Vec::new().into())]
}

/// A key whose secrets are a byte repeated, so that tests need no randomness.
pub(crate) struct Maker {
    primary: SecretKey,
    public: SignedPublicKey,
    subkeys: Vec<SecretSubkey>,
}

fn parts(seed: u8) -> (PubKeyInner, SecretParams) {
    let secret = Ed25519::try_from_bytes([seed; 32], Mode::Ed25519).unwrap();
    let public = PublicParams::Ed25519(Ed25519PublicParams::from(&secret));
    let made = pgp::types::Timestamp::from_secs(MADE);
    let inner = PubKeyInner::new(KeyVersion::V4, PublicKeyAlgorithm::Ed25519, made, None, public);
    (inner.unwrap(), SecretParams::Plain(PlainSecretParams::Ed25519(secret)))
}

impl Maker {
    /// One that says these things of itself.
    fn with(seed: u8, own: &Terms) -> Self {
        let (inner, secret) = parts(seed);
        let public = PublicKey::from_inner(inner).unwrap();
        let primary = SecretKey::new(public.clone(), secret).unwrap();
        let id = UserId::from_str(PacketHeaderVersion::New, "Releases <r@example.com>").unwrap();
        let signature =
            own.config(&primary).sign_certification(&primary, &public, &Password::empty(), Tag::UserId, &id);
        let user = SignedUser::new(id, vec![signature.unwrap()]);
        let details = SignedKeyDetails::new(vec![], vec![], vec![user], vec![]);
        Self { public: SignedPublicKey::new(public, details, vec![]), primary, subkeys: Vec::new() }
    }

    pub(crate) fn new(seed: u8) -> Self {
        Self::with(seed, &terms(SignatureType::CertPositive, MADE, vec![may(true)]))
    }

    /// Adds a subkey that these terms bind; `vouch`: with a signature of its own.
    fn subkey(&mut self, seed: u8, bound: &Terms, vouch: bool) {
        let (inner, secret) = parts(seed);
        let public = PublicSubkey::from_inner(inner).unwrap();
        let subkey = SecretSubkey::new(public.clone(), secret).unwrap();
        let mut bound = bound.clone();
        if vouch {
            let back = terms(SignatureType::KeyBinding, MADE, vec![]).config(&subkey);
            let back = back.sign_primary_key_binding(&subkey, &public, &Password::empty(), &self.public.primary_key);
            bound.more.push(SubpacketData::EmbeddedSignature(Box::new(back.unwrap())));
        }
        let binding = self.over(&bound, &public);
        self.public.public_subkeys.push(SignedPublicSubKey::new(public, vec![binding]));
        self.subkeys.push(subkey);
    }

    fn over(&self, terms: &Terms, subkey: &PublicSubkey) -> Signature {
        let config = terms.config(&self.primary);
        config.sign_subkey_binding(&self.primary, &self.public.primary_key, &Password::empty(), subkey).unwrap()
    }

    pub(crate) fn signing_subkey(&mut self, seed: u8) {
        self.subkey(seed, &terms(SignatureType::SubkeyBinding, MADE, vec![may(true)]), true);
    }

    /// With a subkey for signing, and a primary key that is not.
    fn with_subkey(more: Vec<SubpacketData>) -> Self {
        let mut maker = Self::with(1, &terms(SignatureType::CertPositive, MADE, vec![may(false)]));
        let more = [vec![may(true)], more].concat();
        maker.subkey(2, &terms(SignatureType::SubkeyBinding, MADE, more), true);
        maker
    }

    fn revoke(&mut self, time: u32, why: Vec<SubpacketData>) {
        let config = terms(SignatureType::KeyRevocation, time, why).config(&self.primary);
        let signature = config.sign_key(&self.primary, &Password::empty(), &self.public.primary_key).unwrap();
        self.public.details.revocation_signatures.push(signature);
    }

    fn revoke_subkey(&mut self, time: u32, why: Vec<SubpacketData>) {
        let terms = terms(SignatureType::SubkeyRevocation, time, why);
        let signature = self.over(&terms, &self.public.public_subkeys[0].key.clone());
        self.public.public_subkeys[0].signatures.push(signature);
    }

    pub(crate) fn block(&self) -> Vec<u8> {
        self.public.to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        assert_eq!(keys.add(&self.block(), None), 1);
        keys
    }

    fn sign_as(&self, terms: &Terms, data: &[u8]) -> Signature {
        match self.subkeys.first() {
            Some(subkey) => terms.config(subkey).sign(subkey, &Password::empty(), data).unwrap(),
            None => terms.config(&self.primary).sign(&self.primary, &Password::empty(), data).unwrap(),
        }
    }

    /// A signature by its first subkey, else by itself.
    pub(crate) fn sign(&self, data: &[u8]) -> Vec<u8> {
        armored(&self.sign_as(&terms(SignatureType::Binary, SIGNED, vec![]), data))
    }
}

fn armored(signature: &Signature) -> Vec<u8> {
    DetachedSignature::new(signature.clone()).to_armored_bytes(ArmorOptions::default()).unwrap()
}

fn binary(signatures: &[&Signature]) -> Vec<u8> {
    signatures.iter().flat_map(|signature| DetachedSignature::new((*signature).clone()).to_bytes().unwrap()).collect()
}

fn verify(keys: &Keys, signature: &[u8]) -> Result<Signed, SignatureError> {
    keys.verify(Cursor::new(DATA), signature, Some(SIGNED + 5 * YEAR))
}

/// The name of the variant, and what is told.
fn told(result: Result<Signed, SignatureError>) -> String {
    match result {
        Ok(_) => "good".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn assert_told(result: Result<Signed, SignatureError>, part: &str) {
    let told = told(result);
    assert!(told.contains(part), "{told}");
}

#[test]
fn primary_keys_and_signing_subkeys_sign() {
    let primary = Maker::new(1);
    let good = verify(&primary.keys(), &primary.sign(DATA)).unwrap();
    assert_eq!((good.primary.clone(), good.time), (good.key.clone(), SIGNED));
    assert_eq!(good.primary, name(&primary.public.primary_key));
    let subkey = Maker::with_subkey(vec![]);
    let good = verify(&subkey.keys(), &subkey.sign(DATA)).unwrap();
    assert_eq!(good.key, name(&subkey.public.public_subkeys[0].key));
    assert_eq!(good.primary, name(&subkey.public.primary_key));
}

#[test]
fn keys_must_not_have_expired_when_they_signed() {
    let own = |lifetime| terms(SignatureType::CertPositive, MADE, vec![may(true), expires(lifetime)]);
    let early = Maker::with(1, &own(30 * DAY));
    assert_told(verify(&early.keys(), &early.sign(DATA)), "had expired at the time of the signature (2024-01-31");
    // It expired afterwards: that takes nothing away.
    let late = Maker::with(1, &own(YEAR));
    assert_told(verify(&late.keys(), &late.sign(DATA)), "good");
    let early = Maker::with_subkey(vec![expires(30 * DAY)]);
    assert_told(verify(&early.keys(), &early.sign(DATA)), "had expired at the time of the signature");
    let late = Maker::with_subkey(vec![expires(YEAR)]);
    assert_told(verify(&late.keys(), &late.sign(DATA)), "good");
    // The owner's last word counts.
    let mut longer = Maker::with_subkey(vec![expires(30 * DAY)]);
    let more = terms(SignatureType::SubkeyBinding, MADE + DAY, vec![may(true), expires(2 * YEAR)]);
    longer.subkey(2, &more, true);
    assert_told(verify(&longer.keys(), &longer.sign(DATA)), "good");
    // A subkey signs for nobody once its primary key has expired.
    let mut orphan = Maker::with(1, &own(30 * DAY));
    orphan.subkey(2, &terms(SignatureType::SubkeyBinding, MADE, vec![may(true)]), true);
    assert_told(verify(&orphan.keys(), &orphan.sign(DATA)), &name(&orphan.public.primary_key));
}

#[test]
fn keys_sign_nothing_before_they_are_made() {
    let maker = Maker::new(1);
    let early = maker.sign_as(&terms(SignatureType::Binary, MADE - DAY, vec![]), DATA);
    assert_told(verify(&maker.keys(), &armored(&early)), "was made on 2024-01-01, after the signature");
}

#[test]
fn revocations_count_by_their_reason() {
    let (before, after) = (SIGNED - DAY, SIGNED + DAY);
    let soft = [RevocationCode::KeySuperseded, RevocationCode::KeyRetired];
    let hard = [RevocationCode::KeyCompromised, RevocationCode::NoReason];
    for by_subkey in [false, true] {
        let revoked = |time, why: Vec<SubpacketData>| {
            let mut maker = if by_subkey { Maker::with_subkey(vec![]) } else { Maker::new(1) };
            if by_subkey {
                maker.revoke_subkey(time, why);
            } else {
                maker.revoke(time, why);
            }
            told(verify(&maker.keys(), &maker.sign(DATA)))
        };
        for code in soft {
            assert!(revoked(before, reason(code)).contains("was given up on 2024-06-30, before the signature"));
            assert_eq!(revoked(after, reason(code)), "good");
        }
        for code in hard {
            assert!(revoked(before, reason(code)).contains("is revoked"), "{code:?}");
            assert!(revoked(after, reason(code)).contains("is revoked"), "{code:?}");
        }
        assert!(revoked(after, vec![]).contains("is revoked"));
    }
    // A revoked primary key takes its subkeys with it.
    let mut maker = Maker::with_subkey(vec![]);
    maker.revoke(after, reason(RevocationCode::KeyCompromised));
    assert_told(verify(&maker.keys(), &maker.sign(DATA)), "is revoked");
    // A revocation by somebody else is none.
    let mut maker = Maker::new(1);
    let mut other = Maker::new(9);
    other.revoke(before, reason(RevocationCode::KeyCompromised));
    maker.public.details.revocation_signatures = other.public.details.revocation_signatures;
    assert_told(verify(&maker.keys(), &maker.sign(DATA)), "good");
}

#[test]
fn an_older_copy_of_a_key_hides_no_revocation() {
    let old = Maker::new(1);
    let mut new = Maker::new(1);
    new.revoke(SIGNED - DAY, reason(RevocationCode::KeyCompromised));
    for blocks in [[old.block(), new.block()], [new.block(), old.block()]] {
        let mut keys = Keys::default();
        assert_eq!(keys.add(&blocks.concat(), None), 2);
        assert_told(verify(&keys, &old.sign(DATA)), "is revoked");
    }
}

#[test]
fn subkeys_are_for_signing_and_say_so_themselves() {
    let maker = |sign, vouch| {
        let mut maker = Maker::new(1);
        maker.subkey(2, &terms(SignatureType::SubkeyBinding, MADE, vec![may(sign)]), vouch);
        maker
    };
    let told = |maker: &Maker| told(verify(&maker.keys(), &maker.sign(DATA)));
    assert!(told(&maker(true, false)).contains("does not say itself that it belongs"));
    assert!(told(&maker(false, true)).contains("is not for signing"));
    // Bound by somebody else.
    let mut stolen = maker(true, true);
    let other = Maker::new(9);
    let binding = terms(SignatureType::SubkeyBinding, MADE, vec![may(true)]);
    let binding = other.over(&binding, &stolen.public.public_subkeys[0].key);
    stolen.public.public_subkeys[0].signatures = vec![binding];
    assert!(told(&stolen).contains("is not bound to its primary key"));
    // A primary key that is for certifying only.
    let certifying = Maker::with(1, &terms(SignatureType::CertPositive, MADE, vec![may(false)]));
    assert!(told(&certifying).contains("is not for signing"));
    // One that does not say what it is for.
    let silent = Maker::with(1, &terms(SignatureType::CertPositive, MADE, vec![]));
    assert_eq!(told(&silent), "good");
}

#[test]
fn other_bytes_and_unknown_keys_are_told_apart() {
    let maker = Maker::new(1);
    assert_told(verify(&maker.keys(), &maker.sign(b"other")), "signed other bytes");
    let unknown = verify(&maker.keys(), &Maker::new(9).sign(DATA)).unwrap_err();
    let key = name(&Maker::new(9).public.primary_key);
    assert_eq!(unknown, SignatureError::UnknownKey { key, newer: false });
    // A key that signs by subkeys may have got another one since.
    let unknown = verify(&Maker::with_subkey(vec![]).keys(), &Maker::new(9).sign(DATA)).unwrap_err();
    assert!(matches!(unknown, SignatureError::UnknownKey { newer: true, .. }), "{unknown}");
}

#[test]
fn right_signatures_that_prove_nothing_accuse_nobody() {
    let maker = Maker::new(1);
    let told = |terms: &Terms| verify(&maker.keys(), &armored(&maker.sign_as(terms, DATA))).unwrap_err();
    let end = SubpacketData::SignatureExpirationTime(Duration::from_secs(DAY));
    let ended = terms(SignatureType::Binary, SIGNED, vec![end]);
    let future = terms(SignatureType::Binary, SIGNED + 9 * YEAR, vec![]);
    for (terms, part) in [(&ended, "was good until 2024-07-02 only"), (&future, "in the future")] {
        let error = told(terms);
        assert!(matches!(error, SignatureError::Unprovable { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        // Over other bytes they are as wrong as any.
        let wrong = verify(&maker.keys(), &armored(&maker.sign_as(terms, b"other"))).unwrap_err();
        assert!(matches!(wrong, SignatureError::Wrong(_)), "{wrong}");
    }
    // Behind the packet's header are version, type, algorithm of the key, and hash algorithm (RFC 9580 §5.2.3).
    let mut weak = binary(&[&maker.sign_as(&terms(SignatureType::Binary, SIGNED, vec![]), DATA)]);
    for (hash, part) in [(1, "rests on MD5"), (2, "rests on SHA1"), (3, "rests on RIPEMD160")] {
        weak[5] = hash;
        let error = verify(&maker.keys(), &weak).unwrap_err();
        assert!(matches!(error, SignatureError::Unprovable { .. }) && error.to_string().contains(part), "{error}");
    }
    for data in [DATA, b"other"] {
        let text = maker.sign_as(&terms(SignatureType::Text, SIGNED, vec![]), data);
        let error = verify(&maker.keys(), &armored(&text)).unwrap_err();
        assert!(
            matches!(error, SignatureError::Unprovable { .. }) && error.to_string().contains("over text"),
            "{error}"
        );
    }
    // Of a version that is to come.
    let mut strange = binary(&[&maker.sign_as(&terms(SignatureType::Binary, SIGNED, vec![]), DATA)]);
    strange[2] = 9;
    let error = verify(&maker.keys(), &strange).unwrap_err();
    assert!(matches!(error, SignatureError::Unprovable { .. }), "{error:?}");
    // Before its end a signature is good.
    let early = maker.keys().verify(Cursor::new(DATA), armored(&maker.sign_as(&ended, DATA)).as_slice(), Some(SIGNED));
    assert_told(early, "good");
}

#[test]
fn one_good_signature_of_several_suffices_in_any_order() {
    let (one, other) = (Maker::new(1), Maker::new(9));
    let binary_terms = terms(SignatureType::Binary, SIGNED, vec![]);
    let (good, unknown) = (one.sign_as(&binary_terms, DATA), other.sign_as(&binary_terms, DATA));
    let wrong = one.sign_as(&binary_terms, b"other");
    for order in [[&good, &unknown], [&unknown, &good], [&wrong, &good], [&good, &wrong]] {
        assert_told(verify(&one.keys(), &binary(&order)), "good");
        let blocks: Vec<u8> = order.iter().flat_map(|signature| armored(signature)).collect();
        assert_told(verify(&one.keys(), &blocks), "good");
    }
    for order in [[&wrong, &unknown], [&unknown, &wrong]] {
        assert_told(verify(&one.keys(), &binary(&order)), "signed other bytes");
    }
    assert_told(verify(&one.keys(), &binary(&[&unknown; MAX_SIGNATURES + 1])), "more than 16 signatures");
}

#[test]
fn signatures_are_found_in_what_is_around_them() {
    let maker = Maker::new(1);
    let good = maker.sign(DATA);
    let text = String::from_utf8(good.clone()).unwrap();
    let noisy = format!("Signed on Monday:\n\n{text}\n-- \nthe release team\n");
    let windows = text.replace('\n', "\r\n");
    let with_key = [maker.block(), good].concat();
    for signature in [noisy.as_bytes(), windows.as_bytes(), &with_key] {
        assert_told(verify(&maker.keys(), signature), "good");
    }
}

#[test]
fn what_is_no_signature_is_called_what_it_is() {
    let maker = Maker::new(1);
    let good = maker.sign(DATA);
    let page = b"\n<!DOCTYPE html><html>Please log in</html>";
    let message = [b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nhello\n".as_slice(), &good].concat();
    let mut certificate = binary(&[&maker.sign_as(&terms(SignatureType::Binary, SIGNED, vec![]), DATA)]);
    certificate[3] = 0x13;
    for (bytes, part) in [
        (b"".as_slice(), "the file is empty"),
        (b" \n", "the file is empty"),
        (page, "it is a web page"),
        (&maker.block(), "it is a key block"),
        (&message, "it is a signed message"),
        (&certificate, "it is not over a file"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "truncated or damaged"),
        (b"-----BEGIN PGP SIGNATURE-----\n", "truncated or damaged"),
    ] {
        let error = verify(&maker.keys(), bytes).unwrap_err();
        assert!(matches!(error, SignatureError::Malformed(_)), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
    // Wherever it is cut off, it is not good.
    let signature = binary(&[&maker.sign_as(&terms(SignatureType::Binary, SIGNED, vec![]), DATA)]);
    for length in 0..signature.len() {
        assert!(verify(&maker.keys(), &signature[..length]).is_err(), "{length}");
    }
    // Whatever bit of the signed part is turned, it is not good.
    let whole = verify(&maker.keys(), &signature);
    assert_told(whole, "good");
    for bit in 0..signature.len() * 8 {
        let mut changed = signature.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&maker.keys(), &changed).is_err(), "bit {bit}");
    }
}

#[test]
fn only_keys_with_a_known_fingerprint_are_taken_of_what_lies_around() {
    let (one, other) = (Maker::new(1), Maker::new(9));
    let block = [other.block(), b"text between\n".to_vec(), one.block()].concat();
    let known = name(&one.public.primary_key);
    let mut keys = Keys::default();
    assert_eq!(keys.add(&block, Some(&[&known])), 1);
    assert_told(verify(&keys, &one.sign(DATA)), "good");
    assert_told(verify(&keys, &other.sign(DATA)), "unknown key");
    let mut keys = Keys::default();
    assert_eq!(keys.add(&one.public.to_bytes().unwrap(), None), 1);
    assert_eq!(keys.add(b"nothing", None), 0);
    assert_eq!(keys.add(b"", None), 0);
}

/// A reader that fails is no proof of other bytes.
#[test]
fn files_that_cannot_be_read_accuse_nobody() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("bad sector"))
        }
    }
    impl Seek for Broken {
        fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let maker = Maker::new(1);
    let error = maker.keys().verify(Broken, maker.sign(DATA).as_slice(), None).unwrap_err();
    assert!(matches!(error, SignatureError::Read(_)), "{error:?}");
}

/// The key that signs Go's releases, as it was published in 2023: one primary key with five subkeys for signing, each for
/// three years, in the second of two blocks; in the first an older key, by DSA.
#[test]
fn the_real_key_is_judged_by_its_own_dates() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/artifacts/keys/google_linux_signing_key.pub");
    let Ok(block) = std::fs::read(&path) else {
        println!("skipped: {} is not there", path.display());
        return;
    };
    let mut keys = Keys::default();
    assert_eq!(keys.add(&block, None), 2);
    let mut keys = Keys::default();
    assert_eq!(keys.add(&block, Some(&["EB4C1BFD4F042F6DDDCCEC917721F63BD38B4796"])), 1);
    let key = &keys.0[0];
    let ends = [
        ("3B068FB4789ABE4AEFA3BB491397BC53640DB551", "2016-04-12", "2019-04-12"),
        ("3E50F6D3EC278FDEB655C8CA6494C6D6997C215E", "2017-01-24", "2020-01-24"),
        ("2F528D36D67B69EDF998D85778BD65473CB3BD13", "2019-07-22", "2022-07-21"),
        ("8461EFA0E74ABAE010DE66994EB27DB2A3B88B8B", "2021-10-26", "2024-10-25"),
        ("A5F483CD733A4EBAEA378B2AE88979FB9B30ACF2", "2023-02-15", "2026-02-14"),
    ];
    assert_eq!(key.public_subkeys.len(), ends.len());
    for (subkey, (fingerprint, from, to)) in key.public_subkeys.iter().zip(ends) {
        assert_eq!(name(&subkey.key), fingerprint);
        let made = subkey.key.created_at().as_secs();
        let life = binding(key, subkey).unwrap().key_expiration_time().unwrap().as_secs();
        assert_eq!((day(made).as_str(), day(made + life).as_str()), (from, to));
        for (time, good) in [(made - 1, false), (made, true), (made + life - 1, true), (made + life, false)] {
            let judged = usable(key, time).and_then(|_| subkey_usable(key, subkey, time));
            assert_eq!(judged.is_ok(), good, "{fingerprint} at {}: {judged:?}", day(time));
        }
    }
}
