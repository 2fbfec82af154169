// After charts.js.
const rungs = [...new Set(data.cells.map((cell) => cell.rung))];
const colours = rungs.map((_, i) => `var(--c${i % 8})`);
const shapes = rungs.map((_, i) => SHAPES[i % 8] === "stroke" ? "M-1,-0.3L1,-0.3L1,0.3L-1,0.3Z" : SHAPES[i % 8]);
const scales = [
  {name: "colour", type: "ordinal", domain: rungs, range: colours},
  {name: "shape", type: "ordinal", domain: rungs, range: shapes},
];
const colour = {scale: "colour", field: "rung"};

// A log axis has no zero: what was not seen to take more than asking stands at its upper bound.
function place(wh) { return wh.value > 0 ? wh.value : wh.high; }

function pareto(width) {
  const values = data.cells.filter((cell) => cell.quality && cell.wh && place(cell.wh) > 0).map((cell) => ({...cell,
    x: place(cell.wh), x0: cell.wh.low ?? cell.wh.value, x1: cell.wh.high ?? cell.wh.value, y: cell.quality.value, y0: cell.quality.low, y1: cell.quality.high,
    tip: `${cell.name}: ${data.share ? `${(100 * cell.quality.value).toFixed(1)} %` : significant(cell.quality.value)}, ${cell.wh.value > 0 ? "" : "at most "}${significant(place(cell.wh))} Wh per 1,000`}));
  if (values.length === 0) return null;
  const low = Math.min(...values.map((v) => Math.max(v.x0, v.x / 10))), high = Math.max(...values.map((v) => v.x1));
  const front = values.filter((v) => v.front).sort((a, b) => a.x - b.x);
  const y = {scale: "y", field: "y"}, x = {scale: "x", field: "x"};
  const marks = [
    {name: "front_line", type: "line", from: {data: "front"}, encode: {enter: {x, y, interpolate: {value: "step-after"}, stroke: {value: "var(--accent)"},
      strokeWidth: {value: 1.5}, strokeOpacity: {value: 0.7}}}},
    {type: "rule", from: {data: "cells"}, encode: {enter: {x: {signal: "scale('x', max(datum.x0, domain('x')[0]))"}, x2: {scale: "x", field: "x1"}, y, stroke: colour, strokeOpacity: {value: 0.3}}}},
    {type: "rule", from: {data: "cells"}, encode: {enter: {x, y: {scale: "y", field: "y0"}, y2: {scale: "y", field: "y1"}, stroke: colour, strokeOpacity: {value: 0.3}}}},
    {name: "points", type: "symbol", from: {data: "cells"}, encode: {enter: {x, y, shape: {scale: "shape", field: "rung"},
      size: {signal: "datum.front ? 120 : 80"}, fill: colour, stroke: {value: "var(--card)"}, strokeWidth: {value: 1},
      tooltip: {field: "tip"}}}},
    {type: "text", from: {data: "points"}, encode: {enter: {text: {field: "datum.short"}, fontSize: {value: 11}, fill: {value: "var(--ink)"},
      fontWeight: {signal: "datum.datum.front ? 700 : 400"}}},
      transform: [{type: "label", size: {signal: "[width, height]"}, offset: [5], sort: {field: "datum.datum.front", order: "descending"},
        anchor: ["right", "top", "bottom", "left", "top-right", "bottom-right", "top-left", "bottom-left"], avoidBaseMark: true, avoidMarks: ["front_line"]}]},
  ];
  if (data.bar !== null) {
    marks.unshift({type: "rule", encode: {enter: {x: {value: 0}, x2: {signal: "width"}, y: {scale: "y", value: data.bar},
      stroke: {value: "var(--warn)"}, strokeDash: {value: [5, 4]}}}});
  }
  return {height: width < 500 ? 340 : 430,
    data: [{name: "cells", values}, {name: "front", values: front}],
    scales: [...scales, logScale("x", "width", low, high),
      {name: "y", type: "linear", domain: [Math.min(...values.map((v) => v.y0)), Math.max(...values.map((v) => v.y1))], nice: true, zero: false, range: "height", reverse: !data.greater_is_better}],
    axes: [logAxis("x", "Wh per 1,000 queries (log scale)", low, high, {orient: "bottom"}),
      {orient: "left", scale: "y", title: data.metric, grid: true, ...(data.share ? {format: ".0%"} : {}), tickCount: 7}],
    marks};
}

// One row a cell: a line from `low` to `high` and a dot at `value`.
function rows(width, values, title, log) {
  if (values.length === 0) return null;
  const low = Math.min(...values.map((v) => log ? Math.max(v.low, v.value / 20) : 0)), high = Math.max(...values.map((v) => v.high));
  const y = {scale: "y", field: "name", band: 0.5};
  const start = log ? {signal: "scale('x', max(datum.low, domain('x')[0]))"} : {scale: "x", field: "low"};
  return {height: values.length * 23,
    data: [{name: "cells", values: values.map((v) => ({...v, tip: `${v.name}: ${significant(v.value)}`}))}],
    scales: [...scales, log ? logScale("x", "width", low, high) : {name: "x", type: "linear", domain: [0, high * 1.05], range: "width"},
      {name: "y", type: "band", domain: values.map((v) => v.name), range: "height"}],
    axes: [log ? logAxis("x", title, low, high, {orient: "bottom"}) : {orient: "bottom", scale: "x", title, grid: true, tickCount: width < 500 ? 3 : 6},
      {orient: "left", scale: "y", domain: false, ticks: false, labelLimit: width < 500 ? 140 : 220, labelColor: "var(--ink)"}],
    marks: [
      {type: "rule", from: {data: "cells"}, encode: {enter: {y, x: start, x2: {scale: "x", field: "high"}, stroke: colour, strokeWidth: {value: log ? 2 : 9}, strokeOpacity: {value: log ? 0.5 : 0.8}}}},
      {type: "symbol", from: {data: "cells"}, encode: {enter: {y, x: {scale: "x", field: "value"}, fill: colour, size: {value: log ? 80 : 0}, shape: {scale: "shape", field: "rung"}, tooltip: {field: "tip"}}}},
    ]};
}

function energy(width) {
  const many = rungs.filter((rung) => data.cells.filter((cell) => cell.rung === rung && cell.wh).length > 1);
  return rows(width, data.cells.filter((cell) => cell.wh && place(cell.wh) > 0 && many.includes(cell.rung)).map((cell) => ({...cell, ...cell.wh,
    value: place(cell.wh),
    low: cell.wh.low ?? cell.wh.value, high: cell.wh.high ?? cell.wh.value})),
    "Wh per 1,000 queries (log scale)", true);
}
function latency(width) {
  return rows(width, data.cells.filter((cell) => cell.wh).map((cell) => ({...cell, value: cell.p50, low: cell.p50, high: cell.p95})),
    "ms (log scale)", true);
}
function memory(width) {
  return rows(width, data.cells.filter((cell) => cell.wh).map((cell) => ({...cell, value: cell.memory / 1e6, low: 0, high: cell.memory / 1e6})),
    "MB", false);
}

legend(rungs, colours, rungs.map((_, i) => SHAPES[i % 8]));
// Shapes have no quality.
document.getElementById("front").hidden = !data.cells.some((cell) => cell.quality && cell.wh);
drawAll({pareto, energy, latency, memory});
