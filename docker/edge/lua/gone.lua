-- Ends connections to replicas whose machine is gone without a word. Where nobody acknowledges what was sent, the kernel
-- goes on for a quarter of an hour, and where an answer is waited for, nothing ends that for an hour (proxying.conf). Ended in
-- time, a request that may be sent twice goes to another replica (proxy_next_upstream_timeout). nginx has no setting for
-- it and shows no connection to a replica, so they are found among all that this worker has; those of visitors, who may be
-- on slow ways, are left as they are.

local ffi = require "ffi"

ffi.cdef [[
typedef struct { uint16_t family; uint8_t port[2]; uint8_t ip[4]; uint8_t rest[112]; } edge_peer;
typedef struct { uint8_t state[8]; uint32_t rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets,
                 last_data_sent, last_ack_sent, last_data_recv, last_ack_recv; } edge_tcp_info;
int getpeername(int socket, edge_peer *peer, uint32_t *length);
int setsockopt(int socket, int level, int name, const void *value, uint32_t length);
int getsockopt(int socket, int level, int name, void *value, uint32_t *length);
int shutdown(int socket, int how);
]]
-- On Linux.
local AF_INET, EBADF, SHUT_RDWR = 2, 9, 2
local SOL_SOCKET, SO_KEEPALIVE = 1, 9
local IPPROTO_TCP, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_INFO = 6, 4, 5, 6, 11
-- Numbers of files are given out from the lowest: after so many in a row that are none, above the highest that was ever
-- seen, there are no more.
local GAP = 256
-- A node that is silent for six seconds is taken for dead (config/node-manager.toml).
local ASK_AFTER, ASK_EVERY, ASK_TIMES, SILENT_MS = 3, 1, 3, 6000

local peer, told, length = ffi.new("edge_peer"), ffi.new("edge_tcp_info"), ffi.new("uint32_t[1]")
local number = ffi.new("int[1]")
-- By its bytes as one number, exact in a double: true, or since when no table has had it.
local replicas = {}
local highest = 0
-- Long enough for all of the above; who is drained, and answers, is not touched by any of it.
local KNOWN_AFTER = 60

local M = {}

local function address_of(a, b, c, d, port)
  return (((a * 256 + b) * 256 + c) * 256 + d) * 65536 + port
end

-- The replicas are those of a decoded table, and who left a moment ago: a machine is found dead while requests hang there.
function M.use(table)
  local now, known = ngx.now(), {}
  for address, since in pairs(replicas) do
    since = since == true and now or since
    if now - since < KNOWN_AFTER then known[address] = since end
  end
  for _, route in ipairs(table.routes) do
    for _, upstream in ipairs(route.upstreams) do
      local a, b, c, d = upstream.ip:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
      known[address_of(a, b, c, d, upstream.port)] = true
    end
  end
  replicas = known
end

local function is_replicas()
  local ip, port = peer.ip, peer.port
  return peer.family == AF_INET and replicas[address_of(ip[0], ip[1], ip[2], ip[3], port[0] * 256 + port[1])] ~= nil
end

local function set(socket, level, name, value)
  number[0] = value
  return ffi.C.setsockopt(socket, level, name, number, ffi.sizeof(number)) == 0
end

-- While an answer is waited for, the kernel asks the machine whether it is there.
local function ask_while_idle(socket)
  length[0] = ffi.sizeof(number)
  if ffi.C.getsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, number, length) ~= 0 or number[0] ~= 0 then return end
  local done = set(socket, IPPROTO_TCP, TCP_KEEPIDLE, ASK_AFTER) and set(socket, IPPROTO_TCP, TCP_KEEPINTVL, ASK_EVERY)
    and set(socket, IPPROTO_TCP, TCP_KEEPCNT, ASK_TIMES) and set(socket, SOL_SOCKET, SO_KEEPALIVE, 1)
  if not done then ngx.log(ngx.ERR, "edge: a connection to a replica cannot be watched: ", ffi.errno()) end
end

-- Of what was sent nothing is acknowledged, also not what was sent again. Who reads nothing acknowledges all the same.
local function is_silent(socket)
  length[0] = ffi.sizeof(told)
  if ffi.C.getsockopt(socket, IPPROTO_TCP, TCP_INFO, told, length) ~= 0 then return false end
  return told.unacked > 0 and told.last_ack_recv > SILENT_MS and told.retrans > 0
end

-- Each worker, every second.
function M.tick()
  local socket, missing = 3, 0
  while missing < GAP or socket < highest do
    length[0] = ffi.sizeof(peer)
    if ffi.C.getpeername(socket, peer, length) == 0 then
      missing, highest = 0, math.max(highest, socket)
      if is_replicas() then
        ask_while_idle(socket)
        if is_silent(socket) then ffi.C.shutdown(socket, SHUT_RDWR) end
      end
    else
      missing = ffi.errno() == EBADF and missing + 1 or 0
    end
    socket = socket + 1
  end
end

return M
