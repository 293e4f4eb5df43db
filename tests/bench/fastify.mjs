// (f) The straightforward handler of another world: Fastify and pg, one INSERT a request, into the receiver's own table.
//
//     node fastify.mjs PORT DATABASE_URL
//
// It does as little as naive.py: no duplicate check, no message state, no rejected payloads, no spool, no log, no metrics.

import { randomUUID } from "node:crypto";
import { parse } from "node:querystring";
import Fastify from "fastify";
import pg from "pg";

const [port, url] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 10 });

const COLUMNS = `report_id, message_id, provider, segment, segments, status, code, operator_code, reported_by,
                 happened_at, received_at, remote_addr, raw`;
const ONE = {
  name: "one",
  text: `INSERT INTO sms_data.report (${COLUMNS})
         VALUES ($1, $2, 'huawei', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
};
const MANY = {
  name: "many",
  text: `INSERT INTO sms_data.report (${COLUMNS})
         SELECT id, message, 'huawei', n, total, status, code, operator, source, happened, received, remote, raw
         FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::timestamptz[], $10::timestamptz[], $11::inet[], $12::RAW[])
              AS new (id, message, n, total, status, code, operator, source, happened, received, remote, raw)`,
};
const STATUS = { DELIVRD: "delivered", ACCEPTD: "accepted" };

const row = (item, remote) => [
  randomUUID(), item.smsMsgId, Number(item.sequence), Number(item.total), STATUS[item.status] ?? "unknown", item.status,
  item.orgCode, item.source, new Date(item.updateTime), new Date(), remote, JSON.stringify(item),
];
const GOOD = { returnCode: 0, returnCodeDesc: "Success" };

const app = Fastify({ logger: false, bodyLimit: 1024 * 1024, keepAliveTimeout: 75_000 });
app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) =>
  done(null, { ...parse(body) }));
app.post("/callback/huawei/report", async (request) => {
  await pool.query({ ...ONE, values: row(request.body, request.ip) });
  return GOOD;
});
app.post("/callback/huawei/reports", async (request) => {
  const rows = request.body.statusReportList.map((item) => row(item, request.ip));
  await pool.query({ ...MANY, values: rows[0].map((_, column) => rows.map((one) => one[column])) });
  return GOOD;
});

const type = await pool.query(`SELECT format_type(atttypid, NULL) AS name FROM pg_attribute
                               WHERE attrelid = 'sms_data.report'::regclass AND attname = 'raw'`);
MANY.text = MANY.text.replace("RAW", type.rows[0].name);
process.on("SIGTERM", () => app.close().then(() => pool.end()));
await app.listen({ host: "127.0.0.1", port: Number(port) });
