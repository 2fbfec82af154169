#include "text/pattern.h"

#include <wattle/error.h>

namespace wattle::inline text {

Pattern Pattern::from_json(const JsonView& step) {
  const nlohmann::json* const value = step.find("pattern");
  if (value != nullptr && value->is_object()) {
    const JsonView pattern = step.child("pattern");
    if (const auto text = pattern.text("String"); text && !text->empty()) return Pattern(*text);
    if (const auto regex = pattern.text("Regex")) return Pattern(Regex(*regex, step.origin()));
  }
  fail("{}: a step's pattern is neither a text nor a regular expression; get the file again", step.origin());
}

void Pattern::for_each_match(std::string_view text, const std::function<void(size_t, size_t)>& found) const {
  if (regex_) return regex_->for_each_match(text, found);
  for (size_t place = text.find(literal_); place != std::string_view::npos;
       place = text.find(literal_, place + literal_.size())) {
    found(place, place + literal_.size());
  }
}

}  // namespace wattle::inline text
