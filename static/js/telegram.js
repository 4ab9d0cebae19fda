// Telegram gives its word behind the #, which no server sees: it is put into the form and sent. In a frame of Telegram's web
// page no cookie would hold, so there the links below open a page of their own.
const form = document.querySelector("form[data-telegram]");
const word = form && new URLSearchParams(location.hash.slice(1)).get(form.dataset.telegram);
if (word && window.top === window) {
  history.replaceState(null, "", location.pathname + location.search);
  form.querySelector("[data-telegram-waits]").hidden = false;
  form.querySelector("[data-telegram-nothing]").hidden = true;
  form.elements.result.value = word;
  form.submit();
}
