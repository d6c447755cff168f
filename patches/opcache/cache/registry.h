// All threads that have a cache, what survives of those that ended, and forks.
#ifndef OPCACHE_CACHE_REGISTRY_H_
#define OPCACHE_CACHE_REGISTRY_H_

#include "cache/records.h"

namespace opcache {

class Registry {
 public:
  static Registry &get();

  // False: forks cannot be prepared.
  bool survives_forks() const { return survives_forks_; }
  // How many threads share a bound.
  size_t threads() const { return threads_.load(std::memory_order_relaxed); }

  // A thread ends whose cache has paid, or not, and that asked for so many creations.
  void judge(bool paid, uint64_t asked);
  // For how many creations a thread that starts now is on trial: it caches nothing meanwhile.
  size_t next_trial();
  // What the calling thread shares with others; nullptr when memory is short.
  Owner *add();
  // The thread ends, or could not have a cache: keeps its counters, drops its reference.
  void remove(Owner *owner);
  // A primitive whose owner has ended was released. True: it was the last one of `d`, whose table's
  // reference is then the caller's to drop. Any thread. nullptr for `d`: the thread itself ends.
  bool release_orphan(Owner *owner, Descriptor *d);
  // Keeps such a primitive until a thread ends, which takes all there are.
  void keep_orphan(Primitive *p);
  Primitive *take_orphans();

  // The counters since reset(), and how much is cached.
  void sum(Counters *since_reset, Population *population);
  void reset();

 private:
  Registry();
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
  void walk_locks(int (*act)(pthread_mutex_t *), bool backwards);
  void add_all(Counters *sum) const;
  void unlist(Owner *owner);

  const bool survives_forks_;
  std::atomic<size_t> threads_;
  std::atomic<size_t> trial_;
  std::atomic<uint32_t> tried_;  // threads that might have been on trial
  pthread_mutex_t mutex_;        // guards what follows
  List<Owner, &Owner::link> owners_;
  Counters ended_;           // of threads that ended
  Counters base_;            // what reset() found
  uint32_t unpaid_;          // threads in a row whose caches had not paid
  uint64_t most_;            // creations that one of them asked for
  pthread_mutex_t orphans_;  // guards the live counts of ended owners, and what follows
  Primitive *kept_;
};

}  // namespace opcache

#endif  // OPCACHE_CACHE_REGISTRY_H_
