//! A table of a TOML file, and its values, each with its place: what is not as it should be is gathered.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::nearest::suggestion;
use super::problem::Problems;

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Section<'a> {
    path: String,
    pub(super) span: Range<usize>,
    table: &'a DeTable<'a>,
    problems: &'a Problems<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a Spanned<DeTable<'a>>, problems: &'a Problems<'a>) -> Self {
        Section { path: String::new(), span: 0..0, table: table.get_ref(), problems }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Complains of every other key.
    pub(super) fn only(&self, known: &[&str]) {
        for key in self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let path = self.path_of(key.get_ref());
            let hint = suggestion(key.get_ref(), known);
            self.problems.add(key.span(), &path, "there is no such key".to_owned(), hint);
        }
    }

    pub(super) fn optional(&self, key: &str) -> Option<Entry<'a>> {
        let (name, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Entry { key: self.path_of(key), at: name.span(), value, problems: self.problems })
    }

    pub(super) fn required(&self, key: &str, hint: impl Into<String>) -> Option<Entry<'a>> {
        let found = self.optional(key);
        if found.is_none() {
            self.missing(key, hint);
        }
        found
    }

    pub(super) fn missing(&self, key: &str, hint: impl Into<String>) {
        self.problems.missing(self.span.clone(), &self.path_of(key), hint.into());
    }

    /// All keys and values.
    pub(super) fn all(&self) -> Vec<(&'a str, Entry<'a>)> {
        let names = self.table.keys().map(|name| name.get_ref().as_ref());
        names.filter_map(|name| Some((name, self.optional(name)?))).collect()
    }

    /// Those of these keys that are there.
    pub(super) fn present(&self, keys: &[&str]) -> Vec<Entry<'a>> {
        keys.iter().filter_map(|key| self.optional(key)).collect()
    }
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) key: String,
    /// Where the key is.
    at: Range<usize>,
    value: &'a Spanned<DeValue<'a>>,
    problems: &'a Problems<'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn wrong<T>(
        &self,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Option<T> {
        self.problems.add(self.value.span(), &self.key, message.into(), hint.into());
        None
    }

    pub(super) fn line(&self) -> usize {
        self.problems.line_of(&self.value.span())
    }

    fn not<T>(&self, wanted: &str) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("it is {found}"), format!("write {wanted}"))
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value.get_ref().as_str() {
            Some("") => self.wrong("it is empty", "say something, or take the key away"),
            Some(text) => Some(text),
            None => self.not("a text, in quotes"),
        }
    }

    /// A text of a form of its own.
    pub(super) fn parsed<T>(&self, hint: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text()?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(err) => self.wrong(format!("{text:?} does not fit: {err}"), hint),
        }
    }

    /// One of these words.
    pub(super) fn word(&self, known: &[&str]) -> Option<&'a str> {
        let text = self.text()?;
        if known.contains(&text) {
            return Some(text);
        }
        self.wrong(format!("{text:?} is not known"), suggestion(text, known))
    }

    pub(super) fn whole(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let (least, most) = (range.start(), range.end());
        let Some(written) = self.value.get_ref().as_integer() else {
            return self.not(&format!("a whole number from {least} to {most}"));
        };
        match i64::from_str_radix(written.as_str(), written.radix()) {
            Ok(number) if range.contains(&number) => Some(number),
            Ok(_) | Err(_) => self.wrong(
                format!("{written} is out of bounds"),
                format!("write a number from {least} to {most}"),
            ),
        }
    }

    pub(super) fn port(&self) -> Option<u16> {
        u16::try_from(self.whole(1..=65535)?).ok()
    }

    /// A number, as it is written.
    pub(super) fn number(&self, range: RangeInclusive<f64>) -> Option<String> {
        let (least, most) = (range.start(), range.end());
        let value = self.value.get_ref();
        let whole = value.as_integer().filter(|number| number.radix() == 10);
        let written = whole.map(DeInteger::as_str);
        let Some(text) = written.or_else(|| value.as_float().map(DeFloat::as_str)) else {
            return self.not(&format!("a number from {least} to {most}"));
        };
        match text.parse::<f64>() {
            Ok(number) if range.contains(&number) => Some(text.to_owned()),
            Ok(_) | Err(_) => self.wrong(
                format!("{text} is out of bounds"),
                format!("write a number from {least} to {most}"),
            ),
        }
    }

    /// Thousandths of a core.
    pub(super) fn cores(&self) -> Option<u32> {
        let value = self.value.get_ref();
        let whole = value.as_integer().filter(|number| number.radix() == 10);
        let written = whole.map(DeInteger::as_str);
        let written = written.or_else(|| value.as_float().map(DeFloat::as_str));
        let Some(text) = written else { return self.not("a number of cores, as 1.5") };
        match text.parse::<f64>() {
            Ok(cores) if (0.1..=1024.0).contains(&cores) =>
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is between 100 and 1024000"
                )]
                Some((cores * 1000.0).round() as u32)
            }
            Ok(_) | Err(_) => {
                self.wrong(format!("{text} is out of bounds"), "write a number from 0.1 to 1024")
            }
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.value.get_ref().as_bool() {
            Some(flag) => Some(flag),
            None => self.not("true or false"),
        }
    }

    /// The values of a list, each with its place.
    pub(super) fn list(&self) -> Option<Vec<Entry<'a>>> {
        let Some(list) = self.value.get_ref().as_array() else { return self.not("a list, in [ ]") };
        let entries = list.iter().enumerate().map(|(index, value)| Entry {
            key: format!("{}[{index}]", self.key),
            at: value.span(),
            value,
            problems: self.problems,
        });
        Some(entries.collect())
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.get_ref().as_array().is_some()
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().as_table().is_some()
    }

    pub(super) fn section(&self) -> Option<Section<'a>> {
        let Some(table) = self.value.get_ref().as_table() else {
            return self.not("a table: keys and values");
        };
        let (path, span) = (self.key.clone(), self.at.clone());
        Some(Section { path, span, table, problems: self.problems })
    }

    /// The keys and values of a table of names.
    pub(super) fn pairs(&self) -> Option<Vec<(&'a str, Entry<'a>)>> {
        Some(self.section()?.all())
    }
}
