// The functions of the real MKL-DNN 0.14 to 0.19, resolved once, and which release it is.
#ifndef OPCACHE_API0_REAL_H_
#define OPCACHE_API0_REAL_H_

#include <mkldnn.h>

#include <atomic>

#if defined(MKLDNN_VERSION_MAJOR) && MKLDNN_VERSION_MAJOR > 0
#error "expected MKL-DNN 0.14 to 0.19 (MXNet 1.3 to 1.5); 1.0 has another interface"
#endif

#include "api0/abi.h"
#include "library.h"

namespace opcache {

// Every function of the C API that we call, as X(name without the mkldnn_ prefix).
#define OPCACHE_REAL_FUNCTIONS(X)             \
  X(engine_destroy)                           \
  X(memory_desc_init)                         \
  X(memory_get_data_handle)                   \
  X(memory_primitive_desc_create)             \
  X(memory_primitive_desc_equal)              \
  X(memory_primitive_desc_get_size)           \
  X(memory_set_data_handle)                   \
  X(concat_primitive_desc_create)             \
  X(post_ops_get_kind)                        \
  X(post_ops_get_params_eltwise)              \
  X(post_ops_get_params_sum)                  \
  X(post_ops_len)                             \
  X(primitive_attr_clone)                     \
  X(primitive_attr_destroy)                   \
  X(primitive_attr_get_int_output_round_mode) \
  X(primitive_attr_get_output_scales)         \
  X(primitive_attr_get_post_ops)              \
  X(primitive_create)                         \
  X(primitive_desc_clone)                     \
  X(primitive_desc_create_v2)                 \
  X(primitive_desc_destroy)                   \
  X(primitive_desc_get_attr)                  \
  X(primitive_desc_iterator_create_v2)        \
  X(primitive_desc_iterator_destroy)          \
  X(primitive_desc_iterator_fetch)            \
  X(primitive_desc_iterator_next)             \
  X(primitive_desc_query)                     \
  X(primitive_desc_query_memory_d)            \
  X(primitive_desc_query_pd)                  \
  X(primitive_desc_query_s32)                 \
  X(primitive_destroy)                        \
  X(primitive_get_input_at)                   \
  X(primitive_get_output)                     \
  X(primitive_get_primitive_desc)             \
  X(reorder_primitive_desc_create_v2)         \
  X(stream_create)                            \
  X(stream_destroy)                           \
  X(stream_rerun)                             \
  X(stream_submit)                            \
  X(stream_wait)                              \
  X(sum_primitive_desc_create)

struct Real : Library {
#define OPCACHE_DECLARE(name) decltype(&mkldnn_##name) name;
  OPCACHE_REAL_FUNCTIONS(OPCACHE_DECLARE)
#undef OPCACHE_DECLARE
  // Of the OpenMP runtime that libmkldnn itself is linked to.
  int (*omp_get_max_threads)();
  int (*omp_in_parallel)();  // nullptr: that has none
  const Abi *abi;            // nullptr: not recognised
};

extern std::atomic<const Real *> g_real;

// To be called in what a route leads to (route.h), which is only served when the release is known.
inline const Real &real() { return *g_real.load(std::memory_order_acquire); }

// Kind::kUnknown, too, where the real library does not tell.
inline Kind kind_of(const Real &r, const_mkldnn_primitive_desc_t pd) {
  mkldnn_primitive_kind_t kind;
  const bool told =
      r.primitive_desc_query(pd, mkldnn_query_primitive_kind, 0, &kind) == mkldnn_success;
  return told ? kind_of(*r.abi, kind) : Kind::kUnknown;
}

}  // namespace opcache

#endif  // OPCACHE_API0_REAL_H_
