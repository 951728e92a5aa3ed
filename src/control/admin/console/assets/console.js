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

/** Counts down to each time that is shown so. */
function countDown() {
  for (const part of document.querySelectorAll("[data-until]")) {
    const left = Math.ceil((Date.parse(part.dataset.until) - Date.now()) / 1_000);
    const time = part.querySelector("time");
    if (time && left < 120) time.textContent = left > 0 ? `in ${left} s` : "now";
  }
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

/** Every line of a stream, as it comes. */
async function* lines(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const parts = (rest + (value ?? "")).split("\n");
    rest = done ? "" : parts.pop();
    yield* parts;
    if (done) return;
  }
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends a chat, and shows what comes of it while it comes. What was said, and the token, stay in this page. */
function chats(form) {
  const log = document.getElementById("chat");
  const button = form.querySelector("button[type=submit]");
  const turns = [];
  let under = null;

  const add = (to, tag, kind, text = "") => {
    const part = document.createElement(tag);
    part.className = kind;
    part.textContent = text;
    to.append(part);
    return part;
  };

  async function answered(body, said, about, began) {
    let head = null;
    let whole = "";
    for await (const line of lines(body)) {
      if (head === null) {
        head = JSON.parse(line);
        began(head);
        const headers = head.headers.map(([name, value]) => `${name}: ${value}`);
        about.textContent = [`Status ${head.status}`, ...headers].join("\n");
      } else if (head.status !== 200) {
        whole += line;
      } else if (line.startsWith("data: ") && line !== "data: [DONE]") {
        const event = JSON.parse(line.slice(6));
        said.textContent += event.choices?.[0]?.delta?.content ?? "";
        if (event.error) throw new Error(event.error.message);
        if (event.usage) about.textContent += `\n${event.usage.prompt_tokens} tokens in, ${event.usage.completion_tokens} out`;
      }
    }
    if (head.status !== 200) throw new Error(JSON.parse(whole).error.message);
  }

  /** The request's attempts and its cost, once they are stored. */
  async function attempts(head, turn) {
    const id = head.headers.find(([name]) => name === "x-request-id")?.[1];
    if (!id) return;
    const target = new URL(form.dataset.request, location.href);
    target.pathname += encodeURIComponent(id);
    for (let tries = 0; tries < 8; tries++) {
      await wait(500);
      const answer = await fetch(target);
      if (!answer.ok) continue;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      return turn.append(...page.getElementById("attempts").childNodes);
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (under) return under.abort();
    under = new AbortController();
    button.textContent = "Stop";
    const fields = new URLSearchParams(new FormData(form));
    fields.set("history", JSON.stringify(turns));
    const asked = fields.get("prompt");
    const turn = add(log, "section", "turn");
    add(turn, "p", "asked", asked);
    const said = add(turn, "p", "said");
    const about = add(turn, "pre", "about", "Waiting …");
    about.tabIndex = 0;
    let head = null;
    try {
      const answer = await fetch(form.dataset.chat, { method: "POST", body: fields, signal: under.signal });
      if (answer.headers.get("content-type") !== "application/octet-stream") {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const faults = [...page.querySelectorAll(".fault")].map((one) => one.textContent);
        throw new Error(faults.join(" ") || `The console answers ${answer.status}.`);
      }
      await answered(answer.body, said, about, (found) => (head = found));
      turns.push({ role: "user", content: asked }, { role: "assistant", content: said.textContent });
      form.elements.prompt.value = "";
    } catch (error) {
      add(turn, "p", "fault", error.name === "AbortError" ? "Stopped." : error.message).setAttribute("role", "alert");
    }
    under = null;
    button.textContent = "Send";
    if (head) await attempts(head, turn).catch(() => {});
  });
}

document.querySelectorAll("form[data-chat]").forEach(chats);
document.querySelectorAll("[data-live]").forEach(live);
if (document.querySelector("[data-until], [data-live]")) setInterval(countDown, 1_000);
document.querySelectorAll("button[data-copy]").forEach(copies);
