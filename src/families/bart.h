#pragma once

#include "families/family.h"
#include "families/text_translator.h"

namespace wattle::inline families {

/// In what BART's relatives differ.
struct BartStyle {
  bool norm_first = false;     ///< norms before attention and feed-forward, and one after the last layer
  bool embedding_norm = true;  ///< words and positions are normalised
  Positions positions = Positions::kLearned;
  int64_t first_position = 2;  ///< fairseq counts positions from the padding id, 1, plus 1
  int32_t padding = -1;        ///< EmbeddingPlan::padding
  bool longformer =
      false;  ///< the encoder's attention is Longformer's: attention.sliding_window, layer by layer
};

/// config.json of BART and its relatives; the decoder's own sizes under decoder_*.
void read_bart_config(ConfigReader& config, const std::string& activation);
void describe_bart(const Hyperparameters& hyper, const BartStyle& style, Description& description);
std::unique_ptr<Network> build_bart(Weights& weights, const Hyperparameters& hyper, const BartStyle& style,
                                    const NetworkOptions& options);

}  // namespace wattle::inline families
