//! Unique ids of decisions, and pseudo-random numbers.
//!
//! Not here: secrets. Ids and seeds can be guessed from others.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

static COUNTER: AtomicU64 = AtomicU64::new(0);
/// Id of the process and its random number; a forked child draws another.
static PROCESS: Mutex<Option<(u32, u64)>> = Mutex::new(None);

/// Return a new id: 32 hexadecimal digits, from the process's random number and a counter.
#[must_use]
pub fn next() -> String {
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{count:016x}", of_process())
}

/// Whether `text` has the form of an id of [`next`].
#[must_use]
pub fn is_id(text: &str) -> bool {
    is_hex(text, 32)
}

/// Whether `text` has the form of an artifact's identity, a sha256.
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    is_hex(text, 64)
}

/// Whether `text` has the form of an error's code, such as `no_candidate`.
#[must_use]
pub fn is_code(text: &str) -> bool {
    let allowed = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// Return a new seed, which no other call returns.
#[must_use]
pub fn seed() -> u64 {
    splitmix64(of_process(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

fn of_process() -> u64 {
    let process = std::process::id();
    let mut known = PROCESS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match *known {
        Some((of, random)) if of == process => random,
        _ => {
            // The keys of `RandomState` are random, but a fork copies them; pid and time are not.
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u32(process);
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            hasher.write_u128(now.map_or(0, |passed| passed.as_nanos()));
            let random = hasher.finish();
            *known = Some((process, random));
            random
        }
    }
}

/// Return the n-th number of a seed, 64 bits, by `SplitMix64` (Steele, Lea and Flood 2014).
pub(crate) fn splitmix64(seed: u64, n: u64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut x = seed.wrapping_add(STEP.wrapping_mul(n.wrapping_add(1)));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Whether `text` is `digits` lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_and_hashes_are_told_from_other_text() {
        for code in ["a", "no_candidate", "error_2", &"x".repeat(64)] {
            assert!(is_code(code), "{code}");
        }
        for text in ["", "No", "a b", "a\n", "\u{e9}", &"x".repeat(65)] {
            assert!(!is_code(text), "{text}");
        }
        assert!(is_sha256(&"0f".repeat(32)));
        assert!(!is_sha256(&"0F".repeat(32)) && !is_sha256(&"0".repeat(63)));
    }

    #[test]
    fn no_two_ids_are_the_same() {
        let threads: Vec<_> = (0..8)
            .map(|_| std::thread::spawn(|| (0..2000).map(|_| next()).collect::<Vec<_>>()))
            .collect();
        let ids: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("it does not panic"))
            .collect();
        assert!(ids.iter().all(|id| id.len() == 32));
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 16_000);
    }

    #[test]
    fn draws_are_those_of_splitmix64() {
        // The first outputs for the seed 1234567, as Vigna's reference prints them.
        let expected = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973];
        assert_eq!(
            [splitmix64(1_234_567, 0), splitmix64(1_234_567, 1)],
            expected
        );
    }
}
