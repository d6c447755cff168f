#ifndef OPCACHE_API0_PRIMITIVES_H_
#define OPCACHE_API0_PRIMITIVES_H_

#include "cache/cache.h"

namespace opcache {

// A primitive of `descriptor` over the memory objects that the callers of a bound `primitive` gave.
mkldnn_status_t create_over_callers(const Real &r, Primitive *primitive,
                                    const_mkldnn_primitive_desc_t descriptor,
                                    mkldnn_primitive_t *result);

// Makes primitive->substitute, if it is not there yet: a real primitive over the caller's own
// memory objects, which follows the caller's data by itself. For a stream that cannot rebind before
// it executes, because memory of ours is short; a memory object needs none. `cache` may be nullptr.
mkldnn_status_t make_substitute(const Real &r, ThreadCache *cache, Primitive *primitive);

// Points a live primitive's memory objects at its caller's current data. To be called before every
// execution: MXNet moves the data of memory objects that it keeps between submits.
mkldnn_status_t rebind(const Real &r, Primitive *primitive);

}  // namespace opcache

#endif  // OPCACHE_API0_PRIMITIVES_H_
