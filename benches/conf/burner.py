"""Burns processor time when it is asked to, and says which replica answers."""
import http.server, os, threading, time


def burn(until):
    while time.monotonic() < until:
        pass


def hold(cores, until):
    """Uses this much of a core, whatever answering costs."""
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() < until:
        if time.process_time() - used > cores * (time.monotonic() - began):
            time.sleep(0.002)


def begin(target, *arguments):
    threading.Thread(target=target, args=arguments, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/burn":
            begin(burn, time.monotonic() + 4)
        elif self.path.startswith("/hold/"):
            cores, seconds = self.path.split("/")[2:]
            begin(hold, float(cores), time.monotonic() + float(seconds))
        said = os.uname().nodename.encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
