// Reads one QR code with the camera: by the browser's own detector, else by jsQR. Resolves with its text, or null.
export async function scan(button, words) {
  const dialog = document.createElement("dialog");
  dialog.className = "ask";
  const video = document.createElement("video");
  video.playsInline = true;
  video.muted = true;
  video.className = "camera";
  const close = document.createElement("button");
  close.className = "btn btn-quiet";
  close.textContent = words.cancel;
  close.onclick = () => dialog.close();
  dialog.setAttribute("aria-label", button.textContent.trim());
  dialog.append(video, close);
  document.body.append(dialog);
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    dialog.remove();
    document.getElementById(button.dataset.into).focus();
    return null;
  }
  video.srcObject = stream;
  dialog.showModal();
  await video.play();
  const read = await reader(button.dataset.decoder);
  return new Promise((resolve) => {
    let text = null;
    dialog.onclose = () => { stream.getTracks().forEach((track) => track.stop()); dialog.remove(); resolve(text); };
    const look = async () => {
      if (!dialog.open) return;
      text = await read(video).catch(() => null);
      if (text) dialog.close(); else setTimeout(look, 120);
    };
    look();
  });
}

async function reader(decoder) {
  if ("BarcodeDetector" in window) {
    const detector = new BarcodeDetector({ formats: ["qr_code", "code_128", "ean_13"] });
    return async (video) => (await detector.detect(video))[0]?.rawValue ?? null;
  }
  if (!window.jsQR) {
    await new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = decoder;
      script.nonce = document.querySelector("script[nonce]")?.nonce;
      script.onload = done;
      script.onerror = failed;
      document.head.append(script);
    });
  }
  const canvas = document.createElement("canvas");
  return async (video) => {
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0);
    const image = context.getImageData(0, 0, canvas.width, canvas.height);
    return window.jsQR(image.data, image.width, image.height)?.data ?? null;
  };
}
