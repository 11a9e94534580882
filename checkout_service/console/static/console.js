// Looks again by itself where the page says so: the same address, asked for again, its live part put in the place of
// the old one. Without this script the browser reloads the whole page instead.
(function () {
  "use strict";

  const pause = (seconds) => new Promise((go) => setTimeout(go, seconds * 1000));

  // While nobody looks there is nothing to look for.
  const seen = () => document.hidden
    ? new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }))
    : Promise.resolve();

  async function fetchPage() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) throw new Error("answered " + answer.status);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  // The status line stays the same element, so that a screen reader says what changed in it and nothing else.
  function putInPlace(live, fresh) {
    const old = live.querySelector("#news");
    const news = fresh.querySelector("#news");
    if (old && news) {
      if (old.innerHTML !== news.innerHTML) old.replaceChildren(...news.childNodes);
      news.replaceWith(old);
    }
    const open = [...live.querySelectorAll("details")].map((details) => details.open);
    fresh.querySelectorAll("details").forEach((details, place) => { details.open = Boolean(open[place]); });
    live.replaceChildren(...fresh.childNodes);
  }

  // Nobody's keyboard is taken away: while something inside has the focus, or is written in, the page waits.
  function inUse(live) {
    return live.contains(document.activeElement)
      || [...live.querySelectorAll("textarea")].some((field) => field.value !== "");
  }

  async function lookAgain() {
    const live = document.getElementById("live");
    let failures = 0;
    while (live && live.dataset.again) {
      await pause(Number(live.dataset.again) * Math.min(2 ** failures, 16));
      await seen();
      if (inUse(live)) continue;
      try {
        const page = await fetchPage();
        const fresh = page.getElementById("live");
        if (inUse(live) || !fresh) continue;
        putInPlace(live, fresh);
        document.title = page.title;
        if (fresh.dataset.again) live.dataset.again = fresh.dataset.again;
        else delete live.dataset.again;
        failures = 0;
      } catch (error) {
        failures += 1;
      }
    }
  }

  // One click is one command; the key in the form sees to it without this, too.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });

  lookAgain();
})();
