"""An interface by FastAPI; its documentation is at /docs."""

import os

from fastapi import FastAPI

app = FastAPI(title="fastapi sample")


@app.get("/")
async def about() -> dict[str, str | None]:
    return {
        "framework": "fastapi",
        "app": os.environ.get("AVISHKAR_APP"),
        "instance": os.environ.get("AVISHKAR_INSTANCE"),
        "release": os.environ.get("AVISHKAR_RELEASE"),
        "node": os.environ.get("AVISHKAR_NODE"),
    }


@app.get("/health")
async def health() -> str:
    return "ok"
