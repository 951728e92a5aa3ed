// What is live on a page. Everything can be read, and done, without it.

/** How long to wait after failures, at most (ms). */
const LONGEST = 60_000;
/** How long an answer may take (ms). */
const PATIENCE = 10_000;

/** Asks for the page again and again, and takes the part with this id out of it. */
function live(part) {
  const every = Number(part.dataset.live);
  let wait = every;
  let timer;
  let paused = false;

  const line = document.createElement("p");
  line.className = "live";
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  const button = document.createElement("button");
  button.type = "button";
  line.append(said, " ", button);
  part.before(line);

  const say = (state, text) => {
    line.dataset.state = state;
    if (said.textContent !== text) said.textContent = text;
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  };
  // Whoever reads or uses a row keeps it.
  const isUsed = () =>
    part.contains(document.activeElement) || (getSelection()?.isCollapsed === false && getSelection().containsNode(part, true));

  async function ask() {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(location.href, {
        headers: { "x-console-live": "1" },
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (answer.status === 401) {
        button.hidden = true;
        return say("ended", "Your session has ended: load the page again to sign in.");
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(part.id);
      wait = every;
      if (isUsed()) {
        say("on", "Live; not renewed while it is in use.");
      } else {
        if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
        say("on", "Live.");
      }
    } catch {
      wait = Math.min(wait * 2, LONGEST);
      say("lost", `The connection is lost. Next try in ${Math.round(wait / 1000)} s.`);
    }
    later();
  }

  const show = () => {
    button.textContent = paused ? "Go on" : "Pause";
    if (paused) say("paused", "Paused.");
  };
  button.addEventListener("click", () => {
    paused = !paused;
    show();
    wait = every;
    if (!paused) ask();
  });
  document.addEventListener("visibilitychange", ask);
  addEventListener("online", ask);
  show();
  say("on", "Live.");
  later();
}

/** Copies the text of the element that the button names. */
function copies(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it and copy it by hand";
    }
  });
}

document.querySelectorAll("[data-live]").forEach(live);
document.querySelectorAll("button[data-copy]").forEach(copies);
