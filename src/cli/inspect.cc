#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "cli/inspect_chat.h"
#include "cli/paths.h"
#include "cli/verbs.h"
#include "families/open_file.h"
#include "file/model_file.h"
#include "file/packed_file.h"
#include "file/statistics.h"
#include "text/tokenizer.h"

namespace wattle {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string file, tensor, chat_template;
  bool all = false, metadata = false, json = false, chat = false;
};

/// "1.12 GB", "91 kB": three digits, powers of ten as disks and downloads count.
std::string size_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 999.5 && unit < 4) bytes /= 1000, ++unit;
  const int digits = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", bytes, digits, kUnits[unit]);
}

/// "134.5 M"
std::string count_text(double count) {
  constexpr const char* kUnits[] = {"", " k", " M", " G"};
  int unit = 0;
  while (count >= 1000 && unit < 3) count /= 1000, ++unit;
  return fmt::format("{:.{}f}{}", count, unit == 0 ? 0 : 1, kUnits[unit]);
}

/// What a file says may hold anything: control characters must not reach the terminal.
std::string printable(std::string text, size_t longest) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  if (text.size() <= longest) return text;
  size_t cut = longest - 3;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  return text.substr(0, cut) + "...";
}

struct TypeSum {
  int64_t tensors = 0;
  double weights = 0, bytes = 0;
};

std::vector<std::pair<Format, TypeSum>> type_sums(const ModelFile& file) {
  std::map<Format, TypeSum> sums;
  for (const Tensor& tensor : file.tensors()) {
    TypeSum& sum = sums[tensor.format];
    sum.tensors += 1;
    sum.weights += static_cast<double>(tensor.elements());
    sum.bytes += static_cast<double>(tensor.bytes.size());
  }
  std::vector<std::pair<Format, TypeSum>> sorted(sums.begin(), sums.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  return sorted;
}

TypeSum all_types(const ModelFile& file) {
  TypeSum sum;
  for (const auto& [format, part] : type_sums(file)) {
    sum.tensors += part.tensors;
    sum.weights += part.weights;
    sum.bytes += part.bytes;
  }
  return sum;
}

// --- text ---

void print_line(std::string_view label, const std::string& text) {
  fmt::print("{:<15}{}\n", label, text);
}

void print_architecture(const ModelFile& file) {
  const Metadata& metadata = file.metadata();
  if (const auto model = metadata.text("general.name")) print_line("name", printable(*model, 65));
  const auto architecture = metadata.text("general.architecture");
  if (!architecture) {
    print_line("architecture", "not stated: tensors only, under the names they have in the file");
    return;
  }
  std::string text = printable(*architecture, 30);
  const auto add = [&](const char* key, const char* words) {
    const Value* value = metadata.find(*architecture + key);
    if (value != nullptr && value->type != ValueType::kArray) {
      text += fmt::format(", {} {}", *metadata.integer(*architecture + key), words);
    }
  };
  add(".block_count", "layers");
  add(".embedding_length", "wide");
  add(".feed_forward_length", "inside");
  print_line("architecture", text);
  text.clear();
  add(".attention.head_count", "heads");
  add(".attention.head_count_kv", "for keys and values");
  add(".context_length", "tokens of context");
  if (!text.empty()) print_line("", text.substr(2));
}

void print_memory(const ModelFile& file) {
  const auto need = memory_need(file);
  if (!need) return;
  std::string text = fmt::format("{}: weights {}", size_text(static_cast<double>(need->total())),
                                 size_text(static_cast<double>(need->weights)));
  if (need->cache > 0) {
    text += fmt::format(", cache {} ({} tokens, F16)", size_text(static_cast<double>(need->cache)),
                        need->context);
  }
  print_line("memory to run", text);
  print_line("", fmt::format("activations about {} ({} tokens at once)",
                             size_text(static_cast<double>(need->activations)), need->tokens));
}

/// What the reader of the file and its tokenizer found lacking. A tokenizer that is not understood is no
/// hindrance to looking at the rest.
std::vector<std::string> notes_of(const ModelFile& file) {
  std::vector<std::string> notes = file.notes();
  if (file.metadata().find("tokenizer.ggml.model") == nullptr) return notes;
  try {
    const auto of_tokenizer = Tokenizer::create(file.metadata())->notes();
    notes.insert(notes.end(), of_tokenizer.begin(), of_tokenizer.end());
  } catch (const Error& error) {
    notes.push_back(fmt::format("its tokenizer cannot be used: {}", printable(error.what(), 200)));
  }
  return notes;
}

std::string tokenizer_text(const Metadata& metadata) {
  const auto model = metadata.text("tokenizer.ggml.model");
  if (!model) return "none";
  std::string text = *model == "bert"    ? "WordPiece"
                     : *model == "gpt2"  ? "byte-level BPE"
                     : *model == "llama" ? "SentencePiece"
                                         : printable(*model, 20);
  if (const auto pre = metadata.text("tokenizer.ggml.pre")) text += fmt::format(" ({})", printable(*pre, 20));
  text += fmt::format(", {} tokens", metadata.strings("tokenizer.ggml.tokens").size());
  const size_t merges = metadata.strings("tokenizer.ggml.merges").size();
  if (merges > 0) text += fmt::format(", {} merges", merges);
  if (metadata.find("tokenizer.chat_template") != nullptr) text += ", chat template";
  return text;
}

struct TableRow {
  std::string name;
  const Tensor* first;
  int64_t count = 1;
  double bytes = 0;
};

/// One row a tensor, or (`group`) one for all layers in which it has the same type and shape.
std::vector<TableRow> table_rows(const ModelFile& file, bool group) {
  std::vector<TableRow> rows;
  std::map<std::string, size_t> known;
  for (const Tensor& tensor : file.tensors()) {
    std::string name = tensor.name;
    const size_t end = name.find('.', 4);
    if (group && name.starts_with("blk.") && end != std::string::npos) name.replace(4, end - 4, "*");
    const std::string key =
        fmt::format("{} {} {}", name, static_cast<uint32_t>(tensor.format), fmt::join(tensor.shape, ","));
    const auto [place, is_new] = known.try_emplace(group ? key : tensor.name, rows.size());
    if (is_new) {
      rows.push_back({name, &tensor, 1, static_cast<double>(tensor.bytes.size())});
    } else {
      rows[place->second].count += 1;
      rows[place->second].bytes += static_cast<double>(tensor.bytes.size());
    }
  }
  return rows;
}

void print_tensors(const ModelFile& file, bool group) {
  size_t longest = 6;
  const auto rows = table_rows(file, group);
  for (const TableRow& row : rows) longest = std::max(longest, printable(row.name, 60).size());
  fmt::print("\n{:<{}} {:>5}  {:<6}  {:<16} {:>8}\n", "tensor", longest, group ? "count" : "", "type",
             "shape", "size");
  for (const TableRow& row : rows) {
    fmt::print("{:<{}} {:>5}  {:<6}  {:<16} {:>8}\n", printable(row.name, 60), longest,
               group ? std::to_string(row.count) : "", info(row.first->format).name,
               fmt::format("{}", fmt::join(row.first->shape, " x ")), size_text(row.bytes));
  }
}

std::string value_text(const Value& value) {
  const auto show = [](const auto& item) -> std::string {
    if constexpr (std::is_convertible_v<decltype(item), std::string>) {
      return fmt::format("\"{}\"", printable(item, 40));
    } else {
      if constexpr (std::is_same_v<std::decay_t<decltype(item)>, double>) {
        return fmt::format("{:.7g}", item);  // what a float32 holds
      } else {
        return fmt::format("{}", item);
      }
    }
  };
  if (const auto* scalar = std::get_if<Value::Scalar>(&value.data)) return std::visit(show, *scalar);
  return std::visit(
      [&](const auto& items) {
        std::string text = fmt::format("{} of {}:", items.size(), name(value.element_type));
        for (size_t i = 0; i < std::min<size_t>(items.size(), 4); ++i) {
          const typename std::decay_t<decltype(items)>::value_type item = items[i];
          text += " " + show(item);
        }
        return items.size() > 4 ? text + " ..." : text;
      },
      std::get<Value::Array>(value.data));
}

void print_file(const ModelFile& file, const Arguments& arguments) {
  const bool packed = file.metadata().find(kPackedTensors) != nullptr;
  print_line("file",
             fmt::format("{} ({}{})", arguments.file, file.kind(), packed ? ", packed for running" : ""));
  print_architecture(file);
  const TypeSum all = all_types(file);
  print_line("parameters", fmt::format("{} in {} tensors", count_text(all.weights), all.tensors));
  print_line("weights",
             fmt::format("{}, {:.3f} bits per weight", size_text(all.bytes), bits_per_weight(file)));
  for (const auto& [format, sum] : type_sums(file)) {
    print_line("", fmt::format("{:<7}{:>4} tensors  {:>8} weights  {:>5.1f} % of the bytes",
                               info(format).name, sum.tensors, count_text(sum.weights),
                               all.bytes > 0 ? 100 * sum.bytes / all.bytes : 0));
  }
  if (const auto from = file.metadata().text("wattle.converted_from")) {
    print_line("", fmt::format("quantised before: made from {}", printable(*from, 40)));
  }
  print_memory(file);
  print_line("licence", printable(file.metadata().text("general.license").value_or("not stated"), 65));
  print_line("tokenizer", tokenizer_text(file.metadata()));
  for (const std::string& note : notes_of(file)) print_line("note", note);
  if (arguments.metadata) {
    fmt::print("\n");
    for (const auto& [key, value] : file.metadata().entries()) {
      fmt::print("{} = {}\n", printable(key, 100), value_text(value));
    }
  }
  print_tensors(file, !arguments.all);
}

void print_statistics(const Tensor& tensor, const TensorStatistics& found) {
  print_line("tensor", printable(tensor.name, 65));
  print_line("type", fmt::format("{}, {:.4g} bits per weight, {}", info(tensor.format).name,
                                 bits_per_weight(tensor.format),
                                 size_text(static_cast<double>(tensor.bytes.size()))));
  print_line("shape", fmt::format("[{}], {} values", fmt::join(tensor.shape, ", "), found.count));
  print_line("min, max", fmt::format("{:.6g}, {:.6g}", found.min, found.max));
  print_line("mean", fmt::format("{:.6g}", found.mean));
  print_line("deviation", fmt::format("{:.6g}", found.deviation));
  print_line("zeros", std::to_string(found.zeros));
  print_line("NaN, infinite", fmt::format("{}, {}", found.nans, found.infinities));
  const int64_t most = *std::max_element(found.histogram.begin(), found.histogram.end());
  if (most == 0) return;
  const auto bins = static_cast<double>(found.histogram.size());
  fmt::print("\n");
  for (size_t i = 0; i < found.histogram.size(); ++i) {
    const double from = found.min + (found.max - found.min) * static_cast<double>(i) / bins;
    const auto bar = static_cast<size_t>(
        std::ceil(50.0 * static_cast<double>(found.histogram[i]) / static_cast<double>(most)));
    fmt::print("{:>12.4g} {:>10} {}\n", from, found.histogram[i], std::string(bar, '#'));
  }
}

// --- JSON ---

Json json_value(const Value& value) {
  if (value.type == ValueType::kArray) {
    const auto length =
        std::visit([](const auto& items) { return items.size(); }, std::get<Value::Array>(value.data));
    return {{"array_of", name(value.element_type)}, {"length", length}};
  }
  return std::visit([](const auto& held) { return Json(held); }, std::get<Value::Scalar>(value.data));
}

Json json_statistics(const Tensor& tensor, const TensorStatistics& found) {
  return {{"name", tensor.name},
          {"type", info(tensor.format).name},
          {"shape", tensor.shape},
          {"bytes", tensor.bytes.size()},
          {"values", found.count},
          {"min", found.min},
          {"max", found.max},
          {"mean", found.mean},
          {"deviation", found.deviation},
          {"zeros", found.zeros},
          {"nans", found.nans},
          {"infinities", found.infinities},
          {"histogram", found.histogram}};
}

Json json_file(const ModelFile& file, const Arguments& arguments) {
  const Metadata& metadata = file.metadata();
  const auto optional_text = [&](const char* key) {
    const auto text = metadata.text(key);
    return text ? Json(*text) : Json();
  };
  const TypeSum all = all_types(file);
  Json result = {{"path", arguments.file},
                 {"kind", file.kind()},
                 {"architecture", optional_text("general.architecture")},
                 {"name", optional_text("general.name")},
                 {"licence", optional_text("general.license")},
                 {"parameters", static_cast<int64_t>(all.weights)},
                 {"bytes", static_cast<int64_t>(all.bytes)},
                 {"bits_per_weight", bits_per_weight(file)}};
  for (const auto& [format, sum] : type_sums(file)) {
    result["types"].push_back({{"type", info(format).name},
                               {"tensors", sum.tensors},
                               {"weights", static_cast<int64_t>(sum.weights)},
                               {"bytes", static_cast<int64_t>(sum.bytes)}});
  }
  result["memory"] = Json();
  if (const auto need = memory_need(file)) {
    result["memory"] = {{"total_bytes", need->total()},
                        {"weight_bytes", need->weights},
                        {"cache_bytes", need->cache},
                        {"context", need->context},
                        {"activation_bytes", need->activations},
                        {"tokens_at_once", need->tokens}};
  }
  result["tokenizer"] = {{"model", optional_text("tokenizer.ggml.model")},
                         {"pre", optional_text("tokenizer.ggml.pre")},
                         {"tokens", metadata.strings("tokenizer.ggml.tokens").size()},
                         {"merges", metadata.strings("tokenizer.ggml.merges").size()},
                         {"chat_template", metadata.find("tokenizer.chat_template") != nullptr}};
  result["notes"] = notes_of(file);
  for (const auto& [key, value] : metadata.entries()) result["metadata"][key] = json_value(value);
  for (const Tensor& tensor : file.tensors()) {
    result["tensors"].push_back({{"name", tensor.name},
                                 {"type", info(tensor.format).name},
                                 {"shape", tensor.shape},
                                 {"bytes", tensor.bytes.size()}});
  }
  return result;
}

void run(const Arguments& arguments) {
  const ModelFile file = open_model_file(model_path(arguments.file));
  if (arguments.chat || !arguments.chat_template.empty()) {
    return print_chat(file, arguments.chat_template, arguments.json);
  }
  // Text of a file need not be UTF-8: what is not becomes U+FFFD.
  const auto print_json = [](const Json& json) {
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
  };
  if (!arguments.tensor.empty()) {
    const Tensor& tensor = file.need(arguments.tensor);
    const TensorStatistics found = tensor_statistics(tensor);
    arguments.json ? print_json(json_statistics(tensor, found)) : print_statistics(tensor, found);
    return;
  }
  arguments.json ? print_json(json_file(file, arguments)) : print_file(file, arguments);
}

}  // namespace

void add_inspect(CLI::App& app, const GlobalOptions&) {
  CLI::App* verb = app.add_subcommand("inspect", "What a model file holds and what it needs to run");
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("FILE", arguments->file, "GGUF, safetensors or PyTorch file, or a Hugging Face folder")
      ->required();
  verb->add_option("--tensor", arguments->tensor, "statistics of the values of this tensor");
  verb->add_flag("--all", arguments->all, "one row a tensor, layers not put together");
  verb->add_flag("--metadata", arguments->metadata, "every key with its value");
  verb->add_flag("--chat", arguments->chat,
                 "an example conversation as the model's chat template renders it");
  verb->add_option("--chat-template", arguments->chat_template,
                   "the same by this one of the model's named templates");
  verb->add_flag("--json", arguments->json, "print it as JSON");
  verb->footer(
      "Examples:\n"
      "  wattle inspect smollm2-135m-instruct.Q4_1.gguf\n"
      "  wattle inspect all-MiniLM-L6-v2 --all\n"
      "  wattle inspect model.gguf --tensor blk.0.attn_q.weight --json\n"
      "  wattle inspect smollm2-135m-instruct --chat");
  verb->callback([arguments] { run(*arguments); });
}

}  // namespace wattle
