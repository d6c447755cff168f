// The records of cached objects, and the rules by which threads share them. Knows no header of
// MKL-DNN: handles are opaque here, and an interface (api0/) destroys what they stand for.
//
// A primitive is stateful and may use the thread-local scratchpad of the thread that created it, so
// each belongs to that thread, its owner, which alone reuses and evicts it. MKL-DNN counts the
// users of a thread's scratchpad, lowers the count of the thread that destroys one, and frees the
// scratchpad at 0. So an orphan, which is released after its owner has ended, or has a substitute
// that another thread created, is destroyed by the next thread that ends, after that one's idle
// ones: what is idle elsewhere needs the scratchpad.
//
// Invariants
//   references == 1 + handles: one for the owner's table, one for each handle that callers hold or
//     that stands among another descriptor's layouts. Any thread that has a handle may add one and
//     drop its own. Only the owner takes the count from 1 to 0 (eviction), until its thread ends.
//   live + idle == all: a primitive is live while a caller holds it, else idle. One that another
//     thread released is live until its owner takes it from the list of returned ones. An orphan
//     counts as live until it is destroyed, and its descriptor and owner may be gone before.
//   A descriptor with live primitives stays in the table; after its owner's end, the last of them
//     drops the table's reference.
//   owner.references == 1 + live primitives: one for the thread itself.
//
// Locks
//   None to look a handle up (pointer_map.h) or on a hit. Owner::mutex guards the returned list and
//   the moment of `ended`. After that moment Registry's orphan mutex guards the live counts, since
//   any thread may release. No lock is held while MKL-DNN creates something. The order of all locks
//   is in registry.cc.
//
// Memory orders
//   Counts that are only reported or compared with a bound are relaxed: late is good enough.
//   A reference is dropped with acq_rel, and the owner reads "only mine is left" with acquire, so
//   that whoever frees sees all that others did with the record. Raising it needs no order: the
//   caller's own reference keeps the record.
//   `has_returned` and `ended` are stored with release and read with acquire: the list, and the
//   final live counts, are seen with them.
//   A record is published by the pointer map, whose stores release and loads acquire.
#ifndef OPCACHE_CACHE_RECORDS_H_
#define OPCACHE_CACHE_RECORDS_H_

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include <atomic>

#include "cache/lru.h"
#include "report/stats.h"

// Opaque here; the same names in every interface.
struct mkldnn_primitive;
struct mkldnn_primitive_desc;

namespace opcache {

struct Primitive;
struct ShadowDescriptor;  // shared/shadow.h
struct ShadowPrimitive;

// What other threads may use of a thread's cache. Outlives the thread while callers hold primitives
// of it.
struct Owner {
  // Written by the thread, read by the registry. Memory objects are not among the primitives.
  Counters counters;
  Counter idle_primitives;
  Counter idle_primitive_bytes;  // of those, as estimated or measured
  Counter told_bytes;            // of those, what g_totals has (eviction.cc)
  Counter descriptors;
  Counter idle_bytes;  // of primitives and memory objects; counted under a bound on memory
  Counter descriptor_bytes;
  std::atomic<bool> ended;
  std::atomic<bool> has_returned;
  pthread_mutex_t mutex;
  Primitive *returned;  // released on other threads, to be taken by this one
  uint64_t references;  // the thread's own until `ended`, then under the orphan mutex
  pthread_t thread;
  Link<Owner> link;  // the registry's
};

// The canonical descriptor of one of an operation's tensors, as asked for through query_pd.
struct Layout {
  uint16_t query;
  uint16_t index;
  mkldnn_primitive_desc *real;
};

// A canonical primitive descriptor: equal descriptions on one thread share it.
struct Descriptor {
  // What a hit reads comes first, to stand in one cache line.
  mkldnn_primitive_desc *real;
  std::atomic<Owner *> owner;  // nullptr once that thread has ended
  std::atomic<uint32_t> references;
  std::atomic<uint32_t> op;  // an Op; atomic because another thread may hold the handle
  Primitive *first_idle;     // owner only
  uint32_t live_primitives;  // owner only; of orphans: under the orphan mutex
  // A forward convolution that could be Deconvolution's data gradient.
  std::atomic<bool> maybe_deconvolution;
  int team;  // that it and its primitives are made for (shared/canonical.h); 0: for any
  int inputs;
  int outputs;
  uint64_t id;  // never reused, so it can stand for the content in another key
  uint64_t hash;
  uint64_t descriptor_ticks;  // what creating it really cost
  uint64_t primitive_ticks;   // what creating a primitive of it really cost, last time
  Link<Descriptor> recency;   // owner only
  uint64_t used;              // owner only: when it came to the front of that list
  size_t bytes;               // this record and the real descriptor
  ShadowDescriptor *shadow;   // owner only: the latest checked hit's, or nullptr
  int layout_count;
  Layout layouts[8];         // owner only; the first layout_count are known
  Descriptor *layout_of[8];  // with a reference each
  uint32_t key_size;         // words
  uint32_t key[1];           // key_size of them
};

// Where a primitive's memory object of ours finds its data: the caller's memory object.
struct Binding {
  mkldnn_primitive *own;
  const mkldnn_primitive *caller;  // valid while the primitive is live
  const mkldnn_primitive *given;   // an input as the caller named it: maybe a primitive's output
  size_t given_index;
  void *handle;  // what own points to
};

// A real primitive, in MKL-DNN 0.x over memory objects of our own; or a memory object for a caller.
struct Primitive {
  mkldnn_primitive *real;
  mkldnn_primitive_desc *real_descriptor;  // descriptor->real
  Descriptor *descriptor;
  Owner *owner;
  Primitive *next;          // among idle ones of the descriptor, returned ones or orphans
  Link<Primitive> recency;  // in the owner's idle list, memory objects excepted; owner only
  // What else stands over the memory objects of the caller and goes when it releases this, or with
  // this if it is an orphan: a real primitive for streams that cannot rebind (api0/binding.h), and
  // one to compare with. To destroy one reads no memory object.
  mkldnn_primitive *substitute;
  ShadowPrimitive *shadow;
  bool foreign_substitute;  // it was created by another thread than the owner
  bool memory_object;
  int inputs;
  int bindings;   // inputs, then outputs; none of a memory object, or where calls name the data
  size_t bytes;   // this record, the real primitive and its memory objects: estimated or measured
  uint64_t used;  // owner only: when it became idle, under a bound on memory
  Binding binding[1];  // `bindings` of them
};

inline Op op_of(const Descriptor *d) {
  return static_cast<Op>(d->op.load(std::memory_order_relaxed));
}

// Referenced by its owner's table alone; to be asked by the owner.
inline bool unused(const Descriptor *d) {
  return d->live_primitives == 0 && d->references.load(std::memory_order_acquire) == 1;
}

// Zeroed, and starting a cache line of its own; nullptr when memory is short. For free().
void *allocate_record(size_t bytes);

}  // namespace opcache

#endif  // OPCACHE_CACHE_RECORDS_H_
