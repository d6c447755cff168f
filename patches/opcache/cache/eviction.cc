// Eviction from a thread's cache, when a bound is reached or the program clears the cache or
// changes a setting: the least recently used first, and nothing that a caller references.
#include <algorithm>

#include "cache/registry.h"
#include "cache/thread_cache.h"
#include "settings/settings.h"

namespace opcache {

const size_t kScanLimit = 16;

// What a thread may cache although a bound is reached. It can destroy only its own: without a
// share, one thread that filled the cache and then sleeps would leave the others none.
size_t ThreadCache::share_of(size_t bound) {
  const size_t threads = Registry::get().threads();
  return threads <= 1 ? 0 : bound / threads;
}

void ThreadCache::make_room() {
  if (idle_.last() != nullptr && value_of(g_totals.primitives) >= capacity() &&
      owner_->idle_primitives.get() >= share_of(capacity())) {
    evict_last();
  }
}

void ThreadCache::evict_idle_primitives() {
  while (idle_.last() != nullptr && value_of(g_totals.primitives) > capacity() &&
         owner_->idle_primitives.get() > share_of(capacity())) {
    evict_last();
  }
  while (idle_.last() != nullptr && over_estimate()) {
    counters().estimate_evictions.add(1);
    evict_last();
  }
}

// Without a bound on memory: idle primitives by their estimated bytes, shared by threads as there.
bool ThreadCache::over_estimate() const {
  const size_t own = owner_->idle_primitive_bytes.get();
  const size_t told = owner_->told_bytes.get(), all = value_of(g_totals.idle_primitive_bytes);
  // Less than this thread told: a fork came while another one was telling.
  const size_t others = all > told ? all - told : 0;
  return !bounded_ && others + own > estimate_bound() && own > share_of(estimate_bound());
}

// Tells the sum over all threads of changes by more than `step`: to change it in each call would
// make a hit slower.
void ThreadCache::tell_idle_bytes(size_t step) {
  const size_t change = owner_->idle_primitive_bytes.get() - owner_->told_bytes.get();
  if (change + step <= 2 * step) return;  // modulo 2^64
  add(&g_totals.idle_primitive_bytes, static_cast<ptrdiff_t>(change));
  owner_->told_bytes.add(change);
}

void ThreadCache::evict_idle_memory() {
  Descriptor *d = descriptors_.last();
  for (; d != nullptr && idle_memory_ > capacity(); d = d->recency.previous) {
    while (op_of(d) == kMemory && d->first_idle != nullptr && idle_memory_ > capacity()) {
      destroy_idle(d->first_idle);
    }
  }
}

// Makes room for so many more descriptors, least recently used first; those in use come to the
// front instead. Examines at most `scan_limit`.
void ThreadCache::evict_idle_descriptors(size_t room, size_t scan_limit) {
  const size_t share = share_of(capacity());
  Descriptor *d = descriptors_.last();
  // What comes to the front is not to be met again.
  for (size_t left = std::min<size_t>(scan_limit, owner_->descriptors.get());
       left > 0 && owner_->descriptors.get() + room > share &&
       value_of(g_totals.descriptors) + room > capacity();
       --left) {
    Descriptor *const newer = d->recency.previous;
    if (unused(d)) {
      counters().ops[op_of(d)][kEvictions].add(1);
      drop(d);
    } else {
      touch(d);
    }
    d = newer;
  }
}

void ThreadCache::evict_last() {
  counters().ops[op_of(idle_.last()->descriptor)][kEvictions].add(1);
  destroy_idle(idle_.last());
}

// Takes a primitive out of the list and the sums of the idle ones; the descriptor's list is the
// caller's business.
void ThreadCache::unlist_idle(Primitive *p) {
  if (bounded_) subtract_bytes(&owner_->idle_bytes, p->bytes);
  if (p->memory_object) {
    --idle_memory_;
    return;
  }
  idle_.remove(p);
  owner_->idle_primitives.subtract(1);
  owner_->idle_primitive_bytes.subtract(p->bytes);
  tell_idle_bytes(kToldStep);
}

void ThreadCache::destroy_idle(Primitive *p) {
  const Op op = op_of(p->descriptor);
  Primitive **link = &p->descriptor->first_idle;
  while (*link != p) link = &(*link)->next;
  *link = p->next;
  unlist_idle(p);
  counters().ops[op][kDestroyTicks].add(destroy(p));
}

// Takes a descriptor without live primitives out of the table, with its idle primitives.
void ThreadCache::drop(Descriptor *d) {
  while (d->first_idle != nullptr) destroy_idle(d->first_idle);
  table_.erase(d);
  descriptors_.remove(d);
  owner_->descriptors.subtract(1);
  if (bounded_) subtract_bytes(&owner_->descriptor_bytes, d->bytes);
  if (last_convolution == d) last_convolution = nullptr;
  drop_reference(d);
}

// Applies the settings of a newer generation to what is idle.
void ThreadCache::apply_settings() {
  // In the middle of a creation, called back by the real library: later.
  if (busy) return;
  generation_ = g_settings.generation.load(std::memory_order_acquire);
  count_bytes();
  take_returned();
  const uint32_t clears = g_settings.clear_generation.load(std::memory_order_relaxed);
  if (clears != clear_generation_) drop_idle();
  clear_generation_ = clears;
  evict_idle_primitives();
  evict_idle_memory();
  // A descriptor references those of its layouts, which are free once it has gone: go around again.
  for (uint64_t before = 0; before != owner_->descriptors.get();) {
    before = owner_->descriptors.get();
    evict_idle_descriptors(0, before);
  }
  if (bounded_) enforce_memory(owner_->descriptors.get());
}

void ThreadCache::drop_idle() {
  // Again, as in apply_settings().
  for (uint64_t before = 0; before != owner_->descriptors.get();) {
    before = owner_->descriptors.get();
    for (Descriptor *d = descriptors_.last(); d != nullptr;) {
      Descriptor *const newer = d->recency.previous;
      while (d->first_idle != nullptr) destroy_idle(d->first_idle);
      if (unused(d)) drop(d);
      d = newer;
    }
  }
}

}  // namespace opcache
