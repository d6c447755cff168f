// Counters: written by one thread each, summed when somebody asks. Knows nothing of the cache.
#ifndef OPCACHE_REPORT_STATS_H_
#define OPCACHE_REPORT_STATS_H_

#include <stddef.h>
#include <stdint.h>
#include <x86intrin.h>

#include <atomic>

#include "settings/op.h"

namespace opcache {

// Time is kept in ticks of the time-stamp counter (constant rate, about 10 ns to read, where
// clock_gettime takes twice that) and becomes nanoseconds only in the report.
inline uint64_t ticks() { return __rdtsc(); }

// One writer, many readers; no read-modify-write on the hit path.
class Counter {
 public:
  Counter() : value_(0) {}
  void add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void subtract(uint64_t n) { add(-n); }
  void set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_;
};

// Why a call went to the real library although its operator is in scope.
enum Bypass {
  kUnknownKind,         // a primitive kind this library does not describe
  kUnknownDescription,  // a memory format or attribute this library does not describe
  kKeyTooLarge,
  kInputNotMemory,  // an input that leads to no memory object
  kPaddedOutput,    // a primitive that reads the layout of its output's memory object
  kOtherTeam,       // a primitive for another OpenMP team than its descriptor is for
  kOutOfMemory,     // ours, not MKL-DNN's
  kTrial,           // a thread on trial; threads are counted, not calls
  kBypassCount,
};
const char *bypass_name(Bypass reason);

enum OpField {
  kPrimitivesAvoided,
  kPrimitivesCreated,
  kDescriptorsAvoided,
  kDescriptorsCreated,
  kEvictions,
  kCreateTicks,   // in real creations
  kDestroyTicks,  // in real destructions
  kAvoidedTicks,  // what the avoided creations cost when they really happened
  kOpFieldCount,
};

// What shadow mode (shadow.h) found.
enum ShadowField {
  kShadowDescriptors,  // created again and compared
  kShadowExecutions,   // done twice and compared
  kShadowMismatches,
  kShadowSkipped,  // executions of a primitive with a shadow that could not be compared
  kShadowFieldCount,
};

struct Counters {
  Counter ops[kOpCount][kOpFieldCount];
  Counter cache_ticks;  // in this library itself, real calls not included
  Counter bypasses[kBypassCount];
  Counter shadow[kShadowFieldCount];
  Counter memory_evictions;    // those among the evictions that the bound on memory asked for
  Counter estimate_evictions;  // and the bound on estimated bytes

  // The caller makes sure that no other thread writes this one.
  void add(const Counters &other);
  void subtract(const Counters &other);
  void clear();

 private:
  template <class Change>
  void change(const Counters *other, const Change &change);
};

// What the report says besides the counters.
struct Population {
  uint64_t live_primitives;
  uint64_t idle_primitives;
  uint64_t descriptors;
  uint64_t threads;
  uint64_t idle_primitive_bytes;
  // Counted under a bound on memory.
  uint64_t live_bytes;
  uint64_t idle_bytes;
  uint64_t descriptor_bytes;
};

struct Identity {
  const char *mkldnn;  // release, or "unknown"
  const char *build_id;
  bool recognised;
  bool active;
  const char *scope;
  size_t capacity;
  size_t memory;    // or kNoMemoryBound
  size_t estimate;  // likewise
  bool metered;
  double shadow_rate;
};

// Writes the JSON report like snprintf: returns the length it needs without the terminating NUL.
size_t write_json(char *buffer, size_t size, const Identity &identity, const Counters &counters,
                  const Population &population);

// The statistics of this process in that format (report.cc).
size_t stats_json(char *buffer, size_t size);

// Nanoseconds per tick, measured over the process's life so far.
double ns_per_tick();
// What reading the clock adds to what it measures; valid after start_clock().
extern uint64_t g_clock_ticks;
void start_clock();

}  // namespace opcache

#endif  // OPCACHE_REPORT_STATS_H_
