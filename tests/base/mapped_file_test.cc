#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <wattle/error.h>

namespace wattle {
namespace {

class MappedFileTest : public testing::Test {
 protected:
  MappedFileTest() {
    text_.resize(300000);
    for (size_t i = 0; i < text_.size(); ++i) text_[i] = static_cast<char>('a' + i % 23);
    std::ofstream(path_, std::ios::binary) << text_;
  }
  ~MappedFileTest() override { std::filesystem::remove(path_); }

  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("wattle_mapped_" + std::to_string(::getpid()));
  std::string text_;
};

TEST_F(MappedFileTest, ReadsTheSameBytesAsItMaps) {
  const MappedFile file(path_);
  std::vector<std::byte> copy(1000);
  file.read(file.bytes().subspan(65000, copy.size()), copy);
  EXPECT_EQ(std::memcmp(copy.data(), text_.data() + 65000, copy.size()), 0);
}

TEST_F(MappedFileTest, ReleasedPagesComeBack) {
  const MappedFile file(path_);
  for (const auto& [offset, size] : {std::pair<size_t, size_t>{0, 1}, {70000, 100000}, {299999, 1}}) {
    file.release(file.bytes().subspan(offset, size));
    EXPECT_EQ(std::memcmp(file.bytes().data(), text_.data(), text_.size()), 0);
  }
}

TEST_F(MappedFileTest, AFileThatBecameShorterIsAnError) {
  const MappedFile file(path_);
  std::filesystem::resize_file(path_, 1000);
  std::vector<std::byte> copy(100);
  EXPECT_THROW(file.read(file.bytes().subspan(2000, copy.size()), copy), Error);
}

}  // namespace
}  // namespace wattle
