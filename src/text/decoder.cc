#include "text/decoder.h"

#include <algorithm>
#include <string_view>

#include <wattle/error.h>

#include "base/utf8.h"
#include "text/normalizer.h"
#include "text/pattern.h"
#include "text/token_model.h"

namespace wattle::inline text {

/// `raw`: bytes stay as they are, where they do not make a character too.
class Decoder::Step {
 public:
  virtual ~Step() = default;
  virtual void apply(std::vector<std::string>& tokens, bool raw) const = 0;
};

namespace {

using Tokens = std::vector<std::string>;

std::string replaced(std::string_view text, std::string_view old, std::string_view with) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t place = old.empty() ? std::string_view::npos : text.find(old, i);
    out += text.substr(i, place == std::string_view::npos ? place : place - i);
    if (place == std::string_view::npos) break;
    out += with;
    i = place + old.size();
  }
  return out;
}

/// English contractions and punctuation without the space before them (Hugging Face's clean-up).
std::string cleaned(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [old, with] : kRules) text = replaced(text, old, with);
  return text;
}

std::string joined(const Tokens& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

class ByteLevel final : public Decoder::Step {
 public:
  void apply(Tokens& tokens, bool raw) const override {
    std::string bytes;
    for (const std::string& token : tokens) {
      const size_t before = bytes.size();
      for (size_t i = 0; i < token.size();) {
        const DecodedCharacter c = decode_utf8(token, i);
        const int byte = stood_for(c.value);
        if (byte < 0) {  // a token that is not written in stand-ins
          bytes.resize(before);
          bytes += token;
          break;
        }
        bytes += static_cast<char>(byte);
        i += c.bytes;
      }
    }
    tokens = {raw ? std::move(bytes) : repaired_utf8(bytes)};
  }
};

class WordPiece final : public Decoder::Step {
 public:
  explicit WordPiece(const JsonView& json)
      : prefix_(json.text("prefix").value_or("##")), cleanup_(json.flag("cleanup").value_or(true)) {}
  void apply(Tokens& tokens, bool) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) token = token.starts_with(prefix_) ? token.substr(prefix_.size()) : " " + token;
      if (cleanup_) token = cleaned(std::move(token));
    }
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class Metaspace final : public Decoder::Step {
 public:
  explicit Metaspace(const JsonView& json)
      : replacement_(json.text("replacement").value_or("\u2581")),
        prepends_(json.text("prepend_scheme").value_or("always") != "never" &&
                  json.flag("add_prefix_space").value_or(true)) {}
  void apply(Tokens& tokens, bool) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = replaced(tokens[i], replacement_, i == 0 && prepends_ ? "" : " ");
    }
  }

 private:
  std::string replacement_;
  bool prepends_;
};

class Bpe final : public Decoder::Step {
 public:
  explicit Bpe(const JsonView& json) : suffix_(json.text("suffix").value_or("</w>")) {}
  void apply(Tokens& tokens, bool) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = replaced(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
    }
  }

 private:
  std::string suffix_;
};

class ByteFallback final : public Decoder::Step {
 public:
  void apply(Tokens& tokens, bool raw) const override {
    Tokens out;
    std::string bytes;
    const auto finish = [&] {
      if (!bytes.empty() && (raw || is_utf8(bytes))) out.push_back(bytes);
      if (!raw && !is_utf8(bytes)) out.insert(out.end(), bytes.size(), "\uFFFD");
      bytes.clear();
    };
    for (std::string& token : tokens) {
      const int byte = named_byte(token);
      if (byte >= 0) {
        bytes += static_cast<char>(byte);
        continue;
      }
      finish();
      out.push_back(std::move(token));
    }
    finish();
    tokens = std::move(out);
  }
};

class Fuse final : public Decoder::Step {
 public:
  void apply(Tokens& tokens, bool) const override { tokens = {joined(tokens)}; }
};

class Strip final : public Decoder::Step {
 public:
  explicit Strip(const JsonView& json)
      : content_(json.text("content").value_or(" ")),
        start_(json.integer("start").value_or(0)),
        stop_(json.integer("stop").value_or(0)) {}
  void apply(Tokens& tokens, bool) const override {
    for (std::string& token : tokens) {
      std::string_view text = token;
      for (int64_t i = 0; i < start_ && !content_.empty() && text.starts_with(content_); ++i) {
        text.remove_prefix(content_.size());
      }
      for (int64_t i = 0; i < stop_ && !content_.empty() && text.ends_with(content_); ++i) {
        text.remove_suffix(content_.size());
      }
      token = std::string(text);
    }
  }

 private:
  std::string content_;
  int64_t start_, stop_;
};

class Replace final : public Decoder::Step {
 public:
  explicit Replace(const JsonView& json)
      : pattern_(Pattern::from_json(json)), content_(json.text("content").value_or("")) {}
  void apply(Tokens& tokens, bool) const override {
    for (std::string& token : tokens) {
      if (!is_utf8(token)) continue;
      std::string out;
      size_t last = 0;
      pattern_.for_each_match(token, [&](size_t begin, size_t end) {
        out.append(token, last, begin - last);
        out += content_;
        last = end;
      });
      token = out.append(token, last);
    }
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class Ctc final : public Decoder::Step {
 public:
  explicit Ctc(const JsonView& json)
      : pad_(json.text("pad_token").value_or("<pad>")),
        delimiter_(json.text("word_delimiter_token").value_or("|")),
        cleanup_(json.flag("cleanup").value_or(true)) {}
  void apply(Tokens& tokens, bool) const override {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) {
      token = replaced(token, pad_, "");
      if (cleanup_) token = replaced(cleaned(std::move(token)), delimiter_, " ");
    }
    std::erase(tokens, "");
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
};

/// Tokens with a mark join the next; between others stands a space.
class MarkedBpe final : public Decoder::Step {
 public:
  explicit MarkedBpe(const JsonView& json) : mark_(json.text("continuation").value_or("@@")) {}
  void apply(Tokens& tokens, bool) const override {
    bool joins = true;
    for (std::string& token : tokens) {
      const bool marked = token.ends_with(mark_);
      if (marked) token.resize(token.size() - mark_.size());
      if (!joins) token.insert(0, " ");
      joins = marked;
    }
  }

 private:
  std::string mark_;
};

/// What an absent decoder does: a space between tokens.
class Plain final : public Decoder::Step {
 public:
  void apply(Tokens& tokens, bool) const override {
    for (size_t i = 1; i < tokens.size(); ++i) tokens[i].insert(0, " ");
  }
};

using Made = std::unique_ptr<Decoder::Step>;
template <typename Kind>
Made plain(const JsonView&) {
  return std::make_unique<Kind>();
}
template <typename Kind>
Made described(const JsonView& json) {
  return std::make_unique<Kind>(json);
}

struct Named {
  std::string_view type;
  Made (*make)(const JsonView&);
};
constexpr Named kDecoders[] = {
    {"ByteLevel", plain<ByteLevel>},
    {"WordPiece", described<WordPiece>},
    {"Metaspace", described<Metaspace>},
    {"BPEDecoder", described<Bpe>},
    {"ByteFallback", plain<ByteFallback>},
    {"Fuse", plain<Fuse>},
    {"Strip", described<Strip>},
    {"Replace", described<Replace>},
    {"CTC", described<Ctc>},
    {"MarkedBPE", described<MarkedBpe>},
};

}  // namespace

Decoder::Decoder(const JsonView& json) {
  for (const JsonView& step : pipeline_steps(json, "decoders")) {
    const std::string type = step.text("type").value_or("without a type");
    const auto* const known = std::find_if(std::begin(kDecoders), std::end(kDecoders),
                                           [&](const Named& named) { return named.type == type; });
    if (known == std::end(kDecoders)) {
      fail("{}: the decoder {} is not known here; use another model", json.origin(), type);
    }
    steps_.push_back(known->make(step));
  }
  if (steps_.empty()) steps_.push_back(std::make_unique<Plain>());
}

Decoder::~Decoder() = default;

std::string Decoder::run(std::vector<std::string> tokens, bool raw) const {
  for (const auto& step : steps_) step->apply(tokens, raw);
  return joined(tokens);
}

std::string Decoder::decode(std::vector<std::string> tokens) const {
  return run(std::move(tokens), false);
}

std::string Decoder::piece(const std::string& token) const {
  // Between two letters, of which the one before and the one behind are taken off again.
  const std::string two = run({"a", "a"}, true);
  const std::string_view behind = std::string_view(two).substr(1);
  std::string text = run({"a", token, "a"}, true);
  if (text.size() < two.size() || !text.ends_with(behind)) return {};
  return text.substr(1, text.size() - two.size());
}

}  // namespace wattle::inline text
