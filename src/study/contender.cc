#include "study/contender.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/utf8.h"
#include "study/conditions.h"
#include "study/contender_kinds.h"

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;

/// Answers nothing, at once: what a query costs here is the harness's own.
class EmptyContender final : public Contender {
 public:
  void ask(size_t, Reply& reply) override { reply.answer.value = std::monostate(); }
  bool has_work() const override { return true; }
  int64_t peak_memory_bytes() const override { return wattle::peak_memory_bytes(); }
  Json description() const override { return {{"kind", "empty"}}; }
};

std::unique_ptr<Contender> open_empty(const Json& request) {
  return std::make_unique<EmptyContender>();
}

struct ContenderKind {
  std::string_view name;
  std::unique_ptr<Contender> (*open)(const Json& request);
};
constexpr std::array kContenderKinds = {
    ContenderKind{"model", open_model},   ContenderKind{"command", open_command},
    ContenderKind{"server", open_server}, ContenderKind{"cascade", open_cascade},
    ContenderKind{"empty", open_empty},
};

/// In small letters, without spaces and punctuation at the ends. Letters beyond ASCII stay as they are.
std::string plain(std::string_view text) {
  const auto is_edge = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x80 && std::isalnum(byte) == 0;
  };
  while (!text.empty() && is_edge(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_edge(text.back())) text.remove_suffix(1);
  return lower_ascii(text);
}

/// Whether `word` stands in `text` with no letter or digit beside it.
bool stands_in(std::string_view text, std::string_view word) {
  const auto is_letter = [&](size_t place) {
    const auto byte = static_cast<unsigned char>(text[place]);
    return byte >= 0x80 || std::isalnum(byte) != 0;
  };
  for (size_t at = text.find(word); !word.empty() && at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !is_letter(at - 1)) && (end == text.size() || !is_letter(end))) return true;
  }
  return false;
}

}  // namespace

std::unique_ptr<Contender> open_contender(const Json& request) {
  const std::string wanted = request.value("kind", "model");
  const auto kind = std::ranges::find(kContenderKinds, wanted, &ContenderKind::name);
  if (kind != kContenderKinds.end()) return kind->open(request);
  std::vector<std::string_view> names;
  for (const ContenderKind& known : kContenderKinds) names.push_back(known.name);
  fail("a contender of the kind \"{}\" is not known; one of {}", wanted, fmt::join(names, ", "));
}

Answer answer_of(Contender& contender, const Question& question) {
  contender.prepare({&question, 1});
  Reply reply;
  contender.ask(0, reply);
  return contender.read(0, std::move(reply));
}

RequestFields::RequestFields(const Json& request)
    : request_(request), kind_(request.value("kind", "model")), read_{"kind", "verb"} {}

const Json* RequestFields::find(const char* key) {
  const auto found = request_.find(key);
  if (found == request_.end()) return nullptr;
  read_.push_back(key);
  return &*found;
}

void RequestFields::refuse(const char* key, const char* wanted) const {
  fail("`{}` of a contender of the kind {} is {}, and not {}", key, kind_, request_.at(key).dump(), wanted);
}

bool RequestFields::has(const char* key) const {
  return request_.contains(key);
}

std::string RequestFields::text(const char* key, const std::string& otherwise) {
  const Json* found = find(key);
  if (found == nullptr) return otherwise;
  if (!found->is_string()) refuse(key, "a text");
  return found->get<std::string>();
}

std::string RequestFields::need_text(const char* key) {
  const std::string text = this->text(key, "");
  if (text.empty()) fail("a contender of the kind {} needs `{}`", kind_, key);
  return text;
}

double RequestFields::number(const char* key, double otherwise) {
  const Json* found = find(key);
  if (found == nullptr) return otherwise;
  if (!found->is_number() || !std::isfinite(found->get<double>())) refuse(key, "a number");
  return found->get<double>();
}

int64_t RequestFields::count(const char* key, int64_t otherwise) {
  const Json* found = find(key);
  if (found == nullptr) return otherwise;
  if (!found->is_number_integer() || found->get<int64_t>() < 0) refuse(key, "a whole number from 0");
  return found->get<int64_t>();
}

bool RequestFields::flag(const char* key, bool otherwise) {
  const Json* found = find(key);
  if (found == nullptr) return otherwise;
  if (!found->is_boolean()) refuse(key, "true or false");
  return found->get<bool>();
}

std::vector<std::string> RequestFields::texts(const char* key) {
  const Json* found = find(key);
  if (found == nullptr) return {};
  const auto is_text = [](const Json& text) { return text.is_string(); };
  if (!found->is_array() || !std::ranges::all_of(*found, is_text)) refuse(key, "a list of texts");
  return found->get<std::vector<std::string>>();
}

const Json& RequestFields::value(const char* key) {
  static const Json kNone;
  const Json* found = find(key);
  return found == nullptr ? kNone : *found;
}

void RequestFields::finish() const {
  for (const auto& item : request_.items()) {
    if (std::ranges::find(read_, item.key()) == read_.end())
      fail("a contender of the kind {} does not know `{}`; leave it out", kind_, item.key());
  }
}

LabelAnswer label_in_words(const std::string& text, const std::vector<std::string>& labels) {
  LabelAnswer answer;
  const std::string said = plain(text);
  std::vector<size_t> within;
  for (size_t k = 0; k < labels.size(); ++k) {
    const std::string label = plain(labels[k]);
    if (said == label) within = {k};
    if (said == label) break;
    if (stands_in(said, label)) within.push_back(k);
  }
  if (within.size() == 1) {
    answer.label = static_cast<int>(within[0]);
    answer.names = std::make_shared<const std::vector<std::string>>(labels);
  } else {
    answer.names = std::make_shared<const std::vector<std::string>>(1, text);
  }
  return answer;
}

void rename_labels(Answer& answer, const std::vector<std::string>& words,
                   const std::shared_ptr<const std::vector<std::string>>& labels) {
  auto* said = std::get_if<LabelAnswer>(&answer.value);
  if (said == nullptr || labels == nullptr || labels->size() != words.size()) return;
  if (*said->names == words) {
    said->names = labels;
    return;
  }
  std::vector<std::string> names = *said->names;
  for (std::string& name : names) {
    const auto place = std::ranges::find(words, name);
    if (place != words.end()) name = (*labels)[static_cast<size_t>(place - words.begin())];
  }
  said->names = std::make_shared<const std::vector<std::string>>(std::move(names));
}

double cosine(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) fail("vectors of {} and of {} numbers cannot be compared", a.size(), b.size());
  double product = 0, squares_a = 0, squares_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    product += static_cast<double>(a[i]) * b[i];
    squares_a += static_cast<double>(a[i]) * a[i];
    squares_b += static_cast<double>(b[i]) * b[i];
  }
  const double lengths = std::sqrt(squares_a * squares_b);
  return lengths > 0 ? product / lengths : 0;
}

decltype(Answer::value) answer_by_scores(const Question& question, std::vector<double> scores) {
  if (std::holds_alternative<Ranking>(question.content)) return ScoresAnswer{std::move(scores)};
  const auto* asked = std::get_if<MultipleChoice>(&question.content);
  if (asked == nullptr) return ScoreAnswer{scores.at(0)};
  LabelAnswer answer;
  const auto best = std::ranges::max_element(scores);
  answer.label = static_cast<int>(best - scores.begin());
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - *best);
  for (const double score : scores)
    answer.scores.push_back(static_cast<float>(std::exp(score - *best) / sum));
  answer.names = std::make_shared<const std::vector<std::string>>(asked->choices);
  return answer;
}

}  // namespace wattle::inline study
