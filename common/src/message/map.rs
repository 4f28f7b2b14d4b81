//! The map of message 7: written as Python prints a dictionary, read from that and from JSON.
//!
//! Document 001's programs read it by turning every `'` into `"` and parsing JSON. What is written
//! here survives that, as well as Python's own parser: nothing in a value is left that is a quote.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What was read: keys and values as text, integers by their digits.
pub(super) type Map = BTreeMap<String, String>;

/// What is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Integer(u32),
}

pub(super) fn write(entries: &[(&str, Value<'_>)]) -> String {
    let mut text = String::from("{");
    for (number, (key, value)) in entries.iter().enumerate() {
        if number > 0 {
            text.push_str(", ");
        }
        write_quoted(&mut text, key);
        text.push_str(": ");
        match value {
            Value::Text(value) => write_quoted(&mut text, value),
            Value::Integer(value) => text.push_str(&value.to_string()),
        }
    }
    text.push('}');
    text
}

fn write_quoted(text: &mut String, value: &str) {
    text.push('\'');
    for letter in value.chars() {
        match letter {
            '\'' | '"' => write!(text, "\\u{:04x}", u32::from(letter)),
            '\\' => write!(text, "\\\\"),
            _ if letter.is_control() => write!(text, "\\u{:04x}", u32::from(letter)),
            _ => write!(text, "{letter}"),
        }
        .expect("a string takes every text");
    }
    text.push('\'');
}

/// Reads a flat map; says in one clause what is wrong with it.
pub(super) fn read(text: &str) -> Result<Map, &'static str> {
    let mut reader = Reader { rest: text };
    let map = reader.map()?;
    reader.skip_blanks();
    if reader.rest.is_empty() { Ok(map) } else { Err("something follows the map") }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn map(&mut self) -> Result<Map, &'static str> {
        let mut map = Map::new();
        self.expect('{', "it is no map")?;
        if self.take('}') {
            return Ok(map);
        }
        loop {
            let key = self.quoted()?;
            self.expect(':', "a key has no value")?;
            let value = self.value()?;
            if map.insert(key, value).is_some() {
                return Err("a key stands twice in the map");
            }
            if self.take('}') {
                return Ok(map);
            }
            self.expect(',', "the map does not end")?;
        }
    }

    fn value(&mut self) -> Result<String, &'static str> {
        self.skip_blanks();
        if self.rest.starts_with(['\'', '"']) { self.quoted() } else { self.integer() }
    }

    fn integer(&mut self) -> Result<String, &'static str> {
        let end = self.rest.find(|letter: char| !letter.is_ascii_digit());
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if digits.is_empty() {
            return Err("a value is neither text nor an integer");
        }
        self.rest = rest;
        Ok(digits.to_owned())
    }

    fn quoted(&mut self) -> Result<String, &'static str> {
        self.skip_blanks();
        let quote = self.letter().filter(|letter| matches!(letter, '\'' | '"'));
        let quote = quote.ok_or("a key or a value has no quotes")?;
        let mut text = String::new();
        loop {
            match self.letter().ok_or("a quote is not closed")? {
                '\\' => text.push(self.escaped()?),
                letter if letter == quote => return Ok(text),
                letter => text.push(letter),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, &'static str> {
        match self.letter().ok_or("a quote is not closed")? {
            letter @ ('\\' | '\'' | '"' | '/') => Ok(letter),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'x' => char::from_u32(self.hexadecimal(2)?).ok_or(NO_LETTER),
            'u' => self.utf_16(),
            _ => Err(NO_LETTER),
        }
    }

    /// JSON writes what needs more than 16 bits as two escapes.
    fn utf_16(&mut self) -> Result<char, &'static str> {
        let first = self.hexadecimal(4)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(NO_LETTER);
        }
        self.rest = self.rest.strip_prefix("\\u").ok_or(NO_LETTER)?;
        let second = self.hexadecimal(4)?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(NO_LETTER);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(NO_LETTER)
    }

    fn hexadecimal(&mut self, length: usize) -> Result<u32, &'static str> {
        let digits = self.rest.get(..length).ok_or(NO_LETTER)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NO_LETTER);
        }
        self.rest = self.rest.get(length..).unwrap_or_default();
        u32::from_str_radix(digits, 16).map_err(|_| NO_LETTER)
    }

    fn letter(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next();
        self.rest = letters.as_str();
        letter
    }

    fn take(&mut self, sign: char) -> bool {
        self.skip_blanks();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, sign: char, otherwise: &'static str) -> Result<(), &'static str> {
        if self.take(sign) { Ok(()) } else { Err(otherwise) }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }
}

const NO_LETTER: &str = "an escape stands for no letter";

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> Map {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn python_and_json_spellings_are_read() {
        for text in [
            r"{'os': 'a', 'port': 7}",
            r#"{"os": "a", "port": 7}"#,
            r#" { "os":'a' ,"port" : '7' } "#,
            r#"{'os':'\x61','port':"\u0037"}"#,
        ] {
            assert_eq!(read(text), Ok(map(&[("os", "a"), ("port", "7")])), "{text}");
        }
        assert_eq!(read("{}"), Ok(Map::new()));
    }

    #[test]
    fn quotes_inside_values_are_kept() {
        for (text, value) in [
            (r#"{"os": "Bob's"}"#, "Bob's"),
            (r"{'os': 'Bob\'s'}", "Bob's"),
            (r#"{'os': 'say "hi"'}"#, r#"say "hi""#),
            (r"{'os': 'Bob\u0027s'}", "Bob's"),
            (r#"{"os": "\ud83d\ude00\\"}"#, "😀\\"),
        ] {
            assert_eq!(read(text), Ok(map(&[("os", value)])), "{text}");
        }
    }

    #[test]
    fn what_is_no_flat_map_is_refused() {
        for text in [
            "",
            "{",
            "[]",
            "{'a'}",
            "{'a':}",
            "{'a': 1,}",
            "{'a': 1 'b': 2}",
            "{'a': 1}{}",
            "{a: 1}",
            "{'a': b}",
            "{'a': {}}",
            "{'a': [1]}",
            "{'a': -1}",
            "{'a': 1.5}",
            "{'a': 'b}",
            "{'a': 'b\"}",
            r"{'a': '\'}",
            r"{'a': '\q'}",
            r"{'a': '\u00'}",
            r"{'a': '\ud800'}",
            r"{'a': '\ud800\u0041'}",
            r"{'a': '\u+123'}",
            "{'a': 1, 'a': 2}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_can_be_read_by_replacing_quotes() {
        let os = "Bob's \"best\" \\ 😀\n$";
        let text = write(&[("os", Value::Text(os)), ("port", Value::Integer(7))]);
        assert_eq!(text, "{'os': 'Bob\\u0027s \\u0022best\\u0022 \\\\ 😀\\u000a$', 'port': 7}");
        let json: serde_json::Value = serde_json::from_str(&text.replace('\'', "\"")).unwrap();
        assert_eq!(json["os"], os);
        assert_eq!(read(&text), Ok(map(&[("os", os), ("port", "7")])));
    }
}
