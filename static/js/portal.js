// Small behaviours of every page. Nothing here is needed to get something done: each has a plain way beside it.

// Forms: one press is one sending; the first field in error, or the summary, takes the focus.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = form.dataset.ask;
  if (question && !form.dataset.sure) {
    event.preventDefault();
    ask(question, form.querySelector("button")?.textContent.trim() || "OK", () => { form.dataset.sure = "1"; form.requestSubmit(); });
    return;
  }
  if (form.method === "post") {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    form.querySelectorAll("button:not([type=button])").forEach((button) => button.setAttribute("aria-busy", "true"));
    setTimeout(() => { delete form.dataset.sent; form.querySelectorAll("[aria-busy]").forEach((b) => b.removeAttribute("aria-busy")); }, 4000);
  }
});
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

function focusProblem(root) { (root.querySelector("[data-focus]") || root.querySelector("[aria-invalid=true]"))?.focus(); }
focusProblem(document);
document.addEventListener("htmx:after:swap", (event) => focusProblem(event.target instanceof Element ? event.target : document));

// A question that names the object; the safe choice has the focus.
function ask(text, label, then) {
  const dialog = document.createElement("dialog");
  dialog.className = "ask";
  const words = document.createElement("p");
  words.className = "text-lg font-semibold";
  words.textContent = text;
  const row = document.createElement("div");
  row.className = "flex gap-3 mt-3";
  const no = document.createElement("button");
  no.className = "btn btn-quiet flex-1";
  no.textContent = document.documentElement.lang === "ru" ? "Отмена" : "Cancel";
  no.autofocus = true;
  const yes = document.createElement("button");
  yes.className = "btn btn-danger flex-1";
  yes.textContent = label;
  no.onclick = () => dialog.close();
  yes.onclick = () => { dialog.close(); then(); };
  dialog.onclose = () => dialog.remove();
  row.append(no, yes);
  dialog.append(words, row);
  document.body.append(dialog);
  dialog.showModal();
}

// "Why?": the page behind the link, shown as a slip.
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[data-slip]");
  if (!link || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  try {
    const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const dialog = document.createElement("dialog");
    dialog.className = "slip";
    const html = new DOMParser().parseFromString(await answer.text(), "text/html");
    const close = document.createElement("button");
    close.className = "btn btn-ghost btn-sm";
    close.textContent = document.documentElement.lang === "ru" ? "Закрыть" : "Close";
    close.onclick = () => dialog.close();
    dialog.append(close, ...html.body.childNodes);
    const heading = dialog.querySelector("h1, h2");
    if (heading) { heading.id ||= "slip-title"; dialog.setAttribute("aria-labelledby", heading.id); }
    dialog.onclose = () => { dialog.remove(); link.focus(); };
    dialog.onclick = (e) => { if (e.target === dialog) dialog.close(); };
    document.body.append(dialog);
    dialog.showModal();
  } catch { location.href = link.href; }
});

// Toasts leave after 8 s, never while the pointer or the focus is on them.
function leave(toast) { if (toast.matches(":hover, :focus-within")) setTimeout(leave, 3000, toast); else toast.remove(); }
new MutationObserver(() => document.querySelectorAll("[data-toast]:not([data-timed])").forEach((t) => { t.dataset.timed = "1"; setTimeout(leave, 8000, t); }))
  .observe(document.getElementById("toasts"), { childList: true });
document.querySelectorAll("[data-toast]").forEach((t) => setTimeout(leave, 8000, t));

// Copy a secret or a code that stands on the page.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  button.setAttribute("aria-label", button.textContent = document.documentElement.lang === "ru" ? "Скопировано" : "Copied");
});

// What changes by itself is asked again while the page is visible: [data-poll="20"] hx-get on the element does the rest.
setInterval(() => {
  if (document.visibilityState !== "visible") return;
  document.querySelectorAll("[data-poll]").forEach((element) => {
    const every = Number(element.dataset.poll) * 1000;
    if (Date.now() - Number(element.dataset.polled || performance.timeOrigin) >= every) {
      element.dataset.polled = String(Date.now());
      element.dispatchEvent(new CustomEvent("poll"));
    }
  });
}, 1000);

// The till's keypad writes into the field that it names.
document.addEventListener("click", (event) => {
  const key = event.target.closest?.("[data-key]");
  if (!key) return;
  const field = document.getElementById(key.closest("[data-keypad]").dataset.keypad);
  field.value = key.dataset.key === "back" ? field.value.slice(0, -1) : field.value + key.dataset.key;
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

// A camera reads the card's QR; a keyboard-wedge scanner types into the focused field by itself.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-scan]");
  if (!button) return;
  const { scan } = await import(button.dataset.scan);
  const text = await scan(button);
  if (!text) return;
  const field = document.getElementById(button.dataset.into);
  field.value = text;
  field.form.requestSubmit();
});

if ("serviceWorker" in navigator && document.documentElement.dataset.room === "member") navigator.serviceWorker.register("/sw.js").catch(() => {});
