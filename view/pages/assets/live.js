// Keeps the parts of a page that are marked data-live="TOPIC ..." as they are on the server: asks for the page again
// when one of their topics changes, and puts the new part in the place of the old one. A part has an id.
"use strict";
(function () {
  const parts = () => [...document.querySelectorAll("[data-live]")];
  if (!parts().length) return;
  let asked = false, again = false;

  async function refresh() {
    if (asked) { again = true; return; }
    asked = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) exchange(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { /* the server has ended, or begins again; the stream of events says when it is back */ }
    asked = false;
    if (again) { again = false; refresh(); }
  }

  function exchange(page) {
    const charts = page.getElementById("charts");
    for (const old of parts()) {
      const made = page.getElementById(old.id);
      if (!made || made.innerHTML === old.innerHTML) continue;
      const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
      const checked = [...old.querySelectorAll("input:checked")].map((one) => one.value);
      const open = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
      old.replaceChildren(...made.childNodes);
      for (const box of old.querySelectorAll("input[type=checkbox]")) box.checked = checked.includes(box.value);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      if (focused) document.getElementById(focused)?.focus();
    }
    const place = document.getElementById("charts");
    if (charts && !place) location.reload(); // the first chart of this page
    if (charts && place && charts.textContent !== place.textContent) {
      place.textContent = charts.textContent;
      document.dispatchEvent(new Event("charts"));
    }
  }

  document.addEventListener("refresh", refresh);
  const source = new EventSource("/events");
  let lost = false, waiting = true;
  source.addEventListener("change", (event) => {
    const topics = JSON.parse(event.data);
    if (parts().some((part) => part.dataset.live.split(" ").some((topic) => topics.includes(topic)))) refresh();
  });
  source.addEventListener("error", () => { lost = waiting = true; document.body.dataset.lost = ""; });
  source.addEventListener("quiet", () => {
    delete document.body.dataset.lost;
    // from now on no change is missed; what runs may have moved since this page was made
    if (lost || (waiting && document.querySelector(".badge.running"))) refresh();
    lost = waiting = false;
  });
})();
