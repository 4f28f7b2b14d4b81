//! Which known word somebody meant who wrote another one.

/// The nearest of the known words, if it is near enough to have been meant.
pub(super) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (written.chars().count() / 3).clamp(1, 3);
    let distances = known.map(|word| (distance(written, word), word));
    let (steps, word) = distances.min()?;
    (steps <= bound).then_some(word)
}

/// ` did you mean "x"?` and the like, or what is known.
pub(super) fn suggestion(written: &str, known: &[&str]) -> String {
    match nearest(written, known.iter().copied()) {
        Some(word) => format!("did you mean {word:?}?"),
        None if known.is_empty() => "take it away".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// How many letters have to be put in, left out or replaced, or neighbours swapped.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, wanted) in other.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column) + usize::from(letter != wanted);
            let (left, above) = (at(&current, column) + 1, at(&last, column + 1) + 1);
            let mut best = replaced.min(left).min(above);
            let is_swapped = row > 0
                && column > 0
                && one.get(row - 1) == Some(wanted)
                && other.get(column - 1) == Some(letter);
            if is_swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_fingers_are_seen_through_and_other_words_are_not() {
        let known = ["address", "port", "user", "key_file"];
        for (written, meant) in [
            ("adress", Some("address")),
            ("prot", Some("port")),
            ("keyfile", Some("key_file")),
            ("usr", Some("user")),
            ("memory", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known.into_iter()), meant, "{written}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
