#include "train/xgboost.h"

#include <dlfcn.h>

#include <wattle/error.h>

namespace wattle::inline train {
namespace {

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr)
    fail("{}: has no function {}; install libxgboost-dev again and build again", WATTLE_XGBOOST_LIBRARY,
         name);
}

XgBoost open_library() {
  void* library = ::dlopen(WATTLE_XGBOOST_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) fail("{}; install libxgboost-dev to grow forests", ::dlerror());
  XgBoost api{};
  find(library, "XGBGetLastError", api.last_error);
  find(library, "XGDMatrixCreateFromCSREx", api.matrix_from_csr);
  find(library, "XGDMatrixSetFloatInfo", api.set_float_info);
  find(library, "XGDMatrixFree", api.free_matrix);
  find(library, "XGBoosterCreate", api.create_booster);
  find(library, "XGBoosterSetParam", api.set_parameter);
  find(library, "XGBoosterUpdateOneIter", api.update);
  find(library, "XGBoosterSaveModelToBuffer", api.save_to_buffer);
  find(library, "XGBoosterFree", api.free_booster);
  return api;
}

}  // namespace

const XgBoost& xgboost() {
  static const XgBoost api = open_library();
  return api;
}

}  // namespace wattle::inline train
