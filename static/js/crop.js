// Choosing the square of a picture: drag, zoom, arrow keys. What is sent are three shares; without this the middle is kept.
for (const form of document.querySelectorAll("[data-crop]")) {
  const frame = form.querySelector("[data-crop-frame]"), tools = form.querySelector("[data-crop-tools]");
  const zoom = tools.querySelector("input"), file = form.querySelector("input[type=file]");
  let image, x = 0.5, y = 0.5;
  const show = () => {
    const side = 100 / zoom.value, box = frame.clientWidth, whole = Math.min(image.naturalWidth, image.naturalHeight);
    const scale = box / (whole * side);
    image.style.width = `${image.naturalWidth * scale}px`;
    image.style.height = `${image.naturalHeight * scale}px`;
    image.style.transform = `translate(${-x * (image.naturalWidth * scale - box)}px, ${-y * (image.naturalHeight * scale - box)}px)`;
    for (const [name, value] of Object.entries({ x, y, side })) form.elements[name].value = value.toFixed(4);
  };
  const move = (dx, dy) => {
    const room = (size) => size - frame.clientWidth;
    x = Math.min(1, Math.max(0, x - (room(image.offsetWidth) ? dx / room(image.offsetWidth) : 0)));
    y = Math.min(1, Math.max(0, y - (room(image.offsetHeight) ? dy / room(image.offsetHeight) : 0)));
    show();
  };
  file.addEventListener("change", () => {
    if (!file.files[0]) return;
    image = document.createElement("img");
    image.alt = "";
    image.className = "crop";
    image.onload = () => { x = y = 0.5; zoom.value = 100; show(); };
    image.src = URL.createObjectURL(file.files[0]);
    frame.replaceChildren(image);
    frame.classList.add("portrait-lg");
    frame.tabIndex = 0;
    tools.hidden = false;
    frame.focus();
  });
  zoom.addEventListener("input", () => image && show());
  frame.addEventListener("pointerdown", (event) => { if (image) { event.preventDefault(); frame.setPointerCapture(event.pointerId); } });
  frame.addEventListener("pointermove", (event) => { if (image && frame.hasPointerCapture(event.pointerId)) move(event.movementX, event.movementY); });
  frame.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [8, 0], ArrowRight: [-8, 0], ArrowUp: [0, 8], ArrowDown: [0, -8] }[event.key];
    if (image && step) { event.preventDefault(); move(...step); }
  });
}
