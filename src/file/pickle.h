#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "file/byte_reader.h"
#include "quant/format.h"

namespace wattle::inline file {

/// A name that a pickle may refer to. Nothing is ever called: each stands for a fixed piece of data here.
struct PickleGlobal {
  enum Role { kStorage, kRebuildTensor, kRebuildParameter, kOrderedDict };
  std::string_view module, name;
  Role role;
  bool readable = false;  ///< storages: whether `format` exists here
  Format format = Format::kF32;
  size_t element_bytes = 0;
};

/// One value of a pickle. Containers point at values of the same Pickle.
struct PickleValue {
  enum Kind { kNothing, kMark, kNumber, kText, kTuple, kList, kDict, kGlobal, kStorage, kTensor };
  Kind kind = kNothing;
  int64_t number = 0;                    ///< kNumber; kStorage: elements
  std::string_view text;                 ///< kText; kStorage: key; kNumber of more than 8 bytes: those bytes
  const PickleGlobal* global = nullptr;  ///< kGlobal; kStorage: its class
  /// Items; kDict: key, value, key, value ...; kTensor: storage, offset, shape, stride.
  std::vector<PickleValue*> items;
};

/// Reads one pickle (Python's pickletools.py describes the opcodes), protocols 2 to 5, with only the opcodes
/// and names that tensors need. Throws Error naming whatever else it meets. Executes nothing.
class Pickle {
 public:
  /// Reads from `reader`, which stands after the pickle's end then.
  explicit Pickle(ByteReader& reader);

  const PickleValue& value() const { return *result_; }
  /// Storages in the order in which the pickle named them.
  const std::vector<const PickleValue*>& storages() const { return storages_; }

 private:
  using Kind = PickleValue::Kind;

  bool step();  ///< false after STOP
  bool step_number(uint8_t opcode);
  bool step_text(uint8_t opcode);
  bool step_container(uint8_t opcode);
  bool step_memo(uint8_t opcode);
  bool step_object(uint8_t opcode);

  PickleValue* make(Kind kind);
  void push(PickleValue* value) { stack_.push_back(value); }
  void push_number(int64_t number);
  void push_text(size_t length);
  PickleValue* pop();
  PickleValue* top(Kind kind);
  std::vector<PickleValue*> pop_to_mark();
  void push_tuple(std::vector<PickleValue*> items);
  void add_items(PickleValue* container, const std::vector<PickleValue*>& items);
  void push_global(std::string_view module, std::string_view name);
  void call();
  void load_storage();
  void build();
  std::string_view line();
  [[noreturn]] void fail_form(std::string_view what) const;

  ByteReader& reader_;
  std::deque<PickleValue> values_;  // never freed one by one: deep nesting must not recurse
  std::vector<PickleValue*> stack_;
  std::unordered_map<uint64_t, PickleValue*> memo_;
  std::vector<const PickleValue*> storages_;
  PickleValue* result_ = nullptr;
  size_t added_items_ = 0;
};

}  // namespace wattle::inline file
