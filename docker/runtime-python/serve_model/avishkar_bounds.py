"""What slow visitors may take of a model: so many bodies that arrive, and waits for the other end that end by the clock.

It speaks no HTTP: avishkar_front.py tells it when a wait begins and ends.
"""

import http.client
import io
import select
import socket
import struct
import threading
import time

from avishkar_predictions import LEAST_HELD

MOST_ARRIVING = 64
# Who has kept a model waiting for longer gives way where others want his place.
SLOW_SECONDS = 1
# Together so many times as large as one may be.
ARRIVING_BODIES = 4
# All lines of a request before its body. The edge takes 64 KiB of a visitor, and adds some.
LARGEST_HEAD = 80 << 10


class Arrivals:
    """The bodies that are being sent. Where they are too many or too much the oldest gives way, so that who sends slowly keeps
    nobody out; where all are young, the one that is too much does."""

    def __init__(self, most):
        self.lock = threading.Lock()
        self.most_bytes = max(ARRIVING_BODIES * most, LEAST_HELD)
        self.under_way = {}
        self.bytes = 0

    def begin(self, connection):
        with self.lock:
            self.under_way[connection] = (time.monotonic(), bytearray())
            if len(self.under_way) > MOST_ARRIVING:
                self.make_room(connection)

    def add(self, connection, piece):
        """Whether it may go on."""
        with self.lock:
            if connection in self.under_way:
                self.under_way[connection][1].extend(piece)
                self.bytes += len(piece)
            while self.bytes > self.most_bytes:
                self.make_room(connection)
            return connection in self.under_way

    def make_room(self, connection):
        oldest = next(iter(self.under_way))
        is_slow = time.monotonic() - self.under_way[oldest][0] > SLOW_SECONDS
        self.remove(oldest if is_slow or connection not in self.under_way else connection)

    def remove(self, connection):
        _, body = self.under_way.pop(connection, (None, None))
        self.bytes -= len(body or b"")
        return body

    def end(self, connection):
        """What has arrived; none if it had to give way."""
        with self.lock:
            return self.remove(connection)


class Waits:
    """Connections whose threads wait for the other end, in the order in which they began to. Who is late, or slow and in the way of
    others, is cut off: his thread finds the connection shut."""

    def __init__(self, event, most_bytes=0):
        self.event = event
        self.lock = threading.Lock()
        self.most_bytes = most_bytes
        self.under_way = {}
        self.bytes = 0

    def begin(self, connection, size=0):
        """Whether there is room for so much; what has begun already goes on."""
        with self.lock:
            while size and self.bytes + size > self.most_bytes:
                if not self.cut_oldest(SLOW_SECONDS):
                    return False
            if connection not in self.under_way:
                self.under_way[connection] = (time.monotonic(), size)
                self.bytes += size
            return True

    def end(self, connection):
        """Whether it had begun, and was not cut off."""
        with self.lock:
            return self.remove(connection)

    def cut(self, seconds):
        """Whether the oldest was cut off of those that have taken longer than that."""
        with self.lock:
            return self.cut_oldest(seconds)

    def cut_oldest(self, seconds):
        before = time.monotonic() - seconds
        late = (connection for connection, (began, _) in self.under_way.items() if began < before)
        oldest = next(filter(self.is_waited_for, late), None)
        if oldest is None:
            return False
        _, size = self.under_way[oldest]
        self.remove(oldest)
        try:
            if size > 0:
                # What has not been taken of it is forgotten at once, by the kernel too.
                oldest.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            oldest.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It has gone by itself.
        return True

    def is_waited_for(self, connection):
        """Whether the thread waits for the other end, and not only for its turn to run."""
        poll = select.poll()
        poll.register(connection.connection, self.event)
        return not poll.poll(0)

    def remove(self, connection):
        began, size = self.under_way.pop(connection, (None, 0))
        self.bytes -= size
        return began is not None


class Incoming(io.BufferedReader):
    """What a visitor sends. The library bounds each line of a head and their number, which together are megabytes."""

    head_left = LARGEST_HEAD

    def readline(self, most=-1):
        line = super().readline(most)
        self.head_left -= len(line)
        if self.head_left < 0:
            raise http.client.LineTooLong("head")
        return line
