// Decisions that the calls share: is caching on, which operator a handle serves, whose time it is.
#ifndef OPCACHE_API0_POLICY_H_
#define OPCACHE_API0_POLICY_H_

#include <mkldnn.h>

#include "api0/abi.h"
#include "api0/real.h"
#include "cache/thread_cache.h"
#include "report/stats.h"
#include "settings/settings.h"

namespace opcache {

// The calling thread's cache; nullptr when its calls pass through.
inline ThreadCache *cache_for(const Real &r) {
  return r.abi != nullptr ? ThreadCache::mine() : nullptr;
}

inline bool caching() { return scope_in_force() != kNoOps; }

// Descriptors of an operator are canonical in both directions as soon as one direction is in
// scope: a forward descriptor is the hint of the backward one, and the backward operator creates it
// each time. Deconvolution uses convolutions.
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
  OpSet serves = set_of(op_of(d));
  if (d->maybe_deconvolution.load(std::memory_order_relaxed))
    serves |= set_of(backward(kDeconvolution));
  return (scope_in_force() & serves) != 0;
}

// The operator that a primitive of this kind and prop_kind usually serves. Deconvolution uses
// convolution primitives; tell_deconvolution() tells the two apart by how they are used.
inline Op op_of(Kind kind, int prop_kind) {
  static const Op kForward[] = {kOther,   kMemory,      kMemory,        kReorder,       kConcat,
                                kSum,     kConvolution, kDeconvolution, kActivation,    kSoftmax,
                                kPooling, kLRN,         kBatchNorm,     kFullyConnected};
  static_assert(sizeof(kForward) / sizeof(kForward[0]) == static_cast<int>(Kind::kInnerProduct) + 1,
                "one for each Kind, in that order");
  const Op op = kForward[static_cast<int>(kind)];
  const bool forward = prop_kind == mkldnn_forward_training || prop_kind == mkldnn_forward_scoring;
  return op >= kSeven || forward ? op : backward(op);
}

// The operator of a handle of the real library; a few queries, so only beside a real call.
inline Op op_of_handle(const Real &r, const_mkldnn_primitive_desc_t pd) {
  const Kind kind = pd != nullptr ? kind_of(r, pd) : Kind::kUnknown;
  const int query = op_desc_query(*r.abi, kind);
  if (query < 0) return op_of(kind, mkldnn_prop_kind_undef);
  const OpDescHead *head = nullptr;
  if (r.primitive_desc_query(pd, static_cast<mkldnn_query_t>(query), 0, &head) != mkldnn_success ||
      head == nullptr) {
    return kOther;
  }
  return op_of(kind, head->prop_kind);
}

// Adds the time of a call to cache_ticks, except what real calls inside it took. One call in
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

inline void count(ThreadCache *cache, Op op, OpField field, OpField ticks_field, uint64_t n_ticks) {
  Counter(&counters)[kOpFieldCount] = cache->counters().ops[op];
  counters[field].add(1);
  counters[ticks_field].add(n_ticks);
}

// A real destruction, timed.
template <class Destroy>
mkldnn_status_t destroy_timed(ThreadCache *cache, Op op, const Destroy &destroy) {
  const uint64_t start = ticks();
  const mkldnn_status_t status = destroy();
  cache->counters().ops[op][kDestroyTicks].add(ticks() - start);
  return status;
}

}  // namespace opcache

#endif  // OPCACHE_API0_POLICY_H_
