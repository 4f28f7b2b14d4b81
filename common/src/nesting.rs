//! How deep JSON that a stranger wrote is nested: found in one pass, before anything is built of it.

/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 32;

/// The byte where the text, were it JSON, nests deeper than [`MAX_DEPTH`].
pub fn too_deep_at(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_open_at_once_and_not_quoted_counts() {
        assert_eq!(too_deep_at(&"[".repeat(MAX_DEPTH)), None);
        assert_eq!(too_deep_at(&"[{".repeat(MAX_DEPTH)), Some(MAX_DEPTH));
        assert_eq!(too_deep_at(&"[]".repeat(1000)), None);
        assert_eq!(too_deep_at(&format!("\"\\\"{}\"", "[".repeat(1000))), None);
    }
}
