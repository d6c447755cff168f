// The functions of the real MKL-DNN 1.0, resolved once.
#ifndef OPCACHE_API1_REAL_H_
#define OPCACHE_API1_REAL_H_

#include <atomic>

#include "api1/types.h"
#include "library.h"

namespace opcache {
namespace api1 {

// Every function of the C API that we call or export, as X(result, name without the mkldnn_ prefix,
// arguments).
#define OPCACHE_API1_FUNCTIONS(X)                                                                  \
  X(Status, concat_primitive_desc_create,                                                          \
    (mkldnn_primitive_desc **, const MemoryDesc *, int, int, const MemoryDesc *, const Attr *,     \
     Engine *))                                                                                    \
  X(Status, engine_destroy, (Engine *))                                                            \
  X(int, memory_desc_equal, (const MemoryDesc *, const MemoryDesc *))                              \
  X(size_t, memory_desc_get_size, (const MemoryDesc *))                                            \
  X(Status, memory_get_data_handle, (const Memory *, void **))                                     \
  X(Status, memory_get_memory_desc, (const Memory *, const MemoryDesc **))                         \
  X(int, post_ops_get_kind, (const PostOps *, int))                                                \
  X(Status, post_ops_get_params_eltwise, (const PostOps *, int, float *, int *, float *, float *)) \
  X(Status, post_ops_get_params_sum, (const PostOps *, int, float *))                              \
  X(int, post_ops_len, (const PostOps *))                                                          \
  X(Status, primitive_attr_clone, (Attr **, const Attr *))                                         \
  X(Status, primitive_attr_destroy, (Attr *))                                                      \
  X(Status, primitive_attr_get_output_scales, (const Attr *, int64_t *, int *, const float **))    \
  X(Status, primitive_attr_get_post_ops, (const Attr *, const PostOps **))                         \
  X(Status, primitive_attr_get_scratchpad_mode, (const Attr *, int *))                             \
  X(Status, primitive_attr_set_rnn_data_qparams, (Attr *, float, float))                           \
  X(Status, primitive_attr_set_rnn_weights_qparams, (Attr *, int64_t, int, const float *))         \
  X(Status, primitive_create, (mkldnn_primitive **, const mkldnn_primitive_desc *))                \
  X(Status, primitive_desc_clone, (mkldnn_primitive_desc **, const mkldnn_primitive_desc *))       \
  X(Status, primitive_desc_create,                                                                 \
    (mkldnn_primitive_desc **, const void *, const Attr *, Engine *,                               \
     const mkldnn_primitive_desc *))                                                               \
  X(Status, primitive_desc_destroy, (mkldnn_primitive_desc *))                                     \
  X(Status, primitive_desc_get_attr, (const mkldnn_primitive_desc *, const Attr **))               \
  X(Status, primitive_desc_iterator_create,                                                        \
    (RealIterator **, const void *, const Attr *, Engine *, const mkldnn_primitive_desc *))        \
  X(Status, primitive_desc_iterator_destroy, (RealIterator *))                                     \
  X(mkldnn_primitive_desc *, primitive_desc_iterator_fetch, (const RealIterator *))                \
  X(Status, primitive_desc_iterator_next, (RealIterator *))                                        \
  X(Status, primitive_desc_query, (const mkldnn_primitive_desc *, int, int, void *))               \
  X(const MemoryDesc *, primitive_desc_query_md, (const mkldnn_primitive_desc *, int, int))        \
  X(Status, primitive_destroy, (mkldnn_primitive *))                                               \
  X(Status, primitive_execute, (const mkldnn_primitive *, Stream *, int, const Argument *))        \
  X(Status, primitive_get_primitive_desc,                                                          \
    (const mkldnn_primitive *, const mkldnn_primitive_desc **))                                    \
  X(Status, reorder_primitive_desc_create,                                                         \
    (mkldnn_primitive_desc **, const MemoryDesc *, Engine *, const MemoryDesc *, Engine *,         \
     const Attr *))                                                                                \
  X(Status, sum_primitive_desc_create,                                                             \
    (mkldnn_primitive_desc **, const MemoryDesc *, int, const float *, const MemoryDesc *,         \
     const Attr *, Engine *))

struct Real : Library {
#define OPCACHE_DECLARE(result, name, arguments) result(*name) arguments;
  OPCACHE_API1_FUNCTIONS(OPCACHE_DECLARE)
#undef OPCACHE_DECLARE
  // Of the OpenMP runtime that MKL-DNN itself calls.
  int (*omp_get_max_threads)();
  int (*omp_in_parallel)();  // nullptr: it does not ask that
};

extern std::atomic<const Real *> g_real;

// To be called in what a route leads to (route.h), which is only served when the release is known.
inline const Real &real() { return *g_real.load(std::memory_order_acquire); }

}  // namespace api1
}  // namespace opcache

#endif  // OPCACHE_API1_REAL_H_
