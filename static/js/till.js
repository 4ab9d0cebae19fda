// The till without aiming: what is typed, or read by a keyboard-wedge scanner, goes into the field of the page even when
// the focus has wandered; on the bill, Escape is "another member".
const field = document.getElementById("q") || document.getElementById("amount");

function busy(element) {
  return element && (element.isContentEditable || /^(INPUT|SELECT|TEXTAREA|BUTTON|A|SUMMARY)$/.test(element.tagName));
}

document.addEventListener("keydown", (event) => {
  if (!field || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && field.id === "amount") {
    document.querySelector("footer a")?.click();
    return;
  }
  if (busy(document.activeElement) || event.key.length !== 1) return;
  field.focus();
});

// A field that had the focus at first sight keeps its text selected, so that the next scan replaces it.
field?.addEventListener("focus", () => field.select());
if (field && document.activeElement === field) field.select();
