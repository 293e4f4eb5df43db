// What pages do beyond links and forms. Without this file everything else still works.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
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
