//! Over strings: short ones a word at a time, long ones by blocks of 64 bytes.
//!
//! Most of a prompt is inside strings, so this is most of what reading a request costs.

use wide::u8x16;

use super::Fault;

/// The index after the closing quote of the string whose content begins at `at`.
pub(crate) fn string(json: &[u8], mut at: usize) -> Result<usize, Fault> {
    // Keys and short values end within a few words.
    let ended;
    (at, ended) = words(json, at, 4)?;
    if ended {
        return Ok(at);
    }
    // Long texts go by blocks: what a block holds is found without a branch for each byte, which no
    // predictor would guess in somebody's prose.
    while let Some(block) = json.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        let seen = Seen::of(block);
        let (escaped, crosses) = escaped(seen.backslash);
        let stop = (seen.quote & !escaped) | seen.control;
        let first = stop.trailing_zeros();
        let before = 1u64.checked_shl(first).map_or(u64::MAX, |bit| bit - 1);
        // Quotes, backslashes and line breaks are what is escaped in most texts; the others are looked at.
        let mut odd = escaped & before & !(seen.quote | seen.backslash | seen.n);
        while odd != 0 {
            escape(json, at + odd.trailing_zeros() as usize - 1)?;
            odd &= odd - 1;
        }
        if stop != 0 {
            let found = at + first as usize;
            if json[found] == b'"' {
                return Ok(found + 1);
            }
            return Fault::syntax(json, found, CONTROL);
        }
        at = if crosses {
            escape(json, at + BLOCK - 1)?
        } else {
            at + BLOCK
        };
    }
    let ended;
    (at, ended) = words(json, at, BLOCK / 8)?;
    if ended {
        return Ok(at);
    }
    loop {
        match json.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(json, at)?,
            Some(b' '..) => at += 1,
            _ => return Fault::syntax(json, at, CONTROL),
        }
    }
}

/// Goes on inside a string by at most `most` steps of up to eight bytes, as long as there are eight: where
/// that leads, and whether it is after the closing quote.
fn words(json: &[u8], mut at: usize, most: usize) -> Result<(usize, bool), Fault> {
    for _ in 0..most {
        let Some(word) = word_at(json, at) else { break };
        let found = special(word);
        if found == 0 {
            at += 8;
            continue;
        }
        at += found.trailing_zeros() as usize / 8;
        match json.get(at) {
            Some(b'"') => return Ok((at + 1, true)),
            Some(b'\\') => at = escape(json, at)?,
            _ => return Fault::syntax(json, at, CONTROL),
        }
    }
    Ok((at, false))
}

const CONTROL: &str = "control character in a string";

/// The index after the escape whose backslash is at `at`.
pub(super) fn escape(json: &[u8], at: usize) -> Result<usize, Fault> {
    match json.get(at + 1) {
        Some(byte) if is_short(*byte) => Ok(at + 2),
        Some(b'u') => {
            let four = json.get(at + 2..at + 6).unwrap_or_default();
            if four.len() < 4 || !four.iter().all(u8::is_ascii_hexdigit) {
                return Fault::syntax(json, at, "invalid escape");
            }
            Ok(at + 6)
        }
        _ => Fault::syntax(json, at, "invalid escape"),
    }
}

/// Whether a backslash and this byte are an escape.
pub(super) fn is_short(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
}

/// Bytes looked at together.
const BLOCK: usize = 64;

/// A bit for each byte of a block that is what the field says.
struct Seen {
    quote: u64,
    backslash: u64,
    control: u64,
    /// The letter that makes a backslash a line break.
    n: u64,
}

impl Seen {
    fn of(block: &[u8; BLOCK]) -> Seen {
        let (quote, backslash, n) = (u8x16::splat(b'"'), u8x16::splat(b'\\'), u8x16::splat(b'n'));
        let last_control = u8x16::splat(b' ' - 1);
        let mut seen = Seen {
            quote: 0,
            backslash: 0,
            control: 0,
            n: 0,
        };
        for (index, lane) in block.as_chunks::<16>().0.iter().enumerate() {
            let lane = u8x16::new(*lane);
            let bits = |found: u8x16| u64::from(found.to_bitmask()) << (16 * index);
            seen.quote |= bits(lane.simd_eq(quote));
            seen.backslash |= bits(lane.simd_eq(backslash));
            seen.control |= bits(lane.min(last_control).simd_eq(lane));
            seen.n |= bits(lane.simd_eq(n));
        }
        seen
    }
}

/// The bytes of a block that a backslash before them escapes, and whether its last byte escapes the one after it.
/// In a run of backslashes each second one is escaped; runs are distinguished by whether they begin at an even or an
/// odd place, and all at once: adding a bit where a run begins carries it to where the run ends.
fn escaped(backslash: u64) -> (u64, bool) {
    const EVEN: u64 = u64::MAX / 3;
    let follows = backslash << 1;
    let odd_starts = backslash & !EVEN & !follows;
    let (ends, crosses) = odd_starts.overflowing_add(backslash);
    ((EVEN ^ (ends << 1)) & follows, crosses)
}

fn word_at(json: &[u8], at: usize) -> Option<u64> {
    json.get(at..)?
        .first_chunk()
        .map(|bytes| u64::from_le_bytes(*bytes))
}

/// The high bit of each byte that is a quote, a backslash or a control character. Bytes above the first
/// one found may be marked wrongly, because a borrow runs upwards.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64)) | control) & HIGH
}
