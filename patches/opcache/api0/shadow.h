// Shadow mode (MKLDNN_OPCACHE_SHADOW): a share of the hits is checked against what the real library
// creates from the same description without a cache. The descriptor just created must have the same
// implementation and layouts, and a primitive of it, run over the caller's own memory objects, must
// compute the same bits. It reports and counts, and never corrects: the program gets what the cache
// gave. Costs a creation per checked hit and every execution twice.
#ifndef OPCACHE_API0_SHADOW_H_
#define OPCACHE_API0_SHADOW_H_

#include "api0/real.h"
#include "cache/thread_cache.h"
#include "settings/options.h"

namespace opcache {

inline bool shadowing() { return options().shadow_rate > 0; }

// Whether the next hit on this thread is one to check: by chance, as often as the rate says. The
// same hits in every run; not every so-and-so-many, for hits come in patterns.
bool shadow_due();

// What the latest checked hit on a descriptor asked for. It stands in the descriptor's record until
// a primitive of it is compared, and belongs to that record's owner.
struct ShadowDescriptor {
  mkldnn_primitive_desc_t pd;  // nullptr when that hit was not to be checked
  char text[1];
};

// What a live cached primitive is compared with.
struct ShadowPrimitive {
  mkldnn_primitive_t real;
  ShadowDescriptor *descriptor;
};

void free_shadow(ShadowDescriptor *shadow);
void free_shadow(ShadowPrimitive *shadow);

// After a hit on `d` by a description that prints as `text`. `created`, which is taken over, is
// what the real library created from that description with `status`; nullptr with mkldnn_success:
// not asked.
void shadow_descriptor(const Real &r, ThreadCache *cache, Descriptor *d, mkldnn_status_t status,
                       mkldnn_primitive_desc_t created, const char *text);

// After a hit that made `p` live and bound: gives it a shadow if this hit is one to check.
void shadow_primitive(const Real &r, ThreadCache *cache, Primitive *p);

// Submits to a real eager stream one by one; each primitive that has a shadow is compared with it.
mkldnn_status_t submit_shadowed(const Real &r, ThreadCache *cache, mkldnn_stream_t stream, size_t n,
                                mkldnn_primitive_t *primitives,
                                mkldnn_primitive_t *error_primitive);
// For an execution that cannot be compared, of a lazy stream or a rerun: others stand around it.
void count_unshadowed(ThreadCache *cache, const Primitive *p);

}  // namespace opcache

#endif  // OPCACHE_API0_SHADOW_H_
