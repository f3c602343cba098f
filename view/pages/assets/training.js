// TRAINING: charts that zoom in step with each other, and charts that are drawn in another way without losing the zoom.
"use strict";
(function () {
  const zoomed = "xaxis.range[0]", shown = "xaxis.autorange";
  let passingOn = false;

  function link(place) {
    if (place.dataset.linked || !place.on) return;
    place.dataset.linked = "";
    place.on("plotly_relayout", async (change) => {
      if (passingOn || !(zoomed in change || shown in change)) return;
      passingOn = true;
      const range = { [zoomed]: change[zoomed], "xaxis.range[1]": change["xaxis.range[1]"] };
      const same = shown in change ? { [shown]: true } : { ...range, [shown]: false };
      const others = plots().filter((other) => other !== place && other.on);
      await Promise.all(others.map((other) => Plotly.relayout(other, same)));
      passingOn = false;
    });
  }

  const plots = () => [...document.querySelectorAll(".curve .plot")];
  const linkAll = () => plots().forEach(link);
  linkAll();
  document.addEventListener("charts", linkAll);

  document.addEventListener("change", (event) => {
    const form = event.target.closest("#drawn");
    if (!form) return;
    history.replaceState(null, "", `?${new URLSearchParams(new FormData(form))}`);
    document.dispatchEvent(new Event("refresh"));
  });
})();
