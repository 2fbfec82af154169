#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <set>

#include <wattle/error.h>

#include "base/utf8.h"
#include "file/pickle.h"
#include "file/readers.h"
#include "file/zip.h"

// PyTorch's files (torch/serialization.py): since 1.6 a zip archive of data.pkl, which describes the tensors,
// and one stored entry a storage; before that a row of pickles with the storages' bytes behind them.

namespace wattle::inline file {
namespace {

using Kind = PickleValue::Kind;
using Storages = std::map<std::string_view, std::span<const std::byte>>;

size_t storage_bytes(const PickleValue& storage, const std::string& origin) {
  const size_t element = storage.global->element_bytes;
  if (static_cast<uint64_t>(storage.number) > std::numeric_limits<int64_t>::max() / element) {
    fail("{}: a storage of {} elements is not possible; the file is corrupt, get it again", origin,
         storage.number);
  }
  return static_cast<size_t>(storage.number) * element;
}

std::vector<int64_t> numbers(const PickleValue& tuple, const std::string& origin, std::string_view tensor) {
  std::vector<int64_t> values;
  for (const PickleValue* item : tuple.items) {
    if (item->kind != Kind::kNumber || item->number < 0) {
      fail("{}: the shape of tensor {} is not a list of counts; the file is corrupt, get it again", origin,
           tensor);
    }
    values.push_back(item->number);
  }
  return values;
}

using NamedValues = std::vector<std::pair<std::string_view, const PickleValue*>>;

/// A dictionary's values of a kind under their names; none for what is no dictionary.
NamedValues named_values(const PickleValue& dict, Kind kind) {
  NamedValues found;
  for (size_t i = 0; dict.kind == Kind::kDict && i + 1 < dict.items.size(); i += 2) {
    if (dict.items[i]->kind == Kind::kText && dict.items[i + 1]->kind == kind) {
      found.emplace_back(dict.items[i]->text, dict.items[i + 1]);
    }
  }
  return found;
}

/// Names under which training programs file the model, beside the optimiser's state and averages of the
/// model.
constexpr std::string_view kModelNames[] = {"state_dict", "model_state_dict", "model", "params", "net"};

/// The dictionary that is the model: what is filed under one of kModelNames, the whole, or the only
/// dictionary of tensors in it.
NamedValues find_state_dict(const PickleValue& root, const std::string& origin) {
  const NamedValues inner = named_values(root, Kind::kDict);
  NamedValues candidates;
  for (const auto& [name, dict] : inner) {
    if (!named_values(*dict, Kind::kTensor).empty()) candidates.emplace_back(name, dict);
  }
  for (const std::string_view known : kModelNames) {
    for (const auto& [name, dict] : candidates) {
      if (name == known) return named_values(*dict, Kind::kTensor);
    }
  }
  NamedValues whole = named_values(root, Kind::kTensor);
  if (!whole.empty()) return whole;
  if (candidates.size() == 1) return named_values(*candidates[0].second, Kind::kTensor);
  if (candidates.empty())
    fail("{}: holds no dictionary of tensors; save the model's state_dict, best as safetensors", origin);
  std::string names;
  for (const auto& [name, dict] : candidates) {
    if (!names.empty()) names += ", ";
    names += repaired_utf8(name);
  }
  fail("{}: holds several dictionaries of tensors ({}); save the one that is the model", origin, names);
}

/// Turns the tensors of a pickle into views of their storages, or copies where the memory is in another
/// order.
class TensorBuilder {
 public:
  TensorBuilder(const Storages& storages, const std::string& origin, size_t file_bytes,
                ModelFile::Contents& contents)
      : storages_(storages), origin_(origin), copies_left_(file_bytes), contents_(contents) {}

  void add(std::string_view name, const PickleValue& value) {
    const PickleValue& storage = *value.items[0];
    if (!storage.global->readable) {
      fail("{}: tensor {} is stored as {}, which is not read here; save it as one of floats", origin_, name,
           storage.global->name);
    }
    Tensor tensor;
    tensor.name = name;
    tensor.format = storage.global->format;
    tensor.shape = numbers(*value.items[2], origin_, name);
    const auto stride = numbers(*value.items[3], origin_, name);
    const size_t size = checked_bytes(tensor.format, tensor.shape, origin_, name);
    const auto place = storages_.find(storage.text);
    if (place == storages_.end() || storage_bytes(storage, origin_) > place->second.size()) {
      fail("{}: the bytes of tensor {} are not in the file; the file is cut, get it again", origin_, name);
    }
    check_extent(tensor, stride, value.items[1]->number, storage.number);
    const auto bytes =
        place->second.subspan(static_cast<size_t>(value.items[1]->number) * storage.global->element_bytes);
    if (is_contiguous(tensor.shape, stride)) {
      tensor.bytes = bytes.first(size);
    } else {
      tensor.bytes = gathered(tensor, stride, bytes, size);
    }
    contents_.tensors.push_back(std::move(tensor));
  }

 private:
  /// The last element that shape and stride reach lies in the storage.
  void check_extent(const Tensor& tensor, std::span<const int64_t> stride, int64_t offset,
                    int64_t elements) const {
    bool inside = stride.size() == tensor.shape.size() && offset >= 0 && offset <= elements;
    const bool empty = tensor.elements() == 0;
    int64_t left = elements - offset - 1;
    for (size_t i = 0; inside && !empty && i < stride.size(); ++i) {
      const int64_t steps = tensor.shape[i] - 1;
      inside = steps == 0 || stride[i] <= left / steps;
      if (inside) left -= steps * stride[i];
    }
    if (!inside || (!empty && left < 0)) {
      fail("{}: tensor {} reaches beyond its storage; the file is corrupt, get it again", origin_,
           tensor.name);
    }
  }

  static bool is_contiguous(std::span<const int64_t> shape, std::span<const int64_t> stride) {
    int64_t expected = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      if (shape[i] != 1 && stride[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }

  std::span<const std::byte> gathered(const Tensor& tensor, std::span<const int64_t> stride,
                                      std::span<const std::byte> bytes, size_t size) {
    // Transposed tensors need no more than their file; expanded ones could ask for any amount.
    if (size > copies_left_) {
      fail("{}: tensor {} repeats its values in memory; save it with contiguous() first", origin_,
           tensor.name);
    }
    copies_left_ -= size;
    const size_t element = info(tensor.format).block_bytes;
    auto copy = std::make_unique<std::vector<std::byte>>(size);
    std::vector<int64_t> index(tensor.shape.size(), 0);
    int64_t from = 0;
    for (size_t to = 0; to < size; to += element) {
      std::memcpy(copy->data() + to, bytes.data() + static_cast<size_t>(from) * element, element);
      for (size_t i = index.size(); i-- > 0;) {
        from += stride[i];
        if (++index[i] < tensor.shape[i]) break;
        from -= index[i] * stride[i];
        index[i] = 0;
      }
    }
    contents_.owned.push_back(std::move(copy));
    return *contents_.owned.back();
  }

  const Storages& storages_;
  const std::string& origin_;
  size_t copies_left_;
  ModelFile::Contents& contents_;
};

void add_tensors(const Pickle& pickle, const Storages& storages, const WantTensor& wanted, size_t file_bytes,
                 const std::string& origin, ModelFile::Contents& contents) {
  TensorBuilder builder(storages, origin, file_bytes, contents);
  for (const auto& [name, value] : find_state_dict(pickle.value(), origin)) {
    if (!wanted || wanted(std::string(name))) builder.add(name, *value);
  }
  check_names(contents.tensors, origin);
}

void read_archive(std::span<const std::byte> bytes, const std::string& origin, const WantTensor& wanted,
                  ModelFile::Contents& contents) {
  const std::vector<ZipEntry> entries = read_zip(bytes, origin);
  constexpr std::string_view kDescription = "/data.pkl";
  const auto description = std::find_if(entries.begin(), entries.end(), [&](const ZipEntry& entry) {
    return entry.name.ends_with(kDescription);
  });
  if (description == entries.end())
    fail("{}: is a zip archive without data.pkl; give a PyTorch file", origin);
  const auto is_program = [](const ZipEntry& entry) { return entry.name.ends_with("/constants.pkl"); };
  if (std::any_of(entries.begin(), entries.end(), is_program)) {
    fail("{}: is a TorchScript program, and nothing in a file is executed here; give the model's state_dict",
         origin);
  }
  const std::string root(description->name.substr(0, description->name.size() - kDescription.size() + 1));
  Storages storages;
  for (const ZipEntry& entry : entries) {
    if (!entry.name.starts_with(root)) continue;
    if (!entry.stored) {
      fail(
          "{}: the entry {} is compressed, which PyTorch never does; pack the archive again without "
          "compression",
          origin, entry.name);
    }
    const std::string_view inner = entry.name.substr(root.size());
    if (inner == "byteorder" &&
        std::string_view(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()) != "little") {
      fail("{}: was saved on a big-endian machine; save it again on a little-endian one", origin);
    }
    constexpr std::string_view kFolder = "data/";
    if (inner.starts_with(kFolder) && !storages.emplace(inner.substr(kFolder.size()), entry.bytes).second) {
      fail("{}: the entry {} is there twice; the file is corrupt, get it again", origin, entry.name);
    }
  }
  ByteReader reader(description->bytes, origin);
  const Pickle pickle(reader);
  add_tensors(pickle, storages, wanted, bytes.size(), origin, contents);
}

/// The magic number of the form before 1.6, as a pickle writes it.
constexpr std::string_view kLegacyMagic{"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10};

void read_legacy(std::span<const std::byte> bytes, const std::string& origin, const WantTensor& wanted,
                 ModelFile::Contents& contents) {
  constexpr int64_t kVersion = 1001;
  ByteReader reader(bytes, origin);
  const Pickle magic(reader);
  if (magic.value().text != kLegacyMagic) {
    fail("{}: is a pickle but none of PyTorch's; save the model's state_dict, best as safetensors", origin);
  }
  const Pickle version(reader);
  if (version.value().number != kVersion) {
    fail("{}: is of PyTorch's file version {}, only {} is known; save it again", origin,
         version.value().number, kVersion);
  }
  const Pickle system(reader);
  const auto& facts = system.value().items;
  for (size_t i = 0; i + 1 < facts.size(); i += 2) {
    if (facts[i]->text == "little_endian" && facts[i + 1]->number != 1) {
      fail("{}: was saved on a big-endian machine; save it again on a little-endian one", origin);
    }
  }
  const Pickle description(reader);
  std::map<std::string_view, const PickleValue*> named;
  for (const PickleValue* storage : description.storages()) named.emplace(storage->text, storage);
  const Pickle keys(reader);
  Storages storages;
  for (const PickleValue* key : keys.value().items) {
    const auto place = named.find(key->text);
    if (key->kind != Kind::kText || place == named.end()) {
      fail("{}: holds bytes that no tensor names; the file is corrupt, get it again", origin);
    }
    const auto elements = reader.read<int64_t>("a storage's length");
    if (elements != place->second->number) {
      fail("{}: the storage {} has two different lengths; the file is corrupt, get it again", origin,
           key->text);
    }
    storages.emplace(key->text, reader.take(storage_bytes(*place->second, origin), "a storage"));
  }
  add_tensors(description, storages, wanted, bytes.size(), origin, contents);
}

}  // namespace

void read_pickle(std::span<const std::byte> bytes, const std::string& origin, const WantTensor& wanted,
                 ModelFile::Contents& contents) {
  if (is_zip(bytes)) {
    read_archive(bytes, origin, wanted, contents);
  } else {
    read_legacy(bytes, origin, wanted, contents);
  }
}

}  // namespace wattle::inline file
