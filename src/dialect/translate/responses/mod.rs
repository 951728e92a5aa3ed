//! OpenAI's responses.
use super::neutral::{Answer, Conversation, Event};
use super::stream::Sink;
use super::{Lost, Refusal, Reply, Target};
pub fn read_request(_: &[u8]) -> Result<Conversation, Refusal> {
    Err(Refusal::new("", ""))
}
pub fn write_request(
    _: &Conversation,
    _: &Target<'_>,
    _: &mut Reply,
    _: &mut Lost,
) -> Result<Vec<u8>, Refusal> {
    Err(Refusal::new("", ""))
}
pub fn read_answer(_: &[u8]) -> Option<Answer> {
    None
}
pub fn write_answer(_: &Answer, _: &Reply, _: u64) -> Vec<u8> {
    Vec::new()
}
#[derive(Debug, Default)]
pub struct Decoder;
impl Decoder {
    pub fn read(&mut self, _: &[u8], _: &[u8], _: Sink<'_>) {}
    pub fn finish(&mut self) -> bool {
        false
    }
}
#[derive(Debug)]
pub struct Encoder;
impl Encoder {
    pub fn new(_: &Reply, _: u64) -> Encoder {
        Encoder
    }
    pub fn write(&mut self, _: &Event<'_>, _: &mut Vec<u8>) {}
}
