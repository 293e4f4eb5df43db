-- What wrk sends: every request is built when it is sent, with message ids that never come twice.
-- Arguments: kind, reports a request, a number that no other run on the same database has, and milliseconds that each
-- connection waits between an answer and its next request, on average; 0: none. The waiting is not in the latencies.

local kind, batch, run
local counter = 0
local random, format = math.random, string.format

local FORM = "application/x-www-form-urlencoded"
local JSON = "application/json;charset=UTF-8"
local POOL = 20000 -- messages that `duplicates` goes round
local BEHIND = 500 -- how many messages later `updates` sends the second report
local known = {}

-- Random at the front, as UUIDs are, so that rows land all over an index; unique by its end.
local function message_id(number)
   return format("%04x%04x-%04x-4%03x-a%03x-%04x%08x_%d", random(0, 0xffff), random(0, 0xffff), random(0, 0xffff),
      random(0, 0xfff), random(0, 0xfff), run, number, number % 100000000)
end

local function fresh()
   counter = counter + 1
   return message_id(counter)
end

local function form(id, status)
   return "sequence=1&total=1&orgCode=000&updateTime=2026-11-20T06%3A31%3A46Z&source=2&smsMsgId=" .. id
      .. "&status=" .. status
end

local function list(item)
   local items = {}
   for i = 1, batch do
      items[i] = item(fresh())
   end
   return table.concat(items, ",")
end

local function huawei(id)
   return '{"sequence":"1","total":"1","orgCode":"000","updateTime":"2026-11-20T06:31:46Z","source":"2","smsMsgId":"'
      .. id .. '","status":"DELIVRD"}'
end

local function mobile()
   return format("139%08d", random(0, 99999999))
end

local function tencent(id)
   return '{"user_receive_time":"2026-11-20 14:31:46","nationcode":"86","mobile":"' .. mobile()
      .. '","report_status":"SUCCESS","errmsg":"DELIVRD","description":"delivered","sid":"8:' .. id .. '"}'
end

local function cloudsms(id)
   return '{"METHOD":"SMS_PUSH_REPORT","TYPE":"REQUEST","SERIAL":2,"TIME":"2026-11-20 14:31:50",'
      .. '"REPORT_TIME":"2026-11-20 14:31:46","SOURCE_MSISDN":"CloudSMS","SMS_UID":"' .. id
      .. '","SMS_RESULT_LIST":[{"COUNTRY_CODE":86,"DEST_MSISDN":"' .. mobile()
      .. '","SMS_STATE":2,"RESULT_DESC":"DELIVERED"}],"CUSTOMER_BODY":{}}'
end

local KINDS = {
   single = function() return "huawei/report", FORM, form(fresh(), "DELIVRD") end,
   batch = function()
      return "huawei/reports", JSON, '{"statusReportList":[' .. list(huawei) .. "]}"
   end,
   tencent = function() return "tencent/reports", JSON, "[" .. list(tencent) .. "]" end,
   cloudsms = function() return "cloudsms/report", JSON, cloudsms(fresh()) end,
   duplicates = function()
      counter = counter % POOL + 1
      known[counter] = known[counter] or message_id(counter)
      return "huawei/report", FORM, form(known[counter], "DELIVRD")
   end,
   -- Every other request begins a message; the next one ends the message begun BEHIND messages before.
   updates = function()
      counter = counter + 1
      local turn = math.ceil(counter / 2)
      if counter % 2 == 1 then
         known[turn] = message_id(turn)
         return "huawei/report", FORM, form(known[turn], "ACCEPTD")
      end
      local id = known[turn - BEHIND] or message_id(0x40000000 + turn)
      known[turn - BEHIND] = nil
      return "huawei/report", FORM, form(id, "DELIVRD")
   end,
}

function init(args)
   kind, batch, run = KINDS[args[1]], tonumber(args[2]), tonumber(args[3])
   math.randomseed(run)
   local pause = tonumber(args[4])
   if pause > 0 then
      function delay() return random(0, 2 * pause) end
   end
end

function request()
   local path, content_type, body = kind()
   return wrk.format("POST", "/callback/" .. path, { ["Content-Type"] = content_type }, body)
end

function done(summary, latency)
   local e = summary.errors
   io.stderr:write(format(
      '{"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,"refused":%d,"broken":%d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      latency.max / 1e3, e.status, e.connect + e.read + e.write + e.timeout))
end
