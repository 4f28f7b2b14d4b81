"""A page by Flask."""

import os

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def about():
    return jsonify(
        framework="flask",
        app=os.environ.get("AVISHKAR_APP"),
        instance=os.environ.get("AVISHKAR_INSTANCE"),
        release=os.environ.get("AVISHKAR_RELEASE"),
        node=os.environ.get("AVISHKAR_NODE"),
    )


@app.get("/health")
def health():
    return "ok"
