#include <gtest/gtest.h>
#include <wattle/error.h>

#include "file/samples.h"
#include "file/temporary_directory.h"

namespace wattle {
namespace {

class PyTorchFile : public testing::TestWithParam<const char*> {};

TEST_P(PyTorchFile, HoldsTheTensorsThatWereSaved) {
  const TemporaryDirectory directory;
  const ModelFile file = ModelFile::open(directory.write("model.pth", samples::golden(GetParam())));
  EXPECT_EQ(file.kind(), "pickle");
  EXPECT_EQ(file.metadata().entries().size(), 0U);
  const auto values = [&](const char* name) { return file.decoded(file.need(name)); };
  const std::vector<float> matrix{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  EXPECT_EQ(file.need("matrix").shape, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(values("matrix"), matrix);
  EXPECT_EQ(values("tied"), matrix);
  EXPECT_EQ(file.need("transposed").shape, (std::vector<int64_t>{4, 3}));
  EXPECT_EQ(values("transposed"), (std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
  EXPECT_EQ(values("part"), (std::vector<float>{5, 6, 9, 10}));
  EXPECT_EQ(file.need("half").format, Format::kF16);
  EXPECT_EQ(values("half"), (std::vector<float>{0.5F, -2}));
  EXPECT_EQ(file.need("brain").format, Format::kBF16);
  EXPECT_EQ(values("brain"), (std::vector<float>{0.25F, 3}));
  EXPECT_EQ(file.need("count").format, Format::kI64);
  EXPECT_TRUE(file.need("count").shape.empty());
  EXPECT_EQ(values("count"), std::vector<float>{7});
  EXPECT_EQ(values("parameter"), std::vector<float>(4, 1));
}

INSTANTIATE_TEST_SUITE_P(Forms, PyTorchFile, testing::Values("torch/zip.pth", "torch/legacy.pth"),
                         [](const auto& info) {
                           return std::string(info.param).find("zip") != std::string::npos ? "Zip" : "Legacy";
                         });

TEST(OpenModelFile, RefusesWhatIsNoModel) {
  const TemporaryDirectory directory;
  EXPECT_THROW(ModelFile::open(directory.path() / "absent.gguf"), Error);
  EXPECT_THROW(ModelFile::open(directory.write("notes.txt", "hello")), Error);
  EXPECT_THROW(ModelFile::open(directory.write("empty.gguf", "")), Error);
  EXPECT_THROW(ModelFile::open(directory.path()), Error);
  // What a file is shows in its first bytes, whatever its name.
  EXPECT_EQ(ModelFile::open(directory.write("weights.bin", samples::Gguf().bytes())).kind(), "gguf");
}

}  // namespace
}  // namespace wattle
