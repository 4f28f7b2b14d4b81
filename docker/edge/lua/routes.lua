-- The routes as this worker looks them up: by front port, by whole host name, by a host name's first label.

local settings = require "settings"

local var = ngx.var
-- More turns than this would be memory for a precision that nobody sees.
local MOST_TURNS = 1000
local HOST_PORT, TLS_PORT = tostring(settings.host_port), tostring(settings.tls_port)

local by_port, by_name, by_label = {}, {}, {}
local held = {}   -- instances whose requests wait for a replica

local M = {}

local function common_divisor(one, other)
  while other ~= 0 do one, other = other, one % other end
  return one
end

-- The order in which replicas are met, each as often as its weight says and never in a row without need (nginx's own
-- smooth weighted round-robin, worked out once): replicas of one weight are met one after another.
local function turns_of(peers)
  local is_one_weight = true
  for _, peer in ipairs(peers) do is_one_weight = is_one_weight and peer.weight == peers[1].weight end
  if is_one_weight then return peers end
  local divisor, total, turns = 0, 0, {}
  for _, peer in ipairs(peers) do divisor = common_divisor(peer.weight, divisor) end
  for _, peer in ipairs(peers) do total = total + peer.weight / divisor end
  local scale = divisor * math.max(1, total / MOST_TURNS)
  local share, current, sum = {}, {}, 0
  for index, peer in ipairs(peers) do
    share[index], current[index] = math.max(1, math.floor(peer.weight / scale)), 0
    sum = sum + share[index]
  end
  for turn = 1, sum do
    local best = 1
    for index in ipairs(peers) do
      current[index] = current[index] + share[index]
      if current[index] > current[best] then best = index end
    end
    current[best] = current[best] - sum
    turns[turn] = peers[best]
  end
  return turns
end

local function known_of(route)
  local peers = {}
  for index, upstream in ipairs(route.upstreams) do
    peers[index] = { ip = upstream.ip, port = upstream.port, name = upstream.ip .. ":" .. upstream.port,
                     slot = upstream.slot, weight = upstream.weight or 1 }
  end
  local turns = turns_of(peers)
  return {
    instance = route.instance, label = route.host, options = route.options,
    peers = peers, count = #peers, turns = turns, length = #turns,
    turn = math.random(0, 1000),   -- workers that all began with the first replica would lean on it
  }
end

-- Replaces the routes by those of a decoded table.
function M.use(table)
  local ports, names, labels, holding = {}, {}, {}, {}
  for _, route in ipairs(table.routes) do
    local known = known_of(route)
    if route.options and route.options.held then holding[#holding + 1] = route.instance end
    if type(route.front_port) == "number" then ports[tostring(route.front_port)] = known end
    if type(route.host) == "string" then labels[route.host] = known end
    for _, name in ipairs(route.options and route.options.hosts or {}) do names[name] = known end
  end
  by_port, by_name, by_label, held = ports, names, labels, holding
end

function M.held()
  return held
end

function M.of_request()
  local port = var.server_port
  if port ~= HOST_PORT and port ~= TLS_PORT then return by_port[port] end
  local host = var.host
  local named = by_name[host]
  if named then return named end
  local dot = host:find(".", 1, true)
  return by_label[dot and host:sub(1, dot - 1) or host]
end

return M
