// Watches a payment: the shop answers when there are news, and is asked again. Where it does not keep the question
// waiting, the page asks with ever longer pauses. Without this script it reloads itself.
"use strict";

(() => {
  const WAIT = 20;                     // seconds for which the shop may keep a question
  const KEPT = WAIT - 2;               // seconds after which it kept the question, and was not just slow
  const AGAIN = 0.2;                   // seconds from an answer that was kept to the next question
  const PAUSES = [1, 1, 2, 3, 5];      // seconds, where it does not keep them; the last one from then on
  const LAST_LOOKS = [1, 3];           // after the end, for a word that comes right behind it

  const news = document.getElementById("news");
  const watch = document.getElementById("watch");
  let etag = news.dataset.etag;
  let shown = null;                    // what came last
  let message = payment().message;
  let looks = 0;
  let last = 0;
  let lost = false;
  let kept = true;                     // until an answer tells otherwise
  let timer = 0;
  let asking = null;

  function payment() {
    return news.querySelector(".payment").dataset;
  }

  // The one place that is read out: only what is new is ever put there.
  function announce(text) {
    if (watch.textContent !== text) watch.textContent = text;
  }

  function pause() {
    if (payment().final === "yes") return LAST_LOOKS[last++];
    if (kept && !lost) return AGAIN;
    return PAUSES[Math.min(looks++, PAUSES.length - 1)];
  }

  function next() {
    clearTimeout(timer);
    if (document.hidden) return;       // begins again when somebody looks
    const seconds = pause();
    if (seconds === undefined) return; // settled: nothing more is expected
    timer = setTimeout(look, seconds * 1000);
  }

  // Settled payments are not waited for, and who was lost is to hear at once that the shop is back.
  function address() {
    if (lost || payment().final === "yes") return news.dataset.from;
    return news.dataset.from + (news.dataset.from.includes("?") ? "&" : "?") + "wait=" + WAIT;
  }

  async function look() {
    const own = asking = new AbortController();
    const late = setTimeout(() => own.abort(), (WAIT + 8) * 1000);
    const began = performance.now();
    try {
      const answer = await fetch(address(), {
        headers: { "If-None-Match": etag, "Accept": "text/html" },
        cache: "no-store",
        credentials: "same-origin",
        signal: own.signal,
      });
      const seconds = (performance.now() - began) / 1000;
      let changed = false;
      if (answer.status === 200) {
        const content = await answer.text();
        if (own !== asking) return;    // somebody asked anew meanwhile
        etag = answer.headers.get("ETag");
        changed = content !== shown;   // else a proxy spoils ETags, and each answer comes at once
        if (changed) show(content);
        shown = content;
      } else if (answer.status !== 304) {
        throw new Error(answer.statusText);
      }
      kept = changed || seconds >= KEPT;
      if (lost) trouble(false, "Connected again. " + payment().message);
    } catch {
      if (own !== asking) return;
      if (!lost) trouble(true, "The shop does not answer right now. Nothing is lost; this page goes on trying.");
    } finally {
      clearTimeout(late);
    }
    if (own === asking) next();
  }

  // What is under way is for nobody any more.
  function leave() {
    clearTimeout(timer);
    asking?.abort();
    asking = null;
  }

  function trouble(began, text) {
    lost = began;
    watch.classList.toggle("trouble", began);
    announce(text);
  }

  function show(content) {
    const known = new Set(keys());
    const focused = news.contains(document.activeElement) ? document.activeElement.id : "";
    const unfolded = news.querySelector("details")?.open;
    news.innerHTML = content;
    if (unfolded) news.querySelector("details").open = true;
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
    leave();
    looks = 0;
    last = 0;
    look();
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : now()));
  addEventListener("pageshow", (event) => event.persisted && now());
  addEventListener("online", now);
  next();
})();
