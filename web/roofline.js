// After charts.js. Eight colours and eight shapes: a format beyond the eighth repeats a colour with another shape.
const colourOf = data.lines.map((_, i) => `var(--c${i % 8})`);
const shapeOf = data.lines.map((_, i) => ["circle", "square", "triangle-up", "diamond"][Math.floor(i / 8) % 4]);

function roofline(width) {
  const points = data.points.map((point) => ({...point,
    tip: `${point.line}, ${point.m} row${point.m === 1 ? "" : "s"}: ${significant(point.y)} GOP/s, ${(100 * point.share).toFixed(0)} % of its roof`}));
  if (points.length === 0) return null;
  const highest = Math.max(...data.roofs.map((roof) => roof.gops));
  const left = Math.min(...points.map((p) => p.x)) / 1.3, right = Math.max(...points.map((p) => p.x), 2 * highest / data.read_gbs) * 1.2;
  const low = Math.min(...points.map((p) => p.y), data.read_gbs * left), high = Math.max(highest, ...points.map((p) => p.y));
  const slope = [{x: left, y: data.read_gbs * left}, {x: highest / data.read_gbs, y: highest}];
  const roofs = data.roofs.map((roof) => ({...roof, x: roof.gops / data.read_gbs, x2: right,
    label: `${roof.name} ${significant(roof.gops)} ${roof.name === "int8" ? "GOP/s" : "GFLOP/s"}`}));
  const x = {scale: "x", field: "x"}, y = {scale: "y", field: "y"};
  const colour = {scale: "colour", field: "line"};
  const roofLine = {stroke: {value: "var(--soft)"}, strokeWidth: {value: 1.5}};
  const roofText = {fill: {value: "var(--soft)"}, fontSize: {value: 11}};
  return {height: width < 500 ? 360 : 470,
    data: [{name: "points", values: points}, {name: "slope", values: slope}, {name: "roofs", values: roofs}],
    scales: [{name: "colour", type: "ordinal", domain: data.lines, range: colourOf}, {name: "shape", type: "ordinal", domain: data.lines, range: shapeOf},
      {name: "x", type: "log", domain: [left, right], range: "width"}, logScale("y", "height", low, high)],
    axes: [logAxis("x", "operations per byte of weights (log scale)", left, right, {orient: "bottom"}), logAxis("y", "GOP/s (log scale)", low, high, {orient: "left"})],
    marks: [
      {type: "line", from: {data: "slope"}, encode: {enter: {x, y, ...roofLine}}},
      {type: "rule", from: {data: "roofs"}, encode: {enter: {x, x2: {scale: "x", field: "x2"}, y: {scale: "y", field: "gops"}, ...roofLine}}},
      {type: "text", from: {data: "roofs"}, encode: {enter: {text: {field: "label"}, x: {scale: "x", field: "x2"}, y: {scale: "y", field: "gops"}, dy: {value: -5},
        align: {value: "right"}, ...roofText}}},
      {type: "text", encode: {enter: {text: {value: `read loop ${significant(data.read_gbs)} GB/s`}, x: {scale: "x", value: slope[0].x}, y: {scale: "y", value: slope[0].y},
        dx: {value: 22}, dy: {value: 4}, ...roofText}}},
      {type: "group", from: {facet: {name: "of_line", data: "points", groupby: "line"}}, marks: [
        {type: "line", from: {data: "of_line"}, encode: {enter: {x, y, stroke: colour, strokeOpacity: {value: 0.35}}}}]},
      {type: "symbol", from: {data: "points"}, encode: {enter: {x, y, fill: colour, shape: {scale: "shape", field: "line"}, size: {value: width < 500 ? 40 : 60},
        stroke: {value: "var(--card)"}, strokeWidth: {value: 0.7}, tooltip: {field: "tip"}}}},
    ]};
}

legend(data.lines, colourOf, shapeOf);
drawAll({roofline});
