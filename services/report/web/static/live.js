// Keeps a page fresh. The body says which events concern it (data-live, "*" for all; data-subject for those that name
// one of these things only); when one comes, the page is fetched again and its parts (data-part, by id) are put in
// place of the old ones. data-every are seconds after which it is fetched anyhow; the fetched page says whether and
// when again. Without this script every page works, it only doesn't move.

const body = document.body;
const kinds = body.dataset.live;
const subjects = (body.dataset.subject || "").split(" ").filter(Boolean);
const WAIT = 250;
// A run tells of progress once a second at most: what came in the same second is fetched after it.
const AFTER = 1100;

let every = Number(body.dataset.every || 0) * 1000;
let clock = 0;
let after = 0;
let due = 0;
let busy = false;
let again = false;

function keepOpen(old, fresh) {
  for (const was of old.querySelectorAll("details[id]")) {
    const now = fresh.querySelector(`#${CSS.escape(was.id)}`);
    if (now) now.open = was.open;
  }
}

function replace(fresh) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const next = fresh.getElementById(part.id);
    if (!next || next.innerHTML === part.innerHTML) continue;
    if (part.contains(document.activeElement) && document.activeElement.matches("input, select")) continue;
    keepOpen(part, next);
    const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    part.replaceChildren(...document.adoptNode(next).childNodes);
    part.querySelectorAll(".scroll").forEach((box, i) => { box.scrollLeft = scrolled[i] || 0; });
    document.dispatchEvent(new Event("netci:replaced"));
  }
}

async function refresh() {
  due = 0;
  if (busy) { again = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      replace(fresh);
      every = Number(fresh.body.dataset.every || 0) * 1000;
    }
  } catch { /* the stream says when we are back */ }
  busy = false;
  wind();
  if (again) { again = false; soon(); }
}

function soon() {
  // A little chance, so that a thousand open pages don't ask in the same instant.
  if (!due) due = setTimeout(refresh, WAIT + Math.random() * WAIT);
}

function wind() {
  clearTimeout(clock);
  if (every) clock = setTimeout(() => (document.hidden ? wind() : soon()), every);
}

function follow() {
  const query = kinds === "*" ? "" : `?type=${kinds}`;
  const stream = new EventSource(`/api/v1/events/stream${query}`);
  const pulse = document.getElementById("pulse");
  const heard = (event) => {
    if (subjects.length && event.data && !subjects.some((one) => event.data.includes(`"${one}"`))) return;
    soon();
    clearTimeout(after);
    after = setTimeout(soon, AFTER);
  };
  stream.addEventListener("open", () => { pulse.textContent = "live"; pulse.className = "pulse on"; pulse.hidden = false; });
  stream.addEventListener("error", () => { pulse.textContent = "offline"; pulse.className = "pulse off"; });
  stream.addEventListener("gap", soon);
  const types = kinds === "*"
    ? ["series.arrived", "series.changed", "series.applied", "series.refused", "tree.moved", "check.done",
       "branch.cut", "run.started", "run.progress", "run.done", "verdict.changed"]
    : kinds.split(",");
  for (const kind of types) stream.addEventListener(`dev.netci.${kind}.v1`, heard);
  addEventListener("pagehide", () => stream.close());
}

if (kinds) {
  follow();
  addEventListener("pageshow", (event) => { if (event.persisted) { follow(); soon(); } });
}
wind();
