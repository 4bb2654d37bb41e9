// The form that asks for checks once more (data-recheck: where to). The token goes out with the one request and is
// kept nowhere. Without this script the form is hidden, and the page names the command.

for (const form of document.querySelectorAll("form[data-recheck]")) {
  const said = form.querySelector("output");
  const button = form.querySelector("button");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = new FormData(form);
    button.disabled = true;
    said.textContent = "asking…";
    try {
      const answer = await fetch(form.dataset.recheck, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${values.get("token")}` },
        body: JSON.stringify({ checks: values.getAll("check"), why: values.get("why") }),
      });
      const body = await answer.json().catch(() => ({}));
      said.textContent = answer.ok ? "asked for; it is planned within seconds" : body.detail || body.title || `${answer.status}`;
      if (answer.ok) form.reset();
    } catch {
      said.textContent = "no answer; try again";
    }
    button.disabled = false;
  });
}
