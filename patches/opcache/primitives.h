#ifndef OPCACHE_PRIMITIVES_H_
#define OPCACHE_PRIMITIVES_H_

#include "cache.h"

namespace opcache {

// A primitive of `descriptor` over the memory objects that the callers of a bound `primitive` gave.
mkldnn_status_t create_over_callers(const Real &r, const Primitive *primitive,
                                    const_mkldnn_primitive_desc_t descriptor,
                                    mkldnn_primitive_t *result);

// Points a live primitive's memory objects at its caller's current data. To be called before every
// execution: MXNet moves the data of memory objects that it keeps between submits.
mkldnn_status_t rebind(const Real &r, Primitive *primitive);

}  // namespace opcache

#endif  // OPCACHE_PRIMITIVES_H_
