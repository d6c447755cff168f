// What ties a cached primitive to its caller's data. In MKL-DNN 0.x a primitive is bound to memory
// objects when it is created, so cached ones are created over memory objects of ours, which are
// pointed at the caller's data before each execution.
#ifndef OPCACHE_API0_BINDING_H_
#define OPCACHE_API0_BINDING_H_

#include "api0/real.h"
#include "cache/thread_cache.h"

namespace opcache {

// A record without a real primitive yet; nullptr when memory is short.
Primitive *new_record(Descriptor *d);

// True where memory objects of ours cannot stand for the caller's. A convolution that ends in an
// eltwise post-op may, from v0.18 on, zero the padding of its output afterwards, and it finds that
// padding by the layout of the memory object (wants_zero_pad_dst in
// src/cpu/cpu_convolution_pd.hpp), which need not be the one that the descriptor has.
bool pads_output(const Real &r, const Descriptor *d);

// Remembers which memory objects of the caller's a primitive stands for.
bool bind(const Real &r, Primitive *p, const mkldnn_primitive_at_t *inputs,
          const_mkldnn_primitive_t *outputs);

// Creates the real primitive of a record, over memory objects of ours. After a failure the record
// may have some, which destroy_memory_objects() destroys.
mkldnn_status_t create_real(const Real &r, Primitive *p);
void destroy_memory_objects(const Real &r, Primitive *p);

// A primitive of `descriptor` over the memory objects that the callers of a bound `primitive` gave.
mkldnn_status_t create_over_callers(const Real &r, Primitive *primitive,
                                    const_mkldnn_primitive_desc_t descriptor,
                                    mkldnn_primitive_t *result);

// Makes primitive->substitute, if it is not there yet: a real primitive over the caller's own
// memory objects, which follows the caller's data by itself. For a stream that cannot rebind before
// it executes, because memory is short; a memory object needs none. `cache` may be nullptr.
mkldnn_status_t make_substitute(const Real &r, ThreadCache *cache, Primitive *primitive);

// Points a live primitive's memory objects at its caller's current data. To be called before every
// execution: between submits MXNet moves the data of memory objects that it reuses.
mkldnn_status_t rebind(const Real &r, Primitive *primitive);

// How the records of MKL-DNN 0.x end.
extern const Destroyers kDestroyers;

}  // namespace opcache

#endif  // OPCACHE_API0_BINDING_H_
