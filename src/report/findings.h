#pragma once

#include <string>
#include <vector>

#include <wattle/study.h>

namespace wattle::inline report {

/// One sentence for each precision that costs more energy than the first of its rung, and for each that
/// answers worse. Energies are compared round by round with what their meter or model leaves open, answers
/// by the plan's first metric on the rows that both answered: McNemar's exact test of a proportion, else the
/// paired bootstrap; Holm's correction keeps the probability of any false sentence of either kind
/// below 5 %.
std::vector<std::string> findings(const Results& results);

}  // namespace wattle::inline report
