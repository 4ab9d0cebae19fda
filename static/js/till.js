// The till without aiming: digits typed while nothing has the focus go into the bill; Escape is "another member".
const bill = document.getElementById("amount");

document.addEventListener("keydown", (event) => {
  if (!bill || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") { document.querySelector(".till-foot a")?.click(); return; }
  if (event.target === document.body && /^[0-9.,]$/.test(event.key)) bill.focus();
});
