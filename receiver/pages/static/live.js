// The page /live: rows as they come. Every text goes through textContent.
"use strict";

const MOST = 200;
const table = document.getElementById("live");
const body = table?.tBodies[0];
const template = document.getElementById("row");
const pause = document.getElementById("pause");
const refresh = document.getElementById("refresh");
let source = null;
let again = 0;
let calm = 0;
let wait = 2000;

const say = (id, text) => { document.getElementById(id).textContent = text; };

function late(seconds) {
  if (seconds === undefined) return "–";
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => Math.abs(seconds) >= size) ?? [1, "s"];
  return `${Number((seconds / size).toPrecision(3))} ${unit}`;
}

function add(told) {
  if (body.querySelector(`[data-id="${CSS.escape(told.id)}"]`)) return;
  const row = template.content.firstElementChild.cloneNode(true);
  const cell = (name) => row.querySelector(`[data-cell=${name}]`);
  row.dataset.id = told.id;
  for (const name of ["provider", "recipient", "country", "code"]) cell(name).textContent = told[name] ?? "–";
  const time = cell("time").firstElementChild;
  time.dateTime = told.time;
  time.textContent = told.time.slice(11, 19);
  cell("kept").textContent = told.event.replace("report.", "").replace(".", " ");
  cell("reason").textContent = (told.error ?? told.reason ?? "–").replaceAll("_", " ");
  cell("late").textContent = late(told.lag_s);
  const status = cell("status").firstElementChild;
  if (told.status) { status.textContent = told.status; status.classList.add(told.status); } else { status.replaceWith("–"); }
  const link = cell("message").firstElementChild;
  if (told.message_id) {
    link.textContent = told.message_id;
    link.href = `/messages/${encodeURIComponent(told.provider)}/${encodeURIComponent(told.message_id)}`;
  } else { link.replaceWith("–"); }
  body.prepend(row);
  while (body.rows.length > MOST) body.lastElementChild.remove();
}

function stop() {
  clearTimeout(again);
  source?.close();
  source = null;
}

function start() {
  stop();
  source = new EventSource(table.dataset.stream);
  source.onopen = () => { say("state", "Live."); refresh.hidden = true; wait = 2000; };
  source.onmessage = (message) => add(JSON.parse(message.data));
  source.addEventListener("sampled", (message) => {
    const { shown, of, unseen } = JSON.parse(message.data);
    say("sampled", `So many come that ${shown} of ${of} are shown` + (unseen ? `; ${unseen} passed unseen.` : "."));
    clearTimeout(calm);
    calm = setTimeout(say, 2000, "sampled", "");
  });
  source.onerror = () => {
    say("state", "Not connected; trying again …");
    refresh.hidden = false;
    if (source.readyState !== EventSource.CLOSED) return;
    again = setTimeout(start, wait);
    wait = Math.min(2 * wait, 60000);
  };
}

if (table) {
  const paused = () => pause.getAttribute("aria-pressed") === "true";
  refresh.hidden = true;
  pause.hidden = false;
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(!paused()));
    if (paused()) { stop(); say("state", "Paused."); say("sampled", ""); } else { start(); }
  });
  // A hidden page would hold one of the few connections that a browser has for a host.
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else if (!paused()) start(); });
  start();
}
