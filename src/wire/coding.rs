//! Content codings, undone within bounds: a few bytes may stand for gigabytes.
//!
//! A request's body may be compressed. An answer should not be, as its provider was asked; one that is all the same is
//! undone before anything looks at it, so that every bound on answers counts what it becomes.

use std::io;
use std::io::Write;

use brotli::DecompressorWriter as Brotli;
use bytes::Bytes;
use flate2::write::{MultiGzDecoder as Gzip, ZlibDecoder as Deflate};
use http::{HeaderMap, header};
use zstd::stream::raw::{DParameter, Decoder as RawZstd};
use zstd::stream::zio::Writer;

type Zstd = Writer<Sink, RawZstd<'static>>;

/// Most that a zstd frame may make us remember, as a power of two: 8 MiB, what RFC 9659 allows on the web.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Most that a piece of an answer becomes, in bytes.
const PIECE: usize = 2 << 20;

/// Beyond that an answer becomes at most so many times as long as what came of it: ten times what ordinary ones do.
const MOST_TIMES: u64 = 100;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls so.
    Deflate,
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
}

/// More than one coding, or one that is not known.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown;

/// Why bytes cannot be undone.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// They become more than they may.
    TooLong,
    /// They are not what their coding makes, or end too early.
    Broken,
}

impl Coding {
    /// Returns the coding of a message with this head; `None` if it is plain.
    pub fn of(headers: &HeaderMap) -> Result<Option<Coding>, Unknown> {
        let mut coding = None;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            for name in value.as_bytes().split(|byte| *byte == b',') {
                let name = name.trim_ascii().to_ascii_lowercase();
                let one = match &*name {
                    b"" | b"identity" => continue,
                    b"gzip" | b"x-gzip" => Coding::Gzip,
                    b"deflate" => Coding::Deflate,
                    b"zstd" => Coding::Zstd,
                    b"br" => Coding::Brotli,
                    _ => return Err(Unknown),
                };
                if coding.replace(one).is_some() {
                    return Err(Unknown);
                }
            }
        }
        Ok(coding)
    }

    /// Undoes a whole body of at most `most` bytes.
    pub fn undo(self, body: &[u8], most: usize) -> Result<Bytes, Fault> {
        let mut decoder = Decoder::new(self);
        let start = decoder.push(body, most)?;
        let rest = decoder.finish(most - start.len())?;
        Ok(match rest.is_empty() {
            true => start,
            false => [start, rest].concat().into(),
        })
    }
}

/// Undoes an answer, piece by piece.
pub struct Undoing {
    decoder: Decoder,
    came: u64,
    became: u64,
}

impl Undoing {
    /// Returns the beginning of an answer.
    pub fn new(coding: Coding) -> Undoing {
        Undoing {
            decoder: Decoder::new(coding),
            came: 0,
            became: 0,
        }
    }

    /// Returns what the next piece becomes: all that can be decoded so far. The end of an answer needs no word: what it
    /// says is whole or not, whatever its coding says of it.
    pub fn push(&mut self, piece: &[u8]) -> Result<Bytes, Fault> {
        self.came += piece.len() as u64;
        let most = PIECE as u64 + self.came.saturating_mul(MOST_TIMES);
        let left = usize::try_from(most.saturating_sub(self.became)).unwrap_or(PIECE);
        let becomes = self.decoder.push(piece, left.min(PIECE))?;
        self.became += becomes.len() as u64;
        Ok(becomes)
    }
}

enum Decoder {
    Gzip(Gzip<Sink>),
    Deflate(Deflate<Sink>),
    /// `None` if there was no memory for it.
    Zstd(Option<Zstd>),
    /// And whether its first byte was seen.
    Brotli(Box<Brotli<Sink>>, bool),
}

/// Takes what comes out, as far as it may.
#[derive(Default)]
struct Sink {
    out: Vec<u8>,
    most: usize,
    is_full: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() + bytes.len() > self.most {
            self.is_full = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What brotli of a window of up to 1 GiB begins with, in seven bits: the decoder would fill all of it before it hands
/// anything on. RFC 7932 calls it invalid (9.1); without it a window has 16 MiB.
const LARGE_WINDOW: u8 = 0x11;

/// What a decoder hands on at once, in bytes.
const STEP: usize = 16 << 10;

impl Decoder {
    fn new(coding: Coding) -> Decoder {
        let sink = Sink::default();
        match coding {
            Coding::Gzip => Decoder::Gzip(Gzip::new(sink)),
            Coding::Deflate => Decoder::Deflate(Deflate::new(sink)),
            Coding::Zstd => {
                let decoder = RawZstd::new().and_then(|mut decoder| {
                    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                    Ok(Writer::new(sink, decoder))
                });
                Decoder::Zstd(decoder.ok())
            }
            Coding::Brotli => Decoder::Brotli(Box::new(Brotli::new(sink, STEP)), false),
        }
    }

    fn sink(&mut self) -> Option<&mut Sink> {
        Some(match self {
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Deflate(decoder) => decoder.get_mut(),
            Decoder::Zstd(decoder) => decoder.as_mut()?.writer_mut(),
            Decoder::Brotli(decoder, _) => decoder.get_mut(),
        })
    }

    fn writer(&mut self) -> Option<&mut dyn Write> {
        Some(match self {
            Decoder::Gzip(decoder) => decoder,
            Decoder::Deflate(decoder) => decoder,
            Decoder::Zstd(decoder) => decoder.as_mut()?,
            Decoder::Brotli(decoder, _) => decoder,
        })
    }

    /// Some more bytes, which become at most `most`.
    fn push(&mut self, bytes: &[u8], most: usize) -> Result<Bytes, Fault> {
        if let (Decoder::Brotli(_, begun), Some(first)) = (&mut *self, bytes.first())
            && !std::mem::replace(begun, true)
            && first & 0x7f == LARGE_WINDOW
        {
            return Err(Fault::Broken);
        }
        self.within(most, |decoder| {
            let writer = decoder.writer().ok_or(io::ErrorKind::Unsupported)?;
            writer.write_all(bytes)?;
            writer.flush()?;
            decoder.drain()
        })
    }

    /// Takes what is undone and not handed on. Brotli hands on one step once it has read everything, and keeps the rest
    /// until it is asked again, or its window of up to 16 MiB is full.
    fn drain(&mut self) -> io::Result<()> {
        let Decoder::Brotli(decoder, _) = self else {
            return Ok(());
        };
        loop {
            let before = decoder.get_ref().out.len();
            let _none = decoder.write(&[])?;
            if decoder.get_ref().out.len() == before {
                return Ok(());
            }
        }
    }

    /// There are no more; what was not handed on yet becomes at most `most`.
    fn finish(&mut self, most: usize) -> Result<Bytes, Fault> {
        self.within(most, |decoder| match decoder {
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Deflate(decoder) => decoder.try_finish(),
            Decoder::Zstd(Some(decoder)) => decoder.finish(),
            Decoder::Zstd(None) => Err(io::ErrorKind::Unsupported.into()),
            Decoder::Brotli(decoder, _) => decoder.close(),
        })
    }

    fn within(
        &mut self,
        most: usize,
        work: impl FnOnce(&mut Decoder) -> io::Result<()>,
    ) -> Result<Bytes, Fault> {
        if let Some(sink) = self.sink() {
            sink.most = most;
        }
        let done = work(self);
        let sink = self.sink().ok_or(Fault::Broken)?;
        match done {
            Ok(()) => Ok(std::mem::take(&mut sink.out).into()),
            Err(_) if sink.is_full => Err(Fault::TooLong),
            Err(_) => Err(Fault::Broken),
        }
    }
}

#[cfg(test)]
mod tests;
