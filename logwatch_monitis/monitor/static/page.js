// Shows times as the reader's clock has them, and fetches the list anew when the monitor says that
// it changed. The page is complete without this script.
"use strict";

const rows = () => document.getElementById("rows");
const live = document.getElementById("live");
const state = document.getElementById("state");
const pause = document.getElementById("pause");
const pad = (number, length = 2) => String(number).padStart(length, "0");

function localise(root) {
  for (const time of root.querySelectorAll("time:not([data-local])")) {
    const at = new Date(time.dateTime);
    const day = document.createElement("i");
    day.textContent = `${pad(at.getFullYear(), 4)}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
    const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
    time.title = `${time.textContent} UTC`;
    time.replaceChildren(day, ` ${clock}`);
    time.dataset.local = "";
  }
  const zone = root.querySelector("#zone");
  if (zone) {
    const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts();
    zone.textContent = parts.find((part) => part.type === "timeZoneName").value;
  }
}

// Rows are known by their id and stay where they are, so focus and selection survive.
function mergeRows(fresh) {
  let place = rows().firstElementChild;
  for (const row of [...fresh.children]) {
    const known = document.getElementById(row.id);
    if (known && known === place) {
      place = place.nextElementSibling;
    } else {
      if (!known) row.className = "new";
      rows().insertBefore(known || row, place);
    }
  }
  while (place) {
    const next = place.nextElementSibling;
    place.remove();
    place = next;
  }
}

function merge(page) {
  localise(page);
  const fresh = page.getElementById("rows");
  if (!fresh || !rows()) {
    document.getElementById("main").replaceChildren(...page.getElementById("main").children);
    return;
  }
  mergeRows(fresh);
  for (const part of document.querySelectorAll("datalist, #figures, #pages")) {
    part.replaceChildren(...page.getElementById(part.id).children);
  }
}

function say(text, look) {
  if (state.textContent !== text) state.textContent = text;
  live.className = `live ${look}`;
}

let fetching = false;
let again = false;

async function refresh() {
  again = fetching;
  if (fetching) return;
  fetching = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store", credentials: "same-origin" });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (events) merge(page);
  } catch {
    say("Reload to see news", "off");
  } finally {
    fetching = false;
  }
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

localise(document);
if (live.dataset.live === "yes") {
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
  listen();
}
