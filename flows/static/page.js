// Keeps the page fresh without reloading it: what a person opened, selected or focused stays as it is.
"use strict";
(() => {
  const page = document.documentElement;
  const pause = () => document.getElementById("pause");
  let paused = false;
  let timer = 0;
  let skipped = 0;
  page.classList.add("js");

  const wait = () => {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(refresh, 1000 * Number(document.body.dataset.refresh));
  };

  const busy = () => {
    const selection = getSelection();
    return selection && !selection.isCollapsed && document.querySelector("main").contains(selection.anchorNode);
  };

  // Open what was open and close what was closed, by id; a new release starts as the server says.
  const keep = (old, fresh) => {
    for (const each of old.querySelectorAll("details[id]")) {
      const twin = fresh.getElementById(each.id);
      if (twin) twin.open = each.open;
    }
  };

  const late = (isLate) => {
    document.querySelector(".asof")?.classList.toggle("late", isLate);
  };

  const replace = (fresh) => {
    const old = document.querySelector("main");
    const main = fresh.querySelector("main");
    const focused = old.contains(document.activeElement) && document.activeElement.closest("[id]");
    const said = old.querySelector("#verdict-title").textContent;
    const says = main.querySelector("#verdict-title").textContent;
    keep(old, fresh);
    old.replaceWith(main);
    document.querySelector(".asof > span").replaceWith(fresh.querySelector(".asof > span"));
    if (said !== says) document.getElementById("announce").textContent = says;
    if (focused) document.getElementById(focused.id)?.querySelector("summary, button, a")?.focus({ preventScroll: true });
    document.title = fresh.title;
    document.body.dataset.refresh = fresh.body.dataset.refresh;
  };

  async function refresh() {
    if (busy() && skipped++ < 10) return wait();
    skipped = 0;
    try {
      const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(15000) });
      if (!answer.ok) throw new Error(answer.statusText);
      if (!document.querySelector("header")) return location.reload(); // we were the page that says it cannot say
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      late(false);
    } catch {
      late(true); // what was known last stays in view
    }
    wait();
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button === pause()) {
      paused = !paused;
      button.setAttribute("aria-pressed", String(paused));
      button.textContent = paused ? "Resume updates" : "Pause updates";
      if (paused) clearTimeout(timer);
      else refresh();
    } else if (button.classList.contains("copy")) {
      const line = button.closest(".command").querySelector("code");
      try {
        await navigator.clipboard.writeText(line.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(line);
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    }
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : paused || refresh()));
  wait();
})();
