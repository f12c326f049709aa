// Follows what happens: parts marked data-live are replaced when the server
// says that something changed. Forms outside of them are never touched, so
// nothing that is being typed is lost.
(() => {
  let busy = false;
  let again = false;
  let first = true;
  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const next = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of document.querySelectorAll("[data-live]")) {
          const fresh = next.getElementById(part.id);
          if (!fresh || fresh.innerHTML === part.dataset.last) continue;
          const before = [...part.querySelectorAll("details")].map((d) => d.open);
          part.dataset.last = fresh.innerHTML;
          part.innerHTML = fresh.innerHTML;
          const after = part.querySelectorAll("details");
          before.forEach((open, i) => {
            if (after[i]) after[i].open = open;
          });
        }
      }
    } catch {
      // The server is gone; the event source tries again.
    }
    busy = false;
    if (again) {
      again = false;
      refresh();
    }
  }
  for (const part of document.querySelectorAll("[data-live]")) part.dataset.last = part.innerHTML;
  const source = new EventSource("/events");
  source.onmessage = () => {
    if (first) first = false;
    else refresh();
  };
  source.onopen = () => {
    if (!first) refresh();
  };
  const choice = document.getElementById("login");
  if (choice) choice.addEventListener("change", () => choice.form.submit());
})();
