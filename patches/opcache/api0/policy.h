// Decisions that the calls share: is caching on, which operator a handle serves, whose time it is.
#ifndef OPCACHE_API0_POLICY_H_
#define OPCACHE_API0_POLICY_H_

#include <mkldnn.h>

#include "api0/real.h"
#include "cache/cache.h"
#include "report/stats.h"
#include "settings/settings.h"

namespace opcache {

inline bool caching() { return scope_in_force() != kNoOps; }

// Descriptors of an operator are canonical in both directions as soon as one direction is in
// scope: a forward descriptor is the hint of the backward one, and the backward operator makes it
// anew each time. Deconvolution is made of convolutions.
inline bool descriptor_in_scope(Op op) {
  OpSet wanted = set_of(op);
  if (op < 2 * kSeven) {
    const Op forward = is_backward(op) ? static_cast<Op>(op - kBackward) : op;
    wanted = set_of(forward) | set_of(backward(forward));
    if (forward == kConvolution) {
      wanted |= set_of(kDeconvolution) | set_of(backward(kDeconvolution));
    }
  }
  return (scope_in_force() & wanted) != 0;
}

inline bool primitive_in_scope(const Descriptor *d) {
  OpSet serves = set_of(static_cast<Op>(d->op.load(std::memory_order_relaxed)));
  if (d->maybe_deconvolution.load(std::memory_order_relaxed))
    serves |= set_of(backward(kDeconvolution));
  return (scope_in_force() & serves) != 0;
}

// The operator of a handle of the real library; a few queries, so only beside a real call.
inline Op op_of_handle(const Real &r, const_mkldnn_primitive_desc_t pd) {
  mkldnn_primitive_kind_t primitive_kind;
  if (pd == nullptr || r.primitive_desc_query(pd, mkldnn_query_primitive_kind, 0,
                                              &primitive_kind) != mkldnn_success) {
    return kOther;
  }
  const Kind kind = kind_of(*r.abi, primitive_kind);
  const int query = op_desc_query(*r.abi, kind);
  if (query < 0) return op_of(kind, mkldnn_prop_kind_undef);
  const OpDescHead *head = nullptr;
  if (r.primitive_desc_query(pd, static_cast<mkldnn_query_t>(query), 0, &head) != mkldnn_success ||
      head == nullptr) {
    return kOther;
  }
  return op_of(kind, head->prop_kind);
}

// Charges the time of a call to the cache, except what real calls inside it took. One call in
// ThreadCache::kSampling is measured and stands for the others.
class CacheTime {
 public:
  explicit CacheTime(ThreadCache *cache)
      : real_ticks(0), cache_(cache != nullptr && cache->sample() ? cache : nullptr) {
    start_ = cache_ != nullptr ? ticks() : 0;
  }
  ~CacheTime() {
    if (cache_ == nullptr) return;
    const uint64_t elapsed = ticks() - start_;
    const uint64_t others = real_ticks + g_clock_ticks;
    if (elapsed > others) {
      cache_->counters().cache_ticks.add(ThreadCache::kSampling * (elapsed - others));
    }
  }

  uint64_t real_ticks;

 private:
  ThreadCache *cache_;
  uint64_t start_;
};

}  // namespace opcache

#endif  // OPCACHE_API0_POLICY_H_
