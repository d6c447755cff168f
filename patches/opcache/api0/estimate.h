// How many bytes a primitive will keep, from its description and the number of threads, as the
// sources of v0.14, v0.17.4 and v0.19 size its buffers. Only asked beside a real creation. Reads
// descriptors alone: an estimate that is wrong evicts too much or too little, and nothing else.
#ifndef OPCACHE_API0_ESTIMATE_H_
#define OPCACHE_API0_ESTIMATE_H_

#include "api0/real.h"
#include "cache/records.h"

namespace opcache {

// Without the cache's own record.
size_t estimated_bytes(const Real &r, const Descriptor *d);

}  // namespace opcache

#endif  // OPCACHE_API0_ESTIMATE_H_
