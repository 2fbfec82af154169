#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/processor_limits.h"
#include "base/threads.h"
#include "cli/verbs.h"
#include "kernels/peaks.h"
#include "meter/machine_meter.h"
#include "meter/machine_state.h"
#include "meter/survey.h"

namespace wattle {
namespace {

struct DoctorFlags {
  std::string root = "/";
  double seconds = 0.5;
  bool json = false;
};

struct Diagnosis {
  MachineState state;
  ProcessorLimits limits;
  std::vector<SourceCheck> sources;
  PowerProfile profile;
  std::string chosen, notice;
  std::string scope;
  Grade grade;
  std::optional<Peaks> peaks;  ///< of the machine that this program runs on
};

/// What figures from this machine can and cannot mean.
struct Knowledge {
  std::vector<std::string> can, cannot;
};

bool is_used(const Diagnosis& found, const SourceCheck& source) {
  return ("+" + found.chosen + "+").find("+" + source.name + "+") != std::string::npos;
}

/// Why a source that can be read is not used; empty when it is.
std::string why_unused(const Diagnosis& found, const SourceCheck& source) {
  if (is_used(found, source) || !source.obstacle.empty()) return "";
  if (source.kind == "unknown") return "nobody knows what it measures";
  if (std::ranges::all_of(source.zones, [](const ZoneCheck& zone) { return !zone.channel.left_out.empty(); }))
    return "what it shows is counted elsewhere";
  return source.kind == "gpu"
             ? "what is used holds the graphics processors, or it was left out"
             : fmt::format("{} comes first; --source {} takes it", found.chosen, source.name);
}

/// What is wrong with a counted zone of the sources that are used; empty when they passed their self-test.
std::string fault_of_used(const Diagnosis& found) {
  for (const SourceCheck& source : found.sources) {
    if (!is_used(found, source)) continue;
    for (const ZoneCheck& zone : source.zones) {
      if (zone.channel.left_out.empty() && !zone.fault.empty())
        return zone.fault.rfind(zone.channel.name, 0) == 0 ? zone.fault
                                                           : zone.channel.name + " " + zone.fault;
    }
  }
  return "";
}

Knowledge knowledge_of(const Diagnosis& found) {
  Knowledge known;
  const MachineState& state = found.state;
  const std::string fault = fault_of_used(found);
  if (found.grade == Grade::kMeasured && !fault.empty()) {
    known.cannot.push_back(fmt::format(
        "trust {}: {}; windows over it will be invalid, and --source takes another", found.chosen, fault));
  } else if (found.grade == Grade::kMeasured) {
    known.can.push_back(fmt::format("measure the joules of {} by {}", found.scope, found.chosen));
    if (found.scope == "system")
      known.cannot.push_back("see the losses of the power supply, which lie outside that scope");
    else if (found.scope != "wall")
      known.cannot.push_back(
          "see what lies outside that scope: disks, network, fans, losses of the power supply");
    if (found.scope.find("dram") == std::string::npos && found.scope.find("package") != std::string::npos)
      known.cannot.push_back("tell whether the memory is in the package's counter");
  } else {
    known.can.push_back(
        fmt::format("model joules from processor time and the engine's own work: a busy thread draws {:.2g} "
                    "to {:.2g} W at the wall",
                    found.profile.full_watts_per_thread.low, found.profile.full_watts_per_thread.high));
    known.can.push_back(
        "compare two programs here, as surely as their mixes of idle, busy and arithmetic are alike");
    known.cannot.push_back(
        "measure a joule: no counter and no meter is shown; a smart plug, `file:` or `exec:` would be one");
    if (state.processor.virtual_machine)
      known.cannot.push_back(
          "see the server: its other guests, its memory, idle states, fans and power supply");
  }
  if (!state.megahertz)
    known.cannot.push_back("see the clock: a slower one would look like a slower program");
  if (state.governor.empty()) known.cannot.push_back("see the governor");
  if (!state.turbo) known.cannot.push_back("see whether turbo is on");
  if (!state.degrees && !state.throttle_events) known.cannot.push_back("see heat or throttling");
  if (state.processor.virtual_machine && state.stolen_seconds == 0)
    known.cannot.push_back("tell a quiet host from one that does not report stolen time: it says 0 s");
  return known;
}

Diagnosis diagnose(const DoctorFlags& flags) {
  Diagnosis found;
  const auto machine = open_machine(flags.root);
  found.state = machine_state(*machine);
  found.limits = processor_limits([&](const std::string& path) { return machine->read(path); });
  found.sources = survey_sources(*machine, flags.seconds);
  for (SourceCheck& source : found.sources) {
    // No module brings a counter that the host does not pass on.
    if (found.state.processor.virtual_machine && source.cure.find("modprobe") != std::string::npos)
      source.cure.clear();
  }
  found.profile = find_profile(found.state.processor);
  MeterOptions options;
  options.root = flags.root;
  const MachineMeter meter(open_machine(flags.root), options, false);
  found.chosen = meter.source();
  found.notice = meter.notice();
  found.grade = meter.grade();
  found.scope = meter.scope();
  if (flags.root == "/") found.peaks = measure_peaks();
  return found;
}

std::string yes_no(const std::optional<bool>& value) {
  return !value ? "not shown" : *value ? "on" : "off";
}

template <typename T>
std::string shown(const std::optional<T>& value, const char* unit) {
  return value ? fmt::format("{:.6g}{}", *value, unit) : "not shown";
}

void print_zone(const ZoneCheck& zone, bool last) {
  const Channel& channel = zone.channel;
  fmt::print("  {} {:<16} {:<9} {}", last ? "└─" : "├─", channel.name, channel.scope,
             zone.fault.empty() ? fmt::format("{:.2f} W", zone.watts) : "FAULT: " + zone.fault);
  if (zone.fault.empty() && zone.refresh_seconds > 0)
    fmt::print(", new every {:.3g} ms", 1000 * zone.refresh_seconds);
  fmt::print("{}\n", channel.left_out.empty() ? "  [counted]" : "  [left out: " + channel.left_out + "]");
}

void print_sources(const Diagnosis& found) {
  fmt::print("\nenergy sources\n");
  for (const SourceCheck& source : found.sources) {
    if (!source.obstacle.empty()) {
      fmt::print("  {:<17} no: {}{}\n", source.name, source.obstacle,
                 source.cure.empty() ? "" : "; try: " + source.cure);
      continue;
    }
    const std::string unused = why_unused(found, source);
    fmt::print("  {:<17} yes{}\n", source.name, unused.empty() ? "" : ", not used: " + unused);
    for (size_t i = 0; i < source.zones.size(); ++i)
      print_zone(source.zones[i], i + 1 == source.zones.size());
  }
  fmt::print("  model             {}: idle {:.2f} W, full load {:.2f} W a thread ({:.2f} to {:.2f}), {}\n",
             found.profile.name, found.profile.idle_watts_per_thread.value,
             found.profile.full_watts_per_thread.value, found.profile.full_watts_per_thread.low,
             found.profile.full_watts_per_thread.high, found.profile.source);
  fmt::print("\nused by default   {} ({})\n", found.chosen, name(found.grade));
  if (!found.notice.empty()) fmt::print("                  {}\n", found.notice);
}

void print_knowledge(const Knowledge& known) {
  fmt::print("\nthis machine can\n");
  for (const std::string& line : known.can) fmt::print("  {}\n", line);
  fmt::print("this machine cannot\n");
  for (const std::string& line : known.cannot) fmt::print("  {}\n", line);
}

void print_diagnosis(const Diagnosis& found, bool own_machine) {
  const MachineState& state = found.state;
  fmt::print(
      "processor         {}{}\n", state.processor.name.empty() ? "unknown" : state.processor.name,
      state.processor.virtual_machine ? " (virtual machine: counters and clocks are mostly hidden)" : "");
  fmt::print("hardware threads  {}\n", state.processor.threads);
  const ProcessorLimits& limits = found.limits;
  if (!limits.allowed.empty() && static_cast<int>(limits.allowed.size()) < state.processor.threads)
    fmt::print("threads allowed   {} (affinity or cpuset)\n", limits.allowed.size());
  if (limits.quota > 0)
    fmt::print("quota             {:.4g} processors' worth of time ({})\n", limits.quota, limits.quota_file);
  if (own_machine) {
    fmt::print("threads used      {} ({})\n", threads(), threads_chosen_by());
    for (const Isa isa : runnable_isas())
      fmt::print("instruction set   {}{}\n", name(isa), isa == active_isa() ? " (used)" : "");
    for (const Isa isa : untested_isas())
      fmt::print("instruction set   {} (compiled, untested on this machine)\n", name(isa));
  }
  fmt::print("vector features   {}\n",
             state.processor.vector_features.empty()
                 ? "not shown"
                 : fmt::format("{}", fmt::join(state.processor.vector_features, " ")));
  fmt::print("governor          {}\n", state.governor.empty() ? "not shown" : state.governor);
  fmt::print("turbo             {}\n", yes_no(state.turbo));
  fmt::print("SMT               {}\n", yes_no(state.smt));
  fmt::print("clock             {}\n", shown(state.megahertz, " MHz"));
  fmt::print("temperature       {}\n", shown(state.degrees, " C"));
  fmt::print("throttled         {}\n", shown(state.throttle_events, " times since the start"));
  fmt::print("stolen time       {:.2f} s of {:.0f} s busy since the start\n", state.stolen_seconds,
             state.busy_seconds);
  fmt::print("load              {}\n", shown(state.load, ""));
  if (found.peaks) {
    fmt::print(
        "peaks             {:.0f} GOP/s int8, {:.0f} GFLOP/s bf16, {:.0f} GFLOP/s fp32, {:.1f} GB/s read\n",
        found.peaks->int8_gops, found.peaks->bf16_gflops, found.peaks->fp32_gflops, found.peaks->read_gbs);
  }
  print_sources(found);
  print_knowledge(knowledge_of(found));
}

nlohmann::ordered_json diagnosis_json(const Diagnosis& found, bool own_machine) {
  const auto optional = [](const auto& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  const MachineState& state = found.state;
  nlohmann::ordered_json json;
  json["processor"] = {
      {"name", state.processor.name},
      {"threads", state.processor.threads},
      {"threads_usable", found.limits.usable(state.processor.threads)},
      {"quota", found.limits.quota > 0 ? nlohmann::ordered_json(found.limits.quota) : nullptr},
      {"virtual_machine", state.processor.virtual_machine},
      {"vector_features", state.processor.vector_features}};
  json["instruction_sets"] = nlohmann::ordered_json::array();
  if (own_machine) {
    for (const Isa isa : runnable_isas()) json["instruction_sets"].push_back(name(isa));
  }
  json["untested_instruction_sets"] = nlohmann::ordered_json::array();
  if (own_machine) {
    for (const Isa isa : untested_isas()) json["untested_instruction_sets"].push_back(name(isa));
  }
  json["state"] = {{"governor", state.governor},
                   {"turbo", optional(state.turbo)},
                   {"smt", optional(state.smt)},
                   {"megahertz", optional(state.megahertz)},
                   {"degrees", optional(state.degrees)},
                   {"throttle_events", optional(state.throttle_events)},
                   {"stolen_seconds", state.stolen_seconds},
                   {"busy_seconds", state.busy_seconds},
                   {"load", optional(state.load)}};
  if (found.peaks) {
    json["peaks"] = {{"int8_gops", found.peaks->int8_gops},
                     {"bf16_gflops", found.peaks->bf16_gflops},
                     {"fp32_gflops", found.peaks->fp32_gflops},
                     {"read_gbs", found.peaks->read_gbs},
                     {"threads", threads()}};
  }
  json["sources"] = nlohmann::ordered_json::array();
  for (const SourceCheck& source : found.sources) {
    nlohmann::ordered_json entry = {{"name", source.name},
                                    {"available", source.obstacle.empty()},
                                    {"obstacle", source.obstacle},
                                    {"cure", source.cure},
                                    {"used", is_used(found, source)},
                                    {"why_not_used", why_unused(found, source)}};
    entry["zones"] = nlohmann::ordered_json::array();
    for (const ZoneCheck& zone : source.zones) {
      entry["zones"].push_back({{"name", zone.channel.name},
                                {"scope", zone.channel.scope},
                                {"watts", zone.watts},
                                {"refresh_seconds", zone.refresh_seconds},
                                {"counted", zone.channel.left_out.empty()},
                                {"left_out", zone.channel.left_out},
                                {"fault", zone.fault}});
    }
    json["sources"].push_back(entry);
  }
  json["used"] = found.chosen;
  json["grade"] = name(found.grade);
  json["scope"] = found.scope;
  json["notice"] = found.notice;
  const Knowledge known = knowledge_of(found);
  json["can"] = known.can;
  json["cannot"] = known.cannot;
  return json;
}

}  // namespace

void add_doctor(CLI::App& app, const GlobalOptions&) {
  CLI::App* verb = app.add_subcommand("doctor", "What this machine can measure and run");
  auto flags = std::make_shared<DoctorFlags>();
  verb->add_option("--root", flags->root,
                   "look at the machine whose sys/ and proc/ lie below this directory");
  verb->add_option("--seconds", flags->seconds, "seconds of each counter's self-test")
      ->check(CLI::Range(0.1, 60.0));
  verb->add_flag("--json", flags->json, "as JSON");
  verb->footer(
      "Examples:\n  wattle doctor\n  wattle doctor --json | jq .sources\n  wattle doctor --root "
      "simulated/xeon");
  verb->callback([flags] {
    const Diagnosis found = diagnose(*flags);
    const bool own_machine = flags->root == "/";
    if (flags->json) {
      fmt::print(
          "{}\n",
          diagnosis_json(found, own_machine).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      print_diagnosis(found, own_machine);
    }
  });
}

}  // namespace wattle
