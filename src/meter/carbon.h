#pragma once

#include <optional>
#include <string>
#include <vector>

namespace wattle::inline meter {

/// Carbon intensity of a zone's electricity, as its table states it.
struct CarbonRow {
  std::string zone, name;  ///< "FRA", "aws:eu-west-3"
  int year = 0;            ///< 0: its collection does not state one
  double grams_per_kwh = 0;
  std::string source, licence;
};

/// The row of data/carbon.yaml. Error for a zone that is not there, naming near ones: nothing is guessed.
CarbonRow carbon_zone(const std::string& zone);

/// Whether a row of `year` is older than 24 months at the end of `now_year`'s `now_month`, or of unknown age.
bool older_than_24_months(int year, int now_year, int now_month);

/// Intensity by hour: a CSV with a header; first column hour (0-23) or a time "YYYY-MM-DD HH:MM", second
/// grams a kWh. Error naming the line that is no such row. The mean over the hours of the day that occur.
struct HourlyProfile {
  double by_hour[24];
};
HourlyProfile read_hourly_profile(const std::string& path);

/// Factors that turn energy into its consequences; each is stated by the user or absent.
struct Footprint {
  std::optional<CarbonRow> zone;
  std::optional<HourlyProfile> hourly;  ///< takes the place of the zone's yearly figure
  double pue = 1;                       ///< power usage effectiveness, applied once to energy
  std::optional<double> wue;            ///< litres of water a kWh of the machine (before PUE)
  std::optional<double> price;          ///< money a kWh
  std::optional<double> embodied_low_kg, embodied_high_kg;  ///< of the whole machine
  double lifetime_years = 4;
};

struct Consequences {
  double kwh = 0;  ///< with PUE
  std::optional<double> grams_co2e, litres, money;
  std::optional<double> embodied_low_grams, embodied_high_grams;
};
/// `joules` drawn over `seconds`, at `hour` of the day (for hourly profiles).
Consequences consequences(const Footprint& footprint, double joules, double seconds, int hour);

}  // namespace wattle::inline meter
