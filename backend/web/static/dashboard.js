// Keeps the pages fresh: numbers from /api every two seconds, the whole of a page when something came or went.
"use strict";

const EVERY_MS = 2000;
const LEARNING_EVERY_MS = 10000; // losses and pictures of a training
const ROOT = document.body.dataset.root;
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
  if (!progress) return { "": "It has not said yet how far it is." };
  const figures = {};
  if (progress.epoch === undefined) {
    figures.step = { reading: "reading tasks and pictures", comparing: "comparing", showing: "looking at predictions" }[progress.stage] ?? progress.stage;
  } else {
    figures.stage = `${progress.stage}, ${progress.stage_index + 1} of ${progress.stages}`;
    figures.epoch = `${progress.epoch} of ${progress.epochs}`;
    figures.loss = Number(progress.loss).toPrecision(3);
    figures["images/s"] = Number(progress.images_per_s).toFixed(1);
  }
  if (progress.seconds_left !== undefined) figures["until all is predicted"] = `about ${duration(progress.seconds_left)}`;
  if (progress.age_s > 30) figures["last heard"] = `${duration(progress.age_s)} ago`;
  return figures;
}

function showRun(run) {
  const place = document.querySelector(`[data-run="${CSS.escape(run.id)}"]`);
  const figures = place?.querySelector("[data-figures]");
  if (!figures) return;
  if (run.progress?.share !== undefined) place.querySelector("progress").value = run.progress.share;
  if (run.progress?.notice) place.querySelector("[data-notice]").textContent = run.progress.notice;
  figures.replaceChildren(
    ...Object.entries(figuresOf(run.progress)).map(([name, value]) => {
      const row = document.createElement("div");
      const [term, what] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, what.textContent] = [name || "progress", value];
      row.append(term, what);
      return row;
    }),
  );
}

function showPreannotation(project) {
  const place = document.querySelector(`[data-project="${CSS.escape(project.id)}"] [data-preannotation]`);
  const bulk = project.preannotation;
  if (!place || !bulk) return;
  const [text, notShown] = [document.createElement("p"), document.createElement("p")];
  text.className = notShown.className = "muted";
  notShown.textContent = bulk.not_shown;
  const figure = (number) => number.toLocaleString("en");
  const left = bulk.seconds_left ? `, about ${duration(bulk.seconds_left)} left` : "";
  text.textContent = bulk.ended
    ? `${figure(bulk.done)} of ${figure(bulk.seen)} tasks got new predictions.`
    : `Predictions are being written: ${figure(bulk.seen)}${bulk.tasks ? ` of ${figure(bulk.tasks)}` : ""} tasks are done${left}.`;
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.setAttribute("aria-label", "Predictions written");
  if (bulk.tasks) bar.value = Math.min(bulk.seen / bulk.tasks, 0.99);
  place.replaceChildren(...(bulk.ended ? [] : [bar]), text, ...(bulk.not_shown ? [notShown] : []));
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
    place.classList.toggle("good", worker.state === "busy");
  }
}

function showTimes() {
  for (const place of document.querySelectorAll("time[data-seconds]")) {
    const moment = new Date(1000 * Number(place.dataset.seconds));
    place.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    place.dateTime = moment.toISOString();
  }
}

async function fresh() {
  const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`The page answered ${answer.status}.`);
  return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
}

async function replaceAll() {
  const main = await fresh();
  const edited = document.querySelector("form[data-edited]"); // what a person types stays
  if (edited) main.querySelector("form")?.replaceWith(edited);
  const open = [...document.querySelectorAll("details")].map((each) => each.open);
  document.querySelector("main").replaceWith(main);
  const now = [...document.querySelectorAll("details")];
  if (now.length === open.length) now.forEach((each, index) => (each.open = open[index]));
  showTimes();
}

let learned = 0;

async function replaceLearning() {
  const places = [...document.querySelectorAll("[data-learning]")];
  if (!places.length || performance.now() - learned < LEARNING_EVERY_MS) return;
  learned = performance.now();
  const main = await fresh();
  for (const place of places) {
    const now = main.querySelector(`[data-learning="${CSS.escape(place.dataset.learning)}"]`);
    for (const picture of now?.querySelectorAll("img") ?? []) picture.src += `?at=${Math.round(learned)}`; // drawn anew
    if (now && !place.contains(document.activeElement)) place.replaceWith(now);
  }
}

let lost = false;

async function refresh() {
  const main = document.querySelector("main");
  if (main.dataset.revision === undefined) return;
  const only = main.dataset.only ? `?project=${encodeURIComponent(main.dataset.only)}` : "";
  try {
    const [{ projects, revision }, status] = await Promise.all([ask(`${ROOT}api/projects${only}`), ask(`${ROOT}api/status`)]);
    if (main.dataset.revision !== `${revision} ${status.revision}`) await replaceAll();
    else await replaceLearning();
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

function valueOf(field) {
  const text = field.value.trim();
  if (field.dataset.kind === undefined) return text;
  if (text === "" && field.dataset.kind === "number") return null;
  return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
}

document.addEventListener("input", (event) => event.target.closest("form")?.setAttribute("data-edited", ""));

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const body = Object.fromEntries([...form.elements].filter((each) => each.name).map((each) => [each.name, valueOf(each)]));
  try {
    const headers = { "Content-Type": "application/json" };
    await ask(form.dataset.patch, { method: "PATCH", headers, body: JSON.stringify(body) });
    form.removeAttribute("data-edited");
    say("");
    await replaceAll();
    document.querySelector("[data-saved]").textContent = "Saved.";
  } catch (error) {
    say(error.message, true);
  }
});

document.addEventListener("visibilitychange", () => document.hidden || refresh());
showTimes();
keepFresh();
