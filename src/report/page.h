#pragma once

#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace wattle::inline report {

/// `text` for HTML elements and attributes.
std::string escaped(std::string_view text);

/// JSON inside a script element: "<" would let "</script" end it.
std::string script_safe(const nlohmann::ordered_json& json);

/// The template with every @NAME@ that `parts` knows replaced, and with the style (@STYLE@), Vega (@VEGA@)
/// and the charts' shared script (@CHARTS@) of every page. One pass, so that text of a part that looks like a
/// place is left alone.
std::string page_of(std::string_view page, std::map<std::string_view, std::string> parts);

}  // namespace wattle::inline report
