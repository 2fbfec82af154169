#pragma once

#include <string>

namespace wattle::inline metrics {

/// The stem of a lower-case English word (Porter 1980) with the later changes that NLTK's PorterStemmer makes
/// by default and ROUGE is computed with: irregular forms, -ies and -ied of short words, -alli, -bli, -fulli,
/// -logi. Words of up to two letters stay.
std::string porter_stem(std::string word);

}  // namespace wattle::inline metrics
