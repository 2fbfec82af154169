#include "meter/model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include <fmt/format.h>
#include <wattle/error.h>
#include <yaml-cpp/yaml.h>

#include "meter/load_pairs.h"

namespace wattle::inline meter {

std::string_view embedded_processors_yaml();
std::string_view embedded_server_power_yaml();

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

const YAML::Node& catalogue() {
  static const YAML::Node node = YAML::Load(std::string(embedded_processors_yaml()));
  return node;
}

const ServerPower& server_power() {
  static const ServerPower power =
      parse_server_power(std::string(embedded_server_power_yaml()), "data/server_power.yaml");
  return power;
}

/// A family of data/processors.yaml with its row of data/server_power.yaml.
PowerProfile family_profile(const std::string& name) {
  const auto row = server_power().families.find(name);
  if (row == server_power().families.end())
    fail("data/server_power.yaml: has no row {}; write it anew with `wattle meter fit`", name);
  PowerProfile profile;
  profile.name = name;
  profile.source = fmt::format("SPECpower_ssj2008, {}-{}, {} results", row->second.first_year,
                               row->second.last_year, row->second.results);
  profile.year = row->second.last_year;
  profile.idle_watts_per_thread = row->second.idle_watts_per_thread;
  profile.full_watts_per_thread = row->second.full_watts_per_thread;
  profile.idle_full_correlation = server_power().idle_full_correlation;
  read_operations(catalogue()["operations"], "data/processors.yaml", profile);
  profile.recognised = name.rfind("unknown", 0) != 0;
  return profile;
}

/// A profile that `wattle meter calibrate` wrote.
PowerProfile read_profile(const YAML::Node& node, const std::string& file) {
  PowerProfile profile;
  profile.name = node["name"].as<std::string>("unnamed");
  profile.source = node["source"].as<std::string>("");
  profile.year = node["year"].as<int>(0);
  profile.idle_watts_per_thread = read_range(node, file, "idle_watts_per_thread");
  profile.full_watts_per_thread = read_range(node, file, "full_watts_per_thread");
  read_operations(node, file, profile);
  profile.recognised = true;
  return profile;
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
  for (const YAML::Node& family : catalogue()["families"]) {
    for (const YAML::Node& cpuid : family["cpuid"]) {
      if (matches(cpuid.as<std::string>(), processor))
        return family_profile(family["name"].as<std::string>());
    }
  }
  for (const auto& [name, pattern] : family_patterns()) {
    if (std::regex_search(processor.name, std::regex(pattern))) return family_profile(name);
  }
  if (processor.vendor == "AuthenticAMD") return family_profile("unknown-amd");
  return family_profile(processor.vendor == "GenuineIntel" ? "unknown-intel" : "unknown");
}

PowerProfile load_profile(const std::string& name_or_path) {
  std::string known;
  for (const auto& [name, row] : server_power().families) {
    if (name == name_or_path) return family_profile(name);
    known += (known.empty() ? "" : ", ") + name;
  }
  if (!std::filesystem::is_regular_file(name_or_path)) {
    fail("--profile {}: is neither a file nor a family; known are {}", name_or_path, known);
  }
  try {
    return read_profile(YAML::LoadFile(name_or_path), name_or_path);
  } catch (const YAML::Exception& error) {
    fail("{}: is not a profile ({}); write one with `wattle meter calibrate`", name_or_path, error.what());
  }
}

PowerProfile server_profile(const std::string& facts, const ProcessorId& processor) {
  std::map<std::string, std::string> given;
  std::istringstream parts(facts);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos) fail("--server: \"{}\" is not name=value", part);
    given[part.substr(0, equals)] = part.substr(equals + 1);
  }
  const auto number = [&](const std::string& name) {
    char* end = nullptr;
    const double value = given.count(name) > 0 ? std::strtod(given[name].c_str(), &end) : 0;
    if (!(value > 0 && std::isfinite(value)) || *end != '\0') {
      fail(
          "--server: {} is missing or not a positive number; write tdp=360,chips=2,memory=768,threads=256,"
          "year=2024",
          name);
    }
    return value;
  };
  const std::string vendor = given.count("vendor") > 0 ? given["vendor"] : processor.vendor;
  const bool amd = vendor == "amd" || vendor == "AuthenticAMD";
  if (!amd && vendor != "intel" && vendor != "GenuineIntel")
    fail("--server: the law knows servers with AMD's and Intel's processors; add vendor=amd or vendor=intel");
  const std::vector<double> features = server_features(number("tdp"), number("chips"), number("memory"),
                                                       static_cast<int>(number("year")), amd);
  const double threads = number("threads");
  const auto range = [&](const PowerLaw& law) {
    const double watts = std::exp(law.log_watts(features)) / threads;
    return Range{watts * std::exp(-law.log_half_width), watts, watts * std::exp(law.log_half_width)};
  };
  PowerProfile profile = find_profile(processor);
  profile.name = "server-law";
  profile.source = "law of SPECpower_ssj2008 results for " + facts;
  profile.idle_watts_per_thread = range(server_power().idle);
  profile.full_watts_per_thread = range(server_power().full);
  profile.recognised = true;
  return profile;
}

PowerProfile package_profile(const ProcessorId& processor) {
  if (processor.cores < 1 || !(processor.megahertz > 0)) {
    fail("--source model-package: /proc/cpuinfo does not show cores and clock; use --source model");
  }
  constexpr int kDesignPower = 3;
  const PowerLaw& law = server_power().package;
  if (law.scale == kDesignPower)
    fail("data/server_power.yaml: the package law needs design power; write it anew with `wattle meter fit`");
  PowerProfile profile = find_profile(processor);
  profile.name = "package-law";
  profile.package = PackageModel{law, static_cast<double>(processor.cores), processor.megahertz,
                                 server_power().package_curve_scale};
  return profile;
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

namespace {

double load_of(const Activity& activity) {
  return activity.busy_seconds / std::max(activity.threads * activity.seconds, 1e-9);
}

/// The design power is not known here; package_profile has made sure that the law does not ask for it.
std::vector<double> features_of(const PackageModel& model, const Activity& activity) {
  return package_features(1, model.cores, model.megahertz, std::clamp(load_of(activity), kLeastLoad, 1.0));
}

Energy package_energy(const PowerProfile& profile, const Activity& activity) {
  const PackageModel& model = *profile.package;
  const double load = load_of(activity);
  const std::vector<double> features = features_of(model, activity);
  Energy energy;
  energy.grade = Grade::kModelled;
  energy.source = "model:" + profile.name;
  energy.scope = "package";
  energy.seconds = activity.seconds;
  energy.joules = activity.seconds * std::exp(model.law.log_watts(features));
  energy.low = load < kLeastLoad ? 0 : energy.joules * std::exp(-model.law.log_half_width);
  energy.high = energy.joules * std::exp(model.law.log_half_width);
  energy.model.curve_scale = model.curve_scale;
  return energy;
}

}  // namespace

Energy modelled_energy(const PowerProfile& profile, const Activity& activity) {
  if (profile.package) return package_energy(profile, activity);
  Energy energy;
  energy.grade = Grade::kModelled;
  energy.source = "model:" + profile.name;
  energy.scope = "vcpu share of server";
  energy.seconds = activity.seconds;
  double below = 0, above = 0;
  energy.model.idle_full_correlation = profile.idle_full_correlation;
  const auto add = [&](ModelTerm::Parameter parameter, double amount, const Range& range, double unit) {
    energy.model.terms.push_back(
        {parameter, amount, range.low * unit, range.value * unit, range.high * unit});
    energy.joules += amount * range.value * unit;
    below += std::pow(amount * (range.value - range.low) * unit, 2);
    above += std::pow(amount * (range.high - range.value) * unit, 2);
  };
  const double idle_seconds = activity.threads * activity.seconds;
  // idle x (all - busy) + full x busy, so that the two parameters stand apart from each other.
  const double busy = std::min(activity.busy_seconds, idle_seconds);
  add(ModelTerm::kIdle, idle_seconds - busy, profile.idle_watts_per_thread, 1);
  add(ModelTerm::kFull, busy, profile.full_watts_per_thread, 1);
  const Work& work = activity.work;
  add(ModelTerm::kInt8, work.macs_int8, profile.int8_pj, 1e-12);
  add(ModelTerm::kBf16, work.macs_bf16, profile.bf16_pj, 1e-12);
  add(ModelTerm::kFp32, work.macs_fp32, profile.fp32_pj, 1e-12);
  add(ModelTerm::kBytes, work.weight_bytes + work.activation_bytes, profile.byte_pj, 1e-12);
  energy.low = energy.joules - std::sqrt(below);
  energy.high = energy.joules + std::sqrt(above);
  const Range& idle = profile.idle_watts_per_thread;
  energy.idle_joules = idle_seconds * idle.value;
  energy.idle_half = idle_seconds * std::max(idle.value - idle.low, idle.high - idle.value);
  energy.idle_known = true;
  return energy;
}

RawModel raw_model(const PowerProfile& profile, const Activity& activity) {
  RawModel raw;
  raw.source = "model:" + profile.name;
  raw.threads = activity.threads, raw.seconds = activity.seconds, raw.busy_seconds = activity.busy_seconds;
  const Work& work = activity.work;
  raw.macs_int8 = work.macs_int8, raw.macs_bf16 = work.macs_bf16, raw.macs_fp32 = work.macs_fp32;
  raw.bytes = work.weight_bytes + work.activation_bytes;
  if (profile.package) {
    const PowerLaw& law = profile.package->law;
    const std::vector<double> features = features_of(*profile.package, activity);
    if (law.scale >= 0) raw.log_watts.emplace_back(1, features[static_cast<size_t>(law.scale)]);
    for (size_t i = 0; i < law.uses.size(); ++i)
      raw.log_watts.emplace_back(law.coefficients[i], features[static_cast<size_t>(law.uses[i])]);
    raw.log_half_width = law.log_half_width;
    return raw;
  }
  const auto add = [&](const Range& range, double unit) {
    raw.parameters.push_back({range.low * unit, range.value * unit, range.high * unit});
  };
  add(profile.idle_watts_per_thread, 1), add(profile.full_watts_per_thread, 1);
  for (const Range* picojoules : {&profile.int8_pj, &profile.bf16_pj, &profile.fp32_pj, &profile.byte_pj})
    add(*picojoules, 1e-12);
  return raw;
}

}  // namespace wattle::inline meter
