// Shows times as the reader's clock has them, fetches the page anew when the monitor says that it
// changed, lets arrow keys walk through charts and commands be copied. All is there without it.
"use strict";

const rows = () => document.getElementById("rows");
const live = document.getElementById("live");
const state = document.getElementById("state");
const pause = document.getElementById("pause");
const news = document.getElementById("news");
const pad = (number, length = 2) => String(number).padStart(length, "0");

function localise(root) {
  let same = true;
  for (const time of root.querySelectorAll("time:not([data-local], [data-ago])")) {
    const at = new Date(time.dateTime);
    const day = document.createElement("i");
    day.textContent = `${pad(at.getFullYear(), 4)}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
    const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
    same &&= time.textContent === `${day.textContent} ${clock}`;
    time.replaceChildren(day, ` ${clock}`);
    time.dataset.local = "";
  }
  const zone = root.querySelector("#zone");
  if (zone && !same) {
    const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts();
    zone.textContent = parts.find((part) => part.type === "timeZoneName").value;
  }
}

// Rows are known by their id and stay where they are, so focus and selection survive. Returns those
// that are new.
function mergeRows(fresh) {
  const added = [];
  let place = rows().firstElementChild;
  for (const row of [...fresh.children]) {
    const known = document.getElementById(row.id);
    if (known && known === place) {
      place = place.nextElementSibling;
    } else {
      if (!known) added.push(row);
      if (!known) row.className = "new";
      rows().insertBefore(known || row, place);
    }
  }
  while (place) {
    const next = place.nextElementSibling;
    place.remove();
    place = next;
  }
  return added;
}

// Parts that show counts are replaced as a whole when the monitor sends them otherwise than before;
// what had the focus gets it again.
const parts = ["warnings", "figures", "bars", "calendar", "side", "pages"];
const sources = (root) => new Map([...parts, "main"].map((id) => [id, root.getElementById(id)?.innerHTML]));
let known = sources(document);

function mergePart(old, fresh) {
  const focused = old.contains(document.activeElement) && document.activeElement;
  const open = [...old.querySelectorAll("details")].map((one) => one.open);
  const wanted = focused && (focused.id ? `#${focused.id}` : `[href="${CSS.escape(focused.getAttribute("href") || "")}"]`);
  old.replaceChildren(...fresh.childNodes);
  [...old.querySelectorAll("details")].forEach((one, at) => (one.open = open[at] || false));
  prepare(old);
  if (wanted) old.querySelector(wanted)?.focus();
}

function mergeList(page, fresh) {
  const [newest] = mergeRows(fresh);
  if (newest) announce(newest);
  for (const list of document.querySelectorAll("datalist")) {
    list.replaceChildren(...(page.getElementById(list.id)?.childNodes || []));
  }
}

function merge(page) {
  const came = sources(page);
  const changed = (id) => came.get(id) !== known.get(id);
  const fresh = page.getElementById("rows");
  const whole = !fresh || !rows();
  localise(page);
  for (const id of (whole ? ["main"] : parts).filter(changed)) {
    const [old, other] = [document.getElementById(id), page.getElementById(id)];
    if (old && other) mergePart(old, other);
  }
  if (!whole) mergeList(page, fresh);
  known = came;
}

function announce(row) {
  const text = (name) => row.querySelector(`.${name}`).querySelector("bdi, .none").textContent;
  const first = row.querySelector(".mark.first") ? " for the first time" : "";
  news.textContent = `New login: ${text("user")} from ${text("host")}${first}, ${text("service")}`;
}

function say(text, look) {
  if (state.textContent !== text) state.textContent = text;
  live.className = `live ${look}`;
}

let fetching = false;
let again = false;

// A page asks for no more than a fifth of the monitor's time, however many logins come.
async function refresh() {
  again = fetching;
  if (fetching) return;
  fetching = true;
  const begun = performance.now();
  try {
    const answer = await fetch(location.href, { cache: "no-store", credentials: "same-origin" });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (events) merge(page);
  } catch {
    say("Reload to see news", "off");
  }
  const rest = Math.min(5000, 4 * (performance.now() - begun));
  await new Promise((rested) => setTimeout(rested, rest));
  fetching = false;
  if (again && events) refresh();
}

let events = null;

function listen() {
  if (events || document.hidden || pause.getAttribute("aria-pressed") === "true") return;
  events = new EventSource("/events");
  events.onmessage = () => {
    say("Live", "on");
    refresh();
  };
  events.onerror = () => say("No connection to the monitor", "off");
}

function deaf() {
  if (events) events.close();
  events = null;
}

// A chart is one stop of the tab key; arrows walk through it, back and forth.
function walk(event, cells) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 };
  const at = cells.indexOf(document.activeElement);
  const edges = { Home: 0, End: cells.length - 1 };
  const to = event.key in edges ? edges[event.key] : at + steps[event.key];
  if (at < 0 || !(event.key in steps || event.key in edges)) return;
  event.preventDefault();
  const next = cells[Math.min(cells.length - 1, Math.max(0, to))];
  cells[at].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function prepare(root) {
  for (const chart of root.querySelectorAll("[data-roving]")) {
    const cells = [...chart.querySelectorAll("a")];
    if (cells.length) cells[cells.length - 1].setAttribute("tabindex", "0");
    chart.addEventListener("keydown", (event) => walk(event, cells));
  }
  for (const button of root.querySelectorAll("button.copy")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }
}

localise(document);
prepare(document);
if (live?.dataset.live === "yes") {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) {
      deaf();
      say("Paused", "");
    } else {
      listen();
    }
  });
  // A hidden tab holds no connection: browsers allow six to one server.
  document.addEventListener("visibilitychange", () => (document.hidden ? deaf() : listen()));
  // Silence makes no news, and is told all the same.
  setInterval(() => events && refresh(), 60_000);
  listen();
}
