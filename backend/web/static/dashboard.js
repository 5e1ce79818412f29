// Keeps the dashboard fresh: numbers from /api every two seconds, the whole of it when something came or went.
"use strict";

const EVERY_MS = 2000;
const message = document.getElementById("message");

function say(text, bad) {
  message.textContent = text;
  message.className = bad ? "bad" : "";
  message.hidden = !text;
}

async function ask(address, options = {}) {
  const answer = await fetch(address, { cache: "no-store", ...options });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error?.message ?? `${address} answered ${answer.status}.`);
  return found;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

function figuresOf(progress) {
  if (!progress) return { "": "no progress is known yet" };
  if (progress.epoch === undefined) return { "": "reading tasks and pictures" };
  const figures = {
    stage: `${progress.stage}, ${progress.stage_index + 1} of ${progress.stages}`,
    epoch: `${progress.epoch} of ${progress.epochs}`,
    loss: Number(progress.loss).toPrecision(3),
    "images/s": Number(progress.images_per_s).toFixed(1),
    "time left": duration(progress.seconds_left),
  };
  if (progress.age_s > 30) figures["last heard"] = `${duration(progress.age_s)} ago`;
  return figures;
}

function showRun(run) {
  const place = document.querySelector(`[data-run="${CSS.escape(run.id)}"]`);
  const figures = place?.querySelector("[data-figures]");
  if (!figures) return;
  const bar = place.querySelector("progress");
  if (run.progress?.epoch !== undefined) bar.value = run.progress.share;
  if (run.progress?.notice) place.querySelector("[data-notice]").textContent = run.progress.notice;
  figures.replaceChildren(
    ...Object.entries(figuresOf(run.progress)).map(([name, value]) => {
      const row = document.createElement("div");
      const [term, what] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, what.textContent] = [name, value];
      row.append(...(name ? [term, what] : [what]));
      return row;
    }),
  );
}

function showPreannotation(project) {
  const place = document.querySelector(`[data-project="${CSS.escape(project.id)}"] [data-preannotation]`);
  const bulk = project.preannotation;
  if (!place || !bulk) return;
  place.textContent = bulk.ended
    ? `${bulk.done} of ${bulk.seen} tasks got new predictions.`
    : `Pre-annotating: ${bulk.done} of ${bulk.seen} tasks so far.`;
}

function showStatus(status) {
  for (const place of document.querySelectorAll("[data-jobs]")) {
    const [queue, state] = place.dataset.jobs.split(" ");
    place.textContent = status.jobs[queue]?.[state] ?? "";
  }
  for (const worker of status.processes) {
    const place = document.querySelector(`[data-worker="${CSS.escape(worker.name)}"]`);
    if (!place) continue;
    place.textContent = worker.state;
    place.classList.toggle("busy", worker.state === "busy");
  }
}

function showTimes() {
  for (const place of document.querySelectorAll("time[data-seconds]")) {
    const moment = new Date(1000 * Number(place.dataset.seconds));
    place.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    place.dateTime = moment.toISOString();
  }
}

async function replaceAll() {
  const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`The page answered ${answer.status}.`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  document.querySelector("main").replaceWith(fresh);
  showTimes();
}

let lost = false;

async function refresh() {
  try {
    const [{ projects, revision }, status] = await Promise.all([ask("api/projects"), ask("api/status")]);
    const now = `${revision} ${status.revision}`;
    if (document.querySelector("main").dataset.revision !== now) await replaceAll();
    projects.forEach(showPreannotation);
    projects.flatMap((project) => project.active_runs).forEach(showRun);
    showStatus(status);
    if (lost) say("");
    lost = false;
  } catch (error) {
    lost = true;
    say(error instanceof TypeError ? "Boxstrap does not answer; this page shows what it said last." : error.message, true);
  }
}

async function keepFresh() {
  if (!document.hidden) await refresh();
  setTimeout(keepFresh, EVERY_MS);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button || (button.dataset.confirm && !confirm(button.dataset.confirm))) return;
  button.disabled = true;
  try {
    const headers = { "Content-Type": "application/json" };
    await ask(button.dataset.post, { method: "POST", headers, body: button.dataset.body ?? "{}" });
    say("");
    await refresh();
  } catch (error) {
    say(error.message, true);
  }
  button.disabled = false;
});

document.addEventListener("visibilitychange", () => document.hidden || refresh());
showTimes();
keepFresh();
