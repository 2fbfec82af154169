#include "file/pickle.h"

#include <array>

#include <wattle/error.h>

namespace wattle::inline file {
namespace {

constexpr size_t kMaxValues = 8'000'000;

/// Opcodes by pickletools' names.
enum Opcode : uint8_t {
  kMarkOp = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kFloat64 = 'G',
  kInt32 = 'J',
  kInt8 = 'K',
  kInt16 = 'M',
  kNone = 'N',
  kPersistentId = 'Q',
  kReduce = 'R',
  kString = 'T',
  kShortString = 'U',
  kUnicode = 'X',
  kBytes = 'B',
  kShortBytes = 'C',
  kAppend = 'a',
  kBuild = 'b',
  kGlobalOp = 'c',
  kAppends = 'e',
  kGet = 'h',
  kLongGet = 'j',
  kPut = 'q',
  kLongPut = 'r',
  kSetItem = 's',
  kTupleOp = 't',
  kSetItems = 'u',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kEmptyDict = '}',
  kProtocol = 0x80,
  kNewObject = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kTrue = 0x88,
  kFalse = 0x89,
  kLong1 = 0x8a,
  kShortUnicode = 0x8c,
  kUnicode8 = 0x8d,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

constexpr PickleGlobal storage(std::string_view name, Format format, size_t element_bytes) {
  return {"torch", name, PickleGlobal::kStorage, true, format, element_bytes};
}
constexpr PickleGlobal unread_storage(std::string_view name, size_t element_bytes) {
  return {"torch", name, PickleGlobal::kStorage, false, Format::kF32, element_bytes};
}

/// Everything that a pickle may name.
constexpr std::array<PickleGlobal, 18> kGlobals{{
    storage("FloatStorage", Format::kF32, 4),
    storage("HalfStorage", Format::kF16, 2),
    storage("BFloat16Storage", Format::kBF16, 2),
    storage("DoubleStorage", Format::kF64, 8),
    storage("LongStorage", Format::kI64, 8),
    storage("IntStorage", Format::kI32, 4),
    storage("ShortStorage", Format::kI16, 2),
    storage("CharStorage", Format::kI8, 1),
    unread_storage("ByteStorage", 1),
    unread_storage("BoolStorage", 1),
    unread_storage("ComplexFloatStorage", 8),
    unread_storage("ComplexDoubleStorage", 16),
    unread_storage("QInt8Storage", 1),
    unread_storage("QUInt8Storage", 1),
    {"torch._utils", "_rebuild_tensor_v2", PickleGlobal::kRebuildTensor},
    {"torch._utils", "_rebuild_tensor", PickleGlobal::kRebuildTensor},
    {"torch._utils", "_rebuild_parameter", PickleGlobal::kRebuildParameter},
    {"collections", "OrderedDict", PickleGlobal::kOrderedDict},
}};

}  // namespace

Pickle::Pickle(ByteReader& reader) : reader_(reader) {
  while (step()) {
  }
}

void Pickle::fail_form(std::string_view what) const {
  fail("{}: the pickle is malformed at byte {} ({}); the file is corrupt, get it again", reader_.origin(),
       reader_.position(), what);
}

PickleValue* Pickle::make(Kind kind) {
  if (values_.size() >= kMaxValues) {
    fail("{}: the pickle holds more than {} values, which no list of tensors does; get the file again",
         reader_.origin(), kMaxValues);
  }
  values_.emplace_back().kind = kind;
  return &values_.back();
}

PickleValue* Pickle::pop() {
  if (stack_.empty()) fail_form("the stack is empty");
  PickleValue* value = stack_.back();
  stack_.pop_back();
  return value;
}

PickleValue* Pickle::top(Kind kind) {
  if (stack_.empty() || stack_.back()->kind != kind) fail_form("a value of another kind was expected");
  return stack_.back();
}

std::vector<PickleValue*> Pickle::pop_to_mark() {
  std::vector<PickleValue*> items;
  for (PickleValue* value = pop(); value->kind != Kind::kMark; value = pop()) items.push_back(value);
  return {items.rbegin(), items.rend()};
}

void Pickle::push_number(int64_t number) {
  PickleValue* value = make(Kind::kNumber);
  value->number = number;
  push(value);
}

void Pickle::push_text(size_t length) {
  PickleValue* value = make(Kind::kText);
  value->text = reader_.text(length, "a string");
  push(value);
}

void Pickle::push_tuple(std::vector<PickleValue*> items) {
  PickleValue* value = make(Kind::kTuple);
  value->items = std::move(items);
  push(value);
}

void Pickle::add_items(PickleValue* container, const std::vector<PickleValue*>& items) {
  if (container->kind == Kind::kDict && items.size() % 2 != 0) fail_form("a key without a value");
  // One list can be copied into many dictionaries by a few bytes each.
  added_items_ += items.size();
  if (added_items_ > 2 * kMaxValues) fail_form("more items than any model has");
  container->items.insert(container->items.end(), items.begin(), items.end());
}

std::string_view Pickle::line() {
  const std::string_view rest = reader_.rest();
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) reader_.fail_short("a name");
  return reader_.text(end + 1, "a name").substr(0, end);
}

void Pickle::push_global(std::string_view module, std::string_view name) {
  for (const PickleGlobal& known : kGlobals) {
    if (known.module != module || known.name != name) continue;
    PickleValue* value = make(Kind::kGlobal);
    value->global = &known;
    return push(value);
  }
  fail(
      "{}: the pickle wants {}.{}, and only tensors and their containers are read, nothing is executed; save "
      "the "
      "model's state_dict, best as safetensors",
      reader_.origin(), module, name);
}

/// REDUCE and NEWOBJ: the few calls that describe tensors become data.
void Pickle::call() {
  PickleValue* arguments = pop();
  PickleValue* function = pop();
  if (arguments->kind != Kind::kTuple || function->kind != Kind::kGlobal)
    fail_form("a call of something unknown");
  const auto& items = arguments->items;
  switch (function->global->role) {
    case PickleGlobal::kOrderedDict: {
      // Python 2 wrote the items as a list of pairs.
      PickleValue* dict = make(Kind::kDict);
      if (!items.empty()) {
        for (PickleValue* pair : items[0]->items) {
          if (pair->items.size() != 2) fail_form("a dictionary of something other than pairs");
          add_items(dict, pair->items);
        }
      }
      return push(dict);
    }
    case PickleGlobal::kRebuildParameter:
      if (items.empty() || items[0]->kind != Kind::kTensor) fail_form("a parameter without a tensor");
      return push(items[0]);
    case PickleGlobal::kRebuildTensor: {
      const bool formed = items.size() >= 4 && items[0]->kind == Kind::kStorage &&
                          items[1]->kind == Kind::kNumber && items[2]->kind == Kind::kTuple &&
                          items[3]->kind == Kind::kTuple;
      if (!formed) fail_form("a tensor without storage, offset, shape and stride");
      PickleValue* tensor = make(Kind::kTensor);
      tensor->items.assign(items.begin(), items.begin() + 4);
      return push(tensor);
    }
    case PickleGlobal::kStorage:
      break;
  }
  fail_form("a storage is called");
}

/// A persistent id is ("storage", class, key, device, elements).
void Pickle::load_storage() {
  const PickleValue* id = pop();
  const auto& items = id->items;
  const bool formed = id->kind == Kind::kTuple && items.size() >= 5 && items[0]->kind == Kind::kText &&
                      items[0]->text == "storage" && items[1]->kind == Kind::kGlobal &&
                      items[1]->global->role == PickleGlobal::kStorage && items[2]->kind == Kind::kText &&
                      items[4]->kind == Kind::kNumber && items[4]->number >= 0;
  if (!formed) fail_form("a reference to something other than a storage");
  if (items.size() > 5 && items[5]->kind != Kind::kNothing) fail_form("a storage that is a view of another");
  PickleValue* value = make(Kind::kStorage);
  value->global = items[1]->global;
  value->text = items[2]->text;
  value->number = items[4]->number;
  storages_.push_back(value);
  push(value);
}

/// BUILD sets attributes: state_dict's dictionary has a `_metadata` that says nothing about the tensors.
void Pickle::build() {
  pop();
  top(Kind::kDict);
}

bool Pickle::step_number(uint8_t opcode) {
  switch (opcode) {
    case kNone:
      push(make(Kind::kNothing));
      return true;
    case kTrue:
      push_number(1);
      return true;
    case kFalse:
      push_number(0);
      return true;
    case kInt8:
      push_number(reader_.read<uint8_t>("a number"));
      return true;
    case kInt16:
      push_number(reader_.read<uint16_t>("a number"));
      return true;
    case kInt32:
      push_number(reader_.read<int32_t>("a number"));
      return true;
    case kFloat64:
      reader_.take(8, "a number");
      push(make(Kind::kNothing));
      return true;
    case kLong1: {
      PickleValue* value = make(Kind::kNumber);
      value->text = reader_.text(reader_.read<uint8_t>("a number"), "a number");
      const size_t bytes = value->text.size();
      if (bytes <= 8) {
        const bool negative = bytes > 0 && (static_cast<uint8_t>(value->text.back()) & 0x80) != 0;
        uint64_t bits = negative ? ~uint64_t{0} : 0;
        for (size_t i = bytes; i-- > 0;) bits = bits << 8 | static_cast<uint8_t>(value->text[i]);
        value->number = static_cast<int64_t>(bits);
        value->text = {};
      } else {
        value->number = INT64_MIN;
      }
      push(value);
      return true;
    }
    default:
      return false;
  }
}

bool Pickle::step_text(uint8_t opcode) {
  switch (opcode) {
    case kShortString:
    case kShortBytes:
    case kShortUnicode:
      push_text(reader_.read<uint8_t>("a string"));
      return true;
    case kString:
    case kBytes:
    case kUnicode:
      push_text(reader_.read<uint32_t>("a string"));
      return true;
    case kUnicode8:
      push_text(reader_.read<uint64_t>("a string"));
      return true;
    default:
      return false;
  }
}

bool Pickle::step_container(uint8_t opcode) {
  switch (opcode) {
    case kMarkOp:
      push(make(Kind::kMark));
      return true;
    case kPop:
      pop();
      return true;
    case kPopMark:
      pop_to_mark();
      return true;
    case kEmptyTuple:
      push_tuple({});
      return true;
    case kEmptyList:
      push(make(Kind::kList));
      return true;
    case kEmptyDict:
      push(make(Kind::kDict));
      return true;
    case kTupleOp:
      push_tuple(pop_to_mark());
      return true;
    case kTuple1:
    case kTuple2:
    case kTuple3: {
      std::vector<PickleValue*> items(opcode - kTuple1 + 1);
      for (size_t i = items.size(); i-- > 0;) items[i] = pop();
      push_tuple(std::move(items));
      return true;
    }
    case kAppend: {
      PickleValue* item = pop();
      add_items(top(Kind::kList), {item});
      return true;
    }
    case kAppends: {
      const auto items = pop_to_mark();
      add_items(top(Kind::kList), items);
      return true;
    }
    case kSetItem: {
      PickleValue* value = pop();
      PickleValue* key = pop();
      add_items(top(Kind::kDict), {key, value});
      return true;
    }
    case kSetItems: {
      const auto items = pop_to_mark();
      add_items(top(Kind::kDict), items);
      return true;
    }
    default:
      return false;
  }
}

bool Pickle::step_memo(uint8_t opcode) {
  const auto put = [&](uint64_t key) {
    if (stack_.empty()) fail_form("the stack is empty");
    memo_[key] = stack_.back();
    return true;
  };
  const auto get = [&](uint64_t key) {
    const auto place = memo_.find(key);
    if (place == memo_.end()) fail_form("a value that was never stored");
    push(place->second);
    return true;
  };
  switch (opcode) {
    case kPut:
      return put(reader_.read<uint8_t>("a place"));
    case kLongPut:
      return put(reader_.read<uint32_t>("a place"));
    case kMemoize:
      return put(memo_.size());
    case kGet:
      return get(reader_.read<uint8_t>("a place"));
    case kLongGet:
      return get(reader_.read<uint32_t>("a place"));
    default:
      return false;
  }
}

bool Pickle::step_object(uint8_t opcode) {
  switch (opcode) {
    case kProtocol: {
      const auto protocol = reader_.read<uint8_t>("the protocol");
      if (protocol < 2 || protocol > 5) {
        fail(
            "{}: pickle protocol {} is not known here, only 2 to 5; save the model again, best as "
            "safetensors",
            reader_.origin(), protocol);
      }
      return true;
    }
    case kFrame:
      reader_.take(8, "a frame");
      return true;
    case kGlobalOp: {
      const std::string_view module = line();
      push_global(module, line());
      return true;
    }
    case kStackGlobal: {
      const PickleValue* name = pop();
      const PickleValue* module = pop();
      if (name->kind != Kind::kText || module->kind != Kind::kText) fail_form("a name that is no string");
      push_global(module->text, name->text);
      return true;
    }
    case kReduce:
    case kNewObject:
      call();
      return true;
    case kPersistentId:
      load_storage();
      return true;
    case kBuild:
      build();
      return true;
    default:
      return false;
  }
}

bool Pickle::step() {
  const auto opcode = reader_.read<uint8_t>("a pickle's opcode");
  if (opcode == kStop) {
    result_ = pop();
    return false;
  }
  if (!step_number(opcode) && !step_text(opcode) && !step_container(opcode) && !step_memo(opcode) &&
      !step_object(opcode)) {
    fail(
        "{}: the pickle has the opcode 0x{:02x} at byte {}, which tensors do not need; save the model's "
        "state_dict, "
        "best as safetensors",
        reader_.origin(), opcode, reader_.position() - 1);
  }
  return true;
}

}  // namespace wattle::inline file
