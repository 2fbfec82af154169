#pragma once

#include <xgboost/c_api.h>

namespace wattle::inline train {

/// The functions of XGBoost's C interface that growing a forest needs. The library is opened when the first
/// forest is grown: linked to the program it would cost each run of any model 5 MB.
struct XgBoost {
  decltype(&::XGBGetLastError) last_error;
  decltype(&::XGDMatrixCreateFromCSREx) matrix_from_csr;
  decltype(&::XGDMatrixSetFloatInfo) set_float_info;
  decltype(&::XGDMatrixFree) free_matrix;
  decltype(&::XGBoosterCreate) create_booster;
  decltype(&::XGBoosterSetParam) set_parameter;
  decltype(&::XGBoosterUpdateOneIter) update;
  decltype(&::XGBoosterSaveModelToBuffer) save_to_buffer;
  decltype(&::XGBoosterFree) free_booster;
};

/// Error when the library that the program was built with is gone.
const XgBoost& xgboost();

}  // namespace wattle::inline train
