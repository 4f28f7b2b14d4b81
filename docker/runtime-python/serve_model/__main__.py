"""Serves one model over HTTP, in every container of an app of kind model.

It loads the model file by the contract's load(path), and answers GET /, GET /health and POST /predict. docs/models.md is what users are
promised; every code has a page in docs/errors/.
"""

import argparse
import os
import signal
import sys
import threading

from avishkar_front import Front
from avishkar_predictions import ENDING_SECONDS, FOLDER, Model, Unfit, say


def read_arguments():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--file", required=True)
    arguments.add_argument("--contract", required=True)
    arguments.add_argument("--max-body-bytes", type=int, required=True)
    arguments.add_argument("--timeout-seconds", type=int, required=True)
    return arguments.parse_args()


def main():
    wanted = read_arguments()
    # The first process of a container gets no signals that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    model = Model(wanted.contract, os.path.join(FOLDER, wanted.file), wanted.timeout_seconds, wanted.max_body_bytes)
    front = Front(model, int(os.environ.get("PORT", "8080")), wanted.max_body_bytes)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    say(f"model: listening on {front.server_port}, loading {wanted.file}")
    model.load()
    signal.signal(signal.SIGTERM, lambda *_: model.jobs.put(None))
    threading.Thread(target=model.watch, daemon=True).start()
    model.work()
    front.shutdown()
    model.empty(ENDING_SECONDS)


if __name__ == "__main__":
    try:
        main()
    except Unfit as why:
        say(f"model: it cannot be served: {why}")
        sys.exit(1)
