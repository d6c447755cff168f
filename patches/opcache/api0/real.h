// The real MKL-DNN: its functions, resolved once, and which release it is.
// Knows nothing of the cache. Never unloads: a reference on the library is kept for good.
#ifndef OPCACHE_API0_REAL_H_
#define OPCACHE_API0_REAL_H_

#include <link.h>
#include <mkldnn.h>

#include <atomic>

#if defined(MKLDNN_VERSION_MAJOR) && MKLDNN_VERSION_MAJOR > 0
#error "expected MKL-DNN 0.14 to 0.19 (MXNet 1.3 to 1.5); 1.0 has another interface"
#endif

#include "api0/abi.h"

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

struct Real {
#define OPCACHE_DECLARE(name) decltype(&mkldnn_##name) name;
  OPCACHE_REAL_FUNCTIONS(OPCACHE_DECLARE)
#undef OPCACHE_DECLARE
  int (*omp_get_max_threads)();  // of the OpenMP runtime that libmkldnn itself is linked to
  const Abi *abi;                // nullptr: not recognised, pass everything through
  char build_id[65];             // hexadecimal; empty when the library carries none
  void *handle;                  // dlopen's
  const struct link_map *library;
};

extern std::atomic<const Real *> g_real;
const Real *resolve_real();

// Resolves on the first call; thread-safe. nullptr when no libmkldnn.so.0 is loaded in this
// process, or when it lacks a function we forward to (one line on stderr says which), and for good:
// ask real_is_loaded() first where MKL-DNN may not be there yet.
inline const Real *real() {
  const Real *const known = g_real.load(std::memory_order_acquire);
  return known != nullptr ? known : resolve_real();
}

// Tells whether this process has loaded a libmkldnn.so.0. Says nothing and decides nothing.
bool real_is_loaded();

// Makes sure that this library is never unloaded; false: it could be.
bool stay_loaded();

}  // namespace opcache

#endif  // OPCACHE_API0_REAL_H_
