// Which handles are cached ones, how many records there are, and their end.
#ifndef OPCACHE_CACHE_HANDLES_H_
#define OPCACHE_CACHE_HANDLES_H_

#include "cache/records.h"

namespace opcache {

// The seam to an interface of MKL-DNN: how what a record stands for is destroyed. An interface sets
// it before its first record; a process uses one interface (route.h).
struct Destroyers {
  void (*descriptor)(Descriptor *d);  // the real one, and what shadow mode added
  void (*primitive)(Primitive *p);    // the real one, and its memory objects
  void (*additions)(Primitive *p);    // substitute and shadow
};
extern const Destroyers *g_destroyers;

// Over all threads. Signed: a forked child subtracts what other threads had idle, and a handle of
// those that is released later is subtracted again.
struct Totals {
  // Live and idle; the capacity bounds these. Memory objects are not among the primitives: MXNet
  // has one for every array in a layout of MKL-DNN's, so the capacity bounds the idle ones alone.
  std::atomic<ptrdiff_t> primitives;
  std::atomic<ptrdiff_t> descriptors;
  std::atomic<ptrdiff_t> primitive_bytes;       // live and idle, with memory objects
  std::atomic<ptrdiff_t> idle_primitive_bytes;  // but for what threads have not told yet
  std::atomic<ptrdiff_t> evictable_bytes;       // what the bound on memory is for (memory_bound.cc)
};
extern Totals g_totals;

inline void add(std::atomic<ptrdiff_t> *total, ptrdiff_t n) {
  total->fetch_add(n, std::memory_order_relaxed);
}
inline void subtract(std::atomic<ptrdiff_t> *total, size_t n) {
  add(total, -static_cast<ptrdiff_t>(n));
}
inline size_t value_of(const std::atomic<ptrdiff_t> &total) {
  const ptrdiff_t n = total.load(std::memory_order_relaxed);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

// The record of a cached handle; nullptr for nullptr and a handle of the real library. Lock-free.
Descriptor *find_descriptor(const mkldnn_primitive_desc *handle);
Primitive *find_primitive(const mkldnn_primitive *handle);

// Make the handle of a finished record known, and count it. False: memory is short.
bool add_handle(Descriptor *d);
bool add_handle(Primitive *p);

// Any thread. The last reference frees the record.
void retain(Descriptor *d);
void drop_reference(Descriptor *d);

// Destroys the real primitive and frees the record; returns the ticks that MKL-DNN took. Does not
// touch p->descriptor, which may be gone.
uint64_t destroy(Primitive *p);

// Destroys the primitive's substitute and shadow, if it has them.
void destroy_additions(Primitive *p);

// True when some descriptor or primitive is cached anywhere (an engine must then stay).
bool anything_cached();

// For the registry's order of locks.
pthread_mutex_t *descriptor_handles_mutex();
pthread_mutex_t *primitive_handles_mutex();

}  // namespace opcache

#endif  // OPCACHE_CACHE_HANDLES_H_
