// The cached descriptors and primitives of one thread, and the registry that tells which handles
// are cached ones. Creates nothing itself and knows nothing of how it is called; it does destroy,
// because eviction and thread exit are its business.
//
// A primitive is stateful and may use its creator's thread-local scratchpad, so each belongs to the
// thread that made it and is destroyed there; one that is released on another thread is sent home.
#ifndef OPCACHE_CACHE_CACHE_H_
#define OPCACHE_CACHE_CACHE_H_

#include <mkldnn.h>
#include <pthread.h>

#include <atomic>

#include "api0/key.h"
#include "cache/lru.h"
#include "cache/pointer_map.h"
#include "memory/meter.h"
#include "report/stats.h"

namespace opcache {

class ThreadCache;
struct Primitive;

struct Descriptor;

// The canonical descriptor of one of an operation's tensors, as asked for through query_pd.
struct Layout {
  uint16_t query;
  uint16_t index;
  mkldnn_primitive_desc_t real;
};

// A canonical primitive descriptor: equal descriptions made on one thread share it.
// Freed when its owner has evicted it (or is gone) and the last handle is destroyed.
struct Descriptor {
  // What a hit reads comes first, to stand in one cache line.
  mkldnn_primitive_desc_t real;
  std::atomic<ThreadCache *> owner;  // nullptr once that thread has ended
  // One for the owner's table plus one per handle that callers hold. Only the owner takes it from
  // 1 to 0 while its thread lives; other threads need a handle of their own to raise it.
  std::atomic<uint32_t> references;
  std::atomic<uint32_t> op;  // an Op; atomic because another thread may hold the handle
  Primitive *first_idle;     // owner only
  uint32_t live_primitives;  // owner only; of orphans: under g_orphans_mutex
  // A forward convolution that could be Deconvolution's data gradient.
  std::atomic<bool> maybe_deconvolution;
  int inputs;
  int outputs;
  uint64_t serial;  // never reused, so it can stand for the content in another key
  uint64_t hash;
  uint64_t descriptor_ticks;  // what creating it really cost
  uint64_t primitive_ticks;   // what creating a primitive of it really cost, last time
  Link<Descriptor> recency;   // owner only
  uint64_t used;              // owner only: when it came to the front of that list
  size_t bytes;               // this record and the real descriptor
  int layout_count;
  Layout layouts[8];         // owner only; the first layout_count are known
  Descriptor *layout_of[8];  // with a reference each
  uint32_t key_size;         // words
  uint32_t key[1];           // key_size of them
};

// Where a primitive's memory object of ours finds its data: the caller's memory object.
struct Binding {
  mkldnn_primitive_t own;
  const_mkldnn_primitive_t caller;  // valid while the primitive is live
  mkldnn_primitive_at_t given;      // an input as the caller named it: maybe a primitive's output
  void *handle;                     // what own points to
};

// A real primitive over memory objects of our own, or a memory object for a caller (which has no
// bindings). Live while a caller holds it, else idle.
struct Primitive {
  mkldnn_primitive_t real;
  mkldnn_primitive_desc_t real_descriptor;  // descriptor->real
  Descriptor *descriptor;
  ThreadCache *owner;
  Primitive *next;          // among the descriptor's idle ones, or the owner's returned ones
  Link<Primitive> recency;  // in the owner's idle list, memory objects excepted; owner only
  // A real primitive over the caller's own memory objects, which a stream that cannot rebind gets
  // instead (primitives.h); nullptr until one does. Goes when the caller releases this.
  mkldnn_primitive_t substitute;
  int inputs;
  int bindings;        // inputs, then outputs; 0 for a memory object
  size_t bytes;        // this record, the real primitive and its memory objects
  uint64_t used;       // owner only: when it became idle; kept under a bound on memory
  Binding binding[1];  // `bindings` of them
};

// Zeroed, and starting a cache line of its own; nullptr when memory is short. For free().
void *allocate_record(size_t bytes);

// Descriptors that a new one beyond a bound has looked at. MXNet may hold any number of them: to
// pass over all at every miss would make each miss slower than the last. Of those that nobody holds
// at most a fifteenth of the held ones is then kept beyond the bound.
#ifdef OPCACHE_FAULT_LOOK_AT_ALL
const size_t kLooks = SIZE_MAX;
#else
const size_t kLooks = 16;
#endif

class ThreadCache {
 public:
  // The calling thread's; made on first use. nullptr when memory, or what a thread needs of the
  // system, is short.
  static ThreadCache *mine();
  // Does at once what the settings demand of the calling thread, if it has a cache; the others find
  // out in mine().
  static void follow_settings();

  Counters &counters() { return counters_; }
  // Short-lived records of one kind (streams, iterators): the last one given back is kept for the
  // next, so that a hit allocates nothing. take returns uninitialised memory or nullptr.
  enum Spare { kSpareStream, kSpareIterator, kSpareCount };
  void *take_spare(Spare kind, size_t bytes);
  void give_spare(Spare kind, void *memory);

  // One call in so many is timed for cache_ticks: reading the clock twice would cost more than the
  // shortest calls take.
  static const uint32_t kSampling = 16;
  bool sample() { return ++calls_ % kSampling == 0; }
  // True while the real library creates something for this thread: what it calls back through the
  // exported functions is its own business, and the scratch key is in use.
  bool busy;
  // What a creation of this thread's is measured with.
  Ledger *ledger() { return &ledger_; }
  // A buffer for building a key without allocating; the next call reuses it.
  Key &scratch_key() { return key_; }

  // Descriptors. find and insert return one with a reference for the caller.
  Descriptor *find(const Key &key, uint64_t hash);
  // Takes ownership of `real`, which takes `bytes`; on nullptr (memory is short) it stays the
  // caller's.
  Descriptor *insert(const Key &key, uint64_t hash, mkldnn_primitive_desc_t real, Op op,
                     uint64_t cost_ticks, size_t bytes);
  // This thread's equal of another thread's descriptor, without a reference for the caller;
  // nullptr when it cannot be made.
  Descriptor *localize(Descriptor *other);

  // Primitives of a descriptor that this thread owns. acquire returns an idle one, now live, or
  // nullptr. adopt makes a new one live.
  Primitive *acquire(Descriptor *descriptor);
  bool adopt(Primitive *primitive);
  // Frees a slot for a primitive that is about to be created, if an idle one can go.
  void make_room();
  bool owns(const Descriptor *d) const { return d->owner.load(std::memory_order_relaxed) == this; }

  // Who last made a forward convolution descriptor here, and whether a primitive followed.
  Descriptor *last_convolution;
  bool last_convolution_used;

 private:
  friend void release(Primitive *primitive);
  friend void release(Descriptor *descriptor);
  friend class Registry;

  struct Slot {
    uint64_t hash;
    Descriptor *descriptor;
  };

  ThreadCache();
  ~ThreadCache();
  static ThreadCache *make_mine();
  static void end_of_thread(void *cache);
  void shut_down();
  void take_back(Primitive *primitive);
  bool give_back(Primitive *primitive);
  void drain_returned();
  void follow();
  void drop_idle();
  void evict_idle_primitives();
  void evict_idle_memory();
  void evict_idle_descriptors(size_t room, size_t looks);
  void forget_idle(Primitive *primitive);
  void destroy_idle(Primitive *primitive);
  void evict_last();
  static size_t share_of(size_t bound);
  static size_t own_share();
  // The bound on memory (memory_bound.cc).
  void count_bytes();
  void charge(std::atomic<size_t> *account, size_t bytes);
  void discharge(std::atomic<size_t> *account, size_t bytes);
  void charge_idle(Primitive *primitive);
  void touch(Descriptor *descriptor);
  bool over_memory() const;
  Descriptor *least_recently_used_descriptor(const Primitive *primitive, size_t looks);
  void keep_within_memory(size_t looks);
  // Returns the new number of live primitives.
  uint64_t add_live(int n);
  void drop(Descriptor *descriptor);
  bool grow();
  void erase_slot(Descriptor *descriptor);

  uint32_t followed_;  // how far of the settings' demands
  uint32_t cleared_;   // and of its clears
  Slot *slots_;
  size_t mask_;
  List<Descriptor, &Descriptor::recency> descriptors_;
  List<Primitive, &Primitive::recency> idle_;
  size_t idle_memory_;
  std::atomic<uint64_t> live_primitives_;   // the owner's; of orphans: under g_orphans_mutex
  std::atomic<uint64_t> idle_primitives_;   // idle_.size(), for other threads to read
  std::atomic<uint64_t> descriptor_count_;  // descriptors_.size(), likewise
#ifdef OPCACHE_FAULT_EVICT_LIVE
  Primitive *newest_ = nullptr;  // the last one made
#endif
  bool bounded_;                          // by memory: the bytes are counted
  uint64_t clock_;                        // of recency
  std::atomic<size_t> idle_bytes_;        // what the bound is on; written by the owner
  std::atomic<size_t> descriptor_bytes_;  // of those in the table
  std::atomic<bool> has_returned_;
  pthread_mutex_t mutex_;       // guards returned_, and orphaned_ while it becomes true
  Primitive *returned_;         // released elsewhere, waiting for the owner
  std::atomic<bool> orphaned_;  // the thread is gone
  ThreadCache *next_;           // in the registry, under its mutex
  ThreadCache *previous_;
  void *spares_[kSpareCount];
  uint32_t calls_;
  Counters counters_;
  Ledger ledger_;
  Key key_;
};

// Around what the real library creates: what it calls back through the exported functions meanwhile
// is its own business.
class Busy {
 public:
  explicit Busy(ThreadCache *cache) : cache_(cache), was_(cache->busy) { cache->busy = true; }
  ~Busy() { cache_->busy = was_; }
  bool was() const { return was_; }

 private:
  ThreadCache *cache_;
  bool was_;
};

// Ours or not? Lock-free; nullptr for handles of the real library.
Descriptor *find_descriptor(const_mkldnn_primitive_desc_t handle);
Primitive *find_primitive(const_mkldnn_primitive_t handle);

// Gives a caller's handle back. Any thread.
void retain(Descriptor *descriptor);
void release(Descriptor *descriptor);
void release(Primitive *primitive);

// Held by its owner's table alone; to be asked by the owner.
inline bool unused(const Descriptor *d) {
  return d->live_primitives == 0 && d->references.load(std::memory_order_acquire) == 1;
}

// True when some descriptor or primitive is cached anywhere (an engine must then stay).
bool anything_cached();

void count_bypass(ThreadCache *cache, Bypass reason);

// To be called at load time, before there are threads: a fork while another thread makes the shared
// state would leave it half made in the child.
void make_shared_state();

// The report; see stats.h for the format.
size_t stats_json(char *buffer, size_t size);
void reset_stats();

}  // namespace opcache

#endif  // OPCACHE_CACHE_CACHE_H_
