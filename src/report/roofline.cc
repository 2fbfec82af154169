#include "report/roofline.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "report/page.h"

namespace wattle::inline report {

std::string_view embedded_roofline_html();
std::string_view embedded_roofline_js();

namespace {

using Json = nlohmann::ordered_json;

/// Products of one line of the table and of the chart.
std::string line_name(const RooflinePoint& point, bool several_shapes) {
  std::string name = point.format;
  if (several_shapes) name += fmt::format(" · {} inputs", point.k);
  return name;
}

struct Lines {
  std::vector<std::string> names;  ///< in the order measured
  std::set<int64_t> rows;          ///< every M
  bool several_shapes = false;
};

Lines lines_of(const Roofline& roofline) {
  Lines lines;
  std::set<int64_t> inputs;
  for (const RooflinePoint& point : roofline.points) inputs.insert(point.k);
  lines.several_shapes = inputs.size() > 1;
  for (const RooflinePoint& point : roofline.points) {
    const std::string name = line_name(point, lines.several_shapes);
    if (std::ranges::find(lines.names, name) == lines.names.end()) lines.names.push_back(name);
    lines.rows.insert(point.m);
  }
  return lines;
}

std::string table_of(const Roofline& roofline, const Lines& lines) {
  std::string text = "<table><thead><tr><th scope=\"col\">format</th><th scope=\"col\">activations</th>";
  for (const int64_t m : lines.rows)
    text += fmt::format("<th scope=\"col\">{} row{}</th>", m, m == 1 ? "" : "s");
  text += "</tr></thead>\n<tbody>\n";
  for (const std::string& name : lines.names) {
    std::string cells, activations;
    for (const int64_t m : lines.rows) {
      const auto point = std::ranges::find_if(roofline.points, [&](const RooflinePoint& one) {
        return one.m == m && line_name(one, lines.several_shapes) == name;
      });
      if (point == roofline.points.end()) {
        cells += "<td>–</td>";
        continue;
      }
      activations = point->activations;
      cells += fmt::format("<td>{:.0f} %<small>{:.0f} GOP/s</small></td>", 100 * point->share, point->gops);
    }
    text += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td>{}</tr>\n", escaped(name),
                        escaped(activations), cells);
  }
  return text + "</tbody></table>";
}

Json data_of(const Roofline& roofline, const Lines& lines) {
  const Peaks& peaks = roofline.peaks;
  Json data{{"read_gbs", peaks.read_gbs},
            {"roofs", Json::array()},
            {"lines", lines.names},
            {"points", Json::array()}};
  const auto add_roof = [&](const char* name, double gops) {
    data["roofs"].push_back({{"name", name}, {"gops", gops}});
  };
  add_roof("int8", peaks.int8_gops);
  // Without bfloat16 instructions both are the same line.
  if (peaks.bf16_gflops != peaks.fp32_gflops) add_roof("bf16", peaks.bf16_gflops);
  add_roof("fp32", peaks.fp32_gflops);
  for (const RooflinePoint& point : roofline.points) {
    data["points"].push_back({{"line", line_name(point, lines.several_shapes)},
                              {"format", point.format},
                              {"activations", point.activations},
                              {"m", point.m},
                              {"x", point.operations_per_byte},
                              {"y", point.gops},
                              {"share", point.share}});
  }
  return data;
}

}  // namespace

double roof(const Peaks& peaks, const RooflinePoint& point) {
  const double peak = point.activations == "f32"    ? peaks.fp32_gflops
                      : point.activations == "bf16" ? peaks.bf16_gflops
                                                    : peaks.int8_gops;
  return std::min(peak, peaks.read_gbs * point.operations_per_byte);
}

std::string html(const Roofline& roofline) {
  const Lines lines = lines_of(roofline);
  return page_of(embedded_roofline_html(), {{"SUBTITLE", escaped(roofline.subtitle)},
                                            {"TABLE", table_of(roofline, lines)},
                                            {"DATA", script_safe(data_of(roofline, lines))},
                                            {"SCRIPT", std::string(embedded_roofline_js())}});
}

}  // namespace wattle::inline report
