-- The control socket: the load balancer announces a table, and asks what the edge does. Nothing here is on the way
-- of an app's request.

local certificates = require "certificates"
local cjson = require "cjson.safe"
local held = require "held"
local settings = require "settings"
local store = require "table_store"
local worker = require "worker"

local shared, picks = ngx.shared.edge, ngx.shared.picks
local PROBE_MS = 2000

local M = {}

local function answer(status, body)
  ngx.status = status
  ngx.say(cjson.encode(body))
end

-- What every worker has taken over, at least: the lowest of their reports.
local function observed()
  local epoch, generation
  for id = 0, ngx.worker.count() - 1 do
    local e, g = shared:get("epoch:" .. id) or -1, shared:get("generation:" .. id) or -1
    if not epoch or e < epoch or (e == epoch and g < generation) then epoch, generation = e, g end
  end
  return epoch, generation
end

-- POST /table {"epoch","generation"}: answers once every worker serves it (or after a second, with what they serve).
function M.table()
  if ngx.req.get_method() ~= "POST" then return answer(405, { code = "METHOD_NOT_ALLOWED" }) end
  ngx.req.read_body()
  local announced = cjson.decode(ngx.req.get_body_data() or "")
  if type(announced) ~= "table" or type(announced.epoch) ~= "number" or type(announced.generation) ~= "number" then
    return answer(422, { code = "TABLE_INVALID", detail = "the body is {epoch, generation}" })
  end
  -- One at a time, whichever worker it came to; the lock ends by itself should its holder die.
  while not shared:add("loading", true, 5) do ngx.sleep(0.002) end
  local done, refused = pcall(store.load, announced.epoch, announced.generation)
  shared:delete("loading")
  if not done then return answer(500, { code = "EDGE_ERROR", detail = refused }) end
  if refused then return answer(refused.status, { code = refused.code, detail = refused.detail }) end
  worker.take_over_table()
  local epoch, generation
  for _ = 1, 500 do
    epoch, generation = observed()
    if epoch > announced.epoch or (epoch == announced.epoch and generation >= announced.generation) then break end
    ngx.sleep(0.002)
  end
  answer(200, { epoch = announced.epoch, generation = announced.generation,
                observed = { epoch = epoch, generation = generation } })
end

-- GET /status: (-1, -1) means that no table was ever loaded.
function M.status()
  local epoch, generation = observed()
  answer(200, {
    epoch = epoch, generation = generation, routes = store.count(),
    workers = ngx.worker.count(),
    ports = { first = settings.first, last = settings.last, closed = settings.closed },
    damage = certificates.damage(store.damage()),
    host_port = settings.host_port, tls_port = settings.tls_port, bind = settings.bind,
    started_at = shared:get("started_at"),
  })
end

-- GET /visits: of each app whose requests are held, how many wait, and for how many seconds nobody has asked.
function M.visits()
  answer(200, held.visits())
end

-- GET /counts: per upstream, how often it was chosen since the edge started.
function M.counts()
  local counts = {}
  for _, name in ipairs(picks:get_keys(0)) do counts[name] = picks:get(name) end
  answer(200, { started_at = shared:get("started_at"), picks = counts })
end

-- The status of an answer; 504 where the edge took the request, and the app did not answer in time.
local function request_own_port(port, path)
  local socket = ngx.socket.tcp()
  local deadline = ngx.now() + PROBE_MS / 1000
  socket:settimeout(PROBE_MS)
  local address = settings.bind
  if address == "0.0.0.0" or address == "::" then address = "127.0.0.1" end
  if address:find(":", 1, true) then address = "[" .. address .. "]" end
  local ok, mistake = socket:connect(address, port)
  if not ok then return nil, mistake end
  ok, mistake = socket:send("GET " .. path .. " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: avishkar-edge\r\nConnection: close\r\n\r\n")
  if not ok then return nil, mistake end
  socket:settimeout(math.max(1, (deadline - ngx.now()) * 1000))
  local line
  line, mistake = socket:receive("*l")
  socket:close()
  if mistake == "timeout" then return 504, mistake end
  if not line then return nil, mistake end
  return tonumber(line:match("^HTTP/1%.%d (%d%d%d)"))
end

-- GET /probe?port=2000&path=/: what a user of that front port gets now; status 0 and a reason if nothing.
function M.probe()
  local arguments = ngx.req.get_uri_args()
  local port, path = tonumber(arguments.port), arguments.path or "/"
  if not port or not settings.open(port) then
    return answer(422, { code = "PROBE_INVALID", detail = "port is not a front port" })
  end
  if type(path) ~= "string" or not path:match("^/[%w%-._~:/?#%[%]@!$&'()*+,;=%%]*$") then
    return answer(422, { code = "PROBE_INVALID", detail = "path is not a path" })
  end
  local status, mistake = request_own_port(port, path)
  answer(200, { status = status or 0, error = mistake })
end

-- Whether it has a table, by which it serves apps: not whether anybody can change it.
function M.ready()
  local epoch = store.current()
  if epoch >= 0 then return ngx.exit(204) end
  ngx.status = 503
  ngx.say("this edge was told of no table yet")
end

return M
