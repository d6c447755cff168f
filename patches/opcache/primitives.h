#ifndef OPCACHE_PRIMITIVES_H_
#define OPCACHE_PRIMITIVES_H_

#include "cache.h"

namespace opcache {

// Points a live primitive's memory objects at its caller's current data. To be called before every
// execution: MXNet moves the data of memory objects that it keeps between submits.
mkldnn_status_t rebind(const Real &r, Primitive *primitive);

}  // namespace opcache

#endif  // OPCACHE_PRIMITIVES_H_
