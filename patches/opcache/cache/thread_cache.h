// The cached descriptors and primitives of one thread: looking them up, taking and returning them,
// and which are evicted (eviction.cc, memory/memory_bound.cc). Creates nothing of MKL-DNN's itself
// and knows nothing of how it is called. The rules for threads are in records.h.
#ifndef OPCACHE_CACHE_THREAD_CACHE_H_
#define OPCACHE_CACHE_THREAD_CACHE_H_

#include "cache/descriptor_table.h"
#include "cache/handles.h"
#include "cache/key.h"
#include "memory/meter.h"

namespace opcache {

// Descriptors that one insertion examines at most when a bound is reached. MXNet may hold any
// number of them: to pass over all at every miss would make each miss slower than the last. Of the
// descriptors that nobody references, at most a fifteenth of the referenced ones is then cached
// beyond the bound.
extern const size_t kScanLimit;
// Bytes of idle primitives that a thread may have more or less than other threads see.
const size_t kToldStep = 256 << 10;

class ThreadCache {
 public:
  // The calling thread's; created on first use. nullptr when memory, or what a thread needs of the
  // system, is short.
  static ThreadCache *mine();
  // Whether threads can be told when they end, and forks be prepared: without that, nothing may be
  // cached. Said once if not. To be asked first at load time, before there are threads: a fork
  // while another thread creates the shared state would leave it half created in the child.
  static bool usable();
  // Applies changed settings on the calling thread at once, if it has a cache; the other threads
  // do so in mine().
  static void apply_settings_here();

  Counters &counters() { return owner_->counters; }
  bool owns(const Descriptor *d) const {
    return d->owner.load(std::memory_order_relaxed) == owner_;
  }
  bool owns(const Primitive *p) const { return p->owner == owner_; }

  // Short-lived records of one kind: the last one freed is the next one allocated, so that a hit
  // calls no allocator. allocate returns uninitialised memory or nullptr; free_record may be called
  // on any thread.
  enum Freelist { kStreams, kIterators, kFreelists };
  void *allocate(Freelist kind, size_t bytes);
  static void free_record(Freelist kind, void *memory);

  // One call in so many is timed for cache_ticks: reading the clock twice would cost more than the
  // shortest calls take.
  static const uint32_t kSampling = 16;
  bool sample() { return ++calls_ % kSampling == 0; }
  // True while the real library creates something for this thread: what it calls back through the
  // exported functions is its own business, and the scratch key is in use.
  bool busy;
  // While a thread is on trial (Registry::judge) it caches nothing: what it asks for passes, until
  // so much has.
  bool on_trial() const { return trial_ > 0; }
  bool pass();
  // What a creation of this thread's is measured with.
  Ledger *ledger() { return &ledger_; }
  // A buffer for building a key without allocating; the next call reuses it.
  Key &scratch_key() { return key_; }

  // Descriptors. find and insert return one with a reference for the caller.
  Descriptor *find(const Key &key, uint64_t hash);
  // A real descriptor that was just created, and what that cost.
  struct Created {
    mkldnn_primitive_desc *real;
    int inputs;
    int outputs;
    Op op;
    int team;
    uint64_t ticks;
    size_t bytes;
  };
  // Takes ownership of created.real; on nullptr (memory is short) it stays the caller's.
  Descriptor *insert(const Key &key, uint64_t hash, const Created &created);

  // Primitives of a descriptor that this thread owns. acquire returns an idle one, now live, or
  // nullptr. adopt makes a new one live.
  Primitive *acquire(Descriptor *descriptor);
  bool adopt(Primitive *primitive);
  // Evicts an idle primitive, if one can go, for one that is about to be created.
  void make_room();

  // Give a caller's handle back, on any thread.
  static void release(Descriptor *descriptor);
  static void release(Primitive *primitive);

  // The forward convolution descriptor that was last created here, and whether a primitive
  // followed.
  Descriptor *last_convolution;
  bool last_convolution_used;

 private:
  explicit ThreadCache(Owner *owner);
  ~ThreadCache();
  static ThreadCache *create_mine();
  static void end_of_thread(void *cache);
  void judge() const;
  void shut_down();
  void take_back(Primitive *primitive);
  void take_returned();

  // eviction.cc
  void apply_settings();
  void drop_idle();
  void evict_idle_primitives();
  bool over_estimate() const;
  void tell_idle_bytes(size_t step);
  void evict_idle_memory();
  void evict_idle_descriptors(size_t room, size_t scan_limit);
  void evict_last();
  void unlist_idle(Primitive *primitive);
  void destroy_idle(Primitive *primitive);
  void drop(Descriptor *descriptor);
  static size_t share_of(size_t bound);

  // memory/memory_bound.cc
  void count_bytes();
  void add_bytes(Counter *sum, size_t bytes);
  void subtract_bytes(Counter *sum, size_t bytes);
  void add_idle_bytes(Primitive *primitive);
  void touch(Descriptor *descriptor);
  bool over_memory() const;
  Descriptor *least_recently_used_descriptor(const Primitive *primitive, size_t scan_limit);
  void enforce_memory(size_t scan_limit);

  Owner *const owner_;
  uint32_t generation_;        // of the settings that this thread has applied
  uint32_t clear_generation_;  // and of the clears
  DescriptorTable<Descriptor> table_;
  List<Descriptor, &Descriptor::recency> descriptors_;  // owner_->descriptors of them
  List<Primitive, &Primitive::recency> idle_;           // owner_->idle_primitives of them
  size_t idle_memory_;                                  // memory objects
  bool bounded_;                                        // by memory: the bytes are counted
  uint64_t clock_;                                      // of recency
  void *freelists_[kFreelists];
  uint32_t calls_;
  const size_t given_trial_;
  size_t trial_;      // creations that still pass
  uint64_t avoided_;  // by this cache, and created for it; both without memory objects
  uint64_t created_;
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

void count_bypass(ThreadCache *cache, Bypass reason);

}  // namespace opcache

#endif  // OPCACHE_CACHE_THREAD_CACHE_H_
