// RL DATA: keys and votes. A vote is sent by the form of its row; the row then comes anew from the server.
"use strict";
(function () {
  const VOTES = { a: "up", f: "flip", d: "drop", u: "clear" };
  const SAID = { up: "accepted", flip: "flipped", drop: "dropped", clear: "votes taken back" };
  const cards = () => [...document.querySelectorAll(".card")];
  const said = document.getElementById("said");
  let current = null; // the id of the row that the keys act on

  function choose(card, scroll = true) {
    if (!card) return;
    for (const other of cards()) other.classList.toggle("current", other === card);
    current = card.id;
    card.focus({ preventScroll: true });
    if (scroll) card.scrollIntoView({ block: "start" });
  }

  function step(by) {
    const all = cards(), at = all.findIndex((card) => card.id === current);
    const next = all[at < 0 ? 0 : at + by];
    if (next) choose(next);
    else turn(by > 0 ? "next" : "prev", by > 0 ? "first" : "last");
  }

  function turn(way, place) {
    const link = document.querySelector(`.pages a[rel=${way}]`);
    if (link) location.href = `${link.href}#${place}`;
  }

  async function vote(form, choice) {
    const body = new URLSearchParams(new FormData(form));
    body.set("choice", choice);
    const row = form.elements.row.value;
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
      const told = await answer.json();
      said.textContent = answer.ok ? `Row ${row}: ${SAID[choice]}.` : `Row ${row}: ${told.error}.`;
      said.classList.toggle("failed", !answer.ok);
    } catch {
      said.textContent = "The server does not answer, so the vote is not recorded; start nightlane view again.";
      said.classList.add("failed");
    }
    document.dispatchEvent(new Event("refresh"));
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".votes")) return;
    event.preventDefault();
    choose(event.target.closest(".card"), false);
    vote(event.target, event.submitter.value);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const key = event.key.toLowerCase();
    if (key === "j") step(1);
    else if (key === "k") step(-1);
    else if (key === "n") turn("next", "first");
    else if (key === "p") turn("prev", "first");
    else if (key === "/") document.querySelector("#filters [type=search]")?.focus();
    else if (key === "enter" && event.target.matches("body, .card")) document.querySelector(".card.current .permalink")?.click();
    else if (VOTES[key]) {
      const card = document.querySelector(".card.current") ?? cards()[0];
      const button = card?.querySelector(`.votes button[value=${VOTES[key]}]`);
      if (!button) return;
      choose(card, false);
      vote(button.form, VOTES[key]);
    } else return;
    event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const card = event.target.closest(".card");
    if (card && !event.target.closest("a, button, summary")) choose(card, false);
  });

  document.getElementById("filters")?.addEventListener("submit", (event) => {
    for (const field of event.target.elements) field.disabled = field.value === ""; // short addresses
  });
  window.addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("#filters :disabled")) field.disabled = false;
  });
  if (location.hash === "#last") choose(cards().at(-1));
  else choose(cards()[0], false);
})();
