//! Parts of a prompt that are not text: found by their names, without reading the prompt.

use std::ops::Range;
use std::sync::LazyLock;

use super::kept::is_letter;
use super::{Asked, Paid};
use crate::report::Unit;
use crate::words::Words;

/// An image that is pointed to has as many tokens at most, about (Anthropic: width × height / 750, at most 4,784).
pub(in crate::request) const IMAGE: u64 = 4_784;

/// A file that is pointed to, or the turns that a provider keeps, about.
pub(in crate::request) const FILE: u64 = 32_768;

/// What shows parts of a prompt that are not text. A name in quotes is a key or a value of its own: inside a text its
/// quotes would be escaped.
const PARTS: [(&str, Part); 16] = [
    ("\"input_audio\"", Part::Audio),
    ("\"audio_url\"", Part::Audio),
    ("\"image_url\"", Part::Image),
    ("\"input_image\"", Part::Image),
    ("\"image\"", Part::Image),
    ("\"file_id\"", Part::File),
    ("\"file_url\"", Part::File),
    ("\"video_url\"", Part::File),
    ("\"https://", Part::Pointer),
    ("\"http://", Part::Pointer),
    ("\"cache_control\"", Part::CacheMark),
    ("\"ttl\"", Part::CacheTime),
    ("\"file_ids\"", Part::Kept),
    ("\"item_reference\"", Part::Kept),
    ("\"container_upload\"", Part::Kept),
    ("\\u00", Part::Escape),
];

#[derive(Clone, Copy)]
enum Part {
    Audio,
    Image,
    File,
    Pointer,
    CacheMark,
    CacheTime,
    Kept,
    Escape,
}

/// Finds them all in one pass.
#[expect(clippy::expect_used, reason = "the patterns are constants")]
static FINDER: LazyLock<Words> =
    LazyLock::new(|| Words::new(PARTS.map(|(text, _)| text)).expect("a few short words"));

impl Asked {
    /// Parts that are not text.
    pub(super) fn content(&mut self, body: &[u8], value: &Range<usize>) {
        let mut counts = [0_u64; 8];
        let value = &body[value.clone()];
        FINDER.each(value, |word, at| {
            let (_, part) = PARTS[word];
            let plain = matches!(part, Part::Escape) && !is_letter(&value[at.end..]);
            counts[part as usize] += u64::from(!plain);
        });
        let count = |part: Part| counts[part as usize];
        if count(Part::Audio) > 0 {
            let param = "messages[].content".to_owned();
            self.add(Paid::Unit(Unit::InputAudio), param);
        }
        self.is_doubtful = count(Part::File) + count(Part::Kept) + count(Part::Escape) > 0;
        let (images, pointers) = (count(Part::Image), count(Part::Pointer));
        self.unseen = self
            .unseen
            .saturating_add(images.min(pointers.max(images / 2)).saturating_mul(IMAGE))
            .saturating_add(count(Part::File).saturating_mul(FILE));
        if count(Part::CacheMark) > 0 {
            let hour = count(Part::CacheTime) > 0;
            let unit = if hour {
                Unit::CacheWrite1h
            } else {
                Unit::CacheWrite
            };
            self.prompt = self.prompt.max(unit);
        }
    }
}
