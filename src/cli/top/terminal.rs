//! The terminal: a screen of its own, keys as they are pressed, and everything as it was at the end.

use std::io::{self, Read, Write};

use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::frame::Line;

/// Where a terminal does not say its size.
const USUAL: (usize, usize) = (80, 24);

/// Another screen, without a cursor; the cursor, and the screen from before.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// A terminal that shows nothing but this program, until it is dropped.
pub struct Screen {
    before: Termios,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be set.
    pub fn enter() -> io::Result<Screen> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Flush, &raw)?;
        let screen = Screen { before };
        say(ENTER)?;
        Ok(screen)
    }

    /// Its columns and rows now.
    pub fn size(&self) -> (usize, usize) {
        match tcgetwinsize(stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (size.ws_col.into(), size.ws_row.into())
            }
            _ => USUAL,
        }
    }

    /// Shows lines, which fit.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&self, lines: &[Line]) -> io::Result<()> {
        let mut text = String::from("\x1b[H");
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                text.push_str("\r\n");
            }
            let (on, off) = if line.bold {
                ("\x1b[1m", "\x1b[0m")
            } else {
                ("", "")
            };
            text.push_str(&format!("{on}{}{off}\x1b[K", line.text));
        }
        // What an earlier, longer one has left.
        text.push_str("\x1b[J");
        say(&text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no care.
        say(LEAVE).ok();
        tcsetattr(stdin(), OptionalActions::Flush, &self.before).ok();
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The keys that are pressed from now on; ends with standard input.
pub fn keys() -> UnboundedReceiver<u8> {
    let (pressed, keys) = unbounded_channel();
    std::thread::spawn(move || {
        let mut key = [0];
        while matches!(io::stdin().read(&mut key), Ok(1)) && pressed.send(key[0]).is_ok() {}
    });
    keys
}

/// Whether a key ends the view: q, Ctrl-C, Ctrl-D.
pub fn quits(key: u8) -> bool {
    matches!(key, b'q' | b'Q' | 3 | 4)
}
