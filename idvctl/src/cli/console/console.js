// The console works without this, but for what moves: the timeline, a run's progress, "select all".
"use strict";

const KEPT = 200;

function timeline() {
  const list = document.getElementById("timeline");
  if (!list) return;
  const state = document.getElementById("timeline-state");
  const counts = new Map();
  const source = new EventSource("/events");
  source.onopen = () => {
    // Each connection begins with the last ten minutes.
    counts.clear();
    list.replaceChildren();
    state.textContent = "Connected: what happens is shown as it happens.";
  };
  source.onerror = () => { state.textContent = "Not connected; trying again."; };
  source.onmessage = (event) => {
    const record = JSON.parse(event.data);
    counts.set(record.event, (counts.get(record.event) ?? 0) + 1);
    for (const number of document.querySelectorAll("[data-counts]")) {
      const events = number.dataset.counts.split(" ");
      number.textContent = events.reduce((sum, name) => sum + (counts.get(name) ?? 0), 0);
    }
    const item = document.createElement("li");
    item.append(`${record.at} `, Object.assign(document.createElement("strong"), { textContent: record.event }), " ");
    if (record.receipt_id) {
      const link = document.createElement("a");
      link.href = `/deliveries/${encodeURIComponent(record.receipt_id)}`;
      link.textContent = record.receipt_id;
      item.append(link, " ");
    }
    item.append([record.reason, record.detail].filter(Boolean).join(" "));
    list.prepend(item);
    while (list.children.length > KEPT) list.lastChild.remove();
  };
}

function run() {
  const part = document.querySelector("[data-refresh]");
  if (!part) return;
  const timer = setInterval(async () => {
    try {
      const answer = await fetch(part.dataset.refresh);
      if (!answer.ok) throw new Error(String(answer.status));
      part.innerHTML = await answer.text(); // our own page, escaped by its templates
      if (part.querySelector("[data-over]")) clearInterval(timer);
    } catch {
      part.setAttribute("data-stale", "");
    }
  }, 1000);
}

function selectAll() {
  const all = document.getElementById("select-all");
  if (!all) return;
  all.addEventListener("change", () => {
    for (const box of document.querySelectorAll("input[name=id]")) box.checked = all.checked && !box.dataset.evidence;
  });
}

timeline();
run();
selectAll();
