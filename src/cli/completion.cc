#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/verbs.h"

namespace wattle {
namespace {

std::string long_options(const CLI::App& app) {
  std::string words;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += " --" + name;
  }
  return words;
}

/// Bash reads it as it is; zsh after `autoload -U bashcompinit && bashcompinit`.
std::string script(const CLI::App& root) {
  std::string verbs, cases;
  for (const CLI::App* verb :
       root.get_subcommands([](const CLI::App* app) { return !app->get_group().empty(); })) {
    verbs += " " + verb->get_name();
    std::string words = long_options(*verb);
    for (const CLI::App* inner : verb->get_subcommands([](const CLI::App*) { return true; })) {
      words += " " + inner->get_name();
    }
    cases += fmt::format("    {}) words=\"{}\" ;;\n", verb->get_name(), words);
  }
  return fmt::format(
      "_wattle() {{\n"
      "  local current=${{COMP_WORDS[COMP_CWORD]}} words\n"
      "  case ${{COMP_WORDS[1]}} in\n"
      "{}"
      "    *) words=\"{}{}\" ;;\n"
      "  esac\n"
      "  [ \"$COMP_CWORD\" -eq 1 ] && words=\"{}{}\"\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}}\n"
      "complete -o default -F _wattle wattle\n",
      cases, verbs, long_options(root), verbs, long_options(root));
}

}  // namespace

void add_completion(CLI::App& app, const GlobalOptions&) {
  CLI::App* verb = app.add_subcommand("completion", "Print the shell's completion of verbs and flags");
  auto shell = std::make_shared<std::string>("bash");
  verb->add_option("SHELL", *shell, "bash or zsh")
      ->check(CLI::IsMember({"bash", "zsh"}))
      ->capture_default_str();
  verb->footer("Examples:\n  source <(wattle completion bash)\n  source <(wattle completion zsh)");
  verb->callback([shell, &app] {
    if (*shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
    fmt::print("{}", script(app));
  });
}

}  // namespace wattle
