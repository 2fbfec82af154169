#include "meter/model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include <fmt/format.h>
#include <wattle/error.h>
#include <yaml-cpp/yaml.h>

namespace wattle {

std::string_view embedded_processors_yaml();

namespace {

Range read_range(const YAML::Node& node, const std::string& file, const std::string& key) {
  if (!node[key] || !node[key]["low"] || !node[key]["value"] || !node[key]["high"]) {
    fail("{}: {} needs low, value and high; write the profile anew with `wattle meter calibrate`", file, key);
  }
  const Range range{node[key]["low"].as<double>(), node[key]["value"].as<double>(),
                    node[key]["high"].as<double>()};
  if (!(range.low >= 0 && range.low <= range.value && range.value <= range.high &&
        std::isfinite(range.high))) {
    fail("{}: {} must have 0 <= low <= value <= high; write the profile anew with `wattle meter calibrate`",
         file, key);
  }
  return range;
}

void read_operations(const YAML::Node& node, const std::string& file, PowerProfile& profile) {
  profile.int8_pj = read_range(node, file, "int8_pj");
  profile.bf16_pj = read_range(node, file, "bf16_pj");
  profile.fp32_pj = read_range(node, file, "fp32_pj");
  profile.byte_pj = read_range(node, file, "byte_pj");
}

PowerProfile read_family(const YAML::Node& family, const YAML::Node& operations, const std::string& file) {
  PowerProfile profile;
  profile.name = family["name"].as<std::string>("unnamed");
  profile.source = family["source"].as<std::string>("");
  profile.year = family["year"].as<int>(0);
  profile.idle_watts_per_thread = read_range(family, file, "idle_watts_per_thread");
  profile.full_watts_per_thread = read_range(family, file, "full_watts_per_thread");
  read_operations(operations, file, profile);
  profile.recognised = profile.name != "unknown";
  return profile;
}

const YAML::Node& catalogue() {
  static const YAML::Node node = YAML::Load(std::string(embedded_processors_yaml()));
  return node;
}

/// "85" or "5-15" holds `number`.
bool within(const std::string& range, int number) {
  const size_t dash = range.find('-');
  const int first = std::stoi(range);
  const int last = dash == std::string::npos ? first : std::stoi(range.substr(dash + 1));
  return first <= number && number <= last;
}

bool matches(const std::string& cpuid, const ProcessorId& processor) {
  std::istringstream parts(cpuid);
  std::string family, models, steppings;
  std::getline(parts, family, ':');
  std::getline(parts, models, ':');
  std::getline(parts, steppings, ':');
  return within(family, processor.family) && within(models, processor.model) &&
         (steppings.empty() || within(steppings, processor.stepping));
}

}  // namespace

PowerProfile find_profile(const ProcessorId& processor) {
  const std::string file = "data/processors.yaml";
  const YAML::Node& operations = catalogue()["operations"];
  for (const YAML::Node& family : catalogue()["families"]) {
    for (const YAML::Node& cpuid : family["cpuid"]) {
      if (matches(cpuid.as<std::string>(), processor)) return read_family(family, operations, file);
    }
  }
  for (const YAML::Node& family : catalogue()["families"]) {
    const std::string pattern = family["pattern"].as<std::string>();
    if (pattern.empty() || std::regex_search(processor.name, std::regex(pattern))) {
      return read_family(family, operations, file);
    }
  }
  fail("data/processors.yaml: has no row for unknown processors");
}

PowerProfile load_profile(const std::string& name_or_path) {
  std::string known;
  for (const YAML::Node& family : catalogue()["families"]) {
    const std::string name = family["name"].as<std::string>();
    if (name == name_or_path) return read_family(family, catalogue()["operations"], "data/processors.yaml");
    known += (known.empty() ? "" : ", ") + name;
  }
  if (!std::filesystem::is_regular_file(name_or_path)) {
    fail("--profile {}: is neither a file nor a family; known are {}", name_or_path, known);
  }
  try {
    const YAML::Node node = YAML::LoadFile(name_or_path);
    return read_family(node, node, name_or_path);
  } catch (const YAML::Exception& error) {
    fail("{}: is not a profile ({}); write one with `wattle meter calibrate`", name_or_path, error.what());
  }
}

std::vector<std::pair<std::string, std::string>> family_patterns() {
  std::vector<std::pair<std::string, std::string>> patterns;
  for (const YAML::Node& family : catalogue()["families"]) {
    const std::string pattern = family["pattern"].as<std::string>();
    if (!pattern.empty()) patterns.emplace_back(family["name"].as<std::string>(), pattern);
  }
  return patterns;
}

std::string to_yaml(const PowerProfile& profile) {
  const auto range = [](const char* key, const Range& r) {
    return fmt::format("{}: {{low: {:.6g}, value: {:.6g}, high: {:.6g}}}\n", key, r.low, r.value, r.high);
  };
  return fmt::format("name: {}\nsource: {}\nyear: {}\n", profile.name, profile.source, profile.year) +
         range("idle_watts_per_thread", profile.idle_watts_per_thread) +
         range("full_watts_per_thread", profile.full_watts_per_thread) + range("int8_pj", profile.int8_pj) +
         range("bf16_pj", profile.bf16_pj) + range("fp32_pj", profile.fp32_pj) +
         range("byte_pj", profile.byte_pj);
}

Energy modelled_energy(const PowerProfile& profile, const Activity& activity) {
  Energy energy;
  energy.grade = Grade::kModelled;
  energy.source = "model:" + profile.name;
  energy.scope = "vcpu share of server";
  energy.seconds = activity.seconds;
  double below = 0, above = 0;
  const auto add = [&](double amount, const Range& range, double unit) {
    energy.joules += amount * range.value * unit;
    below += std::pow(amount * (range.value - range.low) * unit, 2);
    above += std::pow(amount * (range.high - range.value) * unit, 2);
  };
  const double idle_seconds = activity.threads * activity.seconds;
  // idle x (all - busy) + full x busy, so that the two parameters stand apart from each other.
  const double busy = std::min(activity.busy_seconds, idle_seconds);
  add(idle_seconds - busy, profile.idle_watts_per_thread, 1);
  add(busy, profile.full_watts_per_thread, 1);
  const Work& work = activity.work;
  add(work.macs_int8, profile.int8_pj, 1e-12);
  add(work.macs_bf16, profile.bf16_pj, 1e-12);
  add(work.macs_fp32, profile.fp32_pj, 1e-12);
  add(work.weight_bytes + work.activation_bytes, profile.byte_pj, 1e-12);
  energy.low = energy.joules - std::sqrt(below);
  energy.high = energy.joules + std::sqrt(above);
  energy.idle_joules = idle_seconds * profile.idle_watts_per_thread.value;
  energy.idle_known = true;
  return energy;
}

}  // namespace wattle
