"use strict";

const express = require("express");

const app = express();

app.get("/", (request, response) => {
  response.json({
    framework: "express",
    app: process.env.AVISHKAR_APP,
    instance: process.env.AVISHKAR_INSTANCE,
    release: process.env.AVISHKAR_RELEASE,
    node: process.env.AVISHKAR_NODE,
  });
});

app.get("/health", (request, response) => response.send("ok"));

const server = app.listen(Number(process.env.PORT || 8080), "0.0.0.0", () => {
  console.log("listening on", server.address().port);
});

// The edge keeps connections open: the app must not close them first.
server.keepAliveTimeout = 120_000;

// The first process of a container gets no signals that it does not ask for.
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
