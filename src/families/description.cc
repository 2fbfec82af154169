#include "families/description.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <wattle/error.h>

#include "quant/format.h"

namespace wattle::inline families {
namespace {

bool begins_with_any(std::string_view name, const std::vector<std::string>& beginnings) {
  return std::ranges::any_of(beginnings, [&](const std::string& start) { return name.starts_with(start); });
}

/// ".gamma" and ".beta" of early files are ".weight" and ".bias".
std::string modern(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kEndings[] = {{".gamma", ".weight"},
                                                                        {".beta", ".bias"}};
  for (const auto& [old, now] : kEndings) {
    if (name.ends_with(old)) return std::string(name.substr(0, name.size() - old.size())) + std::string(now);
  }
  return std::string(name);
}

size_t bytes_a_row(const Tensor& tensor) {
  const int64_t rows = tensor.shape.empty() ? 0 : tensor.shape[0];
  return rows == 0 ? 0 : tensor.bytes.size() / static_cast<size_t>(rows);
}

/// Row `to(i)` of the result is row i of the tensor.
template <class Place>
void move_rows(Tensor& tensor, std::vector<std::byte>& owned, const Place& to) {
  const size_t row = bytes_a_row(tensor);
  owned.resize(tensor.bytes.size());
  for (int64_t i = 0; i < tensor.shape[0]; ++i) {
    std::memcpy(owned.data() + static_cast<size_t>(to(i)) * row,
                tensor.bytes.data() + static_cast<size_t>(i) * row, row);
  }
}

void need_rows(const Tensor& tensor, int64_t multiple, const char* of) {
  if (tensor.shape.empty() || tensor.shape[0] == 0 || multiple < 1 || tensor.shape[0] % multiple != 0) {
    fail("tensor {}: its {} rows are not {} {}; get the model again", tensor.name,
         tensor.shape.empty() ? 0 : tensor.shape[0], multiple, of);
  }
}

}  // namespace

void Description::begin(std::string name, std::string source) {
  name_prefix_ = std::move(name);
  source_prefix_ = std::move(source);
}

void Description::add(TensorSpec spec) {
  const size_t place = tensors_.size();
  by_name_.emplace(spec.name, place);
  if (!spec.source.empty()) by_source_.emplace(spec.source, Place{place, 0});
  for (size_t part = 0; part < spec.parts.size(); ++part)
    by_source_.emplace(spec.parts[part], Place{place, part});
  tensors_.push_back(std::move(spec));
}

void Description::tensor(TensorSpec spec) {
  spec.name = name_prefix_ + spec.name;
  if (!spec.source.empty()) spec.source = source_prefix_ + spec.source;
  for (std::string& part : spec.parts) part = source_prefix_ + part;
  add(std::move(spec));
}

void Description::joined(Role role, std::string_view name, std::string_view source, int64_t count,
                         int64_t size, bool optional) {
  TensorSpec spec{std::string(name) + ".weight", "", {count, size}, role, {}, optional};
  const size_t number = source.find("{}");
  for (int64_t row = 0; row < count; ++row) {
    spec.parts.push_back(std::string(source.substr(0, number)) + std::to_string(row) +
                         std::string(source.substr(number + 2)) + ".weight");
  }
  tensor(std::move(spec));
}

void Description::linear(const Linear& linear) {
  const auto with = [](std::string_view name, const char* ending) {
    return name.empty() ? std::string() : std::string(name) + ending;
  };
  tensor({with(linear.name, ".weight"),
          with(linear.source, ".weight"),
          {linear.outputs, linear.inputs},
          linear.role,
          linear.change,
          linear.optional});
  if (!linear.bias) return;
  tensor({with(linear.name, ".bias"),
          with(linear.source, ".bias"),
          {linear.outputs},
          Role::kBias,
          linear.bias_change,
          linear.optional || linear.bias_optional});
}

void Description::norm(std::string_view name, std::string_view source, int64_t size, bool bias, Change change,
                       bool optional) {
  for (const char* ending : {".weight", ".bias"}) {
    if (std::string_view(ending) == ".bias" && !bias) continue;
    tensor({std::string(name) + ending,
            source.empty() ? std::string() : std::string(source) + ending,
            {size},
            Role::kNorm,
            change,
            optional});
  }
}

void Description::table(Role role, std::string_view name, std::string_view source, int64_t rows,
                        int64_t columns, Change change, bool optional) {
  tensor({std::string(name) + ".weight",
          source.empty() ? std::string() : std::string(source) + ".weight",
          {rows, columns},
          role,
          std::move(change),
          optional});
}

void Description::buffers(std::vector<std::string> names) {
  buffers_.insert(buffers_.end(), std::make_move_iterator(names.begin()),
                  std::make_move_iterator(names.end()));
}

void Description::left_out(std::vector<std::string> names) {
  left_out_.insert(left_out_.end(), std::make_move_iterator(names.begin()),
                   std::make_move_iterator(names.end()));
}

void Description::alias(const std::string& name, const std::string& source) {
  by_source_.emplace(source, Place{by_name_.at(name), 0});
}

const TensorSpec* Description::find(std::string_view name) const {
  const auto place = by_name_.find(std::string(name));
  return place == by_name_.end() ? nullptr : &tensors_[place->second];
}

Description::Found Description::find_source(std::string_view hugging_face_name) const {
  std::string name = modern(hugging_face_name);
  // A head's tensors lie beside the model that the prefix names: every form of the name is tried.
  for (bool shorter = true; shorter;) {
    if (const auto place = by_source_.find(name); place != by_source_.end())
      return {Use::kTensor, &tensors_[place->second.tensor], place->second.part};
    if (begins_with_any(name, buffers_)) return {Use::kBuffer, nullptr};
    if (begins_with_any(name, left_out_)) return {Use::kLeftOut, nullptr};
    const auto prefix =
        std::ranges::find_if(prefixes_, [&](const std::string& start) { return name.starts_with(start); });
    shorter = prefix != prefixes_.end();
    if (shorter) name.erase(0, prefix->size());
  }
  for (const std::string& buffer : buffers_) {
    if (buffer.starts_with('.') && name.find(buffer) != std::string::npos) return {Use::kBuffer, nullptr};
  }
  return {};
}

Change interleave_rows(int64_t heads) {
  return [heads](Tensor& tensor, std::vector<std::byte>& owned) {
    need_rows(tensor, 2 * heads, "rows of heads of an even width");
    const int64_t head_rows = tensor.shape[0] / heads, half = head_rows / 2;
    move_rows(tensor, owned, [&](int64_t row) {
      const int64_t i = row % head_rows;
      return row - i + 2 * (i % half) + i / half;
    });
  };
}

Change add_one() {
  return [](Tensor& tensor, std::vector<std::byte>& owned) {
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    decode_weights(tensor.format, tensor.bytes, values);
    for (float& value : values) value += 1;
    const auto bytes = std::as_bytes(std::span(values));
    owned.assign(bytes.begin(), bytes.end());
    tensor.format = Format::kF32;
  };
}

Change transpose() {
  return [](Tensor& tensor, std::vector<std::byte>& owned) {
    if (tensor.shape.size() != 2 || info(tensor.format).block_weights != 1)
      fail("tensor {}: is not a plain matrix; get the model again", tensor.name);
    const auto rows = static_cast<size_t>(tensor.shape[0]), columns = static_cast<size_t>(tensor.shape[1]);
    const size_t size = info(tensor.format).block_bytes;
    owned.resize(tensor.bytes.size());
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < columns; ++c)
        std::memcpy(owned.data() + (c * rows + r) * size, tensor.bytes.data() + (r * columns + c) * size,
                    size);
    }
    std::swap(tensor.shape[0], tensor.shape[1]);
  };
}

Change regroup_rows(int64_t groups, int64_t parts, std::vector<int64_t> order) {
  return [groups, parts, order = std::move(order)](Tensor& tensor, std::vector<std::byte>& owned) {
    need_rows(tensor, groups * parts, "rows of fused parts");
    const int64_t size = tensor.shape[0] / (groups * parts);
    move_rows(tensor, owned, [&](int64_t row) {
      const int64_t i = row % size, part = row / size % parts, group = row / (size * parts);
      return ((order.empty() ? part : order[static_cast<size_t>(part)]) * groups + group) * size + i;
    });
  };
}

Change drop_rows(int64_t count) {
  return [count](Tensor& tensor, std::vector<std::byte>& owned) {
    if (tensor.shape.empty() || tensor.shape[0] <= count)
      fail("tensor {}: has no rows beyond the first {}; get the model again", tensor.name, count);
    const auto rest = tensor.bytes.subspan(static_cast<size_t>(count) * bytes_a_row(tensor));
    owned.assign(rest.begin(), rest.end());
    tensor.shape[0] -= count;
  };
}

Change flatten() {
  return [](Tensor& tensor, std::vector<std::byte>& owned) {
    owned.assign(tensor.bytes.begin(), tensor.bytes.end());
    tensor.shape = {tensor.elements()};
  };
}

Change both(Change first, Change second) {
  return
      [first = std::move(first), second = std::move(second)](Tensor& tensor, std::vector<std::byte>& owned) {
        first(tensor, owned);
        std::vector<std::byte> before = std::move(owned);
        tensor.bytes = before;
        owned.clear();
        second(tensor, owned);
      };
}

}  // namespace wattle::inline families
