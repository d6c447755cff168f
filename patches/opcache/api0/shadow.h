// Shadow mode of MKL-DNN 0.x: shared/shadow.h says what it is.
#ifndef OPCACHE_API0_SHADOW_H_
#define OPCACHE_API0_SHADOW_H_

#include "api0/real.h"
#include "cache/thread_cache.h"
#include "shared/shadow.h"

namespace opcache {

// Says in `what` how two descriptors differ; false: they do not.
bool differ(const Real &r, const_mkldnn_primitive_desc_t cached,
            const_mkldnn_primitive_desc_t fresh, const Descriptor *d, char *what, size_t size);

// A primitive over the memory objects that the caller of `p` gave.
mkldnn_status_t create_shadow(const Real &r, Primitive *p, const_mkldnn_primitive_desc_t descriptor,
                              mkldnn_primitive_t *result);

// Submits to a real eager stream one by one; each primitive that has a shadow is compared with it.
mkldnn_status_t submit_shadowed(const Real &r, ThreadCache *cache, mkldnn_stream_t stream, size_t n,
                                mkldnn_primitive_t *primitives,
                                mkldnn_primitive_t *error_primitive);
// For an execution that cannot be compared, of a lazy stream or a rerun: others stand around it.
void count_unshadowed(ThreadCache *cache, const Primitive *p);

}  // namespace opcache

#endif  // OPCACHE_API0_SHADOW_H_
