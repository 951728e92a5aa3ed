//! The lines of one whole block: their fields and values.

/// The lines of a block, without their ends. A line after the last end is a line too.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', self.0) else {
            return Some(std::mem::take(&mut self.0));
        };
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]);
        Some(line)
    }
}

/// The value of `line` if its field is `field`: what follows the colon and one space, if any.
fn value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(field)?;
    match rest.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        None => rest.is_empty().then_some(rest),
    }
}

/// Whether the block has a `data` field; without one it is no event.
pub(super) fn has_data(block: &[u8]) -> bool {
    block.starts_with(b"data:") || Lines(block).any(|line| value(line, b"data").is_some())
}

/// The name and the data of a block; `None` without a `data` field. Data of several lines is joined
/// in `joined`.
pub(super) fn read<'a>(block: &'a [u8], joined: &'a mut Vec<u8>) -> Option<(&'a [u8], &'a [u8])> {
    let mut name: &[u8] = b"";
    let mut data: Option<&[u8]> = None;
    let mut many = false;
    for line in Lines(block) {
        if let Some(more) = value(line, b"data") {
            match data {
                None => data = Some(more),
                Some(first) => {
                    if !std::mem::replace(&mut many, true) {
                        joined.clear();
                        joined.extend_from_slice(first);
                    }
                    joined.push(b'\n');
                    joined.extend_from_slice(more);
                }
            }
        } else if let Some(value) = value(line, b"event") {
            name = value;
        }
    }
    Some((name, if many { joined } else { data? }))
}
