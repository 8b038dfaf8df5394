//! Thresholds of the detectors, each under a name that says its unit.

use std::collections::BTreeMap;

use super::sheet::{Notes, Sheet};
use crate::types::Span;

/// What a threshold's number means.
trait Quantity: Sized {
    /// From the number in the file; `None` when it makes no sense.
    fn from_number(number: f64, unit: i64) -> Option<Self>;
}

impl Quantity for f64 {
    fn from_number(number: f64, _: i64) -> Option<Self> {
        (number > 0.0 && number <= 1.0).then_some(number)
    }
}

impl Quantity for u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range, as checked")]
    fn from_number(number: f64, _: i64) -> Option<Self> {
        ((0.0..=1e15).contains(&number) && number.fract() == 0.0).then_some(number as Self)
    }
}

impl Quantity for Span {
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "in range, as checked")]
    fn from_number(number: f64, unit: i64) -> Option<Self> {
        (number > 0.0 && number <= 1e6).then(|| Self::from_nanos((number * unit as f64) as i64))
    }
}

const MILLISECONDS: i64 = 1_000_000;
const SECONDS: i64 = 1_000_000_000;
const ONES: i64 = 1;

macro_rules! policy {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $name:literal in $unit:ident;)*) => {
        /// The thresholds. `policy.toml` holds each with its meaning and source.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct Policy { $($(#[$doc])* pub $field: $kind,)* }

        /// The names in `policy.toml`.
        const NAMES: &[&str] = &[$($name),*];

        impl Draft {
            /// The policy, or the names of what is missing or makes no sense.
            pub(super) fn finish(&self) -> Result<Policy, Vec<&'static str>> {
                let mut missing = Vec::new();
                $(let $field = self.0.get($name).and_then(|number| <$kind>::from_number(*number, $unit));
                if $field.is_none() { missing.push($name); })*
                match ($($field,)*) {
                    ($(Some($field),)*) => Ok(Policy { $($field),* }),
                    _ => Err(missing),
                }
            }
        }
    };
}

/// Numbers by name, as read so far.
#[derive(Default)]
pub(super) struct Draft(BTreeMap<String, f64>);

impl Draft {
    /// Adds the thresholds of a file that are not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        let entries = sheet.entries("threshold", notes, |entry| {
            let name = entry.text("name");
            let value = entry.number("value");
            let meaning = entry.text("meaning");
            let provenance = entry.provenance(name.unwrap_or_default());
            if let Some(name) = name
                && !NAMES.contains(&name)
            {
                entry.mistake(format!("`{name}` is no threshold; known are {}", NAMES.join(", ")));
            }
            let (name, value) = (name?, value?);
            let alone = Self(BTreeMap::from([(name.to_owned(), value)]));
            let fits = !alone.finish().err().unwrap_or_default().contains(&name);
            if !fits && NAMES.contains(&name) {
                entry.mistake(format!("{value} is no value for `{name}`"));
            }
            (meaning.is_some() && provenance.is_some() && fits).then(|| (name.to_owned(), value))
        });
        for (name, value) in entries {
            self.0.entry(name).or_insert(value);
        }
    }
}

policy! {
    /// Hops between a packet's TTL and its flow's usual one from which another sender is indicated.
    ttl_distance: u64 = "ttl_distance" in ONES;
    /// Hops between the TTLs of two answers to one question.
    dns_ttl_distance: u64 = "dns_ttl_distance" in ONES;
    /// Share of the smallest round trip before which a reset cannot be the server's.
    rst_early_ratio: f64 = "rst_early_ratio" in ONES;
    /// The same where round trips vary much.
    rst_early_ratio_jitter: f64 = "rst_early_ratio_jitter" in ONES;
    /// Share of the resolver's smallest round trip before which an answer cannot be its own.
    dns_early_ratio: f64 = "dns_early_ratio" in ONES;
    /// Equal packets within this time are one, recorded twice.
    duplicate_window: Span = "duplicate_window_ms" in MILLISECONDS;
    /// How long answers to one question are looked for.
    dns_window: Span = "dns_window_s" in SECONDS;
    /// How long after its own reset data of a sender contradict it.
    reset_contradiction_window: Span = "reset_contradiction_window_s" in SECONDS;
    /// Resets that differ within this time are a burst.
    reset_burst_window: Span = "reset_burst_window_ms" in MILLISECONDS;
    /// How long TTLs of other flows to an address count as its usual ones.
    baseline_window: Span = "baseline_window_s" in SECONDS;
    /// How long an address stays blocked after a triggering `ClientHello`.
    residual_window: Span = "residual_window_s" in SECONDS;
    /// Unanswered SYNs before an address is called a black hole.
    blackhole_syns: u64 = "blackhole_syns" in ONES;
    /// Nothing for this long is silence …
    silence_min: Span = "silence_min_s" in SECONDS;
    /// … or for this many retransmission time-outs, if that is longer …
    silence_rto_factor: u64 = "silence_rto_factor" in ONES;
    /// … or this many retransmissions without an answer.
    silence_retransmissions: u64 = "silence_retransmissions" in ONES;
    /// A reset after this long a pause may be a NAT that forgot …
    idle: Span = "idle_s" in SECONDS;
    /// … a connection that is at least this old.
    idle_flow_age: Span = "idle_flow_age_s" in SECONDS;
    /// Share of acknowledged but unrecorded bytes from which a recording is lossy.
    lossy_share: f64 = "lossy_share" in ONES;
    /// Share of connections seen in one direction only from which a recording is one-sided.
    one_sided_share: f64 = "one_sided_share" in ONES;
    /// A `ClientHello` above this takes more than one segment.
    large_hello_bytes: u64 = "large_hello_bytes" in ONES;
    /// Unrelated names with one address from which the address is a trap.
    same_address_names: u64 = "same_address_names" in ONES;
    /// Unrelated public names under one private issuer from which interception is proven.
    interception_names: u64 = "interception_names" in ONES;
    /// A transfer slower than this with a policer's loss pattern is throttled.
    throttle_bytes_per_second: u64 = "throttle_bytes_per_s" in ONES;
    /// How much of a body is searched for marks.
    page_bytes: u64 = "page_bytes" in ONES;
    /// Reference data older than this many days are worth a note.
    stale_days: u64 = "stale_days" in ONES;
}
