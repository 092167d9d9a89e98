-- Sends a span for each sampled request to an OpenTelemetry Collector, by OTLP/HTTP in JSON.
--
-- A span lasts from the first byte of the request to the last of the answer, so that of a stream is as long as the
-- stream. What belongs to it stands in the transaction's variables (`trace`, `span`, `parent`, ... of haproxy.cfg).
-- Spans wait a second at most and are sent together; where nobody takes them, the newest of them are let go.
--
-- Use: lua-load-per-thread spans.lua URL, and in a frontend: filter lua.span

local url = ...
local MOST_WAITING = 2048
local waiting = {}

local ESCAPED = { ['"'] = '\\"', ['\\'] = '\\\\' }

local function quoted(text)
    return '"' .. text:gsub('[%c"\\]', function(c) return ESCAPED[c] or string.format('\\u%04x', c:byte()) end) .. '"'
end

local function nanoseconds(time)
    return string.format('"%d%06d000"', time.sec, time.usec)
end

local ATTRIBUTES = {
    ['http.request.method'] = 'method',
    ['url.path'] = 'path',
    ['gen_ai.request.model'] = 'name',
    ['llm.tenant'] = 'tenant',
    ['llm.entry'] = 'entry',
    ['llm.request_id'] = 'id',
    ['error.type'] = 'error',
}

local function attributes(txn, status)
    local found = { '{"key":"http.response.status_code","value":{"intValue":' .. status .. '}}' }
    for key, variable in pairs(ATTRIBUTES) do
        local value = txn:get_var('txn.' .. variable)
        if value then
            found[#found + 1] = '{"key":"' .. key .. '","value":{"stringValue":' .. quoted(tostring(value)) .. '}}'
        end
    end
    return table.concat(found, ',')
end

local function as_json(txn, began)
    local status = txn:get_var('txn.status') or 0 -- the client left before there was one
    local parent = txn:get_var('txn.parent')
    return table.concat({
        '{"traceId":"', txn:get_var('txn.trace'), '","spanId":"', txn:get_var('txn.span'), '"',
        parent and ',"parentSpanId":"' .. parent .. '"' or '',
        ',"name":', quoted(txn:get_var('txn.method') .. ' ' .. txn:get_var('txn.path')), ',"kind":2',
        ',"startTimeUnixNano":', nanoseconds(began), ',"endTimeUnixNano":', nanoseconds(core.now()),
        ',"attributes":[', attributes(txn, status), ']',
        (status >= 500 or status == 0) and ',"status":{"code":2}' or '', '}',
    })
end

local function sampled(txn)
    return tonumber(txn:get_var('txn.flags') or '0', 16) % 2 == 1
end

local Span = { id = 'span of a request', flags = filter.FLT_CFG_FL_HTX }
Span.__index = Span

function Span:new()
    return setmetatable({}, Span)
end

function Span:start_analyze(txn, channel)
    self.began = self.began or core.now()
end

function Span:end_analyze(txn, channel)
    if not channel:is_resp() or not sampled(txn) then return end
    if not txn:get_var('txn.path') or #waiting >= MOST_WAITING then return end
    waiting[#waiting + 1] = as_json(txn, self.began)
end

core.register_filter('span', Span, function(span, arguments) return span end)

local SERVICE = '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"llm-gateway"}}]},'
    .. '"scopeSpans":[{"scope":{"name":"llm-gateway"},"spans":['

core.register_task(function()
    while true do
        core.msleep(1000)
        if #waiting > 0 then
            local body = SERVICE .. table.concat(waiting, ',') .. ']}]}]}'
            waiting = {}
            core.httpclient():post({
                url = url, body = body, headers = { ['content-type'] = { 'application/json' } }, timeout = 5000,
            })
        end
    end
end)
