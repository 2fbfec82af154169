#include "families/heads.h"

#include <algorithm>
#include <map>
#include <utility>

#include <wattle/error.h>

namespace wattle::inline families {
namespace {

constexpr std::string_view kHeadKey = "wattle.head";

struct HeadName {
  std::string_view architecture;  ///< what follows the family's name in `architectures`
  std::string_view name;
  NetworkHeadKind kind;
};
constexpr HeadName kHeads[] = {
    {"ForSequenceClassification", "sequence", NetworkHeadKind::kSequence},
    {"ForTokenClassification", "token", NetworkHeadKind::kToken},
    {"ForQuestionAnswering", "span", NetworkHeadKind::kSpan},
    {"ForMaskedLM", "masked", NetworkHeadKind::kMasked},
    {"ElectraForPreTraining", "replaced", NetworkHeadKind::kReplaced},
    {"ForPreTraining", "masked", NetworkHeadKind::kMasked},
};

/// id2label of config.json, in the order of the ids.
std::vector<std::string> labels_of(const ConfigReader& config) {
  const nlohmann::json* names = config.json().find("id2label");
  if (names == nullptr) return {};
  std::map<int64_t, std::string> by_id;
  for (const auto& [id, label] : names->items()) {
    const bool numbers =
        !id.empty() && id.size() < 10 && id.find_first_not_of("0123456789") == std::string::npos;
    if (!numbers || !label.is_string())
      fail("{}: id2label has the entry {}; ids are numbers and labels texts: correct the file",
           config.origin(), id);
    by_id[std::stoll(id)] = label.get<std::string>();
  }
  std::vector<std::string> labels;
  for (const auto& [id, label] : by_id) {
    if (id != static_cast<int64_t>(labels.size()))
      fail("{}: id2label has no label {}; correct the file", config.origin(), labels.size());
    labels.push_back(label);
  }
  return labels;
}

std::string rank_activation(const std::string& function, const std::string& origin) {
  const std::string name = function.substr(function.rfind('.') + 1);
  if (name == "Sigmoid") return "sigmoid";
  if (name == "Identity") return "identity";
  fail("{}: the activation function {} of the score is not known here; known are Sigmoid and Identity",
       origin, function);
}

const HeadName* head_name(const ConfigReader& config) {
  const nlohmann::json* architectures = config.json().find("architectures");
  if (architectures == nullptr || !architectures->is_array() || architectures->empty() ||
      !architectures->front().is_string())
    return nullptr;
  const auto architecture = architectures->front().get<std::string>();
  const auto* head = std::ranges::find_if(
      kHeads, [&](const HeadName& each) { return architecture.ends_with(each.architecture); });
  return head == std::end(kHeads) ? nullptr : head;
}

}  // namespace

std::optional<NetworkHeadKind> named_head(const ConfigReader& config) {
  const HeadName* head = head_name(config);
  return head == nullptr ? std::nullopt : std::optional(head->kind);
}

void read_head(ConfigReader& config, Metadata& metadata) {
  const HeadName* head = head_name(config);
  if (head == nullptr) return;
  metadata.set(std::string(kHeadKey), Value::of(std::string(head->name)));
  if (head->kind != NetworkHeadKind::kSequence && head->kind != NetworkHeadKind::kToken) return;
  if (auto labels = labels_of(config); !labels.empty())
    metadata.set("wattle.labels", Value::of(std::move(labels)));
  if (const auto padding = config.json().integer("pad_token_id"))
    metadata.set("wattle.head.padding", Value::of(*padding));
  const nlohmann::json* end = config.json().find("eos_token_id");
  if (end != nullptr && end->is_number_integer())
    metadata.set("wattle.head.end", Value::of(end->get<int64_t>()));
  // A cross-encoder of Sentence Transformers: what becomes of its score, by a class of PyTorch.
  const JsonView sentence = config.child("sentence_transformers");
  auto function = sentence ? sentence.text("activation_fn") : std::nullopt;
  if (!function) function = config.json().text("sbert_ce_default_activation_function");
  if (function && head->kind == NetworkHeadKind::kSequence) {
    metadata.set("wattle.rank.activation", Value::of(rank_activation(*function, config.origin())));
  }
  if (const auto problem = config.json().text("problem_type"))
    metadata.set("wattle.problem_type", Value::of(*problem));
}

std::optional<NetworkHeadKind> head_of(const Metadata& metadata) {
  const auto name = metadata.text(kHeadKey);
  if (!name) return std::nullopt;
  for (const HeadName& head : kHeads) {
    if (head.name == *name) return head.kind;
  }
  fail("{}: {} is {}; known are sequence, token, span, replaced and masked", metadata.origin(), kHeadKey,
       *name);
}

namespace {

/// Tensors of heads that the configuration does not name have no use.
void leave_other_heads_out(const HeadSources& sources, Description& description) {
  for (const std::string& source :
       {sources.sequence_dense, sources.sequence_out, sources.sequence_norm_source, sources.token,
        sources.span, sources.replaced_dense, sources.replaced_out, sources.masked_dense, sources.masked_norm,
        sources.masked_out}) {
    if (!source.empty()) description.left_out({source + "."});
  }
  if (!sources.masked_bias.empty()) description.left_out({sources.masked_bias});
}

}  // namespace

void describe_head(const Hyperparameters& hyper, const HeadSources& sources, Description& description) {
  const int64_t width = hyper.width();
  const auto labels = static_cast<int64_t>(hyper.metadata().strings("wattle.labels").size());
  const int64_t outputs = labels > 0 ? labels : kAnySize;
  description.begin("", "");
  const auto kind = head_of(hyper.metadata());
  const bool of_labels = kind == NetworkHeadKind::kToken || kind == NetworkHeadKind::kSpan;
  if (kind == NetworkHeadKind::kSequence || (of_labels && sources.dense_for_all)) {
    if (!sources.sequence_dense.empty())
      description.linear({.name = "cls",
                          .source = sources.sequence_dense,
                          .outputs = width,
                          .inputs = width,
                          .bias = sources.sequence_dense_bias});
    if (sources.sequence_norm)
      description.norm("cls.norm", sources.sequence_norm_source, width, sources.sequence_norm_bias);
  }
  if (kind == NetworkHeadKind::kSequence) {
    description.linear({.name = "cls.output",
                        .source = sources.sequence_out,
                        .outputs = outputs,
                        .inputs = width,
                        .bias = sources.sequence_out_bias});
  } else if (kind == NetworkHeadKind::kToken) {
    description.linear({.name = "token_cls", .source = sources.token, .outputs = outputs, .inputs = width});
  } else if (kind == NetworkHeadKind::kSpan) {
    description.linear({.name = "span", .source = sources.span, .outputs = 2, .inputs = width});
  } else if (kind == NetworkHeadKind::kReplaced) {
    description.linear(
        {.name = "replaced.dense", .source = sources.replaced_dense, .outputs = width, .inputs = width});
    description.linear(
        {.name = "replaced.output", .source = sources.replaced_out, .outputs = 1, .inputs = width});
  } else if (kind == NetworkHeadKind::kMasked) {
    const int64_t narrow = sources.masked_width > 0 ? sources.masked_width : width;
    if (!sources.masked_dense.empty()) {
      description.linear({.name = "mlm.dense",
                          .source = sources.masked_dense,
                          .outputs = narrow,
                          .inputs = width,
                          .bias = sources.masked_dense_bias});
      description.norm("mlm.norm", sources.masked_norm, narrow, sources.masked_norm_bias);
    }
    description.tensor({"mlm.output.weight",
                        sources.masked_out.empty() ? "" : sources.masked_out + ".weight",
                        {hyper.vocabulary(), narrow},
                        Role::kOutput,
                        {},
                        true});
    if (!sources.masked_bias.empty())
      description.tensor({"mlm.output.bias", sources.masked_bias, {hyper.vocabulary()}, Role::kBias});
    description.buffers(sources.masked_duplicates);
  }
  leave_other_heads_out(sources, description);
}

void describe_decoder_head(const Hyperparameters& hyper, Description& description) {
  describe_head(hyper, {.sequence_out = "score", .sequence_out_bias = false, .token = "classifier"},
                description);
  description.left_out({"score.", "classifier."});
}

NetworkHead::NetworkHead(Weights& weights, int64_t width, const Plan& plan)
    : kind_(head_of(weights.file().metadata())), plan_(plan) {
  const ModelFile& file = weights.file();
  const auto linear = [&](const std::string& name, int64_t inputs) {
    return Linear(weights, {name, file.need(name + ".weight").rows()}, inputs);
  };
  end_ = static_cast<int32_t>(file.metadata().integer("wattle.head.end").value_or(-1));
  padding_ = static_cast<int32_t>(file.metadata().integer("wattle.head.padding").value_or(-1));
  if (weights.has("cls.weight")) dense_ = linear("cls", width);
  norm_ = Norm::where_there(weights, "cls.norm", width, plan.norm, plan.epsilon);
  if (kind_ == NetworkHeadKind::kSequence) {
    out_ = linear("cls.output", width);
  } else if (kind_ == NetworkHeadKind::kToken) {
    out_ = linear("token_cls", width);
  } else if (kind_ == NetworkHeadKind::kSpan) {
    out_ = linear("span", width);
  } else if (kind_ == NetworkHeadKind::kReplaced) {
    dense_ = linear("replaced.dense", width);
    out_ = linear("replaced.output", width);
  } else if (kind_ == NetworkHeadKind::kMasked) {
    if (weights.has("mlm.dense.weight")) dense_ = linear("mlm.dense", width);
    const int64_t narrow = dense_.outputs() > 0 ? dense_.outputs() : width;
    norm_ = Norm::where_there(weights, "mlm.norm", narrow, plan.norm, plan.epsilon);
    const bool own = weights.has("mlm.output.weight");
    const std::string words = own ? "mlm.output" : "token_embd";
    out_ = Linear(weights, {words, file.need(words + ".weight").rows(), "mlm.output"}, narrow);
  }
}

Matrix NetworkHead::pooled(const Ragged<int32_t>& tokens, ConstMatrixView hidden) const {
  Matrix rows(tokens.sequences(), hidden.columns);
  for (int64_t i = 0; i < rows.rows(); ++i) {
    const int64_t begin = tokens.offsets[static_cast<size_t>(i)], length = tokens.length(i);
    const auto out = rows.row(i);
    int64_t row = 0;
    const auto skips = [&](int32_t id) {
      return plan_.pooling == Pooling::kLast ? id == padding_ : id != end_;
    };
    if (plan_.pooling == Pooling::kLast || plan_.pooling == Pooling::kEnd) {
      for (row = length - 1; row > 0 && skips(tokens.sequence(i)[static_cast<size_t>(row)]);) --row;
    }
    std::ranges::copy(hidden.row(begin + row), out.begin());
    if (plan_.pooling != Pooling::kMean) continue;
    for (int64_t token = 1; token < length; ++token) {
      const auto values = hidden.row(begin + token);
      for (size_t c = 0; c < out.size(); ++c) out[c] += values[c];
    }
    for (float& value : out) value /= static_cast<float>(length);
  }
  return rows;
}

void NetworkHead::operator()(const Ragged<int32_t>& tokens, ConstMatrixView hidden, Matrix& logits,
                             Work& work) const {
  if (!kind_) fail("this model has no head; use one that was trained for the task");
  Matrix first, inner;
  if (kind_ == NetworkHeadKind::kSequence) {
    first = pooled(tokens, hidden);
    hidden = first.view();
  }
  LayerInput input;
  if (dense_.outputs() > 0) {
    inner.resize(hidden.rows, dense_.outputs());
    input.set(hidden);
    dense_(input, inner.view(), work,
           kind_ == NetworkHeadKind::kMasked     ? plan_.masked
           : kind_ == NetworkHeadKind::kReplaced ? plan_.replaced
                                                 : plan_.sequence);
    work.weight_bytes += dense_.weight_bytes();
    hidden = inner.view();
  }
  Matrix normed;
  if (norm_) {
    normed.resize(hidden.rows, hidden.columns);
    norm_(hidden, normed.view(), work);
    hidden = normed.view();
  }
  logits.resize(hidden.rows, out_.outputs());
  input.set(hidden);
  out_(input, logits.view(), work);
  work.weight_bytes += out_.weight_bytes();
}

}  // namespace wattle::inline families
