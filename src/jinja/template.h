#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "jinja/value.h"

namespace wattle::jinja {

/// What a template is given: JSON, whose texts have one source, or lists and objects of such.
class Argument {
 public:
  using Json = nlohmann::ordered_json;
  explicit Argument(Json value, Source source = kTemplate) : value_(std::move(value)), source_(source) {}
  static Argument list(std::vector<Argument> items);
  static Argument object(std::vector<std::pair<std::string, Argument>> members);

 private:
  friend class Template;
  enum class Form : uint8_t { kJson, kList, kObject };
  Value made(Context& context) const;

  Form form_ = Form::kJson;
  Json value_;
  Source source_ = kTemplate;
  std::vector<std::pair<std::string, Argument>> members_;
};

using Variables = std::vector<std::pair<std::string, Argument>>;

/// A Jinja template as transformers renders chat templates: Jinja2 with trim_blocks, lstrip_blocks, break and
/// continue, generation blocks, its tojson, raise_exception and strftime_now. It has no access to anything
/// but its variables: neither files nor other templates, the clock nor the environment. Unlike there, lists
/// and dictionaries may be changed (append, update), and escaped texts are plain texts.
///
/// Documentation: https://jinja.palletsprojects.com/en/stable/templates/
class Template {
 public:
  /// `name` begins the sentences of errors: "NAME, line 3: ...". Throws Error for what is no template.
  Template(std::string_view source, std::string name);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  /// Thread-safe. Throws Error with the line when the template raises an exception, uses what is not known,
  /// or takes more than the limits allow. `now` answers strftime_now, which is undefined without it.
  Text render(const Variables& variables, std::optional<std::chrono::local_seconds> now = {},
              const Limits& limits = {}) const;

 private:
  struct Parsed;
  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace wattle::jinja
