// Small behaviours of every page. Nothing here is needed to get something done: each has a plain way beside it.
// The words come from the page (data-* of <body>), so that they are in the reader's language.

const root = document.documentElement;
const words = document.body.dataset;
root.dataset.script = "on";
window.htmx?.process(document.body); // htmx itself waits a task longer: a key pressed in it would leave the page the plain way

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// ── Forms: one press is one sending; a question is asked first where the form has one. Before htmx, hence the capture.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const stop = () => { event.preventDefault(); event.stopImmediatePropagation(); };
  if (form.dataset.ask && !form.dataset.sure) {
    stop();
    ask(form, event.submitter);
    return;
  }
  if (form.getAttribute("method")?.toLowerCase() !== "post") return;
  if (form.dataset.sent) { stop(); return; }
  form.dataset.sent = "1";
  const button = event.submitter ?? form.querySelector("button:not([type=button])");
  button?.setAttribute("aria-busy", "true");
  button?.setAttribute("aria-disabled", "true");
  setTimeout(release, 6000, form);
}, true);

function release(form) {
  delete form.dataset.sent;
  delete form.dataset.sure;
  form.querySelectorAll("[aria-busy]").forEach((button) => ["aria-busy", "aria-disabled"].forEach((name) => button.removeAttribute(name)));
}
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(release));
document.addEventListener("htmx:finally:request", (event) => { if (event.target instanceof HTMLFormElement) release(event.target); });
document.addEventListener("change", (event) => event.target.closest?.("form[data-send-on-change]")?.requestSubmit());

// ── After a swap the first problem takes the focus, and what changed is said once.
function settle(part) {
  (part.querySelector("[data-focus]") ?? part.querySelector("[aria-invalid=true]"))?.focus();
  part.querySelectorAll("[data-scan]").forEach((button) => { button.hidden = !navigator.mediaDevices?.getUserMedia; });
  part.querySelectorAll("[data-languages]").forEach(languageTabs);
}
settle(document);
document.addEventListener("htmx:after:swap", (event) => {
  const part = event.target instanceof Element && event.target.isConnected ? event.target : document;
  settle(part);
  const said = part !== document && part.querySelector("[role=status]")?.textContent.trim();
  if (said) document.getElementById("announce").textContent = said;
});

// ── Questions and slips: native dialogs, the safe choice first, the focus back where it came from.
function open(dialog, back) {
  dialog.addEventListener("close", () => { if (dialog.dataset.made) dialog.remove(); back?.focus(); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  if (!dialog.isConnected) { dialog.dataset.made = "1"; document.body.append(dialog); }
  dialog.showModal();
  const finder = dialog.querySelector("[data-finder]");
  if (finder && !dialog.querySelector(".hits")) finder.requestSubmit(); // the room's pages, before anything is typed
}

function ask(form, submitter) {
  const button = submitter ?? form.querySelector("button:not([type=button])");
  const dialog = make("dialog", "ask");
  const title = make("h2", "text-lg", form.dataset.ask);
  title.id = "ask-title";
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.append(title);
  if (form.dataset.askNote) dialog.append(make("p", "text-muted", form.dataset.askNote));
  const row = make("div", "flex flex-wrap justify-end gap-2 mt-3");
  const no = make("button", "btn btn-ghost", words.cancel);
  const yes = make("button", "btn btn-danger", (button?.getAttribute("aria-label") ?? button?.textContent ?? "").trim());
  no.autofocus = true;
  no.onclick = () => dialog.close();
  yes.onclick = () => { form.dataset.sure = "1"; dialog.close(); form.requestSubmit(submitter); };
  row.append(no, yes);
  dialog.append(row);
  open(dialog, button);
}

async function slip(link) {
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const dialog = make("dialog", "slip");
  const close = make("button", "btn btn-circle slip-close btn-sm");
  close.setAttribute("aria-label", words.close);
  close.append(svgIcon(link, "x"));
  close.onclick = () => dialog.close();
  dialog.append(close, ...(page.querySelector("main") ?? page.body).childNodes);
  const heading = dialog.querySelector("h1, h2");
  if (heading) { heading.id ||= "slip-title"; dialog.setAttribute("aria-labelledby", heading.id); }
  open(dialog, link);
  window.htmx?.process(dialog);
}

function svgIcon(near, name) {
  const svg = near.querySelector("svg").cloneNode(true);
  const use = svg.querySelector("use");
  use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#i-${name}`));
  return svg;
}

document.addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  const why = event.target.closest?.("a[data-slip]");
  if (why) {
    event.preventDefault();
    slip(why).catch(() => { location.href = why.href; });
  }
  const opener = event.target.closest?.("[data-open]");
  const dialog = opener && document.getElementById(opener.dataset.open);
  if (dialog) { event.preventDefault(); open(dialog, opener); }
  document.querySelectorAll("details[data-menu][open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details[data-menu][open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});

// ── Toasts leave after 8 s, never while the pointer or the focus is on them.
const toasts = document.getElementById("toasts");
function leave(note) { if (note.matches(":hover, :focus-within")) setTimeout(leave, 3000, note); else note.remove(); }
function time() {
  toasts.querySelectorAll("[data-toast]:not([data-timed])").forEach((note) => { note.dataset.timed = "1"; setTimeout(leave, 8000, note); });
}
new MutationObserver(time).observe(toasts, { childList: true });
time();

// ── Copy what stands on the page: a code, a secret shown once.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
  const text = button.querySelector("span") ?? button;
  const before = text.textContent;
  text.textContent = words.copied;
  document.getElementById("announce").textContent = words.copied;
  setTimeout(() => { text.textContent = before; }, 2500);
});

// ── What changes by itself is asked again while the page is visible (D40). [data-poll="20"] with hx-get and
// hx-trigger="poll" swaps a part; [data-live="/address"] shows a small number, by ETag, and hides at nothing.
const asked = new WeakMap();
const etags = new Map();
async function number(element) {
  const known = etags.get(element.dataset.live);
  const answer = await fetch(element.dataset.live, { headers: known ? { "If-None-Match": known } : {}, cache: "no-store" });
  if (answer.status !== 200) return;
  etags.set(element.dataset.live, answer.headers.get("ETag"));
  const text = (await answer.text()).trim();
  element.textContent = text;
  element.hidden = !text || text === "0";
}
setInterval(() => {
  if (document.visibilityState !== "visible") return;
  document.querySelectorAll("[data-poll], [data-live]").forEach((element) => {
    const every = Number(element.dataset.poll ?? 20) * 1000;
    if (performance.now() - (asked.get(element) ?? 0) < every) return;
    asked.set(element, performance.now());
    if (element.dataset.live) number(element).catch(() => {});
    else element.dispatchEvent(new CustomEvent("poll"));
  });
}, 1000);

// ── The till: keys write into the field they name; the connection is told; scanners are heard.
document.addEventListener("click", (event) => {
  const key = event.target.closest?.("[data-key]");
  if (!key) return;
  const field = document.getElementById(key.closest("[data-keypad]").dataset.keypad);
  if (field.dataset.fresh !== "no") { field.dataset.fresh = "no"; if (field.dataset.replace !== undefined) field.value = ""; }
  field.value = key.dataset.key === "back" ? field.value.slice(0, -1) : field.value + key.dataset.key;
  field.dispatchEvent(new Event("input", { bubbles: true }));
});
const state = document.querySelector(".till-state");
function connection() {
  const there = navigator.onLine || /(^|\.)localhost$|^127\./.test(location.hostname); // a portal on this very machine needs no network
  state.classList.toggle("off", !there);
  state.textContent = there ? state.dataset.online : state.dataset.offline;
}
if (state) {
  connection();
  window.addEventListener("online", connection);
  window.addEventListener("offline", connection);
}
function found(field, text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  if (field.dataset.send !== "no") field.form?.requestSubmit();
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-scan]");
  if (!button) return;
  const { scan } = await import(button.dataset.scan);
  const text = await scan(button, words);
  if (text) found(document.getElementById(button.dataset.into), text);
});
// A scanner that poses as a keyboard types faster than anybody and ends with Enter: [data-wedge] gets what it read.
let typed = "", last = 0;
document.addEventListener("keydown", (event) => {
  const field = document.querySelector("[data-wedge]");
  if (!field || event.target.matches?.("input, textarea, select") || event.ctrlKey || event.metaKey) return;
  if (event.timeStamp - last > 60) typed = "";
  last = event.timeStamp;
  if (event.key === "Enter" && typed.length >= 5) { event.preventDefault(); found(field, typed); typed = ""; }
  else if (event.key.length === 1) typed += event.key;
});
// ── Ctrl-K: the desk's search; on a page without one, the list's own. Arrows walk through the answers.
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) {
    const way = document.querySelector("[data-finder-key]") ?? document.querySelector("[data-slash], [data-finder] input");
    if (!way) return;
    event.preventDefault();
    if (!way.matches("a")) way.focus(); else if (!document.querySelector("dialog[open]")) way.click();
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const found = event.target.closest?.(".finder") ?? event.target.closest?.("main:has([data-finder])");
  if (!found) return;
  const stops = [found.querySelector("[data-finder] input"), ...found.querySelectorAll(".hits a")];
  const next = stops[stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
  if (next) { event.preventDefault(); next.focus(); }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches?.("input, textarea, select")) return;
  const field = document.querySelector("[data-slash]");
  if (field) { event.preventDefault(); field.focus(); }
});
document.addEventListener("click", (event) => { if (event.target.closest?.("[data-print]")) window.print(); });

// ── Theme at once, kept by the form's own address. A tab a language where a text is written in several.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-theme-switch]") || !event.submitter) return;
  event.preventDefault();
  const chosen = event.submitter.value;
  if (chosen === "auto") delete root.dataset.theme; else root.dataset.theme = chosen;
  document.querySelectorAll("[data-theme-switch] button").forEach((b) => b.setAttribute("aria-pressed", String(b.value === chosen)));
  fetch(form.action, { method: "POST", body: new FormData(form, event.submitter), redirect: "manual" }).finally(() => release(form));
});
function languageTabs(group) {
  const parts = [...group.querySelectorAll("[data-language]")];
  if (parts.length < 2 || group.querySelector(".language-tabs")) return;
  const row = make("div", "seg language-tabs");
  const choose = (part) => parts.forEach((other, n) => { other.hidden = other !== part; row.children[n].setAttribute("aria-pressed", String(other === part)); });
  parts.forEach((part) => {
    const filled = part.querySelector("input, textarea").value.trim() ? "" : " ○";
    const button = make("button", "", part.dataset.language.toUpperCase() + filled);
    button.type = "button";
    button.onclick = () => choose(part);
    row.append(button);
  });
  parts[0].parentElement.before(row);
  choose(parts.find((part) => part.querySelector("[aria-invalid=true]")) ?? parts.find((part) => part.lang === root.lang) ?? parts[0]);
}

for (const tab of document.querySelectorAll(".tabs-row [aria-current]")) { // the page's own tab in sight, on a phone too
  const row = tab.closest(".tabs-row");
  row.scrollLeft += tab.getBoundingClientRect().left - row.getBoundingClientRect().left - (row.clientWidth - tab.clientWidth) / 2;
}

if ("serviceWorker" in navigator && root.dataset.room === "member" && document.querySelector("link[rel=manifest]")) {
  window.addEventListener("load", () => navigator.serviceWorker.register("/sw.js").catch(() => {}));
  document.addEventListener("submit", (event) => {
    if (new URL(event.target.action, location.href).pathname === "/logout") navigator.serviceWorker.controller?.postMessage("forget");
  });
}
