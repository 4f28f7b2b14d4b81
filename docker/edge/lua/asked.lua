-- What single apps ask of the edge: limits, times, stickiness, the choice by requests under way. Their requests alone
-- meet this file; see the marks in nginx.conf.

local answers = require "answers"
local balance = require "balance"
local balancer = require "ngx.balancer"
local held = require "held"
local routes = require "routes"

local shared, rates = ngx.shared.asked, ngx.shared.rates
local exit, now, var = ngx.exit, ngx.now, ngx.var
-- In seconds, as in proxying.conf.
local CONNECT_WITHIN, SEND_WITHIN = 1.5, 60
-- As in nginx.conf: nginx itself compares lengths before it knows of @asked.
local MOST_BYTES = 1073741824

local under_way = {}   -- "ip:port" -> requests of this worker, for the choice by connections

local M = {}

local function open_key(instance, worker)
  return "open:" .. instance .. ":" .. worker
end

-- A worker that died leaves counts behind; who takes its place begins anew.
function M.start()
  local ours = ":" .. ngx.worker.id()
  for _, key in ipairs(shared:get_keys(0)) do
    if key:sub(1, 5) == "open:" and key:sub(-#ours) == ours then shared:delete(key) end
  end
end

-- The length must be known before the first byte is passed on: a body that turns out too large has been streamed.
local function check_body(own)
  local limit = own or MOST_BYTES
  local length = tonumber(var.http_content_length)
  if length and length > limit then
    answers.body_too_large(limit)
    return exit(ngx.HTTP_OK)
  end
  if own and not length and var.http_transfer_encoding then
    M.length_required()
    return exit(ngx.HTTP_OK)
  end
end

function M.length_required()
  answers.give(411, "LENGTH_REQUIRED", "The length is missing", "the app takes requests that say how long they are")
end

-- Over HTTP/2 no header tells that a body comes whose length nobody says: it is known when it comes (proxy.conf).
local function may_hide_a_body(own)
  return own and not var.http_content_length and ngx.req.http_version() >= 2
end

-- Counts by the second, over all workers: twice the rate may come around the turn of a second, never more.
local function check_rate(instance, rate)
  local count = rates:incr("rate:" .. instance .. ":" .. math.floor(now()), 1, 0, 2)
  if count and count > rate then
    answers.give(429, "RATE_LIMITED", "Too many requests", ("the app takes %d requests per second"):format(rate), 1)
    return exit(ngx.HTTP_OK)
  end
end

local function count_open(instance, limit)
  local mine = open_key(instance, ngx.worker.id())
  shared:incr(mine, 1, 0)
  var.asked_open = mine
  if not limit then return end
  local open = 0
  for worker = 0, ngx.worker.count() - 1 do open = open + (shared:get(open_key(instance, worker)) or 0) end
  if open > limit then
    answers.give(503, "CONNECTIONS_LIMITED", "The app is busy", ("the app takes %d requests at once"):format(limit), 1)
    return exit(ngx.HTTP_OK)
  end
end

-- The platform's own question (control.lua) is nobody's visit: a busy app is not one that is down.
local function is_probe()
  return var.http_user_agent == "avishkar-edge" and var.remote_addr == var.server_addr
end

-- The access phase: whether a request may go on to a replica.
function M.admit()
  local route = routes.of_request()
  if not route then
    answers.no_app()
    return exit(ngx.HTTP_OK)
  end
  local options, probes = route.options or {}, is_probe()
  if route.count == 0 and (probes or not options.held) then
    answers.starting()
    return exit(ngx.HTTP_OK)
  end
  check_body(options.max_body_bytes)
  if probes then return end
  if options.requests_per_second then check_rate(route.instance, options.requests_per_second) end
  if options.connections or options.held then count_open(route.instance, options.connections) end
  if options.held then
    held.visited(route.instance)
    if route.count == 0 then held.wait(route.instance) end
  end
  if may_hide_a_body(options.max_body_bytes) then return ngx.exec("@asked_unannounced") end
end

local function cookie_of(route)
  return "avishkar-" .. route.label
end

-- The replica that a visitor met last, if it is still there and nobody found it failing.
local function met_last(route)
  local slot = tonumber(var["cookie_" .. cookie_of(route)])
  if not slot then return end
  local time = now()
  for _, peer in ipairs(route.peers) do
    if peer.slot == slot and balance.is_open(peer.name, time) then return peer end
  end
end

-- The one with the fewest requests under way, of those of a weight that nobody passed over; of any weight without one.
local function least_busy_of(route, weight, from, passed_over)
  local best, least = nil, math.huge
  for step = 0, route.count - 1 do
    local peer = route.peers[(from + step) % route.count + 1]
    local busy = ((under_way[peer.name] or 0) + 1) / peer.weight
    if busy < least and not passed_over[peer] and peer.weight == (weight or peer.weight) then
      best, least = peer, busy
    end
  end
  return best
end

local function least_busy(route)
  local time, turn, passed_over = now(), route.turn, {}
  -- A share is held by turns, or a release that gets little would get nothing while the others are idle: only those of
  -- the weight whose turn it is are compared.
  local weight = route.turns[turn % route.length + 1].weight
  -- From another replica each time, so that among equals the load goes round.
  route.turn = turn + 1
  for _ = 1, route.count do
    local best = least_busy_of(route, weight, turn, passed_over) or least_busy_of(route, nil, turn, passed_over)
    -- Asked of the chosen one alone: a yes may be the trial of a replica that failed.
    if balance.is_open(best.name, time) then return best end
    passed_over[best] = true
  end
  return route.peers[turn % route.count + 1]   -- all failed: any may have come back
end

local function leave(name)
  if not name or name == "" then return end
  local left = (under_way[name] or 1) - 1
  under_way[name] = left > 0 and left or nil
end

function M.pick()
  local route = routes.of_request()
  if not route or route.count == 0 then return exit(ngx.ERROR) end
  local options, peer = route.options or {}, nil
  if balancer.get_last_failure() and route.count > 1 then
    peer = balance.another_peer(route)
  else
    if route.count > 1 then balancer.set_more_tries(route.count < 3 and route.count - 1 or 2) end
    peer = options.sticky and met_last(route)
      or options.balance == "least_connections" and least_busy(route)
      or balance.next_peer(route)
  end
  if options.timeout_seconds then
    balancer.set_timeouts(CONNECT_WITHIN, math.min(SEND_WITHIN, options.timeout_seconds), options.timeout_seconds)
  end
  leave(var.asked_at)
  var.asked_at = peer.name
  under_way[peer.name] = (under_way[peer.name] or 0) + 1
  return balance.choose(peer)
end

-- The header filter: tells a visitor which replica it met.
function M.remember()
  local route, at = routes.of_request(), var.asked_at
  if not route or not route.options or not route.options.sticky or at == "" then return end
  local slot
  for _, peer in ipairs(route.peers) do if peer.name == at then slot = peer.slot end end
  local cookie = cookie_of(route)
  if not slot or tonumber(var["cookie_" .. cookie]) == slot then return end
  local ours = ("%s=%d; Path=/; HttpOnly; SameSite=Lax"):format(cookie, slot)
  local theirs = ngx.header["Set-Cookie"]
  if type(theirs) == "table" then
    theirs[#theirs + 1] = ours
    ngx.header["Set-Cookie"] = theirs
  else
    ngx.header["Set-Cookie"] = theirs and { theirs, ours } or ours
  end
end

-- The log phase: the request is over, however it ended.
function M.ended()
  leave(var.asked_at)
  held.leave()
  local open = var.asked_open
  -- Below zero: its count was lost while the request was under way.
  if open ~= "" and (shared:incr(open, -1, 0) or 0) < 0 then shared:set(open, 0) end
end

-- Where the balancer found nobody, or whom it chose failed.
function M.failed()
  if var.asked_at == "" then return balance.nobody() end
  balance.unreachable()
end

return M
