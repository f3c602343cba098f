// Keeps the parts of a page that are marked data-live="TOPIC ..." as they are on the server: asks for the page again
// when one of their topics changes, or for data-from="ADDRESS" alone, and puts the new part in the place of the old one.
// A part has an id.
"use strict";
(function () {
  const parts = () => [...document.querySelectorAll("[data-live]")];
  if (!parts().length) return;
  const queue = new Set(); // addresses that are to be asked for
  let asking = false;

  const addressOf = (part) => new URL(part.dataset.from ?? location.href, location.href).href;
  const concerns = (part, topics) => part.dataset.live.split(" ").some((topic) => topics.includes(topic));

  async function refresh(topics) {
    for (const part of parts()) if (!topics || concerns(part, topics)) queue.add(addressOf(part));
    if (asking) return;
    asking = true;
    while (queue.size) {
      const [address] = queue;
      queue.delete(address);
      await ask(address);
    }
    asking = false;
  }

  async function ask(address) {
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (answer.ok) exchange(new DOMParser().parseFromString(await answer.text(), "text/html"), address);
    } catch { /* the server has ended, or begins again; the stream of events says when it is back */ }
  }

  function exchange(page, address) {
    const charts = page.getElementById("charts");
    for (const old of parts()) {
      const made = addressOf(old) === address ? page.getElementById(old.id) : null;
      if (!made || made.innerHTML === old.innerHTML) continue;
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      const checked = [...old.querySelectorAll("input:checked")].map((one) => one.value);
      const open = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
      old.replaceChildren(...made.childNodes);
      for (const box of old.querySelectorAll("input[type=checkbox]")) box.checked = checked.includes(box.value);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      if (focused) twin(focused, old)?.focus();
    }
    const place = document.getElementById("charts");
    if (charts && !place) location.reload(); // the first chart of this page
    if (charts && place && charts.textContent !== place.textContent) {
      place.textContent = charts.textContent;
      document.dispatchEvent(new Event("charts"));
    }
  }

  // The element of the new part that stands for one of the old part.
  function twin(focused, part) {
    if (focused.id) return document.getElementById(focused.id);
    return [...part.querySelectorAll("a")].find((link) => link.href === focused.href);
  }

  document.addEventListener("refresh", () => refresh());
  const source = new EventSource("/events");
  let lost = false, unsure = true;
  source.addEventListener("change", (event) => {
    refresh(JSON.parse(event.data));
  });
  source.addEventListener("error", () => { lost = unsure = true; document.body.dataset.lost = ""; });
  source.addEventListener("quiet", () => {
    delete document.body.dataset.lost;
    // from now on no change is missed; what runs may have moved since this page was made
    if (lost || (unsure && document.querySelector(".badge.running"))) refresh();
    lost = unsure = false;
  });
})();
