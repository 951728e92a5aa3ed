//! What compressed bytes become, however they are split, and that a few bytes never become many.

use std::io::Write;

use brotli::BrotliCompress;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderValue;

use super::*;

/// 60 KB that are not easily compressed.
fn plain() -> Vec<u8> {
    let mut state = 1_u32;
    let text = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 24) as u8 % 26
    });
    text.take(60_000).collect()
}

/// `bytes` in this coding.
fn compressed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Zstd => zstd::encode_all(bytes, 3).unwrap(),
        Coding::Brotli => {
            let mut out = Vec::new();
            let params = BrotliEncoderParams {
                quality: 5,
                ..BrotliEncoderParams::default()
            };
            BrotliCompress(&mut &*bytes, &mut out, &params).unwrap();
            out
        }
    }
}

const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Brotli];

#[test]
fn bytes_are_the_same_however_they_are_split() {
    let plain = plain();
    for coding in ALL {
        let bytes = compressed(coding, &plain);
        assert_eq!(coding.undo(&bytes, plain.len()).unwrap(), plain);
        assert_eq!(
            coding.undo(&bytes, plain.len() - 1),
            Err(Fault::TooLong),
            "{coding:?}"
        );
        assert_eq!(
            coding.undo(&bytes[..bytes.len() - 1], plain.len()),
            Err(Fault::Broken),
            "{coding:?}"
        );
        assert!(coding.undo(b"{}", 100).is_err(), "{coding:?}");
        for size in [1, 7, 1_000, bytes.len()] {
            let mut undoing = Undoing::new(coding);
            let pieces = bytes.chunks(size).map(|piece| undoing.push(piece).unwrap());
            let all = pieces.collect::<Vec<_>>().concat();
            assert!(all == plain, "{coding:?} by {size}: {} bytes", all.len());
        }
    }
}

/// An event that was compressed and flushed is there at once.
#[test]
fn what_was_flushed_is_told_at_once() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut undoing = Undoing::new(Coding::Gzip);
    for event in ["data: a\n\n", "data: b\n\n"] {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        let piece = std::mem::take(encoder.get_mut());
        assert_eq!(undoing.push(&piece).unwrap(), event);
    }
}

/// However much it becomes: none of it waits for the next piece, or escapes the bound of its own.
#[test]
fn what_was_flushed_of_brotli_is_told_at_once() {
    let plain = plain();
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4 << 10, 5, 22);
    encoder.write_all(&plain).unwrap();
    encoder.flush().unwrap();
    let piece = encoder.get_ref();
    let became = Undoing::new(Coding::Brotli).push(piece).unwrap();
    assert!(became == plain, "{} bytes", became.len());

    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4 << 10, 5, 22);
    encoder.write_all(&vec![b' '; PIECE + PIECE / 2]).unwrap();
    encoder.flush().unwrap();
    let piece = encoder.get_ref();
    let became = Undoing::new(Coding::Brotli).push(piece);
    assert_eq!(became, Err(Fault::TooLong));
}

#[test]
fn a_piece_and_an_answer_become_only_so_much() {
    for coding in ALL {
        let bomb = compressed(coding, &vec![b' '; 2 * PIECE]);
        assert!(bomb.len() < 20 << 10, "{coding:?}: {}", bomb.len());
        assert_eq!(coding.undo(&bomb, PIECE), Err(Fault::TooLong));
        let mut undoing = Undoing::new(coding);
        assert_eq!(undoing.push(&bomb), Err(Fault::TooLong), "{coding:?}");
        // Slowly it becomes no more.
        let mut undoing = Undoing::new(coding);
        let mut became = 0;
        let end = bomb.chunks(16).find_map(|piece| match undoing.push(piece) {
            Ok(bytes) => {
                became += bytes.len();
                None
            }
            Err(fault) => Some(fault),
        });
        assert_eq!(end, Some(Fault::TooLong), "{coding:?}");
        let most = PIECE as u64 + bomb.len() as u64 * MOST_TIMES;
        assert!(became as u64 <= most, "{coding:?}: {became}");
    }
}

/// A window of 128 MiB: magic, one byte of flags, the window's size.
#[test]
fn a_frame_that_wants_a_large_window_is_refused() {
    let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
    assert_eq!(Coding::Zstd.undo(&greedy, 100), Err(Fault::Broken));
    for first in [0x11, 0x91] {
        assert_eq!(
            Coding::Brotli.undo(&[first, 30, 0], 100),
            Err(Fault::Broken)
        );
        let mut undoing = Undoing::new(Coding::Brotli);
        assert_eq!(undoing.push(&[]), Ok(Bytes::new()));
        assert_eq!(undoing.push(&[first]), Err(Fault::Broken));
    }
}

#[test]
fn one_coding_is_known_and_more_are_not() {
    let of = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_str(value).unwrap();
            headers.append(header::CONTENT_ENCODING, value);
        }
        Coding::of(&headers)
    };
    assert_eq!(of(&[]), Ok(None));
    assert_eq!(of(&["identity"]), Ok(None));
    assert_eq!(of(&["GZip"]), Ok(Some(Coding::Gzip)));
    assert_eq!(of(&["identity, br"]), Ok(Some(Coding::Brotli)));
    assert_eq!(of(&["deflate"]), Ok(Some(Coding::Deflate)));
    for several in [
        &["gzip, gzip"][..],
        &["gzip", "br"],
        &["compress"],
        &["aws-chunked"],
        &["gzip;q=1"],
    ] {
        assert_eq!(of(several), Err(Unknown), "{several:?}");
    }
}
