"""Says hello, and who says it."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ABOUT = {
    "hello": "world",
    "app": os.environ.get("AVISHKAR_APP", "hello"),
    "instance": os.environ.get("AVISHKAR_INSTANCE"),
    "release": os.environ.get("AVISHKAR_RELEASE"),
    "node": os.environ.get("AVISHKAR_NODE"),
    "container": os.uname().nodename,
}


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet: a keepalive client would else wait for the second one.
    wbufsize = -1

    def do_GET(self):
        body = b"ok\n" if self.path == "/health" else json.dumps(ABOUT).encode() + b"\n"
        kind = "text/plain" if self.path == "/health" else "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format, *args):
        if self.path != "/health":
            print(self.command, self.path, *args[1:2], flush=True)


def main():
    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8080"))), Hello)
    # The first process of a container gets no signals that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print("listening on", server.server_port, flush=True)
    server.serve_forever()


main()
