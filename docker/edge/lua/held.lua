-- Requests that wait for a replica of an app at rest, and since when nobody asked for it. The load balancer asks for both
-- (control.lua), starts a replica for who waits, and takes all away where nobody came for long.

local answers = require "answers"
local left = require "left"
local routes = require "routes"
local settings = require "settings"

local shared, var = ngx.shared.asked, ngx.var
-- How many wait, of one app and of all together at one worker; and how long, in seconds.
local MOST_OF_AN_APP, MOST_OF_A_WORKER = 256, 1024
local LONGEST = settings.hold_seconds
local LOOK_EVERY = 0.02
local LOOK_AFTER_VISITOR_EVERY = 25   -- of these looks
local CLIENT_CLOSED_REQUEST = 499

local waiting = 0   -- of this worker
local counted = {}   -- instances that the last tick knew

local M = {}

local function key(instance, worker)
  return "held:" .. instance .. ":" .. worker
end

-- A worker that died leaves counts behind; who takes its place begins anew.
function M.start()
  local ours = ":" .. ngx.worker.id()
  for _, name in ipairs(shared:get_keys(0)) do
    if name:sub(1, 5) == "held:" and name:sub(-#ours) == ours then shared:delete(name) end
  end
end

-- How many wait for an app.
local function waiting_for(instance)
  local count = 0
  for worker = 0, ngx.worker.count() - 1 do count = count + (shared:get(key(instance, worker)) or 0) end
  return count
end

-- Somebody asks, or has asked until now.
function M.visited(instance)
  shared:set("idle:" .. instance, 0)
end

-- Each second, by one worker: counted and not read off a clock, which may jump. Who is not asked for is idle.
function M.tick()
  local now = {}
  for _, instance in ipairs(routes.held()) do
    now[instance] = true
    local open = waiting_for(instance)
    for worker = 0, ngx.worker.count() - 1 do
      open = open + (shared:get("open:" .. instance .. ":" .. worker) or 0)
    end
    if open > 0 or not counted[instance] then M.visited(instance) else shared:incr("idle:" .. instance, 1, 0) end
  end
  for instance in pairs(counted) do
    if not now[instance] then shared:delete("idle:" .. instance) end
  end
  counted = now
end

-- What is known of each app whose requests are held.
function M.visits()
  local visits = {}
  for _, instance in ipairs(routes.held()) do
    visits[instance] = { waiting = waiting_for(instance), idle_seconds = shared:get("idle:" .. instance) or 0 }
  end
  return visits
end

local function begin(instance)
  local mine = key(instance, ngx.worker.id())
  shared:incr(mine, 1, 0)
  waiting = waiting + 1
  var.asked_held = mine
end

-- The request waits no longer, however it ended.
function M.leave()
  local mine = var.asked_held
  if mine == "" then return end
  var.asked_held = ""
  waiting = waiting - 1
  -- Below zero: its count was lost while it waited.
  if (shared:incr(mine, -1, 0) or 0) < 0 then shared:set(mine, 0) end
end

-- Holds a request, its body unread, until its app has a replica: then it goes on. Else it is answered here.
function M.wait(instance)
  if waiting >= MOST_OF_A_WORKER or waiting_for(instance) >= MOST_OF_AN_APP then
    answers.starting()
    return ngx.exit(ngx.HTTP_OK)
  end
  begin(instance)
  local route = routes.of_request()
  -- Counted, too: in sleeps.
  for look = 1, LONGEST / LOOK_EVERY do
    ngx.sleep(LOOK_EVERY)
    if look % LOOK_AFTER_VISITOR_EVERY == 0 and left.is_gone() then
      M.leave()
      return ngx.exit(CLIENT_CLOSED_REQUEST)
    end
    route = routes.of_request()
    if not route or route.count > 0 then break end
  end
  M.leave()
  if route and route.count > 0 then return end
  if route then answers.starting() else answers.no_app() end
  return ngx.exit(ngx.HTTP_OK)
end

return M
