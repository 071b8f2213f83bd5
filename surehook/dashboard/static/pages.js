"use strict";
// Every page works without this: it refreshes what is marked data-live, and adds keys.

const REFRESH_MS = 5000;
const status = document.getElementById("refreshed");

function isSelecting(part) {
  const selection = document.getSelection();
  return !selection.isCollapsed && part.contains(selection.anchorNode);
}

function isBeingTyped(part) {
  const active = document.activeElement;
  return part.contains(active) && active.matches("input:not([type=checkbox]), textarea, select");
}

function keyOf(element) {
  if (element.id) return "#" + CSS.escape(element.id);
  const row = element.closest("[id]");
  if (!row) return null;
  const name = element.tagName.toLowerCase();
  const place = [...row.querySelectorAll(name)].indexOf(element);
  return { row: "#" + CSS.escape(row.id), name, place };
}

function find(key) {
  if (!key) return null;
  if (typeof key === "string") return document.querySelector(key);
  const row = document.querySelector(key.row);
  return row && row.querySelectorAll(key.name)[key.place];
}

function replace(part, fresh) {
  if (part.innerHTML === fresh.innerHTML || isSelecting(part) || isBeingTyped(part)) return;
  const focused = part.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  const checked = [...part.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value);
  const opened = new Map([...part.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
  const scrolled = new Map([...part.querySelectorAll("details[id] pre")].map((each) => [each.closest("details").id, each.scrollTop]));
  part.replaceChildren(...document.importNode(fresh, true).childNodes);
  for (const box of part.querySelectorAll("input[type=checkbox]")) box.checked = checked.includes(box.value);
  for (const each of part.querySelectorAll("details[id]")) if (opened.has(each.id)) each.open = opened.get(each.id);
  for (const each of part.querySelectorAll("details[id] pre")) each.scrollTop = scrolled.get(each.closest("details").id) || 0;
  find(focused)?.focus({ preventScroll: true });
  countSelected();
}

async function refresh() {
  const parts = [...document.querySelectorAll("[data-live]")];
  if (!parts.length || document.hidden || document.querySelector("dialog[open]")) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
    if (!answer.ok) throw new Error();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const fresh = page.getElementById(part.id);
      if (fresh) replace(part, fresh);
    }
    status.textContent = "";
  } catch {
    status.textContent = "Not refreshed: the dashboard or its store does not answer.";
  }
}

let timer = 0;
function schedule() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(() => refresh().finally(schedule), REFRESH_MS);
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else refresh().finally(schedule);
});
schedule();

function countSelected() {
  for (const form of document.querySelectorAll("form[data-select]")) {
    const boxes = [...form.querySelectorAll("input[type=checkbox][name=job]")];
    const count = boxes.filter((box) => box.checked).length;
    for (const shown of form.querySelectorAll("[data-count]")) shown.textContent = count ? ` (${count})` : "";
  }
}
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const box of event.target.closest("form").querySelectorAll("input[type=checkbox][name=job]")) box.checked = event.target.checked;
  }
  countSelected();
});

const help = document.getElementById("help");
const dialog = document.getElementById("keys");
const links = [...document.querySelectorAll("nav [data-key]")];
document.getElementById("go").textContent = links.map((link) => `${link.dataset.key} ${link.textContent}`).join(", ");
help.hidden = false;
help.addEventListener("click", () => dialog.showModal());

function move(step) {
  const rows = [...document.querySelectorAll("main [data-row]")];
  if (!rows.length) return;
  const current = document.activeElement?.closest("tr, li, [data-row]");
  const at = rows.findIndex((row) => row === document.activeElement || (current && current.contains(row)));
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
  rows[next].focus();
}

let isGoing = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select") || dialog.open) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const going = isGoing;
  isGoing = false;
  if (going) {
    const link = links.find((each) => each.dataset.key === event.key);
    if (link) link.click();
    return;
  }
  if (event.key === "/") document.getElementById("find").focus();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "x") document.activeElement?.closest("tr")?.querySelector("input[type=checkbox]")?.click();
  else if (event.key === "g") isGoing = true;
  else if (event.key === "?") dialog.showModal();
  else return;
  event.preventDefault();
});
countSelected();
