-- How many top-level keys of a JSON object are called "model", however they are spelled.
--
-- HAProxy takes the first such key and Python's parser in the engine the last one, and only Python reads "mod\u0065l".
-- A body with two of them could pass the check for one model and be served another, so the gateway refuses it.
--
-- Use: req.body,lua.model_keys

local KEY = '"model"'

-- Position after the string that starts at `open`, or nil if it does not end.
local function after_string(body, open)
    local from = open + 1
    while true do
        local quote = body:find('"', from, true)
        if not quote then return nil end
        local before = quote - 1
        while body:byte(before) == 92 do before = before - 1 end
        if (quote - 1 - before) % 2 == 0 then return quote + 1 end
        from = quote + 1
    end
end

local function unescape(text)
    return (text:gsub('\\u00(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
end

local function scan(body)
    local count, depth, position = 0, 0, 1
    while true do
        local at = body:find('["{}%[%]]', position)
        if not at then return count end
        local character = body:sub(at, at)
        position = at + 1
        if character == '"' then
            local after = after_string(body, at)
            if not after then return count end
            -- Only a key is followed by a colon.
            if depth == 1 and body:find('^%s*:', after) and unescape(body:sub(at, after - 1)) == KEY then
                count = count + 1
            end
            position = after
        elseif character == '{' or character == '[' then
            depth = depth + 1
        else
            depth = depth - 1
        end
    end
end

core.register_converters('model_keys', function(body)
    local first = body:find(KEY, 1, true)
    local escaped = body:find('\\u006', 1, true) -- how every letter of "model" starts when it is escaped
    if not escaped then
        if not first then return 0 end
        if not body:find(KEY, first + #KEY, true) then return 1 end
    end
    return scan(body)
end)
