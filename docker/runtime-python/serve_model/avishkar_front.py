"""What visitors of a model meet: its three paths, each with exact answers, and bounds on what one of them may take."""

import http.client
import json
import os
import select
import socket
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from avishkar_bounds import LARGEST_HEAD, SLOW_SECONDS, Arrivals, Incoming, Waits
from avishkar_predictions import BUSY, FOLDER, LARGEST_OUTPUT, LOADING, Refused, say, shown

# Most of them are the edge's, which keeps them open.
MOST_CONNECTIONS = 128
# Beyond them so many at once are told whether it is well, or that it is busy, within these seconds.
MOST_TURNED_AWAY = 32
TURNED_AWAY_SECONDS = 1
# Longer than the edge keeps a connection that nobody uses, so that it is the one who closes it.
IDLE_SECONDS = 150
# From the first byte of a head to its last: the edge has all of it before it sends any.
HEAD_SECONDS = 10
BODY_SECONDS = 30
ANSWER_SECONDS = 30
# Within them a thread whose connection was shut has ended: it waits for nobody.
GIVING_WAY_SECONDS = 1
# What the kernel takes of an answer before the visitor does: else megabytes, of the container's memory.
SENDING_BYTES = 1 << 16
LINGER_SECONDS = 2
LINGER_BYTES = 1 << 26
ROUTES = {"/": ("GET", "HEAD"), "/health": ("GET", "HEAD"), "/predict": ("POST",)}


class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet: a keepalive client would else wait for the second one.
    wbufsize = -1
    timeout = IDLE_SECONDS
    is_unread = False
    path = ""

    def version_string(self):
        return "avishkar"

    def setup(self):
        super().setup()
        self.rfile = Incoming(self.rfile.detach())

    def handle_one_request(self):
        if not self.comes():
            self.close_connection = True
            return
        self.rfile.head_left = LARGEST_HEAD
        self.server.heads.begin(self)
        try:
            super().handle_one_request()
        finally:
            self.server.heads.end(self)

    def comes(self):
        """Whether another request comes: who only is connected gives way where others want in."""
        idle = self.server.idle
        idle.begin(self)
        try:
            return bool(self.rfile.peek(1)) and idle.end(self)
        except TimeoutError:
            return False
        finally:
            idle.end(self)

    def parse_request(self):
        if super().parse_request() and self.server.heads.end(self):
            return True
        self.close_connection = True
        return False

    def handle_expect_100(self):
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def do_GET(self):
        path = self.path.partition("?")[0]
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.leave_unread()
        if "GET" not in ROUTES.get(path, ()):
            return self.refuse(*self.nowhere(path))
        if path == "/":
            return self.answer(200, json.dumps(self.server.about(), indent=2).encode())
        if not self.server.model.is_ready:
            return self.refuse(*LOADING)
        self.answer(200, json.dumps({"status": "ready"}).encode())

    do_HEAD = do_GET

    def do_POST(self):
        status, *rest = self.predicted()
        if status is not None:
            self.tell(status, *rest)

    def tell(self, status, *rest):
        (self.answer if status == 200 else self.refuse)(status, *rest)

    def predicted(self):
        """What is to be answered; nothing where it has been."""
        model = self.server.model
        if not model.is_ready:
            self.leave_unread()
            return LOADING
        try:
            body = self.input()
        except Refused as no:
            return no.args
        if not self.finds_place(len(body)):
            return BUSY
        try:
            # A place is for who waits for the model, and for its answer until it is sent.
            status, *rest = model.ask(body)
            del body
            if status == 200 and not self.server.answers.begin(self, len(rest[0])):
                return BUSY
            self.tell(status, *rest)
            return (None,)
        finally:
            model.leave()

    def finds_place(self, size):
        """Where there is none, who is slow to take his answer loses his."""
        model = self.server.model
        found = model.enter(size)
        while not found and self.server.answers.cut(SLOW_SECONDS):
            found = model.enter(size, GIVING_WAY_SECONDS)
        return found

    def input(self):
        path = self.path.partition("?")[0]
        if "POST" not in ROUTES.get(path, ()):
            self.leave_unread()
            raise Refused(*self.nowhere(path))
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            self.leave_unread()
            raise Refused(415, "CONTENT_TYPE_INVALID", "send it as application/json")
        return self.body()

    def body(self):
        """All of it, or none: what is too large is not read."""
        most, length = self.server.most, self.headers.get("Content-Length")
        self.leave_unread()
        if length is None or "Transfer-Encoding" in self.headers:
            raise Refused(411, "LENGTH_REQUIRED", "say how long the body is, in Content-Length")
        if not (length.isascii() and length.isdigit()):
            raise Refused(400, "REQUEST_MALFORMED", "Content-Length is no number")
        if len(length) > 15 or int(length) > most:
            raise Refused(413, "BODY_TOO_LARGE", f"at most {most} bytes")
        body = self.arriving(int(length), time.monotonic() + BODY_SECONDS)
        self.is_unread, self.close_connection = False, self.asked_to_close
        return body

    def arriving(self, length, until):
        arrivals, left = self.server.arrivals, length
        arrivals.begin(self)
        try:
            while left > 0:
                piece = self.piece(min(left, 1 << 16), until)
                if not arrivals.add(self, piece):
                    break
                left -= len(piece)
        finally:
            body = arrivals.end(self)
        if body is None:
            raise Refused(*BUSY)
        self.connection.settimeout(IDLE_SECONDS)
        return body

    def piece(self, most, until):
        """Some bytes of it, or none where some may come yet: it may have to give way meanwhile."""
        left = until - time.monotonic()
        if left > 0:
            # What came with the head is there already. Then past the file, which cannot be read again once it timed out.
            self.connection.settimeout(0)
            if piece := self.rfile.read1(most):
                return piece
            self.connection.settimeout(min(left, SLOW_SECONDS))
            try:
                piece = self.connection.recv(most)
            except TimeoutError:
                return b""
            if piece:
                return piece
        raise Refused(400, "REQUEST_MALFORMED", "the body did not arrive whole in time")

    def leave_unread(self):
        """What is not read of this request would be taken for the next one."""
        self.asked_to_close = self.close_connection
        self.is_unread = self.close_connection = True

    def nowhere(self, path):
        methods = ROUTES.get(path)
        if methods is None:
            return 404, "NOT_FOUND", "a model answers at /, /health and /predict"
        return 405, "METHOD_NOT_ALLOWED", f"{path} takes {methods[0]}", {"Allow": ", ".join(methods)}

    def send_error(self, code, message=None, explain=None):
        """What the library itself refuses: another method, or what is no HTTP."""
        self.leave_unread()
        if code == 501:
            return self.refuse(*self.nowhere(self.path.partition("?")[0]))
        self.refuse(code, "REQUEST_MALFORMED", "this is not HTTP as it is spoken here")

    def refuse(self, status, code, detail, headers=None):
        headers = dict(headers or {})
        if status == 503:
            headers["Retry-After"] = "1"
        self.answer(status, json.dumps({"code": code, "detail": detail}).encode(), headers)

    def answer(self, status, content, headers=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content) + 1))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.server.answers.begin(self)
        try:
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
                self.wfile.write(b"\n")
            self.wfile.flush()
        finally:
            if not self.server.answers.end(self):
                say("model: an answer was not taken in time, and its connection is shut")
        if self.is_unread:
            self.linger()

    def linger(self):
        """Who is still sending would lose the answer if the connection were closed at once."""
        self.connection.shutdown(socket.SHUT_WR)
        until, left = time.monotonic() + LINGER_SECONDS, LINGER_BYTES
        while left > 0 and time.monotonic() < until:
            self.connection.settimeout(max(until - time.monotonic(), 0.01))
            try:
                piece = self.connection.recv(1 << 16)
            except OSError:
                return
            if not piece:
                return
            left -= len(piece)

    def log_request(self, code="-", size="-"):
        # Probes come every second.
        if self.path != "/health":
            headers = getattr(self, "headers", None) or {}
            say(f"{shown(self.command)} {shown(self.path)} {int(code)} {shown(headers.get('X-Request-Id', ''))}".rstrip())

    def log_message(self, format, *args):
        pass


class Front(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, model, port, most):
        self.model = model
        self.most = most
        self.idle = Waits(select.POLLIN)
        self.heads = Waits(select.POLLIN)
        self.arrivals = Arrivals(most)
        self.answers = Waits(select.POLLOUT, LARGEST_OUTPUT)
        self.connections = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.turned_away = threading.BoundedSemaphore(MOST_TURNED_AWAY)
        super().__init__(("0.0.0.0", port), Connection)

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENDING_BYTES)
        # The library would look up a name here, and wait for whoever does not answer.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def about(self):
        model = self.model
        return {
            "kind": "model",
            "app": os.environ.get("AVISHKAR_APP"),
            "instance": os.environ.get("AVISHKAR_INSTANCE"),
            "release": os.environ.get("AVISHKAR_RELEASE"),
            "node": os.environ.get("AVISHKAR_NODE"),
            "about": model.contract.about if model.contract else "",
            "model": os.path.relpath(model.path, FOLDER),
            "contract": model.contract_file,
            "ready": model.is_ready,
            "predictions": model.predictions,
            "predict": "POST /predict with {\"input\": ...} as application/json",
            "max_body_bytes": self.most,
            "timeout_seconds": model.timeout,
        }

    def service_actions(self):
        """The library calls it twice a second, and oftener."""
        while self.heads.cut(HEAD_SECONDS) or self.answers.cut(ANSWER_SECONDS):
            pass

    def process_request(self, request, client_address):
        """Each in a thread; those beyond what there may be are answered, too, and never just closed."""
        if self.finds_room():
            return self.begin(self.connections, self.process_request_thread, request, client_address)
        if self.turned_away.acquire(blocking=False):
            return self.begin(self.turned_away, self.turn_away, request, client_address)
        self.turn_away(request, client_address, 0)

    def finds_room(self):
        """Where there is none, who keeps a thread waiting for a while leaves."""
        if self.connections.acquire(blocking=False):
            return True
        is_cut = any(waits.cut(SLOW_SECONDS) for waits in (self.idle, self.heads, self.answers))
        return is_cut and self.connections.acquire(timeout=GIVING_WAY_SECONDS)

    def begin(self, places, serve, request, client_address):
        try:
            threading.Thread(target=self.in_place, args=(places, serve, request, client_address), daemon=True).start()
        except BaseException:
            places.release()
            raise

    @staticmethod
    def in_place(places, serve, request, client_address):
        try:
            serve(request, client_address)
        finally:
            places.release()

    def turn_away(self, request, client_address, seconds=TURNED_AWAY_SECONDS):
        try:
            request.settimeout(seconds)
            asked = request.recv(1 << 16)
        except OSError:
            asked = b""
        if asked.startswith(b"GET /health ") and self.model.is_ready:
            return self.say_briefly(request, (200,), seconds)
        self.say_briefly(request, LOADING if not self.model.is_ready else BUSY, seconds)

    def say_briefly(self, request, what, seconds):
        """Without reading what is asked: there is no place for more."""
        status, *rest = what
        said = dict(zip(("code", "detail"), rest)) if rest else {"status": "ready"}
        content = json.dumps(said).encode() + b"\n"
        retry = "Retry-After: 1\r\n" if status == 503 else ""
        head = (
            f"HTTP/1.1 {status} {http.client.responses[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n{retry}Connection: close\r\n\r\n"
        )
        try:
            request.settimeout(seconds)
            request.sendall(head.encode() + content)
            request.shutdown(socket.SHUT_WR)
            until = time.monotonic() + seconds
            # What is unread when it is closed would take the answer with it.
            while request.recv(1 << 16) and time.monotonic() < until:
                pass
        except OSError:
            pass
        self.close_request(request)

    def handle_error(self, request, client_address):
        # Who asked has gone: nobody is there to be told.
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            traceback.print_exc(file=sys.stdout)
