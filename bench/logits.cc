// The logits of a decoder at every position of a sequence of token ids, for bench/peers, which compares them
// with the logits of other programs.
//
//   bench_logits MODEL IDS.txt OUT.f32 [PRECISION]
//
// MODEL: file or folder. IDS.txt: numbers with spaces between them. OUT.f32: floats [ids, vocabulary], of
// this machine's byte order. PRECISION: how the weights that there are get read, "activations=f32,cache=F32"
// for the nearest to exact.
#include <wattle/error.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <vector>

#include "models/model.h"
#include "quant/precision.h"

namespace wattle {
namespace {

void write_logits(const std::string& path, const std::string& ids_path, const std::string& out_path,
                  const std::string& precision) {
  std::ifstream text(ids_path);
  if (!text) fail("{}: cannot be read; give a file of token ids", ids_path);
  std::vector<TokenId> ids;
  for (TokenId id; text >> id;) ids.push_back(id);
  if (ids.empty() || !text.eof()) fail("{}: holds something else than token ids", ids_path);
  LoadOptions options;
  if (!precision.empty()) options.take(Precision::parse(precision));
  const auto model = Model::open(path, options);
  ContinuesText* decoder = model->decoder();
  if (decoder == nullptr) fail("{}: is no decoder and has no logits of a next token", path);
  const auto cache = decoder->new_cache(static_cast<int64_t>(ids.size()));
  const DecoderInput all{cache.get(), ids};
  Matrix logits;
  Work work;
  decoder->forward({&all, 1}, LogitsWanted::kAll, logits, work);
  std::ofstream out(out_path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(logits.data()),
            static_cast<std::streamsize>(sizeof(float)) * logits.rows() * logits.columns());
  if (!out.flush()) fail("{}: cannot be written; is the disk full?", out_path);
}

}  // namespace
}  // namespace wattle

int main(int argc, char** argv) {
  try {
    if (argc != 4 && argc != 5) wattle::fail("usage: bench_logits MODEL IDS.txt OUT.f32 [PRECISION]");
    wattle::write_logits(argv[1], argv[2], argv[3], argc == 5 ? argv[4] : "");
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
