-- Chooses a replica. pick() is the only Lua that an ordinary request meets, so it touches nothing but this worker's
-- own tables: no shared dictionary, no ngx.ctx, no access phase (together they cost a fifth of the throughput).

local balancer = require "ngx.balancer"
local settings = require "settings"

local ERROR, exit, now, var = ngx.ERROR, ngx.exit, ngx.now, ngx.var
local set_current_peer, set_more_tries = balancer.set_current_peer, balancer.set_more_tries
local get_last_failure = balancer.get_last_failure

-- How long a replica that failed is passed over, unless all failed: longer than two of nginx's tries may take
-- (proxy_connect_timeout), or the first would seem well again while the second is tried.
local AVOID_SECONDS = 5
-- Then one request tries it, and the others wait so long for what becomes of that.
local TRIAL_SECONDS = 2.5

local by_port, by_host = {}, {}   -- route by front port (a string, as nginx has it), route by host name
local failed_until = {}           -- "ip:port" -> time
local on_trial = {}               -- "ip:port" -> whether a request tries it
local picked = {}                 -- "ip:port" -> picks since the last flush

local M = {}

-- Replaces the routes by those of a decoded table.
function M.use(table)
  local ports, hosts = {}, {}
  for _, route in ipairs(table.routes) do
    local peers = {}
    for index, upstream in ipairs(route.upstreams) do
      peers[index] = { ip = upstream.ip, port = upstream.port, name = upstream.ip .. ":" .. upstream.port }
    end
    -- A random first turn: workers that all began with the first replica would lean on it.
    local known = { peers = peers, count = #peers, turn = math.random(0, 1000) }
    if type(route.front_port) == "number" then ports[tostring(route.front_port)] = known end
    if type(route.host) == "string" then hosts[route.host] = known end
  end
  by_port, by_host = ports, hosts
  local time = now()
  for name, till in pairs(failed_until) do
    if till < time - TRIAL_SECONDS then failed_until[name], on_trial[name] = nil, nil end
  end
end

local HOST_PORT = tostring(settings.host_port)

local function route_of_request()
  local port = var.server_port
  if port == HOST_PORT then
    local host = var.host
    local dot = host:find(".", 1, true)
    return by_host[dot and host:sub(1, dot - 1) or host]
  end
  return by_port[port]
end

-- Remembers the replica that was tried last; nginx lists its tries in upstream_addr. Returns the names of all that this
-- request tried.
local function mark_last_tried()
  local tried, last = {}, nil
  for name in (var.upstream_addr or ""):gmatch("%d+%.%d+%.%d+%.%d+:%d+") do
    tried[name] = true
    last = name
  end
  if last then failed_until[last], on_trial[last] = now() + AVOID_SECONDS, nil end
  return tried
end

-- Whether a request may be sent to a replica: to one that failed, the first after a while may, as a trial.
local function is_open(name, time)
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

local function next_peer(route)
  local count, turn = route.count, route.turn
  local peers = route.peers
  route.turn = turn + 1
  local first = peers[turn % count + 1]
  if count == 1 or not failed_until[first.name] then return first end
  local time = now()
  for step = 0, count - 1 do
    local peer = peers[(turn + step) % count + 1]
    if is_open(peer.name, time) then return peer end
  end
  return first   -- all failed: any may have come back
end

-- For a request whose tries failed: a replica that it has not met yet, rather one that nobody found failing.
local function another_peer(route, tried)
  for _ = 1, route.count do
    local peer = next_peer(route)
    if not tried[peer.name] then return peer end
  end
  for _, peer in ipairs(route.peers) do
    if not tried[peer.name] then return peer end
  end
  return next_peer(route)
end

function M.pick()
  local route = route_of_request()
  if not route or route.count == 0 then return exit(ERROR) end   -- 500 of nginx's own, then nobody()
  local peer
  if route.count > 1 and get_last_failure() then
    peer = another_peer(route, mark_last_tried())
  else
    if route.count > 1 then set_more_tries(route.count < 3 and route.count - 1 or 2) end
    peer = next_peer(route)
  end
  local name = peer.name
  picked[name] = (picked[name] or 0) + 1
  local chosen, mistake = set_current_peer(peer.ip, peer.port)
  if not chosen then
    ngx.log(ngx.ERR, "edge: cannot choose ", name, ": ", mistake)
    return exit(ERROR)
  end
end

local function answer(status, code, detail)
  ngx.status = status
  ngx.header.content_type = "application/json"
  if status ~= 404 then ngx.header["Retry-After"] = "1" end
  ngx.say(('{"code":"%s","detail":"%s"}'):format(code, detail))
end

function M.nobody()
  local route = route_of_request()
  if not route then return answer(404, "ROUTE_UNKNOWN", "no app is routed here") end
  if route.count == 0 then return answer(503, "NO_REPLICA", "the app has no running replica") end
  answer(500, "EDGE_ERROR", "the edge failed")
end

function M.unreachable()
  mark_last_tried()
  answer(502, "REPLICA_UNREACHABLE", "the app's replica did not answer")
end

-- Hands over the picks since the last call.
function M.take_picked()
  local taken = picked
  picked = {}
  return taken
end

return M
