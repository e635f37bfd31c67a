// Posts as they come. What was shown is forgotten by and by; nothing is stored.

const MOST = 60;

const form = document.querySelector("#filter");
const list = document.querySelector("#posts");
const status = document.querySelector("#status");
const figures = document.querySelector("#figures");
const pause = document.querySelector("#pause");
const atLeast = document.querySelector("#at-least");
const atLeastSaid = document.querySelector("#at-least-said");
const more = document.querySelector("#more");
const moreLabels = document.querySelector("#more-labels");
const moreStatus = document.querySelector("#more-status");
const reasons = document.querySelector("#reasons");

let source = null;
let paused = false;
let asking = null;

document.documentElement.classList.add("has-script");
// Where there is little room, posts come first.
if (matchMedia("(max-width: 60rem)").matches) document.querySelector("#filters").open = false;

function post(path, fields, signal) {
  return fetch(path, { method: "POST", body: new URLSearchParams(fields), signal });
}

function open() {
  source?.close();
  source = null;
  if (paused || document.hidden) return;
  const wanted = new URLSearchParams(new FormData(form));
  source = new EventSource(`/page/stream/events?${wanted}`);
  source.addEventListener("post", (event) => show(event.data));
  source.addEventListener("figures", (event) => {
    figures.innerHTML = event.data;
  });
  source.addEventListener("full", (event) => {
    status.textContent = event.data;
    source.close();
  });
  source.addEventListener("open", () => {
    if (!list.children.length) status.textContent = "Waiting for posts.";
  });
  source.addEventListener("error", () => {
    status.textContent = "Not connected; trying again.";
  });
}

function show(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const item = holder.content.querySelector("li");
  if (!item) return;
  status.textContent = "";
  // Whoever reads further down does not lose their place: the browser anchors the list.
  list.prepend(item);
  while (list.children.length > MOST && !list.lastElementChild.contains(document.activeElement)) {
    list.lastElementChild.remove();
  }
}

function setPaused(now) {
  paused = now;
  pause.setAttribute("aria-pressed", String(now));
  pause.textContent = now ? "Go on" : "Pause";
  status.textContent = now ? "Paused." : "";
  open();
}

let timer = null;
function filtered() {
  atLeastSaid.textContent = `${Math.round(100 * atLeast.value)} %`;
  clearTimeout(timer);
  timer = setTimeout(() => {
    list.replaceChildren();
    status.textContent = paused ? "Paused." : "Waiting for posts that match.";
    open();
  }, 250);
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", filtered);
form.addEventListener("reset", () => setTimeout(filtered));
pause.addEventListener("click", () => setPaused(!paused));
document.addEventListener("visibilitychange", open);
addEventListener("pagehide", () => source?.close());

list.addEventListener("click", (event) => {
  const item = event.target.closest("li[data-position]");
  if (item && !getSelection()?.toString()) explain(item.dataset.position);
});

async function explain(position) {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  moreLabels.replaceChildren();
  reasons.replaceChildren();
  moreStatus.textContent = "Asking the model why.";
  if (!more.open) more.showModal();
  more.scrollTop = 0;
  try {
    const [about, why] = ["post", "reasons"].map((one) => post(`/page/stream/${one}`, { position }, mine.signal));
    moreLabels.innerHTML = await (await about).text();
    const answered = await why;
    const html = await answered.text();
    reasons.innerHTML = html;
    moreStatus.textContent = "";
  } catch (error) {
    if (error.name !== "AbortError") moreStatus.textContent = "The server cannot be reached.";
  }
}

more.addEventListener("close", () => asking?.abort());
more.addEventListener("click", (event) => {
  if (event.target === more) more.close();
});

moreLabels.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-says]");
  if (!button) return;
  const group = button.closest(".judge");
  const said = group.querySelector("[role=status]");
  const { position, task } = group.dataset;
  try {
    const answered = await post("/page/stream/verdict", { position, task, says: button.dataset.says });
    said.innerHTML = await answered.text();
    if (!answered.ok) return;
    for (const one of group.querySelectorAll("button")) one.setAttribute("aria-pressed", String(one === button));
  } catch {
    said.textContent = "The server cannot be reached.";
  }
});

open();
