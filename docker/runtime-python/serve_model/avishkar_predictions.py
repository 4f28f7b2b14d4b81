"""The model and its predictions: one after another, in the main thread, for threads that wait within bounds.

It never starts again what failed: it says why and ends, and the platform does the rest.
"""

import importlib.util
import inspect
import json
import os
import queue
import sys
import threading
import time
import traceback

# Where the app's files are.
FOLDER = "/app"
# So many requests wait for their turn, and so long.
MOST_ASKING = 32
# Bodies that wait are bytes, and together so many times as large as one may be. The upload counts on it: app-manager/src/bundle/model.rs.
HELD_BODIES = 8
LEAST_HELD = 1 << 18
TURN_SECONDS = 10
ENDING_SECONDS = 3
LARGEST_OUTPUT = 16 << 20
LONGEST_TEXT = 300
LONGEST_ABOUT = 2000
LOADING = (503, "MODEL_LOADING", "the model is being loaded, ask again in a moment")
BUSY = (503, "MODEL_BUSY", "too many predictions are asked for at once, ask again in a moment")


class Unfit(Exception):
    """Why the model cannot be served: one sentence, the last that the log has."""


def say(text):
    # In one piece: print writes the line's end by itself, and another thread's line comes between.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def shown(text):
    """A stranger's text on one line of ours."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))[:LONGEST_TEXT]


class Refused(Exception):
    """A request that is answered with a code."""

    def __init__(self, status, code, detail, headers=None):
        super().__init__(status, code, detail, headers)


def no_constant(name):
    raise ValueError(f"{name} is no JSON")


def read_input(body):
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=no_constant)
    except (ValueError, RecursionError) as err:
        raise Refused(400, "JSON_INVALID", shown(err) or "it cannot be read") from None
    if not isinstance(value, dict) or set(value) != {"input"}:
        raise Refused(422, "INPUT_MISSING", "the body is an object with the one key \"input\": {\"input\": ...}")
    return value["input"]


class Contract:
    """The contract's module, and the two functions it has to have."""

    def __init__(self, file):
        stem = file.removesuffix(".py")
        # By its own name, as models that were pickled beside it look for their classes there.
        name = stem if stem not in sys.modules else "contract_" + stem
        sys.path.insert(0, FOLDER)
        spec = importlib.util.spec_from_file_location(name, os.path.join(FOLDER, file))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        self.run(f"{file} cannot be imported", lambda: spec.loader.exec_module(module))
        self.file = file
        self.about = (inspect.getdoc(module) or "")[:LONGEST_ABOUT]
        self.load = self.function(module, "load", ["path"])
        self.predict = self.function(module, "predict", ["model", "input"])

    def function(self, module, name, arguments):
        called = f"{name}({', '.join(arguments)})"
        found = getattr(module, name, None)
        if not callable(found):
            raise Unfit(f"{self.file} has no function {called}")
        if inspect.iscoroutinefunction(found):
            raise Unfit(f"{self.file}: {name} is async, and is called as {called}")
        try:
            inspect.signature(found).bind(*arguments)
        except TypeError:
            raise Unfit(f"{self.file}: {name} takes other arguments, and is called as {called}") from None
        except ValueError:
            pass  # It is not written in Python, and tells nothing of its arguments.
        return found

    @staticmethod
    def run(failing, work):
        try:
            return work()
        except BaseException as err:
            traceback.print_exc(file=sys.stdout)
            raise Unfit(f"{failing}: {type(err).__name__}: {shown(err)}") from None

    def loaded(self, path):
        name = os.path.basename(path)
        return self.run(f"load(\"{name}\") of {self.file} failed", lambda: self.load(path))


class Job:
    """One prediction: who asks waits until it is answered."""

    def __init__(self, body):
        self.body = body
        self.started = None
        self.given_up = False
        self.answered = threading.Event()
        self.answer = None

    def end(self, answer):
        self.answer = answer
        self.answered.set()


class Model:
    """The model and its predictions, one after another."""

    def __init__(self, contract_file, path, timeout, most):
        self.contract_file = contract_file
        self.contract = None
        self.path = path
        self.timeout = timeout
        self.model = None
        self.is_ready = False
        self.predictions = 0
        # Putting into it is safe also where a signal interrupted the main thread in it.
        self.jobs = queue.SimpleQueue()
        self.lock = threading.Condition()
        self.asking = 0
        self.held = 0
        self.most_held = max(HELD_BODIES * most, LEAST_HELD)
        self.current = None

    def load(self):
        began = time.monotonic()
        self.contract = Contract(self.contract_file)
        self.model = self.contract.loaded(self.path)
        self.is_ready = True
        say(f"model: loaded in {time.monotonic() - began:.3f} s")

    def enter(self, size, seconds=0):
        """Whether there is a place for one more body within these seconds."""
        with self.lock:
            if not self.lock.wait_for(lambda: self.asking < MOST_ASKING and self.held + size <= self.most_held, seconds):
                return False
            self.asking += 1
            self.held += size
            return True

    def leave(self):
        with self.lock:
            self.asking -= 1
            self.lock.notify_all()

    def empty(self, seconds):
        """Waits until nobody asks any more, within bounds."""
        until = time.monotonic() + seconds
        while self.asking and time.monotonic() < until:
            time.sleep(0.02)

    def ask(self, body):
        """The answer to a body: a status and what the answer holds. For threads of connections that have a place."""
        try:
            return self.asked(Job(body))
        finally:
            with self.lock:
                self.held -= len(body)
                self.lock.notify_all()

    def asked(self, job):
        self.jobs.put(job)
        if not job.answered.wait(TURN_SECONDS):
            with self.lock:
                if job.started is None:
                    job.given_up, job.body = True, None
                    return BUSY
            # The watch ends what takes too long.
            job.answered.wait(self.timeout + ENDING_SECONDS)
        answer, job.answer = job.answer, None
        return answer or too_long(self.timeout)

    def work(self):
        """Predicts until it is told to end. For the main thread."""
        while (job := self.jobs.get()) is not None:
            with self.lock:
                if job.given_up:
                    continue
                job.started = time.monotonic()
                self.current = job
            answer = self.predict(job)
            with self.lock:
                self.current = None
            self.predictions += 1
            job.end(answer)
            # Who asked has it: here it would stay until the next one.
            del answer

    def predict(self, job):
        """Parsed here and not before: what is parsed may be fifty times as large as what was sent, and is only once."""
        body, job.body = job.body, None
        try:
            value = read_input(body)
        except Refused as no:
            return no.args
        del body
        try:
            return output(self.contract.predict(self.model, value))
        except ValueError as err:
            say(f"model: predict refused an input: {shown(err)}")
            return 422, "INPUT_REFUSED", shown(err) or "the model does not take this input"
        except BaseException as err:
            traceback.print_exc(file=sys.stdout)
            return failed(f"predict raised {type(err).__name__}")

    def watch(self):
        """Ends the process where a prediction takes too long: a thread cannot be stopped, a container is started again."""
        while True:
            time.sleep(0.25)
            with self.lock:
                job = self.current
                late = job is not None and time.monotonic() - job.started > self.timeout
            if late:
                say(f"model: a prediction took longer than {self.timeout} s: the process ends, and is started again")
                self.is_ready = False
                job.end(too_long(self.timeout))
                self.refuse_waiting()
                self.empty(1)
                os._exit(70)

    def refuse_waiting(self):
        while True:
            try:
                job = self.jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                job.end(BUSY)


def output(value):
    try:
        text = json.dumps({"output": value}, allow_nan=False, default=plain)
    except (TypeError, ValueError, RecursionError) as err:
        say(f"model: what predict returned is no JSON: {shown(err)}")
        return failed("what predict returned is no JSON")
    if len(text) > LARGEST_OUTPUT:
        return failed(f"what predict returned is larger than {LARGEST_OUTPUT} bytes")
    return 200, text.encode()


def plain(value):
    """Arrays and numbers of NumPy, and what behaves like them."""
    if callable(getattr(value, "tolist", None)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is none")


def failed(why):
    return 500, "PREDICTION_FAILED", f"{why}; the app's output says more"


def too_long(timeout):
    return 504, "PREDICTION_TIMEOUT", f"the prediction took longer than {timeout} s"
