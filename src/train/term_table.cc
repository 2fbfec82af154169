#include "train/term_table.h"

#include <algorithm>
#include <bit>

#include <wattle/error.h>

namespace wattle::inline train {

void RollingHashes::read(std::string_view text) {
  prefixes_.resize(text.size() + 1);
  while (powers_.size() < prefixes_.size()) powers_.push_back(powers_.back() * kRollingFactor);
  uint64_t hash = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    hash = hash * kRollingFactor + static_cast<unsigned char>(text[i]) + 1;
    prefixes_[i + 1] = hash;
  }
}

TermTable::TermTable(std::span<const std::string_view> terms, const std::string& origin) {
  constexpr size_t kMostTerms = size_t{1} << 30, kMostBytes = size_t{1} << 31;
  size_t bytes = 0;
  for (const std::string_view term : terms) bytes += term.size();
  if (terms.size() > kMostTerms || bytes > kMostBytes)
    fail("{}: has {} terms of {} bytes, too many for a head; train it on fewer rows", origin, terms.size(),
         bytes);
  bytes_.reserve(bytes);
  ends_.reserve(terms.size());
  // At least twice as many slots as terms: chains stay short.
  const size_t count = std::bit_ceil(std::max<size_t>(2, 2 * terms.size()));
  slots_.resize(count);
  mask_ = count - 1;
  shift_ = 64 - std::bit_width(mask_);
  RollingHashes hashes;
  for (const std::string_view term : terms) {
    hashes.read(term);
    const uint64_t hash = hashes.of(0, term.size());
    if (find(term, hash) >= 0) fail("{}: the term '{}' occurs twice; train the head again", origin, term);
    size_t slot = (hash * kMix) >> shift_;
    while (slots_[slot].place >= 0) slot = (slot + 1) & mask_;
    slots_[slot] = {static_cast<uint32_t>(hash * kMix), static_cast<int32_t>(ends_.size())};
    bytes_ += term;
    ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  }
}

}  // namespace wattle::inline train
