#include <wattle/error.h>

#include "base/utf8.h"
#include "fuzz/fuzz.h"
#include "jinja/template.h"

using namespace wattle;

/// An input is a template, rendered for a fixed conversation.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto variables = [] {
    jinja::Variables made;
    const auto json = nlohmann::ordered_json::parse(
        R"({"messages": [{"role": "system", "content": "s\u00e9"}, {"role": "user", "content": " <|x|> "},
            {"role": "assistant", "content": "<think>t</think>a", "tool_calls": [{"function": {"name": "f",
            "arguments": {"a": [1, 2.5, null, true]}}}]}], "tools": [{"type": "function"}], "n": 7})");
    for (const auto& [name, value] : json.items()) made.emplace_back(name, jinja::Argument(value, 1));
    return made;
  }();
  try {
    const jinja::Template made(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
    const jinja::Text text =
        made.render(variables, std::chrono::local_seconds{}, {.steps = 20'000, .bytes = 1 << 20});
    if (!is_utf8(text.bytes())) __builtin_trap();
    size_t covered = 0;
    text.for_each_part([&](std::string_view part, jinja::Source source) {
      if (part.empty() || source > 1) __builtin_trap();
      covered += part.size();
    });
    if (covered != text.size()) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  return {
      "{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m.content | trim }}{% if not loop.last %}, {% "
      "endif %}"
      "{%- else -%} none {% endfor %}{% if add_generation_prompt %}x{% endif %}",
      "{%- macro f(a, b=2, c=[]) -%}{{ a ~ b }}{{ caller() if caller }}{{ varargs }}{{ kwargs }}{%- endmacro "
      "-%}"
      "{% call f(1, b=3) %}body{% endcall %}{{ f(*[1], **{'b': 2}) }}",
      "{% set ns = namespace(x=0, l=[]) %}{% for i in range(1, 9, 2) if i != 3 %}{% set ns.x = ns.x + i ** 2 "
      "// 3 %}"
      "{% set _ = ns.l.append(i) %}{% if i > 6 %}{% break %}{% endif %}{% endfor %}{{ ns.l[::-1] }}{{ ns.x % "
      "7 }}",
      "{{ messages | selectattr('role', 'in', ['user', 'tool']) | map(attribute='content') | join('-') | "
      "tojson(indent=2) }}"
      "{{ messages[1:] | tojson(separators=(',', ':')) }}{{ tools[0].type.split('c', "
      "1)[-1].upper().replace('T', 'x') }}",
      "{# comment #}{% raw %}{{ }}{% endraw %}{% set x %}a{% endset %}{% filter upper %}{{ x }}{% endfilter "
      "%}"
      "{% with a = 1, b = x %}{{ a if b is string else none }}{% endwith %}{% generation %}g{% endgeneration "
      "%}",
      "{{ '%5.2f|%-5s|%05d' % (3.14, 'ab', n) }}{{ '{:>5}|{x:^7,.2f}'.format('a', x=1234.5) }}{{ n | "
      "round(1) }}"
      "{{ 'a b c'.rsplit(none, 1) }}{{ [3, 1, 2] | sort(reverse=true) | batch(2, 0) | list }}{{ {'b': 1} | "
      "dictsort }}",
      "{% for a, (b, c) in [(1, (2, 3))] %}{{ loop.cycle(a, b) }}{{ loop.changed(c) }}{% endfor %}"
      "{% for x in [[1], [[2]]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}{{ "
      "strftime_now('%d %b %Y') }}",
  };
}
