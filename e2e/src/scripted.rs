//! Apps that a test writes for itself: one file of Python's own HTTP server, and what the test's app answers.

use std::path::Path;

use tempfile::TempDir;

/// The folder of an app that is deployed from it, once or several times.
#[derive(Debug)]
pub struct Scripted {
    folder: TempDir,
}

impl Scripted {
    /// An app with these methods: `do_GET(self)` and others, which may call `self.answer(status, body)`.
    pub fn new(methods: &str) -> anyhow::Result<Self> {
        let scripted = Scripted { folder: tempfile::tempdir()? };
        scripted.rewrite(methods)?;
        Ok(scripted)
    }

    /// With this `avishkar.toml`.
    pub fn with_settings(self, settings: &str) -> anyhow::Result<Self> {
        std::fs::write(self.folder.path().join("avishkar.toml"), settings)?;
        Ok(self)
    }

    /// Gives the app other methods: its next release.
    pub fn rewrite(&self, methods: &str) -> anyhow::Result<()> {
        let main = format!("{HEAD}{methods}{TAIL}");
        Ok(std::fs::write(self.folder.path().join("main.py"), main)?)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

const HEAD: &str = r#"
import http.server, os, threading, time

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
"#;
const TAIL: &str = r#"
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
"#;
