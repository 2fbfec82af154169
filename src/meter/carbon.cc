#include "meter/carbon.h"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include <wattle/error.h>
#include <yaml-cpp/yaml.h>

#include "base/utf8.h"

namespace wattle::inline meter {

std::string_view embedded_carbon_yaml();

namespace {

const YAML::Node& catalogue() {
  static const YAML::Node node = YAML::Load(std::string(embedded_carbon_yaml()));
  return node;
}

/// Hour of "17" or "2024-05-01 17:00" or "2024-05-01T17:00"; -1 when it is neither.
int hour_of(const std::string& cell) {
  const size_t at = cell.find_first_of(" T");
  const std::string text = at == std::string::npos ? cell : cell.substr(at + 1);
  if (text.empty() || !std::isdigit(static_cast<unsigned char>(text[0]))) return -1;
  if (at == std::string::npos && text.find_first_not_of("0123456789") != std::string::npos) return -1;
  const int hour = std::atoi(text.c_str());
  return hour <= 23 ? hour : -1;
}

}  // namespace

CarbonRow carbon_zone(const std::string& zone) {
  const std::string wanted = lower_ascii(zone);
  std::string near;
  int n_near = 0;
  for (const YAML::Node& row : catalogue()["zones"]) {
    const std::string name = row["zone"].as<std::string>(), title = row["name"].as<std::string>();
    if (lower_ascii(name) != wanted && lower_ascii(title) != wanted) {
      if (lower_ascii(name + title).find(wanted.substr(0, 3)) != std::string::npos && n_near++ < 6) {
        near += (near.empty() ? "" : ", ") + name;
      }
      continue;
    }
    const YAML::Node source = catalogue()["sources"][row["source"].as<std::string>()];
    return {name,
            title,
            row["year"].as<int>(),
            row["grams_per_kwh"].as<double>(),
            source["title"].as<std::string>(),
            source["licence"].as<std::string>()};
  }
  fail(
      "--zone {}: is not in the table; give a country by its three letters (FRA) or a region "
      "(aws:eu-west-3){}{}",
      zone, near.empty() ? "" : "; near are ", near);
}

bool older_than_24_months(int year, int now_year, int now_month) {
  // A yearly figure is as old as the end of its year.
  return year == 0 || (now_year - year - 1) * 12 + now_month > 24;
}

HourlyProfile read_hourly_profile(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail("--hourly {}: cannot be opened; check the path", path);
  double sums[24] = {};
  int counts[24] = {};
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    if (++number == 1 || line.empty()) continue;
    const size_t comma = line.find(',');
    char* end = nullptr;
    const int hour = comma == std::string::npos ? -1 : hour_of(line.substr(0, comma));
    const double grams = comma == std::string::npos ? NAN : std::strtod(line.c_str() + comma + 1, &end);
    if (hour < 0 || !(grams >= 0) || end == line.c_str() + comma + 1) {
      fail("--hourly {}: line {} is not \"hour,grams a kWh\"; write the hour as 0-23 or a date with time",
           path, number);
    }
    sums[hour] += grams;
    ++counts[hour];
  }
  HourlyProfile profile{};
  for (int hour = 0; hour < 24; ++hour) {
    if (counts[hour] == 0) fail("--hourly {}: has no row for hour {}; a profile needs all 24", path, hour);
    profile.by_hour[hour] = sums[hour] / counts[hour];
  }
  return profile;
}

Consequences consequences(const Footprint& footprint, double joules, double seconds, int hour) {
  Consequences result;
  const double machine_kwh = joules / 3.6e6;
  result.kwh = machine_kwh * footprint.pue;
  if (footprint.hourly) {
    result.grams_co2e = result.kwh * footprint.hourly->by_hour[hour];
  } else if (footprint.zone) {
    result.grams_co2e = result.kwh * footprint.zone->grams_per_kwh;
  }
  if (footprint.wue) result.litres = machine_kwh * *footprint.wue;
  if (footprint.price) result.money = result.kwh * *footprint.price;
  const double share_of_life = seconds / (footprint.lifetime_years * 365.25 * 86400);
  if (footprint.embodied_low_kg)
    result.embodied_low_grams = 1000 * *footprint.embodied_low_kg * share_of_life;
  if (footprint.embodied_high_kg)
    result.embodied_high_grams = 1000 * *footprint.embodied_high_kg * share_of_life;
  return result;
}

}  // namespace wattle::inline meter
