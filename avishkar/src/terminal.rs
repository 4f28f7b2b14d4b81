//! Asking at a terminal for what must not be seen.

use std::io::{self, Read as _, Write as _};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// Asks on standard error and reads a line that is not shown. `None`: the person gave up.
pub(crate) fn ask_hidden(question: &str) -> io::Result<Option<String>> {
    let hidden = Hidden::start()?;
    write!(io::stderr(), "{question}: ")?;
    let typed = typed(io::stdin().lock().bytes());
    drop(hidden);
    // Enter was not shown either.
    writeln!(io::stderr())?;
    typed
}

/// While it lives, the terminal shows nothing and hands on each key as it is. Ctrl-C too: were it a signal, it would end
/// the program and leave a terminal that shows nothing.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Hidden { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.before).unwrap_or_default();
    }
}

/// The line that these keys make. `None` at Ctrl-C, at Ctrl-D on an empty line, and when nothing more comes.
fn typed(keys: impl Iterator<Item = io::Result<u8>>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    for key in keys {
        match key? {
            b'\r' | b'\n' => {
                let line = String::from_utf8(line);
                return line
                    .map(Some)
                    .map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err));
            }
            CTRL_C => return Ok(None),
            CTRL_D if line.is_empty() => return Ok(None),
            CTRL_U => line.clear(),
            BACKSPACE | DELETE => remove_letter(&mut line),
            key => line.push(key),
        }
    }
    Ok(None)
}

fn remove_letter(line: &mut Vec<u8>) {
    // The bytes of a letter after its first begin with the bits 10.
    while line.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(keys: &str) -> Option<String> {
        typed(keys.bytes().map(Ok)).unwrap()
    }

    #[test]
    fn what_is_typed_can_be_corrected() {
        assert_eq!(line("secret\nmore").unwrap(), "secret");
        assert_eq!(line("secrx\u{7f}et\r").unwrap(), "secret");
        assert_eq!(line("wrong\u{15}secret\n").unwrap(), "secret");
        assert_eq!(line("\u{7f}pässx\u{8}\u{8}\u{8}\u{8}aß\n").unwrap(), "paß");
    }

    #[test]
    fn one_can_give_up() {
        assert_eq!(line("secret\u{3}\n"), None);
        assert_eq!(line("\u{4}\n"), None);
        assert_eq!(line("secret"), None);
    }
}
