//! B-N1 to B-N6: names that are none.

/// One text that is sent where a name is asked for.
#[derive(Debug, Clone)]
pub struct BadName {
    pub row: &'static str,
    pub text: String,
}

/// What is a name nowhere.
pub fn never() -> Vec<BadName> {
    let rows: [(&str, &[&str]); 5] = [
        ("B-N1", &["../../etc", "..", ".", "/abs", "a/b", "a\\b", "%2e%2e"]),
        (
            "B-N2",
            &[
                "a;rm -rf /",
                "$(id)",
                "`id`",
                "a|b",
                "a&b",
                "-rf",
                "--privileged",
                "a\nb",
                "a\tb",
                "a b",
            ],
        ),
        ("B-N3", &["x{}", "a;}server{listen 81;}", "a\nserver{listen 81;}", "$host", "a\"b"]),
        (
            "B-N4",
            &[
                "ａpp",
                "аpp",
                "\u{202e}app",
                "app\u{1f600}",
                "a\0b",
                "zero\u{200b}width",
                "cafe\u{301}",
                "İapp",
            ],
        ),
        ("B-N5", &[""]),
    ];
    let mut names: Vec<BadName> = Vec::new();
    for (row, texts) in rows {
        names.extend(texts.iter().map(|text| BadName { row, text: (*text).to_owned() }));
    }
    for length in [81, 10_000] {
        names.push(BadName { row: "B-N5", text: "a".repeat(length) });
    }
    names
}

/// What document 001's programs may have called an instance, and no app may be called.
pub fn not_of_apps() -> Vec<BadName> {
    let texts = ["App", "a--b", "a-", "a_b", "Z9"].map(str::to_owned);
    let mut names = texts.map(|text| BadName { row: "B-N6", text }).to_vec();
    names.push(BadName { row: "B-N5", text: "a".repeat(41) });
    names
}

/// The platform's own names, and what some machines take for devices. A list of its own: what drops out of the
/// program's must be missed here.
pub const RESERVED: [&str; 28] = [
    "platform",
    "admin",
    "api",
    "www",
    "default",
    "nginx",
    "registry",
    "kafka",
    "zookeeper",
    "lifecycle",
    "alloc",
    "captain",
    "localhost",
    "system",
    "root",
    "new",
    "all",
    "app-manager",
    "deployment-manager",
    "node-manager",
    "load-balancer",
    "node-agent",
    "lifecycle-manager",
    "platform-initializer",
    "monitoring",
    "bootstrapper",
    "nul",
    "con",
];

/// The name as one part of a path: every byte that could mean something is escaped.
pub fn escaped(name: &str) -> String {
    let mut part = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            part.push(char::from(byte));
        } else {
            part.push_str(&format!("%{byte:02x}"));
        }
    }
    part
}
