-- Whether a visitor has gone whose request is held. nginx itself looks at the next byte, and does not see the end of a
-- connection behind a body that nobody reads; the kernel knows.

local base = require "resty.core.base"
local ffi = require "ffi"

-- How nginx's request and connection begin, as of all its versions; told by the mark that each request begins with.
ffi.cdef [[
  typedef struct { void *data, *read, *write; int socket; } edge_connection;
  typedef struct { uint32_t mark; edge_connection *connection; } edge_request;
  int getsockopt(int socket, int level, int name, void *value, uint32_t *length);
]]
local MARK = 0x50545448   -- NGX_HTTP_MODULE
local IPPROTO_TCP, TCP_INFO = 6, 11   -- on Linux
-- The first byte of what TCP_INFO tells: the visitor sends nothing more, or the connection is no more.
local CLOSE_WAIT, CLOSE = 8, 7

local ENOUGH = 8
local told, length = ffi.new("uint8_t[?]", ENOUGH), ffi.new("uint32_t[1]")

local M = {}

function M.is_gone()
  local request = ffi.cast("edge_request *", base.get_request())
  if request == nil or request.mark ~= MARK then return false end
  length[0] = ENOUGH
  if ffi.C.getsockopt(request.connection.socket, IPPROTO_TCP, TCP_INFO, told, length) ~= 0 then return false end
  return told[0] == CLOSE_WAIT or told[0] == CLOSE
end

return M
