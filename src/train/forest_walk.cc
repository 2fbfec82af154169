// How a forest is kept and asked. A row leaves nearly every tree at another place, which no predictor of
// branches can know, so the descents take their steps in turn and without branches: of all trees one step,
// then those that have not ended another. Little memory counts as much: the nodes of a forest on texts exceed
// a core's own cache when one takes 12 bytes.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include <wattle/error.h>

#include "train/forest.h"

namespace wattle::inline train {
namespace {

/// Answers are summed as whole numbers of at most so many bits, and so many of them stay below 2^63.
constexpr int kUnitBits = 40;
constexpr size_t kMaxTrees = size_t{1} << 22;

/// Nodes that a step looks at, on sparse rows: 4 and 12 took longer.
constexpr int kReadAhead = 8;

void check(int64_t features, int64_t outputs, const Forest::NodeView& nodes, std::span<const int32_t> roots,
           const std::string& origin) {
  bool sound = outputs > 0 && !roots.empty() && roots.size() % static_cast<size_t>(outputs) == 0 &&
               roots.size() <= kMaxTrees && nodes.size() <= std::numeric_limits<int32_t>::max() &&
               nodes.value.size() == nodes.size() && nodes.far.size() == nodes.size();
  const auto count = static_cast<int32_t>(nodes.size());
  for (const int32_t root : roots) sound = sound && root >= 0 && root < count;
  for (int32_t i = 0; sound && i < count; ++i) {
    const Forest::Node node = nodes[static_cast<size_t>(i)];
    if (node.split < 0) {
      sound = node.split == -1 && std::isfinite(node.value);
    } else {
      sound = node.split / 2 < features && !std::isnan(node.value) && node.far > i && node.far < count &&
              i + 1 < count;
    }
  }
  if (!sound) fail("{}: the trees of the forest are damaged; train the head again", origin);
}

/// Bit i says whether a descent stops at node i of the `kStride`: it has the feature, or is a leaf.
template <int kStride, typename Slot>
uint32_t stops_at(const Slot* slots, const uint8_t* present) {
  uint32_t bits = 0;
#pragma GCC unroll 8
  for (int i = 0; i < kStride; ++i) bits |= uint32_t{present[slots[i]]} << i;
  return bits;
}

}  // namespace

Forest::Forest(int64_t features, int64_t outputs, const NodeView& nodes, std::vector<int32_t> roots,
               const std::string& origin)
    : features_(features), outputs_(outputs), count_(nodes.size()), roots_(std::move(roots)) {
  check(features, outputs, nodes, roots_, origin);
  find_slots(nodes);
  float greatest = 0;
  for (size_t i = 0; i < count_; ++i) {
    if (is_leaf(i)) greatest = std::max(greatest, std::abs(stops_[i].value));
  }
  if (greatest > 0) units_ = std::ldexp(1.0, kUnitBits - std::ilogb(greatest));
  find_turns();
}

void Forest::find_slots(const NodeView& nodes) {
  slot_of_.assign(static_cast<size_t>(features_), 0);
  for (const int32_t split : nodes.split) {
    if (split >= 0) slot_of_[static_cast<size_t>(split / 2)] = 1;
  }
  feature_of_.push_back(-1);
  for (size_t f = 0; f < slot_of_.size(); ++f) {
    if (slot_of_[f] == 0) continue;
    slot_of_[f] = static_cast<uint32_t>(feature_of_.size());
    feature_of_.push_back(static_cast<int32_t>(f));
  }
  const size_t none = feature_of_.size();
  feature_of_.push_back(-1);
  std::ranges::replace(slot_of_, 0U, static_cast<uint32_t>(none));

  stops_.assign(count_ + kReadAhead, {0, 0});
  const auto fill = [&](auto& slots) {
    slots.assign(count_ + kReadAhead, 0);
    for (size_t i = 0; i < count_; ++i) {
      const Node node = nodes[i];
      stops_[i].value = node.value;
      if (node.split < 0) continue;
      slots[i] = static_cast<std::remove_reference_t<decltype(slots[i])>>(
          slot_of_[static_cast<size_t>(node.split / 2)]);
      stops_[i].far = 2 * static_cast<uint32_t>(node.far) + static_cast<uint32_t>(node.split % 2);
    }
  };
  if (none <= std::numeric_limits<uint16_t>::max()) {
    fill(narrow_);
  } else {
    fill(wide_);
  }
}

Forest::Nodes Forest::nodes() const {
  Nodes nodes;
  for (size_t i = 0; i < count_; ++i) {
    const Stop& stop = stops_[i];
    if (is_leaf(i)) {
      nodes.push_back({-1, stop.value, -1});
    } else {
      nodes.push_back({2 * feature_of_[slot(i)] + static_cast<int32_t>(stop.far & 1), stop.value,
                       static_cast<int32_t>(stop.far >> 1)});
    }
  }
  return nodes;
}

int64_t Forest::in_units(float answer) const {
  return static_cast<int64_t>(static_cast<double>(answer) * units_);
}

/// The nodes of each tree's way of absence, by the feature that they test.
void Forest::find_turns() {
  const size_t trees = roots_.size() / static_cast<size_t>(outputs_);
  turn_ranges_.resize(feature_of_.size());
  absent_sums_.assign(static_cast<size_t>(outputs_), 0);
  for (size_t t = 0; t < roots_.size(); ++t) {
    auto node = static_cast<size_t>(roots_[t]);
    for (; !is_leaf(node); ++node) {
      TurnRange& range = turn_ranges_[slot(node)];
      ++range.end;
      range.middle += stops_[node].far & 1;
    }
    absent_answers_.push_back(in_units(stops_[node].value));
    output_of_.push_back(static_cast<int32_t>(t / trees));
    absent_sums_[t / trees] += absent_answers_.back();
  }
  uint32_t count = 0;
  for (TurnRange& range : turn_ranges_) {
    range = {count, count + range.middle, count + range.end};
    count = range.end;
  }
  struct At {
    float threshold;
    Turn turn;
  };
  std::vector<At> all(count);
  std::vector<TurnRange> next = turn_ranges_;
  for (size_t t = 0; t < roots_.size(); ++t) {
    for (auto node = static_cast<size_t>(roots_[t]); !is_leaf(node); ++node) {
      const Stop& stop = stops_[node];
      TurnRange& range = next[slot(node)];
      uint32_t& place = (stop.far & 1) != 0 ? range.begin : range.middle;
      all[place++] = {stop.value, {static_cast<int32_t>(t), static_cast<int32_t>(stop.far >> 1)}};
    }
  }
  for (const TurnRange& range : turn_ranges_) {
    const std::span own = std::span(all).subspan(range.begin, range.end - range.begin);
    std::ranges::stable_sort(own.first(range.middle - range.begin), std::less<>(), &At::threshold);
    std::ranges::stable_sort(own.subspan(range.middle - range.begin), std::greater<>(), &At::threshold);
  }
  turn_thresholds_.reserve(count);
  turns_.reserve(count);
  for (const At& at : all) {
    turn_thresholds_.push_back(at.threshold);
    turns_.push_back(at.turn);
  }
}

/// The number of trees whose way of absence the row leaves, and where each goes on: after the turn that is
/// nearest to the root.
size_t Forest::find_turned(const SparseVector& x, Scratch& scratch, Work& work) const {
  const float* const thresholds = turn_thresholds_.data();
  int32_t* const entered = scratch.entered.data();
  int32_t* const trees = scratch.trees.data();
  size_t turned = 0, looked_at = 0;
  const auto leave = [&](const Turn* turn, const Turn* end) {
    looked_at += static_cast<size_t>(end - turn);
    for (; turn != end; ++turn) {
      const int32_t before = entered[turn->tree];
      trees[turned] = turn->tree;
      turned += static_cast<size_t>(before == 0);
      entered[turn->tree] = std::max(before, turn->far);
    }
  };
  for (size_t i = 0; i < x.size(); ++i) {
    const float value = x.values[i];
    if (std::isnan(value)) continue;
    const TurnRange& range = turn_ranges_[slot_of_[static_cast<size_t>(x.columns[i])]];
    const float* const middle = thresholds + range.middle;
    const float* const near_end = std::upper_bound(thresholds + range.begin, middle, value);
    const float* const far_end = std::partition_point(middle, thresholds + range.end,
                                                      [&](float threshold) { return value < threshold; });
    leave(turns_.data() + range.begin, turns_.data() + (near_end - thresholds));
    leave(turns_.data() + range.middle, turns_.data() + (far_end - thresholds));
  }
  for (size_t i = 0; i < turned; ++i) {
    scratch.places[i] = entered[trees[i]];
    entered[trees[i]] = 0;
  }
  work.weight_bytes += static_cast<double>(looked_at) * (sizeof(Turn) + sizeof(float));
  return turned;
}

/// Takes the first `active` trees from where they are to their leaves; returns how many ended.
template <int kStride, typename Slot>
size_t Forest::descend(const Slot* slots, Scratch& scratch, size_t active, Work& work) const {
  const uint8_t* const present = scratch.present.data();
  const float* const values = scratch.values.data();
  const Stop* const stops = stops_.data();
  int32_t* const places = scratch.places.data();
  int32_t* const trees = scratch.trees.data();
  int32_t* const leaves = scratch.leaves.data();
  int32_t* const ended_trees = scratch.ended_trees.data();
  size_t ended = 0, steps = 0;
  for (;;) {
    size_t kept = 0;
    for (size_t i = 0; i < active; ++i) {
      const int32_t place = places[i], tree = trees[i];
      const auto leaf = static_cast<size_t>(slots[place] == 0);
      leaves[ended] = place, ended_trees[ended] = tree;
      places[kept] = place, trees[kept] = tree;
      ended += leaf;
      kept += 1 - leaf;
    }
    if (kept == 0) break;
    active = kept;
    steps += active;
    for (size_t i = 0; i < active; ++i) {
      const int32_t place = places[i];
      const uint32_t found = stops_at<kStride>(slots + place, present);
      const int32_t at = place + std::countr_zero(found | (1U << kStride));
      const Stop stop = stops[at];
      const Slot slot = slots[at];
      // 1 at a node that has the feature: a leaf is not left, and past the last node nothing is decided.
      const uint32_t some = (found + (1U << kStride) - 1) >> kStride;
      const uint32_t inner = some & static_cast<uint32_t>(slot != 0);
      const uint32_t far = (static_cast<uint32_t>(values[slot] < stop.value) ^ stop.far) & inner;
      const int32_t near = at + static_cast<int32_t>(inner);
      places[i] = near + ((static_cast<int32_t>(stop.far >> 1) - near) & -static_cast<int32_t>(far));
    }
  }
  work.weight_bytes += static_cast<double>(steps) * (kStride * sizeof(Slot) + sizeof(Stop)) +
                       static_cast<double>(ended) * sizeof(Stop);
  return ended;
}

template <int kStride>
size_t Forest::descend(Scratch& scratch, size_t active, Work& work) const {
  return wide_.empty() ? descend<kStride>(narrow_.data(), scratch, active, work)
                       : descend<kStride>(wide_.data(), scratch, active, work);
}

/// Adds what the leaves say to the sums; `to_absent`: which have what the same trees say of absence.
void Forest::add_ended(Scratch& scratch, size_t ended, bool to_absent) const {
  const auto answer = [&](size_t i) {
    const int64_t said = in_units(stops_[static_cast<size_t>(scratch.leaves[i])].value);
    return to_absent ? said - absent_answers_[static_cast<size_t>(scratch.ended_trees[i])] : said;
  };
  if (outputs_ == 1) {
    int64_t sum = scratch.sums[0];
    for (size_t i = 0; i < ended; ++i) sum += answer(i);
    scratch.sums[0] = sum;
    return;
  }
  for (size_t i = 0; i < ended; ++i) {
    const int32_t output = output_of_[static_cast<size_t>(scratch.ended_trees[i])];
    scratch.sums[static_cast<size_t>(output)] += answer(i);
  }
}

void Forest::shares(const SparseVector& x, Scratch& scratch, std::span<float> shares, Work& work) const {
  const size_t slots = feature_of_.size(), trees = roots_.size();
  if (scratch.values.size() != slots || scratch.entered.size() != trees) {
    scratch.values.assign(slots, 0);
    scratch.present.assign(slots, 0);
    scratch.present[0] = 1;
    scratch.entered.assign(trees, 0);
    // One more each: what is not kept is written behind what is.
    for (auto* list : {&scratch.trees, &scratch.places, &scratch.ended_trees, &scratch.leaves})
      list->resize(trees + 1);
    scratch.sums.resize(static_cast<size_t>(outputs_));
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const uint32_t slot = slot_of_[static_cast<size_t>(x.columns[i])];
    scratch.values[slot] = x.values[i];
    scratch.present[slot] = std::isnan(x.values[i]) ? 0 : 1;
  }
  // Rows that have many of the features leave nearly every way of absence at once, and each node stops them.
  const bool dense = static_cast<int64_t>(x.size()) > features_ / 4;
  if (dense) {
    std::ranges::fill(scratch.sums, 0);
    std::ranges::copy(roots_, scratch.places.begin());
    for (size_t t = 0; t < trees; ++t) scratch.trees[t] = static_cast<int32_t>(t);
    add_ended(scratch, descend<1>(scratch, trees, work), false);
  } else {
    std::ranges::copy(absent_sums_, scratch.sums.begin());
    const size_t turned = find_turned(x, scratch, work);
    add_ended(scratch, descend<kReadAhead>(scratch, turned, work), true);
  }
  const double count = static_cast<double>(trees) / static_cast<double>(outputs_);
  for (size_t k = 0; k < shares.size(); ++k)
    shares[k] = static_cast<float>(static_cast<double>(scratch.sums[k]) / (units_ * count));
  for (const int32_t column : x.columns) scratch.present[slot_of_[static_cast<size_t>(column)]] = 0;
}

}  // namespace wattle::inline train
