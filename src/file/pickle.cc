#include <wattle/error.h>
#include "file/readers.h"
namespace wattle {
void read_pickle(std::span<const std::byte>, const std::string& origin, const WantTensor&,
                 ModelFile::Contents&) {
  fail("{}: PyTorch files are not read yet; save the model as safetensors", origin);
}
}  // namespace wattle
