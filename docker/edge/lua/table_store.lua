-- Owns the table of routes: what one must look like, which one is newest, and that it survives a restart.
-- The load balancer writes table.json; what was accepted of it is kept in accepted.json, and the one before that in
-- accepted.json.1, so that a later file which is refused, damaged, or half of one, never costs all routes.

local cjson = require "cjson.safe"
local ffi = require "ffi"
local files = require "files"
local marks = require "marks"
local is_host_name = require("names").is_host_name
ffi.cdef [[ int fileno(void *stream); int fsync(int fd); ]]

local WANTED = "/var/lib/avishkar/edge/table.json"
local ACCEPTED = "/var/lib/avishkar/edge/accepted.json"
local BEFORE = ACCEPTED .. ".1"
local ENOENT = 2   -- on Linux
-- Half of the dictionary (nginx.conf): a larger one might not fit, and would cost the one that is there.
local MOST_BYTES = 8 * 1024 * 1024
local shared = ngx.shared.edge

local M = {}

local function is_count(value)
  return type(value) == "number" and value >= 0 and value == math.floor(value) and value < 2 ^ 53
end

local function is_port(value)
  return is_count(value) and value >= 1 and value <= 65535
end

-- Addresses only: a name would be resolved, and a request must not wait for that.
local function is_ipv4(value)
  if type(value) ~= "string" then return false end
  local a, b, c, d = value:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if not a then return false end
  for _, part in ipairs { a, b, c, d } do
    if #part > 3 or tonumber(part) > 255 then return false end
  end
  return true
end

local function problem_of_upstream(upstream)
  if type(upstream) ~= "table" then return "an upstream is not an object" end
  if not is_ipv4(upstream.ip) then return "upstream ip is not an IPv4 address" end
  if not is_port(upstream.port) then return "upstream port is not a port" end
  local weight = upstream.weight
  if weight ~= nil and not (is_count(weight) and weight >= 1 and weight <= 1000) then
    return "upstream weight is not from 1 to 1000"
  end
end

local NUMBERS = { "max_body_bytes", "requests_per_second", "connections", "timeout_seconds" }

local function problem_of_options(options, names)
  if options == nil then return end
  if type(options) ~= "table" then return "options are not an object" end
  for _, key in ipairs(NUMBERS) do
    if options[key] ~= nil and not (is_count(options[key]) and options[key] >= 1) then
      return key .. " is not a number from 1"
    end
  end
  if options.hosts ~= nil and type(options.hosts) ~= "table" then return "hosts is not a list" end
  for _, name in ipairs(options.hosts or {}) do
    if not is_host_name(name) then return "a host name is not in lower case with dots" end
    if names[name] then return "host " .. name .. " is given twice" end
    names[name] = true
  end
end

local function problem_of_route(route, ports, hosts, names)
  if type(route) ~= "table" then return "a route is not an object" end
  if type(route.instance) ~= "string" or route.instance == "" then return "a route has no instance" end
  local port, host = route.front_port, route.host
  if port ~= nil and port ~= cjson.null then
    if not is_port(port) then return "front_port is not a port" end
    if ports[port] then return "front_port " .. port .. " is given twice" end
    ports[port] = true
  end
  if host ~= nil and host ~= cjson.null then
    if type(host) ~= "string" or #host > 63 or not host:match("^[a-z0-9][a-z0-9-]*$") then
      return "host is not a lower-case label"
    end
    if hosts[host] then return "host " .. host .. " is given twice" end
    hosts[host] = true
  end
  if type(route.upstreams) ~= "table" then return "a route has no upstreams" end
  for _, upstream in ipairs(route.upstreams) do
    local problem = problem_of_upstream(upstream)
    if problem then return problem end
  end
  if route.options == cjson.null then route.options = nil end   -- so that nobody after this need know of null
  return problem_of_options(route.options, names)
end

-- Decodes and checks a whole table: the table, or nil and why not.
function M.parse(blob)
  local table, mistake = cjson.decode(blob)
  if type(table) ~= "table" then return nil, "not a JSON object: " .. (mistake or "another value") end
  if not is_count(table.epoch) then return nil, "epoch is not a whole number" end
  if not is_count(table.generation) then return nil, "generation is not a whole number" end
  if type(table.routes) ~= "table" then return nil, "routes is not a list" end
  local ports, hosts, names = {}, {}, {}
  for index, route in ipairs(table.routes) do
    local problem = problem_of_route(route, ports, hosts, names)
    if problem then return nil, "route " .. index .. ": " .. problem end
  end
  return table
end

-- Below zero: the first is older; zero: the same age; above: newer.
local function compare(epoch, generation, other_epoch, other_generation)
  if epoch ~= other_epoch then return epoch - other_epoch end
  return generation - other_generation
end

local function keep(blob)
  local file, mistake = io.open(ACCEPTED .. ".new", "wb")
  if not file then return nil, mistake end
  local written
  written, mistake = file:write(blob)
  if written then file:flush() end
  local synced = written and ffi.C.fsync(ffi.C.fileno(file)) == 0
  file:close()
  if not synced then return nil, mistake or "fsync failed" end
  os.rename(ACCEPTED, BEFORE)   -- there may be none
  return os.rename(ACCEPTED .. ".new", ACCEPTED)
end

-- Makes a checked table the one that workers decode at their next tick. The serial goes last: it is what they look at.
local function publish(table, blob)
  local stored, mistake = marks.add(table)
  if not stored then return nil, mistake end
  stored, mistake = shared:safe_set("blob", blob)
  if not stored then return nil, mistake end
  shared:set("age", table.epoch .. ":" .. table.generation)   -- one value: a reader never sees half of a change
  shared:set("routes", #table.routes)
  shared:incr("serial", 1, 0)
  marks.keep_only(table)
  return true
end

-- The age of the newest table this edge holds: epoch, generation; (-1, -1) before the first.
function M.current()
  local epoch, generation = (shared:get("age") or "-1:-1"):match("^(.+):(.+)$")
  return tonumber(epoch), tonumber(generation)
end

-- Which table it is, by counting: 0 before the first. Workers ask a hundred times a second.
function M.serial()
  return shared:get("serial") or 0
end

-- How many routes it has: who asks each second need not decode it.
function M.count()
  return shared:get("routes") or 0
end

function M.blob()
  return shared:get("blob")
end

local function refuse(status, code, detail)
  return { status = status, code = code, detail = detail }
end

-- Loads the wanted table if it is the one announced and not older than what is held; else says why not.
-- The file is read while requests wait: tables are small and changes rare.
function M.load(epoch, generation)
  local blob, mistake = files.read(WANTED)
  if not blob then return refuse(422, "TABLE_INVALID", "the table cannot be read: " .. mistake) end
  local held_epoch, held_generation = M.current()
  local age = compare(epoch, generation, held_epoch, held_generation)
  if age < 0 then
    return refuse(409, "STALE_GENERATION", ("this edge holds epoch %d generation %d"):format(held_epoch, held_generation))
  end
  local table
  table, mistake = M.parse(blob)
  if not table then return refuse(422, "TABLE_INVALID", mistake) end
  if table.epoch ~= epoch or table.generation ~= generation then
    return refuse(409, "TABLE_MISMATCH", ("the file holds epoch %d generation %d"):format(table.epoch, table.generation))
  end
  if age == 0 then
    if blob == M.blob() then return end
    return refuse(409, "GENERATION_CONFLICT", "another table was accepted under this epoch and generation")
  end
  -- What cannot be served is not written down: it would be all there is after a restart.
  if #blob > MOST_BYTES then return refuse(422, "TABLE_INVALID", "the table does not fit: it is over 8 MiB") end
  local marked
  marked, mistake = marks.add(table)
  if not marked then return refuse(503, "TABLE_NOT_KEPT", "its marks cannot be made: " .. mistake) end
  local kept
  kept, mistake = keep(blob)
  if not kept then return refuse(503, "TABLE_NOT_KEPT", "the table cannot be written down: " .. mistake) end
  local published
  published, mistake = publish(table, blob)
  if not published then return refuse(422, "TABLE_INVALID", "the table does not fit: " .. mistake) end
  shared:delete("damage")   -- the files are whole again
end

-- What of the files could not be read or served at the start, in words: a list.
function M.damage()
  local damage = {}
  for words in (shared:get("damage") or ""):gmatch("[^\n]+") do damage[#damage + 1] = words end
  return damage
end

local function note_damage(path, what, mistake)
  local words = ("%s cannot be %s: %s"):format(path:match("[^/]+$"), what, mistake)
  ngx.log(ngx.ERR, "edge: ", words)
  shared:set("damage", (shared:get("damage") or "") .. words .. "\n")
end

-- What was accepted last, accepted before that, and wanted, as far as it is whole: the newest first, and of one age in
-- this order. A damaged table of our own is set aside, for people to look at: it must not take the place of a whole one.
local function whole_tables()
  local found = {}
  for place, path in ipairs { ACCEPTED, BEFORE, WANTED } do
    local blob, mistake, number = files.read(path)
    local table
    if blob then table, mistake = M.parse(blob) end
    if table then
      found[#found + 1] = { place = place, path = path, table = table, blob = blob }
    elseif number ~= ENOENT then
      if path ~= WANTED then os.rename(path, path .. ".damaged") end
      note_damage(path, "read", mistake)
    end
  end
  table.sort(found, function(one, other)
    local age = compare(one.table.epoch, one.table.generation, other.table.epoch, other.table.generation)
    if age ~= 0 then return age > 0 end
    return one.place < other.place
  end)
  return found
end

-- At start: the newest of them that can be served.
function M.restore()
  for _, one in ipairs(whole_tables()) do
    -- nginx runs this again when it is reloaded; the dictionary is still there then.
    if compare(one.table.epoch, one.table.generation, M.current()) <= 0 then return end
    local published, mistake = publish(one.table, one.blob)
    if published then return end
    note_damage(one.path, "served", mistake)
  end
end

return M
