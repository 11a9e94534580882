// Watches a payment: asks for news with ever longer pauses, and shows them. Without it the page reloads itself.
"use strict";

(() => {
  const PAUSES = [1, 1, 2, 3, 5];      // seconds; the last one from then on
  const LAST_LOOKS = [1, 3];           // after the end, for a word that comes right behind it

  const news = document.getElementById("news");
  const watch = document.getElementById("watch");
  let etag = news.dataset.etag;
  let message = payment().message;
  let looks = 0;
  let last = 0;
  let lost = false;
  let timer = 0;

  function payment() {
    return news.querySelector(".payment").dataset;
  }

  // The one place that is read out: only what is new is ever put there.
  function announce(text) {
    if (watch.textContent !== text) watch.textContent = text;
  }

  function pause() {
    if (payment().final === "yes") return LAST_LOOKS[last++];
    return PAUSES[Math.min(looks++, PAUSES.length - 1)];
  }

  function next() {
    clearTimeout(timer);
    if (document.hidden) return;       // begins again when somebody looks
    const seconds = pause();
    if (seconds === undefined) return; // settled: nothing more is expected
    timer = setTimeout(look, seconds * 1000);
  }

  async function look() {
    try {
      const answer = await fetch(news.dataset.from, {
        headers: { "If-None-Match": etag, "Accept": "text/html" },
        cache: "no-store",
        credentials: "same-origin",
        signal: AbortSignal.timeout(8000),
      });
      if (answer.status === 200) {
        etag = answer.headers.get("ETag");
        show(await answer.text());
      } else if (answer.status !== 304) {
        throw new Error(answer.statusText);
      }
      if (lost) trouble(false, "Connected again. " + payment().message);
    } catch {
      if (!lost) trouble(true, "The shop does not answer right now. Nothing is lost; this page goes on trying.");
    }
    next();
  }

  function trouble(began, text) {
    lost = began;
    watch.classList.toggle("trouble", began);
    announce(text);
  }

  function show(content) {
    const known = new Set(keys());
    const focused = news.contains(document.activeElement) ? document.activeElement.id : "";
    news.innerHTML = content;
    for (const entry of news.querySelectorAll("[data-key]")) {
      if (!known.has(entry.dataset.key)) entry.classList.add("new");
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    document.title = payment().title;
    if (payment().message !== message) {
      message = payment().message;
      looks = 0;
      announce(message);
    }
  }

  function keys() {
    return Array.from(news.querySelectorAll("[data-key]"), (entry) => entry.dataset.key);
  }

  function now() {
    clearTimeout(timer);
    looks = 0;
    last = 0;
    look();
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : now()));
  addEventListener("pageshow", (event) => event.persisted && now());
  addEventListener("online", now);
  next();
})();
