// Sensors of power on boards, by the drivers that show them and the labels that tell what they measure: INA
// chips and their like, Apple's system management controller, IBM's on-chip controller, power supplies.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <span>

#include <fmt/format.h>

#include "meter/hwmon.h"

namespace wattle::inline meter {
namespace {

// INA226/INA3221 data sheets: 0.1-0.5 % of the chip plus the shunt's 1 %. The others' makers state nothing:
// 5 %, as for gauges of their kind.
constexpr double kInaAccuracy = 0.02, kOtherAccuracy = 0.05;

/// What a label says of the place of its figure among the others.
enum class Role {
  kWhole,    ///< holds all others of the source
  kSummand,  ///< one of several that add up
  kPart,     ///< inside a summand, or outside of what is asked for: never added
};

/// A label in lower case with blanks for _ and -, its leading sensor number taken off; '#' stands for a
/// number, a trailing '*' for any rest. The first rule that fits holds.
struct LabelRule {
  const char* label;
  Role role;
  const char* scope;
  const char* reason;  ///< why a part is left out, where it is not inside the whole
};

struct Board {
  const char* source;
  std::span<const char* const> chips;  ///< names of drivers; a trailing '*' stands for any rest
  std::span<const LabelRule> rules;
  double accuracy;
  const char* prefix;  ///< of the channels' names
};

constexpr const char* kInaChips[] = {"ina*",    "ltc2945",  "ltc2946", "ltc2947",
                                     "ltc2992", "isl28022", "sq52206"};
constexpr LabelRule kRails[] = {
    // The input of NVIDIA's Jetson modules (Jetson Linux Developer Guide, "Power rails").
    {"vdd in", Role::kWhole, "rail", ""},
    {"pom 5v in", Role::kWhole, "rail", ""},
    {"5v in", Role::kWhole, "rail", ""},
    {"vin", Role::kWhole, "rail", ""},
    {"dc in", Role::kWhole, "rail", ""},
    {"input power", Role::kWhole, "rail", ""},
    {"psys", Role::kWhole, "rail", ""},
    {"platform", Role::kWhole, "rail", ""},
    {"system", Role::kWhole, "rail", ""},
    {"system power", Role::kWhole, "rail", ""},
    {"board power", Role::kWhole, "rail", ""},
    {"module power", Role::kWhole, "rail", ""},
    {"total*", Role::kWhole, "rail", ""},
    {"power total", Role::kWhole, "rail", ""},
    // Measured at the 5 V of VIN_SYS_5V0 on Jetson AGX Orin, which feeds its regulator.
    {"vddq vdd2 1v8ao", Role::kPart, "rail", "its regulator is fed by VIN_SYS_5V0"},
    {"nc", Role::kPart, "rail", "nothing is connected to it"},
    {"sum of shunt voltages", Role::kPart, "rail", "a sum of the others"},
    {"*", Role::kSummand, "rail", ""},
};

constexpr const char* kAppleChips[] = {"macsmc_hwmon"};
// Linux arch/arm64/boot/dts/apple/hwmon-common.dtsi.
constexpr LabelRule kApple[] = {
    {"total system power", Role::kWhole, "system", ""},
    {"ac input power", Role::kPart, "wall",
     "what the adapter gives: it holds the battery's charging and lacks its discharging"},
    {"heatpipe power", Role::kPart, "system", "an estimate of heat, not a meter"},
    {"*", Role::kPart, "system", "one of several rails, of which the driver does not show all"},
};

constexpr const char* kIbmChips[] = {"ibmpowernv", "occ"};
// Labels of ibmpowernv: skiboot hw/occ-sensor.c; of occ-hwmon: Linux Documentation/hwmon/occ.rst.
constexpr LabelRule kIbm[] = {
    {"system", Role::kWhole, "system", ""},
    {"proc", Role::kSummand, "package", ""},
    {"chip #", Role::kSummand, "package", ""},
    {"chip # memory*", Role::kSummand, "dram", ""},
    {"vdd", Role::kPart, "core", "a rail of its processor"},
    {"vdn", Role::kPart, "core", "a rail of its processor"},
    {"chip # vdd*", Role::kPart, "core", "a rail of its processor"},
    {"chip # vdn*", Role::kPart, "core", "a rail of its processor"},
    {"chip # gpu*", Role::kPart, "gpu", "graphics processors are counted by sources of their own"},
    {"*", Role::kPart, "rail", "its label does not say what it measures"},
};

constexpr const char* kSupplyChips[] = {"corsairpsu"};
constexpr LabelRule kSupply[] = {
    // Linux drivers/hwmon/corsair-psu.c
    {"power total", Role::kWhole, "system", ""},
    {"*", Role::kSummand, "system", ""},
};

constexpr Board kIna = {"ina", kInaChips, kRails, kInaAccuracy, "rail "};
constexpr Board kAppleSmc = {"apple-smc", kAppleChips, kApple, kOtherAccuracy, ""};
constexpr Board kIbmOcc = {"ibm-occ", kIbmChips, kIbm, kOtherAccuracy, ""};
constexpr Board kPowerSupply = {"power-supply", kSupplyChips, kSupply, kOtherAccuracy, ""};

bool fits(std::string_view pattern, std::string_view text) {
  for (;; pattern.remove_prefix(1)) {
    if (pattern == "*") return true;
    if (pattern.empty() || text.empty()) return pattern.empty() && text.empty();
    if (pattern.front() == '#') {
      if (!std::isdigit(static_cast<unsigned char>(text.front()))) return false;
      while (!text.empty() && std::isdigit(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
    } else {
      if (pattern.front() != text.front()) return false;
      text.remove_prefix(1);
    }
  }
}

/// "0_system" and "VDD_IN" become "system" and "vdd in".
std::string plain(const std::string& label) {
  std::string text;
  for (const unsigned char c : label) text += c == '_' || c == '-' ? ' ' : static_cast<char>(std::tolower(c));
  const size_t digits = text.find_first_not_of("0123456789");
  if (digits != std::string::npos && digits > 0 && text[digits] == ' ' &&
      text.find_first_not_of("0123456789 ") != std::string::npos)
    text.erase(0, digits + 1);
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

const LabelRule& rule_of(const Board& board, const std::string& label) {
  const std::string text = plain(label);
  for (const LabelRule& rule : board.rules)
    if (fits(rule.label, text)) return rule;
  return board.rules.back();
}

/// The three rails of an INA3221, each a voltage times a current. in4 to in6 are the shunts' voltages in
/// microvolts, curr4 and in7 sums of the three: Linux Documentation/hwmon/ina3221.rst.
std::vector<HwmonFigure> ina3221_rails(Machine& machine, const HwmonChip& chip) {
  std::vector<HwmonFigure> rails;
  for (int i = 1; i <= 3; ++i) {
    if (hwmon_text(machine, chip, fmt::format("in{}_enable", i)) == "0") continue;
    const std::string volts = hwmon_file(machine, chip, fmt::format("in{}_input", i));
    const std::string amperes = hwmon_file(machine, chip, fmt::format("curr{}_input", i));
    if (volts.empty() || amperes.empty()) continue;
    rails.push_back({i, hwmon_text(machine, chip, fmt::format("in{}_label", i)), false, {volts, amperes}});
  }
  return rails;  // millivolts x milliamperes are microwatts
}

/// A counter of energy is better than the power of the same label. Further accumulators of one chip, such as
/// LTC2947's second, follow rules that somebody has set.
std::vector<HwmonFigure> figures_of(Machine& machine, const HwmonChip& chip) {
  if (chip.name == "ina3221") return ina3221_rails(machine, chip);
  std::vector<HwmonFigure> all = hwmon_figures(machine, chip), best;
  for (HwmonFigure& figure : all) {
    if (figure.label.empty()) {
      figure.label = hwmon_text(machine, chip, fmt::format("in{}_label", figure.number));
    }
    const bool known = std::ranges::any_of(best, [&](const HwmonFigure& other) {
      return other.energy && (other.label == figure.label || chip.name == "ltc2947");
    });
    if (!known) best.push_back(figure);
  }
  return best;
}

/// Only the first whole is counted where there is one: a second one shows the same machine again.
void leave_out_parts(FilesSource& source, const std::vector<const LabelRule*>& rules) {
  const std::vector<Channel>& channels = source.channels();
  size_t whole = channels.size();
  const auto shows_something = [&](size_t i) {
    return channels[i].kind == Channel::Kind::kEnergy || source.read_one(i).watts > 0;
  };
  for (size_t i = channels.size(); i-- > 0;)
    if (rules[i]->role == Role::kWhole && (whole == channels.size() || shows_something(i))) whole = i;
  for (size_t i = 0; i < channels.size(); ++i) {
    if (i == whole) continue;
    const char* reason = rules[i]->reason;
    if (whole < channels.size() && rules[i]->role == Role::kWhole) {
      source.leave_out(i, fmt::format("the whole again, which {} shows already", channels[whole].name));
    } else if (whole < channels.size() && (rules[i]->role == Role::kSummand || *reason == '\0')) {
      source.leave_out(i, fmt::format("hangs on {}, which is counted", channels[whole].name));
    } else if (rules[i]->role == Role::kPart) {
      source.leave_out(i, reason);
    }
  }
}

bool named(const Board& board, const HwmonChip& chip) {
  return std::ranges::any_of(board.chips, [&](const char* name) { return fits(name, chip.name); });
}

Probe open_board(Machine& machine, const Board& board, const std::string& missing) {
  auto source = std::make_unique<FilesSource>(machine, board.source);
  std::vector<const LabelRule*> rules;
  for (const HwmonChip& chip : hwmon_chips(machine)) {
    if (!named(board, chip)) continue;
    const double milliseconds = std::atof(hwmon_text(machine, chip, "update_interval").c_str());
    for (const HwmonFigure& figure : figures_of(machine, chip)) {
      const LabelRule& rule = rule_of(board, figure.label);
      const std::string name =
          board.prefix +
          (figure.label.empty() ? fmt::format("{}-{}", chip.entry, figure.number) : figure.label);
      Channel channel = (figure.energy ? hwmon_energy : hwmon_power)(name, rule.scope, board.accuracy);
      channel.stated_interval = 1e-3 * std::max(0.0, milliseconds);
      if (source->add(channel, figure.files)) rules.push_back(&rule);
    }
  }
  if (rules.empty()) return {nullptr, missing, ""};
  leave_out_parts(*source, rules);
  if (std::ranges::all_of(source->channels(), [](const Channel& c) { return !c.left_out.empty(); }))
    return {nullptr, "none of its sensors is known to measure the machine", ""};
  return {std::move(source), "", ""};
}

}  // namespace

bool is_board_sensor(const HwmonChip& chip) {
  return named(kIna, chip) || named(kAppleSmc, chip) || named(kIbmOcc, chip) || named(kPowerSupply, chip);
}

Probe open_ina(Machine& machine) {
  return open_board(machine, kIna, "no INA power sensor in /sys/class/hwmon");
}

Probe open_apple_smc(Machine& machine) {
  return open_board(machine, kAppleSmc, "no macsmc_hwmon (Apple's SMC) in /sys/class/hwmon");
}

Probe open_ibm_occ(Machine& machine) {
  return open_board(machine, kIbmOcc, "no ibmpowernv or occ (IBM's OCC) in /sys/class/hwmon");
}

Probe open_power_supply(Machine& machine) {
  return open_board(machine, kPowerSupply, "no power supply that tells its power in /sys/class/hwmon");
}

}  // namespace wattle::inline meter
