// Forms of the shelf and of the cart without leaving the place: what they change is put into the page, and said aloud.
// Without it, and where anything goes wrong, the browser sends them by itself. Each may be sent twice.
"use strict";

(() => {
  const live = document.getElementById("live");
  const underWay = new Set();           // forms that were pressed, by their buttons
  let queue = Promise.resolve();        // one at a time: each answer shows the whole cart

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.keeps || form.dataset.plain) return;
    event.preventDefault();
    const name = event.submitter?.id || form.action;
    if (underWay.has(name)) return;     // pressed twice is pressed once
    underWay.add(name);
    queue = queue.then(() => work(form, event.submitter)).finally(() => underWay.delete(name));
  });

  // What was pressed may have been replaced by the answer to another form meanwhile.
  async function work(form, pressed) {
    const button = (pressed?.id && document.getElementById(pressed.id)) || pressed;
    const current = button?.form ?? form;
    if (!current.isConnected) return;
    try {
      await send(current, button);
    } catch {
      current.dataset.plain = "yes";
      current.requestSubmit(button);
    }
  }

  async function send(form, button) {
    const fields = new URLSearchParams(new FormData(form));
    if (button?.name) fields.set(button.name, button.value);
    const answer = await fetch(form.action, {
      method: "POST",
      body: fields,
      headers: { "Accept": "text/html" },
      credentials: "same-origin",
      signal: AbortSignal.timeout(8000),
    });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const kept = page.getElementById(form.dataset.keeps);
    if (!answer.ok || !kept) throw new Error(answer.statusText);
    const focused = document.activeElement?.id;
    const typed = typedBeside(form);
    document.getElementById(form.dataset.keeps).replaceWith(document.adoptNode(kept));
    const menu = page.querySelector(".masthead nav");
    if (menu) document.querySelector(".masthead nav").replaceWith(document.adoptNode(menu));
    for (const [id, value] of typed) {
      const field = document.getElementById(id);
      if (field) field.value = value;
    }
    focusAgain(focused, form);
    announce(kept, form.dataset.line);
  }

  // What somebody typed into other lines and did not send yet.
  function typedBeside(form) {
    const fields = document.querySelectorAll("[data-keeps] input[type=number]");
    return Array.from(fields).filter((field) => field.form !== form && field.value !== field.defaultValue)
      .map((field) => [field.id, field.value]);
  }

  // Where it was, or what is nearest to it: a button that is gone or may not be pressed any more takes no focus.
  function focusAgain(id, form) {
    const line = document.getElementById(form.dataset.line ?? form.dataset.keeps);
    const found = id && document.getElementById(id);
    const next = found && !found.disabled ? found : line?.querySelector("input:not([type=hidden])");
    (next ?? document.getElementById("main")).focus({ preventScroll: true });
  }

  function announce(kept, line) {
    const texts = [];
    if (line) texts.push(document.getElementById(line)?.dataset.announce ?? "Removed.");
    texts.push(kept.dataset.announce ?? "");
    live.textContent = texts.join(" ").trim();
  }
})();
