-- What each worker does beside requests, by timer: it takes over a new table, hands over its counts, and one of them
-- keeps the access log small.

local asked = require "asked"
local balance = require "balance"
local gone = require "gone"
local held = require "held"
local store = require "table_store"
local ffi = require "ffi"
local process = require "ngx.process"
ffi.cdef [[ int kill(int pid, int signal); ]]

local shared, picks = ngx.shared.edge, ngx.shared.picks
local LOG = "/run/avishkar/edge/access.log"
local LOG_BYTES = 16 * 1024 * 1024
local SIGUSR1 = 10   -- on Linux
local TAKE_OVER_EVERY = 0.01   -- in seconds; whoever makes a route waits for it
local LOOK_FOR_GONE_EVERY = 1

local M = {}
local used_serial = 0

local function report(epoch, generation)
  local id = ngx.worker.id()
  shared:set("epoch:" .. id, epoch)
  shared:set("generation:" .. id, generation)
end

local function hand_over_counts()
  for name, count in pairs(balance.take_picked()) do picks:incr(name, count, 0) end
end

-- Serves the newest table that was accepted, if this worker does not yet.
function M.take_over_table()
  local serial = store.serial()
  if serial == used_serial then return end
  local decoded, mistake = store.parse(store.blob())
  if not decoded then return ngx.log(ngx.ERR, "edge: an accepted table cannot be read: ", mistake) end
  balance.use(decoded)
  gone.use(decoded)
  used_serial = serial
  -- Who hears that the table is served asks next how much is under way by the former one: its picks are all counted by
  -- then, however long this worker stands still before its next tick.
  hand_over_counts()
  -- What was decoded, which is newer than what was asked for if another came in between.
  report(decoded.epoch, decoded.generation)
end

-- Renames the log and has nginx open a new one: a reader that follows both by inode loses no line.
local function turn_log()
  local file = io.open(LOG, "rb")
  if not file then return end
  local size = file:seek("end")
  file:close()
  if size < LOG_BYTES then return end
  os.rename(LOG, LOG .. ".1")
  ffi.C.kill(process.get_master_pid(), SIGUSR1)
end

-- A tick that fails is logged by nginx, and the next one comes all the same.
function M.start()
  math.randomseed(ngx.now() * 1000 + ngx.worker.pid())
  shared:add("started_at", ngx.time())
  report(-1, -1)
  asked.start()
  held.start()
  M.take_over_table()
  ngx.timer.every(TAKE_OVER_EVERY, M.take_over_table)
  ngx.timer.every(0.1, hand_over_counts)
  ngx.timer.every(LOOK_FOR_GONE_EVERY, gone.tick)
  if ngx.worker.id() == 0 then
    ngx.timer.every(1, turn_log)
    ngx.timer.every(1, held.tick)
  end
end

return M
