// Draws the charts of a page from the figures in it, in the colours of the screen, and for paper.
"use strict";
(function () {
  let figures, dark;
  const screenIsDark = window.matchMedia("(prefers-color-scheme: dark)");
  const fingers = window.matchMedia("(pointer: coarse)");
  const PAPER_WIDTH = 660;
  const ROOM_FOR_LABELS = 560; // pixels, from which on the labels of rows stand to their left
  const LABELS = 0.38; // of the width

  function coloured(value) {
    if (typeof value === "string") return dark[value] ?? value;
    if (Array.isArray(value)) return value.map(coloured);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, coloured(part)]));
    }
    return value;
  }

  function withLabelsAside(layout, width) {
    const rows = layout.meta?.rows;
    if (!rows || width < ROOM_FOR_LABELS) return layout;
    return {
      ...layout,
      height: layout.height - 12 * rows,
      xaxis: { ...layout.xaxis, domain: [LABELS, 1] },
      yaxis: { ...layout.yaxis, range: [rows - 0.4, -0.6] },
      annotations: layout.annotations.map((one) => ({ ...one, yshift: 0 })),
    };
  }

  function draw(place, figure, onPaper) {
    const shown = screenIsDark.matches && !onPaper ? coloured(figure) : figure;
    const width = onPaper ? Math.min(PAPER_WIDTH, place.clientWidth) : place.clientWidth;
    const layout = { ...withLabelsAside(shown.layout, width), width };
    if (layout.meta?.linked && fingers.matches) layout.dragmode = false; // a finger scrolls the page
    Plotly.react(place, shown.data, layout, { displayModeBar: false });
  }

  function drawAll(onPaper) {
    for (const place of document.querySelectorAll("[data-chart]")) {
      draw(place, figures[place.dataset.chart], onPaper);
    }
  }

  let asked = 0;
  function drawSoon() {
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(() => drawAll(false));
  }

  function read() {
    ({ figures, dark } = JSON.parse(document.getElementById("charts").textContent));
    drawAll(false);
  }

  read();
  document.addEventListener("charts", read);
  window.addEventListener("resize", drawSoon);
  screenIsDark.addEventListener("change", () => drawAll(false));
  window.addEventListener("beforeprint", () => {
    for (const hidden of document.querySelectorAll("details:not([open])")) hidden.open = true;
    drawAll(true);
  });
  window.addEventListener("afterprint", () => drawAll(false));
})();
