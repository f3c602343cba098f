// Keys and filters of a table of decisions: j and k move between rows, Enter opens one, n and p turn the page,
// / goes to the search. A filter acts when it is chosen.
"use strict";
(function () {
  const links = () => [...document.querySelectorAll("table.listing tbody th a")];

  function move(step) {
    const all = links(), at = all.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
    all[next]?.focus();
  }

  const keys = {
    j: () => move(1),
    k: () => move(-1),
    n: () => document.querySelector("a[rel=next]")?.click(),
    p: () => document.querySelector("a[rel=prev]")?.click(),
    "/": () => document.getElementById("text")?.focus(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const chosen of document.querySelectorAll("form.filters select")) {
    chosen.addEventListener("change", () => chosen.form.requestSubmit());
  }
  for (const form of document.querySelectorAll("form.filters")) {
    form.addEventListener("formdata", (event) => {
      for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
    });
  }
})();
