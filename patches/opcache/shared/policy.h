// Decisions that the calls of both interfaces share: is caching on, which operator it concerns,
// whose time it is. Knows no header of MKL-DNN.
#ifndef OPCACHE_SHARED_POLICY_H_
#define OPCACHE_SHARED_POLICY_H_

#include "cache/thread_cache.h"
#include "report/stats.h"
#include "settings/settings.h"

namespace opcache {

// Whether the thread caches the descriptor that it asks for, if its operator is in scope.
inline bool caching(ThreadCache *cache) {
  return scope_in_force() != kNoOps && !cache->busy && !cache->pass();
}

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

// The same numbers in all releases.
enum PropKind { kForwardTraining = 64, kForwardScoring = 96, kBackwardWeights = 192 };

// The operator that a primitive with this prop_kind serves, of the kind that serves `op` forward.
inline Op op_of(Op op, int prop_kind) {
  const bool forward = prop_kind == kForwardTraining || prop_kind == kForwardScoring;
  return op >= kSeven || forward ? op : backward(op);
}

// MXNet's Deconvolution backward creates a forward convolution descriptor, a primitive of it (the
// data gradient), and a weight gradient with that descriptor as its hint; Convolution backward
// creates no such primitive in between. This order is all that tells them apart here, and it
// decides only which operator is counted and, in a scope that lists one of the two, what is cached.
// To be called after the convolution descriptor `d` was handed out.
inline void tell_deconvolution(ThreadCache *cache, Descriptor *d, Descriptor *hint, int prop_kind,
                               bool has_bias) {
  if (prop_kind == kForwardTraining || prop_kind == kForwardScoring) {
    d->maybe_deconvolution.store(prop_kind == kForwardTraining && !has_bias,
                                 std::memory_order_relaxed);
    cache->last_convolution = d;
    cache->last_convolution_used = false;
  } else if (prop_kind == kBackwardWeights && hint != nullptr && hint == cache->last_convolution) {
    const bool deconvolution = cache->last_convolution_used;
    d->op.store(backward(deconvolution ? kDeconvolution : kConvolution), std::memory_order_relaxed);
    if (deconvolution) hint->op.store(backward(kDeconvolution), std::memory_order_relaxed);
  }
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

// Whether what passes to the real library is timed and counted, which asks it for the operator. Of
// `cache`, which may be nullptr.
inline bool counts(const ThreadCache *cache) { return cache != nullptr && !cache->on_trial(); }

// A real creation of a primitive that is not cached; of an interface, op_of_handle() is used.
template <class Real, class Create>
auto create_passing(const Real &r, ThreadCache *cache, const mkldnn_primitive_desc *descriptor,
                    const Create &create) -> decltype(create()) {
  if (!counts(cache)) return create();
  const Op op = op_of_handle(r, descriptor);
  const uint64_t start = ticks();
  const auto status = create();
  if (status == 0) count(cache, op, kPrimitivesCreated, kCreateTicks, ticks() - start);
  return status;
}

// A real destruction, timed.
template <class Destroy>
auto destroy_timed(ThreadCache *cache, Op op, const Destroy &destroy) -> decltype(destroy()) {
  const uint64_t start = ticks();
  const auto status = destroy();
  cache->counters().ops[op][kDestroyTicks].add(ticks() - start);
  return status;
}

// The calling thread's cache for a call with such arguments; nullptr: it passes through.
inline ThreadCache *cache_if(bool arguments_ok) {
  return arguments_ok ? ThreadCache::mine() : nullptr;
}

// A caller destroys a handle: one that is cached is released. A success is 0 in both interfaces; of
// an interface, op_of_handle() is used.
template <class Real>
auto destroy_handle(const Real &r,
                    mkldnn_primitive_desc *handle) -> decltype(r.primitive_desc_destroy(handle)) {
  ThreadCache *const cache = ThreadCache::mine();
  Descriptor *const d = find_descriptor(handle);
  if (d != nullptr) {
    CacheTime time(cache);
    ThreadCache::release(d);
    return decltype(r.primitive_desc_destroy(handle))();
  }
  if (!counts(cache) || handle == nullptr) return r.primitive_desc_destroy(handle);
  const Op op = op_of_handle(r, handle);
  return destroy_timed(cache, op, [&] { return r.primitive_desc_destroy(handle); });
}

template <class Real>
auto destroy_handle(const Real &r,
                    mkldnn_primitive *handle) -> decltype(r.primitive_destroy(handle)) {
  ThreadCache *const cache = ThreadCache::mine();
  Primitive *const p = find_primitive(handle);
  if (p != nullptr) {
    CacheTime time(cache);
    ThreadCache::release(p);
    return decltype(r.primitive_destroy(handle))();
  }
  if (!counts(cache) || handle == nullptr) return r.primitive_destroy(handle);
  const mkldnn_primitive_desc *pd = nullptr;
  r.primitive_get_primitive_desc(handle, &pd);
  const Op op = op_of_handle(r, pd);
  return destroy_timed(cache, op, [&] { return r.primitive_destroy(handle); });
}

}  // namespace opcache

#endif  // OPCACHE_SHARED_POLICY_H_
