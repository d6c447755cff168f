// The C functions of MKL-DNN that the tests call, once: through the library, or past it.
#pragma once

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "interface.h"

namespace api {

// Those that the library exports too, without their mkldnn_ prefix.
// clang-format off
#ifdef API1
#define API_EXPORTED(X) \
  X(concat_primitive_desc_create) X(engine_destroy) X(primitive_attr_set_rnn_data_qparams) \
  X(primitive_attr_set_rnn_weights_qparams) X(primitive_create) X(primitive_desc_clone) \
  X(primitive_desc_create) X(primitive_desc_destroy) X(primitive_desc_iterator_create) \
  X(primitive_desc_iterator_destroy) X(primitive_desc_iterator_fetch) \
  X(primitive_desc_iterator_next) X(primitive_destroy) X(primitive_execute) \
  X(reorder_primitive_desc_create) X(sum_primitive_desc_create)

#define API_OTHERS(X) \
  X(primitive_desc_get_attr) X(primitive_desc_query) X(primitive_desc_query_md) \
  X(primitive_desc_query_s32) X(primitive_get_primitive_desc)
#else
#define API_EXPORTED(X) \
  X(concat_primitive_desc_create) X(engine_destroy) X(memory_primitive_desc_create) \
  X(primitive_create) X(primitive_desc_clone) X(primitive_desc_create) X(primitive_desc_create_v2) \
  X(primitive_desc_destroy) X(primitive_desc_iterator_create) X(primitive_desc_iterator_create_v2) \
  X(primitive_desc_iterator_destroy) X(primitive_desc_iterator_fetch) \
  X(primitive_desc_iterator_next) X(primitive_desc_query_pd) X(primitive_destroy) \
  X(primitive_get_input_at) X(primitive_get_output) X(primitive_get_primitive_desc) \
  X(reorder_primitive_desc_create) X(reorder_primitive_desc_create_v2) X(stream_create) \
  X(stream_destroy) X(stream_rerun) X(stream_submit) X(stream_wait) X(sum_primitive_desc_create)

#define API_OTHERS(X) \
  X(engine_create) X(memory_get_data_handle) X(memory_primitive_desc_equal) \
  X(memory_primitive_desc_get_size) X(memory_set_data_handle) X(post_ops_append_eltwise) \
  X(post_ops_append_sum) X(post_ops_create) X(post_ops_destroy) X(post_ops_len) \
  X(primitive_attr_clone) X(primitive_attr_create) X(primitive_attr_destroy) \
  X(primitive_attr_get_int_output_round_mode) X(primitive_attr_get_output_scales) \
  X(primitive_attr_get_post_ops) X(primitive_attr_set_int_output_round_mode) \
  X(primitive_attr_set_output_scales) X(primitive_attr_set_post_ops) X(primitive_desc_get_attr) \
  X(primitive_desc_query) X(primitive_desc_query_memory_d) X(primitive_desc_query_s32) \
  X(view_primitive_desc_create)
#endif
// clang-format on

struct Api {
#define API_DECLARE(name) decltype(&mkldnn_##name) name;
  API_EXPORTED(API_DECLARE)
  API_OTHERS(API_DECLARE)
#undef API_DECLARE
  mkldnn_status_t describe(mkldnn_primitive_desc_t *result, const_mkldnn_op_desc_t d,
                           const_mkldnn_primitive_attr_t attr, mkldnn_engine_t engine,
                           const_mkldnn_primitive_desc_t hint) const {
#ifdef API1
    return primitive_desc_create(result, d, attr, engine, hint);
#else
    return primitive_desc_create_v2(result, d, attr, engine, hint);
#endif
  }
};

inline void *find(void *library, const char *name) {
  void *const found = library != nullptr ? dlsym(library, name) : nullptr;
  if (found != nullptr) return found;
  fprintf(stderr, "%s is in no library: %s\n", name, dlerror());
  exit(2);
}

// By the names that a program calls.
inline const Api &through() {
#define API_ADDRESS(name) mkldnn_##name,
  static const Api api = {API_EXPORTED(API_ADDRESS) API_OTHERS(API_ADDRESS)};
#undef API_ADDRESS
  return api;
}

inline Api of_library(void *library) {
#define API_FIND(name) reinterpret_cast<decltype(&mkldnn_##name)>(find(library, "mkldnn_" #name)),
  return {API_EXPORTED(API_FIND) API_OTHERS(API_FIND)};
#undef API_FIND
}

// Past the library. Ends the program when the library is not in between.
inline const Api &direct() {
  static const Api api = [] {
    const Api found = of_library(dlopen(MKLDNN_LIBRARY, RTLD_NOLOAD | RTLD_LAZY));
#define API_CHECK(name)                                                   \
  if (found.name == through().name) {                                     \
    fprintf(stderr, "%s: the library does not stand before it\n", #name); \
    exit(2);                                                              \
  }
    API_EXPORTED(API_CHECK)
#undef API_CHECK
    return found;
  }();
  return api;
}

}  // namespace api
