#include "report/page.h"

namespace wattle::inline report {

std::string_view embedded_report_css();
std::string_view embedded_charts_js();
std::string_view embedded_vega_bundle_js();

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return out;
}

std::string script_safe(const nlohmann::ordered_json& json) {
  std::string out;
  for (const char c : json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace))
    out += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return out;
}

std::string page_of(std::string_view page, std::map<std::string_view, std::string> parts) {
  parts.emplace("STYLE", embedded_report_css());
  parts.emplace("VEGA", embedded_vega_bundle_js());
  parts.emplace("CHARTS", embedded_charts_js());
  std::string out;
  for (size_t at = 0; at < page.size();) {
    const size_t end = page[at] == '@' ? page.find('@', at + 1) : std::string_view::npos;
    const auto part =
        end == std::string_view::npos ? parts.end() : parts.find(page.substr(at + 1, end - at - 1));
    if (part == parts.end()) {
      out += page[at++];
    } else {
      out += part->second;
      at = end + 1;
    }
  }
  return out;
}

}  // namespace wattle::inline report
