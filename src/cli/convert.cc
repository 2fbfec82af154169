#include "models/convert.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "cli/help.h"
#include "cli/paths.h"
#include "cli/precision.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "families/open_file.h"
#include "models/calibrate.h"
#include "tasks/rows.h"
#include "train/head.h"

namespace wattle {
namespace {

struct Arguments {
  std::string in, out, to, calibrate, field = "text";
  int64_t calibration_tokens = 32768;
  bool packed = false, json = false;
};

using Json = nlohmann::ordered_json;

Json as_json(const Arguments& arguments, const Conversion& conversion) {
  Json tensors = Json::array();
  for (const ConvertedTensor& tensor : conversion.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"from", info(tensor.from).name},
                       {"to", info(tensor.to).name},
                       {"weights", tensor.weights},
                       {"fell_back", tensor.fell_back}});
  }
  Json result = {{"in", arguments.in},
                 {"out", arguments.out},
                 {"to", arguments.to.empty() ? Json() : Json(Precision::parse(arguments.to).name())},
                 {"packed", arguments.packed},
                 {"bits_per_weight", conversion.bits_per_weight},
                 {"tensor_bytes", conversion.tensor_bytes}};
  result["converted_from"] = conversion.converted_from.empty() ? Json() : Json(conversion.converted_from);
  result["tensors"] = std::move(tensors);
  return result;
}

void print_report(const Arguments& arguments, const Conversion& conversion) {
  struct Sum {
    size_t tensors = 0;
    int64_t weights = 0;
    bool fell_back = false;
  };
  std::map<Format, Sum> sums;
  int64_t all = 0;
  for (const ConvertedTensor& tensor : conversion.tensors) {
    Sum& sum = sums[tensor.to];
    sum.tensors += 1;
    sum.weights += tensor.weights;
    sum.fell_back = sum.fell_back || tensor.fell_back;
    all += tensor.weights;
  }
  fmt::print("{}: {:.1f} MB of weights, {:.3f} bits per weight\n", arguments.out,
             static_cast<double>(conversion.tensor_bytes) / 1e6, conversion.bits_per_weight);
  for (const auto& [format, sum] : sums) {
    fmt::print("  {:<7} {:>4} tensors {:>6.2f} % of the weights{}\n", info(format).name, sum.tensors,
               100.0 * static_cast<double>(sum.weights) / static_cast<double>(all),
               sum.fell_back ? "  (some in place of a format whose blocks do not divide their rows)" : "");
  }
  if (!conversion.converted_from.empty()) {
    fmt::print("The weights were quantised before ({}): results say nothing about the original model.\n",
               conversion.converted_from);
  }
}

InputStatistics calibration(const Arguments& arguments, ProgressBar& bar) {
  RowOptions row_options;
  row_options.field = arguments.field;
  std::vector<std::string> texts;
  for (const Question& row : read_rows(arguments.calibrate, row_options).rows) texts.push_back(row.text());
  return calibrate(arguments.in, texts, arguments.calibration_tokens, [&](int64_t done, int64_t total) {
    bar("calibrating " + arguments.in, static_cast<size_t>(done), static_cast<size_t>(total));
  });
}

void run(const Arguments& arguments, const GlobalOptions& options) {
  if (arguments.to.empty() && !arguments.packed)
    fail("convert: name a precision with --to, or --packed to keep it; `wattle convert --help` lists them");
  const Precision wanted = arguments.to.empty() ? Precision() : Precision::parse(arguments.to);
  if (wanted.cache() || wanted.activations()) {
    fail(
        "--to {}: a file holds neither activations nor a cache; convert to {} and give the whole to `wattle "
        "run`",
        wanted.name(), wanted.of_weights().name());
  }
  const ModelFile file = open_model_file(model_path(arguments.in));
  if (file.metadata().text("general.architecture") == std::string(Head::kArchitecture)) {
    fail(
        "{}: is a trained head and has no precision; convert the encoder that it reads and give that with "
        "`wattle run --base`",
        arguments.in);
  }
  Conversion conversion;
  {
    ProgressBar bar(options.quiet);
    ConvertOptions convert_options;
    InputStatistics statistics;
    if (!arguments.calibrate.empty()) {
      statistics = calibration(arguments, bar);
      convert_options.importance = [&](const Tensor& tensor) { return statistics.of(tensor); };
      convert_options.calibration = std::filesystem::path(arguments.calibrate).filename().string();
    }
    convert_options.packed = arguments.packed;
    convert_options.progress = [&](size_t done, size_t total) {
      bar("writing " + arguments.out, done, total);
    };
    conversion = convert(file, arguments.out, wanted, convert_options);
  }
  if (!conversion.unused.empty() && !options.quiet) {
    fmt::print(stderr, "{}\n", unused_notice(arguments.in, conversion.unused));
  }
  if (arguments.json) {
    fmt::print("{}\n", as_json(arguments, conversion).dump(2));
  } else {
    print_report(arguments, conversion);
  }
}

std::string format_names() {
  std::vector<std::string_view> names;
  for (const Format format : written_formats()) names.push_back(info(format).name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

void add_convert(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("convert", "Write a model as GGUF at another precision");
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("IN", arguments->in, "GGUF, safetensors or PyTorch file, or a Hugging Face folder")
      ->required();
  verb->add_option("OUT", arguments->out, "the GGUF file to write")->required();
  verb->add_option(
      "--to", arguments->to,
      "the precision: " + format_names() + ", and exceptions by role or tensor, as Q4_K,output=Q6_K");
  verb->add_flag("--packed", arguments->packed,
                 "matrices as the kernels stream them: opens at once, runs from the file, by this program "
                 "alone; without "
                 "--to every tensor keeps its format");
  verb->add_option("--calibrate", arguments->calibrate,
                   "text (plain lines, JSON Lines, csv, tsv) whose inputs weigh the errors of the weights");
  verb->add_option("--field", arguments->field, "field of the calibration rows that holds the text")
      ->capture_default_str();
  verb->add_option("--calibration-tokens", arguments->calibration_tokens, "tokens of it to read at most")
      ->capture_default_str()
      ->check(at_least_one());
  verb->add_flag("--json", arguments->json, "print what became of every tensor as JSON");
  verb->footer(
      "Examples:\n"
      "  wattle convert all-MiniLM-L6-v2 minilm.Q8_0.gguf --to Q8_0\n"
      "  wattle convert model.gguf model.Q4_K.gguf --to Q4_K --json\n"
      "  wattle convert model.gguf model.Q2_K.gguf --to Q2_K --calibrate pages.txt\n"
      "  wattle convert model.gguf model.mixed.gguf --to 'Q4_K,output=Q6_K,blk.*.ffn_down=Q5_K'\n"
      "  wattle convert model.gguf model.packed.gguf --packed\n"
      "Roles are linear, output, embedding, convolution, depthwise, position, table, norm and bias; other "
      "names "
      "are\n"
      "patterns of tensors' names without .weight. Vectors and norms stay F32. Rows that blocks of 256 "
      "weights do not divide take the nearest format "
      "with blocks\n"
      "of 32: Q2_K and Q3_K become IQ4_NL, Q4_K Q4_1, Q5_K Q5_1, Q6_K Q8_0.");
  verb->callback([arguments, &options] { run(*arguments, options); });
}

}  // namespace wattle
