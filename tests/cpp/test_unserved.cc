// A process without MKL-DNN: the exported functions fail as MKL-DNN's do, and the library says why
// once.
#include <mkldnn.h>

#include "check.h"

SCENE(calls_without_mkldnn) {
  mkldnn_stream_t stream = nullptr;
  CHECK_EQ(mkldnn_stream_create(&stream, mkldnn_eager), mkldnn_runtime_error);
  CHECK_EQ(mkldnn_stream_create(&stream, mkldnn_lazy), mkldnn_runtime_error);
  CHECK_EQ(mkldnn_primitive_destroy(nullptr), mkldnn_runtime_error);
  CHECK(mkldnn_primitive_desc_query_pd(nullptr, mkldnn_query_input_pd, 0) == nullptr);
  CHECK(mkldnn_primitive_desc_iterator_fetch(nullptr) == nullptr);
}

TEST(calls_fail_and_the_reason_is_said_once) {
  check::run_well("calls_without_mkldnn", {},
                  "opcache: no libmkldnn.so.0 or libmkldnn.so.1 is loaded in this process\n");
}
