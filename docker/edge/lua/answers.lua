-- What visitors get from the edge itself: JSON for programs, a page for people.

local settings = require "settings"

local M = {}

local PAGE = [[<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%d %s</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;margin:15vh auto;max-width:32rem;padding:0 1rem}code{opacity:.6}</style>
<h1>%s</h1><p>%s</p><p><code>%d %s</code></p></html>
]]

local function wants_page()
  local accept = ngx.var.http_accept
  return accept ~= nil and accept:find("text/html", 1, true) ~= nil
end

-- `retry_after`: in seconds, where the same request may succeed later.
function M.give(status, code, title, detail, retry_after)
  ngx.status = status
  if retry_after then ngx.header["Retry-After"] = tostring(retry_after) end
  ngx.header["Cache-Control"] = "no-store"
  if wants_page() then
    ngx.header.content_type = "text/html; charset=utf-8"
    return ngx.print(PAGE:format(status, title, title, detail, status, code))
  end
  ngx.header.content_type = "application/json"
  ngx.say(('{"code":"%s","detail":"%s"}'):format(code, detail))
end

function M.no_app()
  M.give(404, "ROUTE_UNKNOWN", "There is no such app", "no app is routed here")
end

function M.starting()
  M.give(503, "APP_STARTING", "The app is starting", "the app has no replica yet, ask again in a moment", 1)
end

function M.body_too_large(limit)
  M.give(413, "BODY_TOO_LARGE", "That is too large", ("the app takes at most %d bytes"):format(limit))
end

function M.headers_too_large()
  M.give(431, "HEADERS_TOO_LARGE", "The headers are too large", "a header takes at most 16 KiB, all of them 64 KiB")
end

function M.visitor_limited()
  M.give(429, "VISITOR_LIMITED", "Too many requests at once",
    ("one address may have %d requests under way"):format(settings.requests_per_address), 1)
end

return M
