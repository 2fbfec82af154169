#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/mapped_file.h"
#include "file/gguf_writer.h"
#include "file/model_file.h"
#include "file/temporary_directory.h"
#include "file/test_models.h"

namespace wattle {
namespace {

std::vector<std::byte> copy(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> bytes_of(const std::vector<float>& values) {
  return copy(std::as_bytes(std::span(values)));
}

void write_again(const ModelFile& file, const std::filesystem::path& path) {
  std::vector<TensorToWrite> tensors;
  for (const Tensor& tensor : file.tensors()) {
    tensors.push_back({tensor.name, tensor.format, tensor.shape, [&tensor] { return copy(tensor.bytes); }});
  }
  write_gguf(path, file.metadata(), tensors);
}

Metadata metadata_of_every_type() {
  Metadata metadata("written");
  metadata.set("general.architecture", Value::of(std::string("test")));
  metadata.set("u8", Value::of(int64_t{200}, ValueType::kU8));
  metadata.set("i8", Value::of(int64_t{-100}, ValueType::kI8));
  metadata.set("u16", Value::of(int64_t{65535}, ValueType::kU16));
  metadata.set("i16", Value::of(int64_t{-32768}, ValueType::kI16));
  metadata.set("u32", Value::of(int64_t{4294967295}, ValueType::kU32));
  metadata.set("i32", Value::of(int64_t{-2147483648}, ValueType::kI32));
  metadata.set("u64", Value::of(int64_t{9223372036854775807}, ValueType::kU64));
  metadata.set("i64", Value::of(int64_t{-9223372036854775807}, ValueType::kI64));
  metadata.set("f32", Value::of(0.1));
  metadata.set("f64", Value{ValueType::kF64, ValueType::kU32, Value::Scalar(0.1)});
  metadata.set("bool", Value::of(true));
  metadata.set("strings", Value::of(std::vector<std::string>{"a", "", "\xF0\x9F\x8C\xBF"}));
  metadata.set("integers", Value::of(std::vector<int64_t>{1, -2, 3}));
  metadata.set("floats", Value::of(std::vector<double>{0.5, -1.25}));
  metadata.set("bools", Value{ValueType::kArray, ValueType::kBool,
                              Value::Array(std::vector<bool>{true, false, true})});
  metadata.set("empty", Value::of(std::vector<std::string>{}));
  return metadata;
}

TEST(Gguf, WrittenFileReadsBack) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "small.gguf";
  const std::vector<float> matrix{1, 2, 3, 4, 5, 6};
  write_gguf(path, metadata_of_every_type(),
             {{"matrix", Format::kF32, {2, 3}, [&] { return bytes_of(matrix); }},
              {"scalar", Format::kF32, {}, [] { return bytes_of({7}); }},
              {"half", Format::kF16, {3}, [] { return std::vector<std::byte>(6); }}});

  const ModelFile file = ModelFile::open(path);
  EXPECT_EQ(file.kind(), "gguf");
  EXPECT_EQ(file.architecture(), "test");
  const Metadata& metadata = file.metadata();
  EXPECT_EQ(metadata.integer("u8"), 200);
  EXPECT_EQ(metadata.integer("i8"), -100);
  EXPECT_EQ(metadata.integer("u16"), 65535);
  EXPECT_EQ(metadata.integer("i16"), -32768);
  EXPECT_EQ(metadata.integer("u32"), 4294967295);
  EXPECT_EQ(metadata.integer("i32"), -2147483648);
  EXPECT_EQ(metadata.integer("u64"), 9223372036854775807);
  EXPECT_EQ(metadata.integer("i64"), -9223372036854775807);
  EXPECT_EQ(metadata.number("f32"), static_cast<double>(0.1F));
  EXPECT_EQ(metadata.number("f64"), 0.1);
  EXPECT_EQ(metadata.flag("bool"), true);
  EXPECT_EQ(metadata.strings("strings").size(), 3U);
  EXPECT_EQ(metadata.integers("integers")[1], -2);
  EXPECT_EQ(metadata.numbers("floats")[1], -1.25);
  EXPECT_EQ(metadata.strings("absent").size(), 0U);
  EXPECT_EQ(metadata.integer("absent"), std::nullopt);
  EXPECT_THROW((void)metadata.integer("strings"), Error);
  EXPECT_THROW((void)metadata.strings("integers"), Error);
  EXPECT_THROW((void)metadata.need_text("absent"), Error);

  const Tensor& read = file.need("matrix");
  EXPECT_EQ(read.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file.decoded(read), matrix);
  EXPECT_EQ(file.decoded(file.need("scalar")), std::vector<float>{7});
  EXPECT_EQ(file.find("absent"), nullptr);
  EXPECT_THROW((void)file.need("absent"), Error);
  EXPECT_THROW((void)file.need("matrix", std::vector<int64_t>{3, 2}), Error);

  const auto second = directory.path() / "again.gguf";
  write_again(file, second);
  const MappedFile a(path);
  const MappedFile b(second);
  EXPECT_TRUE(std::ranges::equal(a.bytes(), b.bytes()));
}

TEST(Gguf, WriterRefusesWhatTheFormatCannotHold) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "bad.gguf";
  const auto nothing = [] { return std::vector<std::byte>(); };
  const auto refuses = [&](TensorToWrite tensor) {
    const std::vector<TensorToWrite> twice{tensor, tensor};
    EXPECT_THROW(write_gguf(path, Metadata("m"), {tensor}), Error) << tensor.name;
    EXPECT_THROW(write_gguf(path, Metadata("m"), twice), Error);
  };
  refuses({"short", Format::kF32, {4}, nothing});
  refuses({std::string(64, 'n'), Format::kF32, {0}, nothing});
  refuses({"deep", Format::kF32, {1, 1, 1, 1, 0}, nothing});
  refuses({"block", Format::kQ4_0, {33}, nothing});
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Gguf, PublishedFilesWriteBackByteForByte) {
  const auto files = test_gguf_files();
  if (files.empty()) GTEST_SKIP() << "no .gguf file under " << test_models() << "; `wattle pull` brings some";
  for (const auto& path : files) {
    if (std::filesystem::file_size(path) > 300'000'000) continue;  // the small ones cover every code path
    SCOPED_TRACE(path.string());
    const TemporaryDirectory directory;
    const ModelFile file = ModelFile::open(path);
    write_again(file, directory.path() / "again.gguf");
    const MappedFile original(path);
    const MappedFile again(directory.path() / "again.gguf");
    ASSERT_EQ(original.bytes().size(), again.bytes().size());
    EXPECT_EQ(std::memcmp(original.bytes().data(), again.bytes().data(), again.bytes().size()), 0);
  }
}

}  // namespace
}  // namespace wattle
