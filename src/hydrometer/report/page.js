"use strict";
const figures = [...document.querySelectorAll(".figure")].map((place) => {
  const figure = JSON.parse(place.querySelector("script").textContent);
  const canvas = place.querySelector(".canvas");
  Plotly.newPlot(canvas, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  return canvas;
});
// A page is narrower than a window, and nothing resizes when it is printed.
addEventListener("beforeprint", () => figures.forEach((f) => Plotly.relayout(f, { width: 640 })));
addEventListener("afterprint", () =>
  figures.forEach((f) => Plotly.relayout(f, { width: null, autosize: true })));
