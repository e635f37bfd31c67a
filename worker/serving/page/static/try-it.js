// Labels while a person types, reasons when they rest. What they wrote goes in bodies, never into an address.

const REST_MS = 90; // between two keystrokes of a fast typist
const EXPLAIN_MS = 600; // behind the labels: reasons cost the model more, and labels must not wait for them
const AGAIN_MS = 1500;

const form = document.querySelector("#try");
const text = form.elements.text;
const file = form.elements.picture;
const drop = document.querySelector("#drop");
const preview = document.querySelector("#preview");
const thumbnail = document.querySelector("#thumbnail");
const status = document.querySelector("#status");
const labels = document.querySelector("#labels");
const answer = labels.closest("section");
const why = document.querySelector("#why");
const reasons = document.querySelector("#reasons");

let picture = null;
let pictureUrl = null;
let wantsReasons = false; // whether somebody pressed the button

document.documentElement.classList.add("has-script");

/** Asks one thing at a time, and of what was asked meanwhile only the last. */
class Asker {
  constructor(path, region, show) {
    this.path = path;
    this.region = region;
    this.show = show;
    this.timer = null;
    this.asking = null;
    this.again = false;
  }

  soon(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), milliseconds);
  }

  /** Forget what is being asked: it is of a post that is no longer there. */
  stop() {
    clearTimeout(this.timer);
    this.again = false;
    this.asking?.abort();
    this.region.removeAttribute("aria-busy");
  }

  async now() {
    clearTimeout(this.timer);
    if (this.asking) {
      this.again = true;
      return;
    }
    const asking = new AbortController();
    this.asking = asking;
    this.region.setAttribute("aria-busy", "true");
    const started = performance.now();
    let wait = 0;
    try {
      const answered = await fetch(this.path, { method: "POST", body: body(), signal: asking.signal });
      const html = await answered.text();
      if (!asking.signal.aborted) {
        if (answered.status === 429 || answered.status === 503) wait = AGAIN_MS;
        this.show(html, answered, Math.round(performance.now() - started));
      }
    } catch (error) {
      if (error.name !== "AbortError") status.textContent = "The server cannot be reached.";
    }
    this.asking = null;
    this.region.removeAttribute("aria-busy");
    if (this.again || wait) {
      this.again = false;
      this.soon(wait);
    }
  }
}

const labeller = new Asker("/page/labels", answer, (html, answered, milliseconds) => {
  const said = decodeURIComponent(answered.headers.get("x-page-status") ?? "");
  if (answered.status === 401) return void location.reload();
  if (answered.ok || answered.status === 422) labels.innerHTML = html;
  if (!answered.ok) {
    status.textContent = said || (answered.status === 429 ? "Too fast; asking again." : "That did not work.");
    return;
  }
  // Eyes see the labels, ears are told.
  const told = document.createElement("span");
  told.className = "unseen";
  told.textContent = said;
  status.replaceChildren(told, `Answered in ${milliseconds} ms.`);
  explainer.soon(wantsReasons ? 0 : EXPLAIN_MS);
  wantsReasons = false;
});

const explainer = new Asker("/page/reasons", why, (html, answered) => {
  if (!answered.ok) return;
  reasons.innerHTML = html;
  for (const image of reasons.querySelectorAll("img[data-medium]")) {
    if (pictureUrl) image.src = pictureUrl;
  }
});

function body() {
  const data = new FormData();
  data.set("text", text.value);
  data.set("community", form.elements.community.value);
  if (picture) data.set("picture", picture);
  return data;
}

function changed(rest = REST_MS) {
  explainer.stop();
  if (!text.value.trim() && !picture) {
    labeller.stop();
    labels.replaceChildren();
    reasons.replaceChildren();
    status.textContent = "They appear here as you type.";
    return;
  }
  labeller.soon(rest);
}

function usePicture(chosen) {
  // The field names what was dropped or pasted, too.
  const named = new DataTransfer();
  if (chosen) named.items.add(chosen);
  file.files = named.files;
  if (pictureUrl) URL.revokeObjectURL(pictureUrl);
  picture = chosen;
  pictureUrl = chosen ? URL.createObjectURL(chosen) : null;
  preview.hidden = !chosen;
  if (chosen) thumbnail.src = pictureUrl;
  else thumbnail.removeAttribute("src");
  changed(0);
}

function pictureOf(transfer) {
  return [...(transfer?.files ?? [])].find((one) => one.type.startsWith("image/")) ?? null;
}

text.addEventListener("input", () => changed());
form.elements.community.addEventListener("input", () => changed());
file.addEventListener("change", () => usePicture(file.files[0] ?? null));
document.querySelector("#remove").addEventListener("click", () => {
  usePicture(null);
  file.focus();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  wantsReasons = true;
  changed(0);
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
document.addEventListener("paste", (event) => {
  const found = pictureOf(event.clipboardData);
  if (!found) return;
  event.preventDefault();
  usePicture(found);
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  drop.classList.remove("over");
  if (!event.dataTransfer?.files.length) return;
  // Without it the browser would leave the page for the file.
  event.preventDefault();
  const found = pictureOf(event.dataTransfer);
  if (found) usePicture(found);
  else status.textContent = "That is not a picture.";
});
for (const chip of document.querySelectorAll("[data-example]")) {
  chip.addEventListener("click", () => {
    text.value = chip.dataset.example;
    changed(0);
    text.focus();
  });
}
if (text.value.trim() && !labels.children.length) changed(0);
