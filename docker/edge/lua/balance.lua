-- Chooses a replica. pick() is the only Lua that an ordinary request meets, so it touches nothing but this worker's
-- own tables: no shared dictionary, no ngx.ctx, no access phase (together they cost a fifth of the throughput).

local answers = require "answers"
local balancer = require "ngx.balancer"
local routes = require "routes"

local ERROR, exit, now, var = ngx.ERROR, ngx.exit, ngx.now, ngx.var
local set_current_peer, set_more_tries = balancer.set_current_peer, balancer.set_more_tries
local get_last_failure = balancer.get_last_failure
local of_request = routes.of_request

-- How long a replica that failed is passed over, unless all failed: longer than two of nginx's tries may take
-- (proxy_connect_timeout), or the first would seem well again while the second is tried.
local AVOID_SECONDS = 5
-- Then one request tries it, and the others wait so long for what becomes of that.
local TRIAL_SECONDS = 2

local failed_until = {}           -- "ip:port" -> time
local on_trial = {}               -- "ip:port" -> whether a request tries it
local picked = {}                 -- "ip:port" -> picks since the last flush

local M = {}

-- Replaces the routes by those of a decoded table.
function M.use(table)
  routes.use(table)
  local time = now()
  for name, till in pairs(failed_until) do
    if till < time - TRIAL_SECONDS then failed_until[name], on_trial[name] = nil, nil end
  end
end

local function last_of(list)
  return (list or ""):match("([^,:%s]+)%s*$")
end

-- Whether the last try got through and was then waited for too long: slow is not broken.
local function was_slow()
  return last_of(var.upstream_status) == "504" and last_of(var.upstream_bytes_sent) ~= "0"
end

-- Remembers the replica that was tried last; nginx lists its tries in upstream_addr. Returns the names of all that this
-- request tried.
local function mark_last_tried()
  local tried, last = {}, nil
  for name in (var.upstream_addr or ""):gmatch("%d+%.%d+%.%d+%.%d+:%d+") do
    tried[name] = true
    last = name
  end
  if last and not was_slow() then failed_until[last], on_trial[last] = now() + AVOID_SECONDS, nil end
  return tried
end

-- Whether a request may be sent to a replica: to one that failed, the first after a while may, as a trial.
function M.is_open(name, time)
  local till = failed_until[name]
  if not till then return true end
  if till >= time then return false end
  if on_trial[name] then
    failed_until[name], on_trial[name] = nil, nil   -- nobody found it failing again
  else
    failed_until[name], on_trial[name] = time + TRIAL_SECONDS, true
  end
  return true
end
local is_open = M.is_open

function M.next_peer(route)
  local length, turn = route.length, route.turn
  local turns = route.turns
  route.turn = turn + 1
  local first = turns[turn % length + 1]
  if route.count == 1 or not failed_until[first.name] then return first end
  local time = now()
  for step = 0, length - 1 do
    local peer = turns[(turn + step) % length + 1]
    if is_open(peer.name, time) then return peer end
  end
  return first   -- all failed: any may have come back
end
local next_peer = M.next_peer

-- For a request whose tries failed: a replica that it has not met yet, rather one that nobody found failing.
function M.another_peer(route)
  local tried = mark_last_tried()
  for _ = 1, route.count do
    local peer = next_peer(route)
    if not tried[peer.name] then return peer end
  end
  for _, peer in ipairs(route.peers) do
    if not tried[peer.name] then return peer end
  end
  return next_peer(route)
end
local another_peer = M.another_peer

function M.choose(peer)
  local name = peer.name
  picked[name] = (picked[name] or 0) + 1
  local chosen, mistake = set_current_peer(peer.ip, peer.port)
  if not chosen then
    ngx.log(ngx.ERR, "edge: cannot choose ", name, ": ", mistake)
    return exit(ERROR)
  end
end
local choose = M.choose

function M.pick()
  local route = of_request()
  if not route or route.count == 0 then return exit(ERROR) end   -- 500 of nginx's own, then nobody()
  local peer
  if route.count > 1 and get_last_failure() then
    peer = another_peer(route)
  else
    if route.count > 1 then set_more_tries(route.count < 3 and route.count - 1 or 2) end
    peer = next_peer(route)
  end
  return choose(peer)
end

function M.nobody()
  local route = of_request()
  if not route then return answers.no_app() end
  if route.count == 0 then return answers.starting() end
  answers.give(500, "EDGE_ERROR", "The edge failed", "the edge failed")
end

-- Whether no byte of the request reached a replica, so that it may be sent again whatever it asks for.
local function was_never_sent()
  for sent in (var.upstream_bytes_sent or ""):gmatch("[^,:%s]+") do
    if sent ~= "0" and sent ~= "-" then return false end
  end
  return true
end

function M.unreachable()
  mark_last_tried()
  if was_never_sent() then
    return answers.give(503, "NO_HEALTHY_REPLICA", "The app is not reachable",
      "no replica of the app takes connections", 1)
  end
  if was_slow() then
    return answers.give(504, "REPLICA_TIMEOUT", "The app takes too long", "the app's replica did not answer in time")
  end
  answers.give(502, "REPLICA_UNREACHABLE", "The app broke off", "the app's replica did not answer", 1)
end

-- Hands over the picks since the last call.
function M.take_picked()
  local taken = picked
  picked = {}
  return taken
end

return M
