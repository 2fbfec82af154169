// Templates come with downloaded models: whatever they hold, rendering ends, in an answer or in one sentence.
#include <gtest/gtest.h>

#include <wattle/error.h>

#include "jinja/golden.h"

namespace wattle::jinja {
namespace {

std::string error_of(const std::string& source, const Limits& limits = {}) {
  try {
    Template(source, "t").render({}, {}, limits);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(JinjaLimits, EndlessTemplatesEnd) {
  const std::string loop = "\n{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
  EXPECT_NE(error_of(loop).find("t, line 2: the template takes more than"), std::string::npos)
      << error_of(loop);
  const std::string hostile[] = {
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{{ 'x' * 999999999999 }}",
      "{{ [1] * 999999999999 }}",
      "{{ 'x'.center(999999999999) }}",
      "{{ 'x' | center(999999999999) }}",
      "{{ 'x'.ljust(9223372036854775807) }}",
      "{{ '%99999999999d' % 1 }}",
      "{{ '{:99999999999}'.format(1) }}",
      "{{ 'x' | indent(99999999999) }}",
      "{{ [1] | tojson(indent=99999999999) }}",
      "{{ '\t'.expandtabs(99999999999) }}",
      "{{ [1] | batch(99999999999, 0) | list }}",
      "{{ [] | slice(99999999999) | list }}",
      "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
      "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}",
      "{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}",
      "{% set l = [] %}{% set m = [] %}{% set _ = l.append(l) %}{% set _ = m.append(m) %}{{ l == m }}",
      "{% set l = [] %}{% for i in range(9) %}{% for x in range(99999) %}{% set _ = l.append(x) %}{% endfor "
      "%}"
      "{% for x in l %}{% for y in l %}{% endfor %}{% endfor %}{% endfor %}",
      "{{ 'a'.replace('', 'b' * 9999) * 99999 }}",
      "{{ 2 ** 999999999999 }}",
      "{{ range(-9223372036854775807, 9223372036854775807) }}",
  };
  for (const std::string& source : hostile) EXPECT_NE(error_of(source), "no error") << source;
}

TEST(JinjaLimits, StructuresThatHoldThemselvesOrAreDeepAreFreed) {
  EXPECT_EQ(error_of("{% set l = [] %}{% set _ = l.append(l) %}{{ l | length }}"), "no error");
  EXPECT_EQ(
      error_of(
          "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}"),
      "no error");
}

TEST(JinjaLimits, DeepTemplatesAreRefusedNotCrashedOn) {
  constexpr int kDeep = 100'000;
  const std::string hostile[] = {
      "{{ " + repeated("(", kDeep),          "{{ " + repeated("[", kDeep),
      "{{ " + repeated("-", kDeep) + "1 }}", "{{ " + repeated("not ", kDeep),
      "{{ x" + repeated("|f", kDeep),        "{{ x" + repeated(".a", kDeep),
      "{{ x" + repeated("[0]", kDeep),       "{{ x" + repeated("()", kDeep),
      "{{ " + repeated("{1:", kDeep),        "{{ " + repeated("1 if 1 else ", kDeep),
      repeated("{% if 1 %}", kDeep),         repeated("{% for x in y %}", kDeep),
      "{{ x" + repeated(" if y", kDeep),     "{{ " + repeated("f(", kDeep),
      "{% set " + repeated("(", kDeep),
  };
  for (const std::string& source : hostile) {
    EXPECT_NE(error_of(source), "no error") << source.substr(0, 40);
  }
  EXPECT_EQ(error_of("{{ 1" + repeated(" + 1", 10'000) + " }}"), "no error");
  EXPECT_EQ(error_of("{% if 0 %}" + repeated("{% elif 0 %}", 10'000) + "{% endif %}"), "no error");
}

TEST(JinjaLimits, TheCallerSetsThem) {
  EXPECT_EQ(error_of("{% for i in range(100) %}x{% endfor %}", {.steps = 10'000}), "no error");
  EXPECT_NE(error_of("{% for i in range(100) %}x{% endfor %}", {.steps = 100}), "no error");
  EXPECT_NE(error_of("{{ 'x' * 1000 }}", {.bytes = 500}), "no error");
}

TEST(JinjaLimits, NothingIsReachedButTheVariables) {
  for (const char* source :
       {"{% include 'a' %}", "{% import 'a' as b %}", "{% extends 'a' %}", "{% from 'a' import b %}",
        "{% do x %}", "{{ lipsum() }}", "{{ ''.__class__.__mro__ }}", "{{ [].__init__.x }}",
        "{{ strftime_now('%Y') }}", "{{ [1] | random }}", "{% break %}"}) {
    EXPECT_NE(error_of(source), "no error") << source;
  }
}

TEST(JinjaLimits, IllFormedUtf8IsRepaired) {
  EXPECT_EQ(Template("\xFF{{ x }}", "t").render({{"x", Argument(Argument::Json("\xC3"))}}).bytes(),
            "\xEF\xBF\xBD\xEF\xBF\xBD");
}

}  // namespace
}  // namespace wattle::jinja
