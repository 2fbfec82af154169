#pragma once

#include <wattle/meter.h>
#include <CLI/CLI.hpp>

namespace wattle {

/// Help pages that fit 80 columns: descriptions and prose are folded, commands of examples go on after a
/// backslash.
class NarrowHelp : public CLI::Formatter {
 public:
  NarrowHelp();
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* verb) const override;
  std::string make_footer(const CLI::App* app) const override;
};

/// --meter and --require-measured, for verbs whose energy is measured. `options` outlives the verb.
void add_meter_flags(CLI::App& verb, MeterOptions& options);

/// Positive whole numbers, refused in a sentence.
CLI::Validator at_least_one();
/// Finite numbers of at least `low`, or above it.
CLI::Validator number_of_at_least(double low);
CLI::Validator number_above(double low);

}  // namespace wattle
