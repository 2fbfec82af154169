#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "report/advice.h"
#include "report/format.h"
#include "study/scoring.h"

namespace wattle::inline report {
namespace {

using Json = nlohmann::ordered_json;

std::string limits_in_words(const Requirements& wanted) {
  std::string words;
  if (wanted.p95_ms) words += fmt::format(", p95 within {} ms", significant(*wanted.p95_ms, 3));
  if (wanted.memory_bytes) words += fmt::format(", memory within {}", bytes(*wanted.memory_bytes));
  return words;
}

std::string bar_in_words(const Results& results, const Requirements& wanted, const Advice& advice) {
  const auto metric = metric_of(results);
  const bool greater = metric->greater_is_better();
  std::string words = fmt::format("{} of at {} {}", title(metric->name()), greater ? "least" : "most",
                                  quality_text(*metric, advice.bar));
  if (wanted.drop) {
    words += fmt::format(" (at most {} {} the best)", quality_text(*metric, *wanted.drop),
                         greater ? "below" : "above");
  }
  if (wanted.margin) {
    words +=
        fmt::format(" (not inferior to the best by more than {})", quality_text(*metric, *wanted.margin));
  }
  return words + limits_in_words(wanted);
}

std::string figures(const Results& results, const CellResult& cell) {
  const auto metric = metric_of(results);
  const std::string value = quality_text(*metric, cell.quality->value);
  return fmt::format("{} at {} Wh per 1,000 queries",
                     is_share(*metric) ? value : title(metric->name()) + " " + value,
                     energy(cell.wh_per_1000->value, 3));
}

std::string and_list(const std::vector<std::string>& names) {
  if (names.size() < 2) return names.empty() ? "" : names[0];
  return fmt::format("{} and {}", fmt::join(names.begin(), names.end() - 1, ", "), names.back());
}

std::string whole_percent(double share) {
  return fmt::format("{:.0f} %", 100 * share);
}

/// Whether nothing was seen beyond what asking costs.
bool is_free(const CellResult& cell) {
  return !(cell.wh_per_1000->value > 0);
}

std::string times(const CellResult& cell, const CellResult& choice) {
  return significant(cell.wh_per_1000->value / choice.wh_per_1000->value, 3);
}

const Candidate& chosen(const Advice& advice) {
  size_t i = 0;
  while (advice.candidates[i].place != *advice.choice) ++i;
  return advice.candidates[i];
}

/// Which are the cheapest?
std::string equals_in_words(const Results& results, const Requirements& wanted, const Advice& advice) {
  constexpr size_t kMostNames = 4;
  if (advice.candidates.size() == 1) return "No other rung reaches the bar.";
  const CellResult& choice = results.cells[*advice.choice];
  if (advice.equals.size() == 1) {
    const size_t place = advice.candidates[advice.candidates[0].place == *advice.choice ? 1 : 0].place;
    const CellResult& next = results.cells[place];
    const std::string more =
        is_free(choice) ? "more than asking" : fmt::format("{} times its energy", times(next, choice));
    return fmt::format("The next takes {}: {}, {}.", more, cell_name(next), figures(results, next));
  }
  std::vector<std::string> names;
  for (const size_t place : advice.equals) {
    if (names.size() < kMostNames) names.push_back(cell_name(results.cells[place]));
  }
  if (advice.equals.size() > kMostNames)
    names.back() = fmt::format("{} more", advice.equals.size() - kMostNames + 1);
  if (is_free(results.cells[advice.candidates.front().place])) {
    return fmt::format("{} take too little beyond asking to be told apart; {} is the smallest of them.",
                       and_list(names), cell_name(choice));
  }
  return fmt::format("{} were measured within {} of each other; it is the smallest of them.", and_list(names),
                     whole_percent(wanted.within));
}

/// What does a wrong choice cost?
std::string regret_in_words(const Results& results, const Advice& advice) {
  const std::string name = cell_name(results.cells[*advice.choice]);
  if (!advice.regret) {
    return "What a wrong choice costs is not known: a rung has fewer than three windows; give the study "
           "three "
           "rounds or more.";
  }
  if (advice.candidates.size() == 1) return "There is nothing to choose from, so no choice can be wrong.";
  if (!std::isfinite(*advice.regret)) {
    return fmt::format(
        "With 95 % certainty {} costs at most {} Wh per 1,000 queries more than the cheapest of them, which "
        "may "
        "take nothing beyond asking.",
        name, energy(advice.regret_wh, 2));
  }
  if (*advice.regret < 0.005) return fmt::format("With 95 % certainty {} is the cheapest of them.", name);
  return fmt::format("With 95 % certainty {} costs at most {:.0f} % more than the cheapest of them.", name,
                     std::ceil(100 * *advice.regret));
}

/// Is the bar reached on new rows?
std::string sureness_in_words(const Results& results, const Requirements& wanted, const Advice& advice) {
  const auto metric = metric_of(results);
  const std::string bar = quality_text(*metric, advice.bar) + limits_in_words(wanted);
  if (advice.choice && chosen(advice).sure >= kSure)
    return fmt::format("It reaches {} on new rows with a probability of {}.", bar,
                       whole_percent(chosen(advice).sure));
  std::string text = advice.n_sure > 0
                         ? fmt::format("{} rung{} sure to reach {} on new rows", advice.n_sure,
                                       advice.n_sure == 1 ? " is" : "s are", bar)
                         : fmt::format("No rung is sure to reach {} on new rows (the most likely one: {})",
                                       bar, whole_percent(advice.most_sure));
  if (advice.choice && advice.n_sure > 0)
    text += fmt::format(", but this one with a probability of {}", whole_percent(chosen(advice).sure));
  if (advice.sure_bar) {
    text +=
        fmt::format("; at {} {} {}",
                    is_share(*metric) ? whole_percent(*advice.sure_bar) : significant(*advice.sure_bar, 2),
                    advice.n_sure_below, advice.n_sure_below == 1 ? "is" : "are");
  }
  return text + ".";
}

std::string cure_in_words(const Results& results, const Advice& advice) {
  std::string text;
  if (advice.sure_choice) {
    const CellResult& sure = results.cells[*advice.sure_choice];
    const CellResult& choice = results.cells[*advice.choice];
    text = fmt::format("To be sure, take {}, {}{}.", cell_name(sure), figures(results, sure),
                       is_free(choice) ? "" : fmt::format(" ({} times the energy)", times(sure, choice)));
  }
  if (advice.rows_to_decide) {
    text += fmt::format("{}{} more evaluation rows would decide.", text.empty() ? "" : " ",
                        whole(static_cast<double>(std::max<int64_t>(1, *advice.rows_to_decide))));
  }
  return text;
}

/// What of the cell's windows counts as preparation (preparation_energy()): "training, choosing thresholds".
std::string preparations_in_words(const CellResult& cell) {
  constexpr std::pair<const char*, const char*> kKinds[] = {
      {"train", "training"}, {"convert", "conversion"}, {"threshold", "choosing thresholds"}};
  std::vector<std::string> words;
  for (const auto& [kind, word] : kKinds) {
    if (std::ranges::any_of(cell.samples, [&](const Window& window) { return window.kind == kind; }))
      words.push_back(word);
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json places(const Results& results, const std::vector<size_t>& places) {
  Json cells = Json::array();
  for (const size_t place : places) cells.push_back(cell_json(results.cells[place], results));
  return cells;
}

}  // namespace

std::vector<std::string> summary(const Results& results, const Requirements& wanted, const Advice& advice) {
  if (!advice.best) return {"No cell has both quality and energy, so nothing can be recommended."};
  if (!advice.choice) {
    return {fmt::format("No cell reaches {}.", bar_in_words(results, wanted, advice)),
            fmt::format("The best there is: {}, {}.", cell_name(results.cells[*advice.best]),
                        figures(results, results.cells[*advice.best])),
            sureness_in_words(results, wanted, advice)};
  }
  const CellResult& choice = results.cells[*advice.choice];
  std::vector<std::string> lines{fmt::format("For {}, take {}: {}.", bar_in_words(results, wanted, advice),
                                             cell_name(choice), figures(results, choice)),
                                 equals_in_words(results, wanted, advice), regret_in_words(results, advice),
                                 sureness_in_words(results, wanted, advice)};
  if (const std::string cure = cure_in_words(results, advice); !cure.empty()) lines.push_back(cure);
  return lines;
}

std::vector<std::string> details(const Results& results, const Advice& advice) {
  std::vector<std::string> lines;
  if (!advice.choice) return lines;
  const CellResult& choice = results.cells[*advice.choice];
  if (choice.preparation_wh) {
    const Interval& once = *choice.preparation_wh;
    lines.push_back(fmt::format(
        "Its preparation ({}) took {} Wh ({} to {}){}.", preparations_in_words(choice), energy(once.value, 3),
        energy(once.low, 3), energy(once.high, 3),
        is_free(choice)
            ? ""
            : fmt::format(", as much as {} queries", whole(once.value / choice.wh_per_1000->value * 1000))));
  }
  for (const BreakEven& even : advice.break_even) {
    if (!std::isfinite(even.queries.value) || even.queries.value <= 0) continue;
    lines.push_back(
        fmt::format("Preparation and load included, it is ahead of {} from {} queries on ({} to {}).",
                    cell_name(results.cells[even.other]), whole(even.queries.value), whole(even.queries.low),
                    std::isfinite(even.queries.high) ? whole(even.queries.high) : "never"));
  }
  return lines;
}

nlohmann::ordered_json to_json(const Results& results, const Requirements& wanted, const Advice& advice) {
  const auto cell = [&](std::optional<size_t> place) -> Json {
    return place ? cell_json(results.cells[*place], results) : Json(nullptr);
  };
  Json json{{"metric", results.plan.metrics.front()},
            {"bar", advice.best ? Json(advice.bar) : Json(nullptr)}};
  json["choice"] = cell(advice.choice);
  json["best"] = cell(advice.best);
  json["reached"] = {{"probability", advice.choice ? Json(chosen(advice).sure) : Json(nullptr)},
                     {"p95_kept", advice.choice ? Json(chosen(advice).p95_kept) : Json(nullptr)},
                     {"memory_kept", advice.choice ? Json(chosen(advice).memory_kept) : Json(nullptr)},
                     {"greatest_probability", advice.most_sure},
                     {"sure", advice.n_sure},
                     {"sure_bar", advice.sure_bar ? Json(*advice.sure_bar) : Json(nullptr)},
                     {"more_rows", advice.rows_to_decide ? Json(*advice.rows_to_decide) : Json(nullptr)},
                     {"sure_choice", cell(advice.sure_choice)}};
  json["within"] = wanted.within;
  json["equals"] = places(results, advice.equals);
  json["regret_95"] = advice.regret ? number(*advice.regret) : Json(nullptr);
  json["regret_wh_per_1000_95"] = advice.regret ? Json(advice.regret_wh) : Json(nullptr);
  std::vector<size_t> candidates;
  for (const Candidate& candidate : advice.candidates) candidates.push_back(candidate.place);
  json["candidates"] = places(results, candidates);
  json["front"] = places(results, advice.front);
  json["break_even"] = Json::array();
  for (const BreakEven& even : advice.break_even) {
    const CellResult& other = results.cells[even.other];
    json["break_even"].push_back(
        {{"rung", other.rung},
         {"precision", other.precision.empty() ? Json(nullptr) : Json(other.precision)},
         {"queries", number(even.queries.value)},
         {"low", number(even.queries.low)},
         {"high", number(even.queries.high)}});
  }
  json["sentences"] = summary(results, wanted, advice);
  for (const std::string& line : details(results, advice)) json["sentences"].push_back(line);
  return json;
}

}  // namespace wattle::inline report
