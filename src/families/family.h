#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <wattle/error.h>

#include "families/capabilities.h"
#include "families/config.h"
#include "families/description.h"
#include "families/hyperparameters.h"
#include "layers/weights.h"

namespace wattle::inline families {

/// One family of models: its page is src/families/NAME.cc, and this is what the page says.
struct Family {
  std::string_view architecture;                  ///< as general.architecture says
  std::span<const std::string_view> model_types;  ///< as config.json says
  /// config.json -> metadata under GGUF's keys.
  void (*read_config)(ConfigReader& config);
  /// Every tensor, by the metadata alone.
  void (*describe)(const Hyperparameters& hyper, Description& description);
  /// The forward pass. Null for one that is another family once it is imported (RoBERTa is BERT).
  std::unique_ptr<Network> (*build)(Weights& weights, const Hyperparameters& hyper,
                                    const NetworkOptions& options);
};

std::span<const Family* const> all_families();
/// Error naming the file, the architecture and those known.
const Family& family_of(const std::string& architecture, const std::string& origin);
/// Null for an architecture that is not known.
const Family* find_family(const std::string& architecture);
/// The same by the model_type of config.json.
const Family& family_of_type(const std::string& model_type, const std::string& origin);

/// The description of what a file holds; Error for an unknown architecture.
Description describe(const Metadata& metadata);

/// Error for a tensor of `file` that its family does not read, and for one that it needs and the file has
/// not.
void check_tensors(const ModelFile& file, const Description& description);

}  // namespace wattle::inline families
