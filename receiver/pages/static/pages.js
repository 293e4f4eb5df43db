// What pages do beyond links and forms. Without this file everything else still works.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  // Browsers have a clipboard for HTTPS and for this machine alone.
  await (navigator.clipboard?.writeText(button.dataset.copy) ?? prompt("Copy this:", button.dataset.copy));
  button.textContent = "Copied";
});

const countries = new Intl.DisplayNames(["en"], { type: "region" });
function nameCountries() {
  for (const one of document.querySelectorAll("[data-country]"))
    one.textContent = `${countries.of(one.dataset.country)} (${one.dataset.country})`;
}
nameCountries();
// Parts that a page marks so are renewed while somebody looks at them, but for those who read a chart's numbers.
if (document.querySelector("[data-refresh]")) setInterval(async () => {
  if (document.hidden || document.querySelector("[data-refresh] :is(details[open], :focus)")) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  const isNew = Boolean(answer?.ok) && !answer.redirected;
  document.getElementById("stale").hidden = isNew;
  if (!isNew) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-refresh]")) old.replaceWith(page.getElementById(old.id) ?? old);
  nameCountries();
}, 30_000);

// The address of a search has no filters that are left empty.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "get") return;
  for (const field of event.target.elements) field.disabled = field.name && field.value === "";
});
window.addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form.filters :disabled")) field.disabled = false;
});

document.addEventListener("keydown", (event) => {
  const search = document.querySelector("[data-search], form[role=search] input");
  if (event.key !== "/" || !search || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  search.focus();
});

// How far a download is: asked for by the id that is made up here.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-download]");
  if (!link) return;
  const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const url = new URL(link.href);
  url.searchParams.set("download", id);
  link.href = url;
  setTimeout(follow, 500, id, link.parentElement.querySelector("[data-progress]")); // when the id is known over there
});

async function follow(id, line, asked = 0) {
  const answer = await fetch(`/downloads/${id}`).catch(() => null);
  const { rows = 0, about, state = "running" } = answer?.ok ? await answer.json() : {};
  const number = (count) => count.toLocaleString("en");
  const whole = about && about > rows ? ` of about ${number(about)}` : "";
  if (state === "running") line.textContent = `${number(rows)}${whole} rows`;
  else line.textContent = state === "done" ? `${number(rows)} rows, all there` : `It broke off after ${number(rows)} rows: download it again`;
  if (state === "running" && (answer?.ok || asked < 10)) setTimeout(follow, 1000, id, line, answer?.ok ? 0 : asked + 1);
}
