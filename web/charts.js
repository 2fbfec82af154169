"use strict";
// What the charts of every page share. Colours are CSS variables inside the SVG, so dark mode and print follow the page
// without drawing again.
const data = JSON.parse(document.getElementById("data").textContent);
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "stroke", "triangle-right"];
const FONT = 'system-ui, "Segoe UI", Roboto, sans-serif';

const config = {
  axis: {labelColor: "var(--soft)", titleColor: "var(--soft)", gridColor: "var(--grid)", domainColor: "var(--line)",
    tickColor: "var(--line)", labelFont: FONT, titleFont: FONT, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500,
    labelLimit: 170},
  text: {font: FONT, fontSize: 12, fill: "var(--ink)"},
};
function significant(value) { return value === 0 ? "0" : Number(value.toPrecision(3)).toLocaleString("en"); }

const views = new Map();

function draw(element, make) {
  const width = element.clientWidth;
  const spec = make(width);
  if (spec === null) { element.closest("figure").hidden = true; return; }
  views.get(element)?.finalize();
  const view = new vega.View(vega.parse({$schema: "https://vega.github.io/schema/vega/v5.json", autosize: {type: "fit-x", contains: "padding"},
    width, padding: 4, config, ...spec}), {renderer: "svg", container: element, hover: false, logLevel: 1});
  views.set(element, view);
  view.runAsync();
}

// A log axis whose range is narrow would show no round number without extra ticks.
function logScale(name, range, low, high) {
  return {name, type: "log", domain: [low / 1.15, high * 1.15], range};
}
function logAxis(scale, title, low, high, extra) {
  const values = [];
  for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)); ++power) {
    const decades = Math.log10(high / low);
    for (const step of decades > 2.5 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 3, 5]) values.push(step * 10 ** power);
  }
  return {scale, title, grid: true, values: values.filter((v) => v >= low / 1.15 && v <= high * 1.15),
    encode: {labels: {update: {text: {signal: "datum.value >= 0.001 ? format(datum.value, ',.4~r') : format(datum.value, '.0e')"}}}}, ...extra};
}

function legend(names, colours, shapes) {
  const PATHS = {circle: "M6,1a5,5 0 1,0 .01,0Z", square: "M2,2H10V10H2Z", "triangle-up": "M6,1L11,10H1Z", diamond: "M6,0L11,6L6,12L1,6Z",
    cross: "M4.5,1H7.5V4.5H11V7.5H7.5V11H4.5V7.5H1V4.5H4.5Z", "triangle-down": "M6,11L11,2H1Z", stroke: "M1,4.5H11V7.5H1Z", "triangle-right": "M11,6L2,11V1Z"};
  names.forEach((name, i) => {
    const item = document.createElement("li");
    item.innerHTML = `<svg viewBox="0 0 12 12" aria-hidden="true"><path d="${PATHS[shapes[i]]}" fill="${colours[i]}"/></svg>`;
    item.append(name);
    document.getElementById("legend").append(item);
  });
}

// Observing draws for the first time too, and again whenever the width changes: a turned phone, a printed page.
function drawAll(charts) {
  for (const [id, make] of Object.entries(charts)) {
    const element = document.getElementById(id);
    let drawn = 0;
    new ResizeObserver(() => {
      if (element.clientWidth !== drawn && element.clientWidth > 0) { drawn = element.clientWidth; draw(element, make); }
    }).observe(element);
  }
}
