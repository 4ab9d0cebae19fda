// Passkeys: a form marked data-passkey="get" or "create" asks the server what to sign, the device signs, the form is sent.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const known = (list = []) => list.map((one) => ({ ...one, id: bytes(one.id) }));

async function signed(form) {
  const asked = new FormData();
  asked.set("purpose", form.dataset.purpose);
  asked.set("csrf_token", form.elements.csrf_token.value);
  const name = form.dataset.name && document.querySelector(form.dataset.name)?.value;
  if (name) asked.set("email", name);
  const answer = await fetch(form.dataset.options, { method: "POST", body: asked });
  if (!answer.ok) throw new Error(String(answer.status));
  const options = await answer.json();
  options.challenge = bytes(options.challenge);
  if (form.dataset.passkey === "create") {
    options.user.id = bytes(options.user.id);
    options.excludeCredentials = known(options.excludeCredentials);
    const made = await navigator.credentials.create({ publicKey: options });
    return packed(made, {
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    });
  }
  options.allowCredentials = known(options.allowCredentials);
  const used = await navigator.credentials.get({ publicKey: options });
  return packed(used, {
    authenticatorData: text(used.response.authenticatorData),
    signature: text(used.response.signature),
    userHandle: used.response.userHandle && text(used.response.userHandle),
  });
}
const packed = (key, response) => JSON.stringify({
  id: key.id, rawId: text(key.rawId), type: key.type,
  authenticatorAttachment: key.authenticatorAttachment,
  clientExtensionResults: key.getClientExtensionResults(),
  response: { clientDataJSON: text(key.response.clientDataJSON), ...response },
});

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-passkey]");
  if (!form || form.elements.credential.value) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const trouble = form.querySelector("[data-passkey-error]");
  trouble.hidden = true;
  try {
    form.elements.credential.value = await signed(form);
    form.submit();
  } catch {
    trouble.textContent = form.dataset.failed;
    trouble.hidden = false;
  }
}, true);
