#include "jinja/objects.h"

#include <algorithm>
#include <cstdint>
#include <ctime>

#include "jinja/format.h"
#include "jinja/operators.h"

namespace wattle::jinja {
namespace {

Value changed(Interpreter& in, const Value& subject, const Bound& arguments) {
  Loop& loop = static_cast<Loop&>(subject.object());
  const Value now = in.tuple(arguments.all.positional);
  const bool same = loop.last_changed && equal(in, *loop.last_changed, now);
  loop.last_changed = now;
  return Value::of_bool(!same);
}

Value cycle(Interpreter& in, const Value& subject, const Bound& arguments) {
  if (arguments.all.positional.empty()) in.fail("loop.cycle has nothing to cycle through");
  const Loop& loop = static_cast<const Loop&>(subject.object());
  return arguments.all.positional[loop.index % arguments.all.positional.size()];
}

Value next(Interpreter&, const Value& subject, const Bound&) {
  Cycler& cycler = static_cast<Cycler&>(subject.object());
  const Value value = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return value;
}

Value reset(Interpreter&, const Value& subject, const Bound&) {
  static_cast<Cycler&>(subject.object()).position = 0;
  return {};
}

constexpr Function kChanged{"changed", changed, {"*"}}, kCycle{"cycle", cycle, {"*"}},
    kNext{"next", next, {}}, kReset{"reset", reset, {}};

// --- globals ---

Value range(Interpreter& in, const Value&, const Bound& arguments) {
  constexpr uint64_t kMost = 100'000;  // that of Jinja2's sandbox
  const bool only_end = arguments.all.positional.size() == 1;
  const int64_t from = only_end ? 0 : arguments.integer(0, 0);
  const int64_t to = only_end ? arguments.integer(0, 0) : arguments.integer(1, 0);
  const int64_t step = arguments.integer(2, 1);
  if (step == 0) in.fail("a range by steps of 0");
  const bool empty = step > 0 ? from >= to : from <= to;
  const uint64_t low = static_cast<uint64_t>(std::min(from, to)),
                 high = static_cast<uint64_t>(std::max(from, to));
  const uint64_t by = step > 0 ? static_cast<uint64_t>(step) : ~static_cast<uint64_t>(step) + 1;
  const uint64_t count = empty ? 0 : (high - low - 1) / by + 1;
  if (count > kMost) in.fail("a range of more than {} numbers", kMost);
  std::vector<Value> numbers;
  numbers.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    numbers.push_back(Value::of_integer(
        static_cast<int64_t>(static_cast<uint64_t>(from) + i * static_cast<uint64_t>(step))));
  }
  const Value made = in.list(std::move(numbers), ListKind::kView, "range");
  made.list().shown =
      step == 1 ? fmt::format("range({}, {})", from, to) : fmt::format("range({}, {}, {})", from, to, step);
  return made;
}

Value make_dict(Interpreter& in, const Value&, const Bound& arguments) {
  const Value made = in.dict();
  for (const Value& first : arguments.all.positional) {
    if (first.is(Kind::kDict)) {
      for (const auto& [key, value] : first.dict().entries) made.dict().set(in, key, value);
      continue;
    }
    for (const Value& pair : elements(in, first)) {
      const std::vector<Value> parts = elements(in, pair);
      if (parts.size() != 2) in.fail("a dictionary is made of pairs, not of {} values", parts.size());
      made.dict().set(in, parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : arguments.all.named) made.dict().set(in, in.text(name), value);
  return made;
}

Value make_namespace(Interpreter& in, const Value& subject, const Bound& arguments) {
  return in.object(std::make_unique<Namespace>(make_dict(in, subject, arguments).dict()));
}

Value make_cycler(Interpreter& in, const Value&, const Bound& arguments) {
  if (arguments.all.positional.empty()) in.fail("a cycler has nothing to cycle through");
  return in.object(std::make_unique<Cycler>(arguments.all.positional));
}

Value make_joiner(Interpreter& in, const Value&, const Bound& arguments) {
  return in.object(std::make_unique<Joiner>(arguments.value(0, in.text(", "))));
}

Value raise_exception(Interpreter& in, const Value&, const Bound& arguments) {
  in.fail_with("the template refuses this conversation: " +
               std::string(to_text(in, arguments.value(0)).bytes()));
}

/// strftime of the time that the caller gave, in the C locale.
Value strftime_now(Interpreter& in, const Value&, const Bound& arguments) {
  using namespace std::chrono;
  const auto day = floor<days>(*in.now);
  const year_month_day date(day);
  const hh_mm_ss time(*in.now - day);
  std::tm tm{};
  tm.tm_year = static_cast<int>(date.year()) - 1900;
  tm.tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
  tm.tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
  tm.tm_hour = static_cast<int>(time.hours().count());
  tm.tm_min = static_cast<int>(time.minutes().count());
  tm.tm_sec = static_cast<int>(time.seconds().count());
  tm.tm_wday = static_cast<int>(weekday(day).c_encoding());
  tm.tm_yday = static_cast<int>((day - local_days(date.year() / January / 1)).count());
  tm.tm_isdst = -1;
  // One directive a time: an empty answer is then no sign of a small buffer. %z and %Z of a time without a
  // zone are empty, as Python's.
  const std::string_view format = arguments.text(0);
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    std::string directive = "%";
    directive += format[++i];
    if (directive[1] == '-' && i + 1 < format.size()) directive += format[++i];
    constexpr std::string_view kKnown = "aAwdbBmyYHIpMSjUWcxXGuV%eDFTRnthCgklPrsE";
    const char kind = directive.back();
    if (kind == 'z' || kind == 'Z') continue;
    if (kind == 'f') {
      out += "000000";
      continue;
    }
    if (kind == 's' || kind == 'E' || kKnown.find(kind) == std::string_view::npos) {
      in.fail("strftime_now does not know \"{}\"", directive);
    }
    char buffer[64];
    out.append(buffer, std::strftime(buffer, sizeof buffer, directive.c_str(), &tm));
  }
  return in.text(out);
}

constexpr Function kGlobals[] = {
    {"range", range, {"start", "stop?", "step?"}},
    {"dict", make_dict, {"*"}},
    {"namespace", make_namespace, {"*"}},
    {"cycler", make_cycler, {"*"}},
    {"joiner", make_joiner, {"sep?"}},
    {"raise_exception", raise_exception, {"message"}},
    {"strftime_now", strftime_now, {"format"}},
};

}  // namespace

const Function* find_global(std::string_view name) {
  const auto found = std::find_if(std::begin(kGlobals), std::end(kGlobals),
                                  [&](const Function& function) { return function.name == name; });
  return found == std::end(kGlobals) ? nullptr : found;
}

std::optional<Value> Macro::attribute(Context& context, std::string_view name) {
  if (name == "name") return context.text(statement_.text);
  if (name == "catch_varargs") return Value::of_bool(statement_.uses_varargs);
  if (name == "catch_kwargs") return Value::of_bool(statement_.uses_kwargs);
  if (name == "caller") return Value::of_bool(statement_.uses_caller);
  if (name != "arguments") return std::nullopt;
  std::vector<Value> names;
  for (const Parameter& parameter : statement_.parameters) names.push_back(context.text(parameter.name));
  return context.tuple(std::move(names));
}

Value Macro::call(Interpreter& interpreter, const Arguments& arguments) {
  return interpreter.bind_macro(statement_, closure_, arguments);
}

std::optional<Value> Loop::attribute(Context& context, std::string_view name) {
  const auto number = [](size_t value) { return Value::of_integer(static_cast<int64_t>(value)); };
  const size_t count = items.size();
  if (name == "index") return number(index + 1);
  if (name == "index0") return number(index);
  if (name == "revindex") return number(count - index);
  if (name == "revindex0") return number(count - index - 1);
  if (name == "first") return Value::of_bool(index == 0);
  if (name == "last") return Value::of_bool(index + 1 == count);
  if (name == "length") return number(count);
  if (name == "depth") return Value::of_integer(depth_ + 1);
  if (name == "depth0") return Value::of_integer(depth_);
  if (name == "previtem")
    return index > 0 ? items[index - 1] : context.undefined("there is no previous item");
  if (name == "nextitem")
    return index + 1 < count ? items[index + 1] : context.undefined("there is no next item");
  if (name == "cycle") return context.object(std::make_unique<BoundFunction>(kCycle, Value::of_object(this)));
  if (name == "changed")
    return context.object(std::make_unique<BoundFunction>(kChanged, Value::of_object(this)));
  return std::nullopt;
}

Value Loop::call(Interpreter& interpreter, const Arguments& arguments) {
  if (arguments.positional.size() != 1 || !arguments.named.empty()) {
    interpreter.fail("loop(...) takes what is to be looped over, and nothing else");
  }
  return interpreter.captured([&] {
    interpreter.run_for({&statement_, &scope_, depth_ + 1}, arguments.positional[0]);
  });
}

std::optional<Value> Namespace::attribute(Context&, std::string_view name) {
  const Value* found = values_.find(name);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

bool Namespace::set_attribute(Context& context, std::string_view name, const Value& value) {
  values_.set(context, context.text(name), value);
  return true;
}

std::optional<Value> Cycler::attribute(Context& context, std::string_view name) {
  if (name == "current") return items[position];
  if (name == "next") return context.object(std::make_unique<BoundFunction>(kNext, Value::of_object(this)));
  if (name == "reset") return context.object(std::make_unique<BoundFunction>(kReset, Value::of_object(this)));
  return std::nullopt;
}

Value Joiner::call(Interpreter& interpreter, const Arguments&) {
  return std::exchange(used_, true) ? separator_ : interpreter.text("");
}

}  // namespace wattle::jinja
