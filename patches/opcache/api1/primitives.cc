// Primitives: a released one is taken again for the next caller of the same descriptor. One may be
// executed by its caller alone, so each handle that is live has a primitive of its own.
#include <stdlib.h>

#include "api1/calls.h"
#include "api1/canonical.h"
#include "memory/estimate.h"

namespace opcache {
namespace api1 {

namespace {

Status create_uncached(const Real &r, ThreadCache *cache, mkldnn_primitive **result,
                       const mkldnn_primitive_desc *descriptor) {
  return create_passing(r, cache, descriptor,
                        [&] { return r.primitive_create(result, descriptor); });
}

// How many bytes the primitive will keep, without the cache's record.
size_t estimated_bytes(const Real &r, const Descriptor *d) {
  const char *name = nullptr;
  int64_t told = 0;
  const bool known = r.primitive_desc_query(d->real, kQueryImplementation, 0, &name) == kSuccess &&
                     name != nullptr &&
                     r.primitive_desc_query(d->real, kQueryMemoryConsumption, 0, &told) == kSuccess;
  return estimated_code_bytes(op_of(d)) + (known ? own_scratchpad_bytes(name, told) : 0);
}

// A new primitive of this thread's descriptor, live; nullptr after a failure.
Primitive *create_cached(const Real &r, ThreadCache *cache, Descriptor *d) {
  Primitive *const p = static_cast<Primitive *>(allocate_record(sizeof(Primitive)));
  if (p == nullptr) return nullptr;
  p->descriptor = d;
  p->real_descriptor = d->real;
  cache->make_room();
  const uint64_t start = ticks();
  // The caller's descriptor may be held by the table alone: nothing is dropped meanwhile.
  Status status;
  {
    Busy busy(cache);
    const Metering metering(cache->ledger());
    status = r.primitive_create(&p->real, d->real);
    p->bytes = heap_bytes(sizeof(Primitive)) + metering.bytes(estimated_bytes(r, d));
  }
  if (status == kSuccess && !cache->adopt(p)) {
    r.primitive_destroy(p->real);
    status = kNoMemory;
  }
  if (status != kSuccess) {
    free(p);
    return nullptr;
  }
  d->primitive_ticks = ticks() - start;
  count(cache, op_of(d), kPrimitivesCreated, kCreateTicks, d->primitive_ticks);
  return p;
}

void destroy_real_descriptor(Descriptor *d) {
  if (d->shadow != nullptr) free_shadow(real(), d->shadow);
  real().primitive_desc_destroy(d->real);
}

void destroy_real_primitive(Primitive *p) { real().primitive_destroy(p->real); }

void destroy_real_additions(Primitive *p) {
  if (p->shadow != nullptr) free_shadow(real(), p->shadow);
  p->shadow = nullptr;
}

}  // namespace

const Destroyers kDestroyers = {destroy_real_descriptor, destroy_real_primitive,
                                destroy_real_additions};

Status create_primitive(mkldnn_primitive **result, const mkldnn_primitive_desc *descriptor) {
  const Real &r = real();
  ThreadCache *const cache = ThreadCache::mine();
  Descriptor *d = find_descriptor(descriptor);
  if (cache == nullptr || cache->pass() || d == nullptr || result == nullptr ||
      !primitive_in_scope(d) || !made_for_this_team(r, cache, d)) {
    return create_uncached(r, cache, result, descriptor);
  }
  CacheTime time(cache);
  if (d == cache->last_convolution) cache->last_convolution_used = true;
  d = localize(r, cache, d);
  Primitive *p = d != nullptr ? cache->acquire(d) : nullptr;
  if (p != nullptr) {
    count(cache, op_of(d), kPrimitivesAvoided, kAvoidedTicks, d->primitive_ticks);
    if (shadowing()) shadow_primitive(r, cache, p);
    *result = p->real;
    return kSuccess;
  }
  const uint64_t start = ticks();
  Status status = kSuccess;
  if (d != nullptr) p = create_cached(r, cache, d);
  if (p != nullptr) {
    *result = p->real;
  } else {
    // Its status is the one to return.
    count_bypass(cache, kOutOfMemory);
    status = create_uncached(r, cache, result, descriptor);
  }
  time.real_ticks += ticks() - start;
  return status;
}

Status destroy_primitive(mkldnn_primitive *primitive) { return destroy_handle(real(), primitive); }

}  // namespace api1
}  // namespace opcache
