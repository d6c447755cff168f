// What the user asked for through the environment; read once, before the first primitive. Scope,
// capacity and memory are where it starts: settings.h has what they are now.
#ifndef OPCACHE_SETTINGS_OPTIONS_H_
#define OPCACHE_SETTINGS_OPTIONS_H_

#include <stddef.h>

#include <atomic>

#include "settings/op.h"

namespace opcache {

const size_t kMaxCapacity = 1u << 30;
const size_t kNoMemoryBound = static_cast<size_t>(-1);
const size_t kMaxTrial = 1u << 30;
const size_t kMaxMemory = static_cast<size_t>(1) << 50;

struct Options {
  OpSet scope;            // which operators' primitives are cached; empty = off
  char scope_text[256];   // as given, or the default
  size_t capacity;        // most primitives, and most descriptors, cached; 0 = off
  size_t memory;          // most bytes of idle objects, or kNoMemoryBound; 0 = off
  size_t estimate;        // without `memory`: most estimated bytes of idle primitives, likewise
  size_t trial;           // most creations that a thread on trial passes through; 0 = no trials
  char stats_path[1024];  // empty = no report; "stderr"; or a file, where %p is the process id
  bool trace;             // a line on stderr for every miss, naming the key
  double shadow_rate;     // share of the hits that are checked (shadow.h); 0 = none
};

// The variable's value, nullptr where it is unset or empty, which means its default. A program that
// runs with more rights than its user has (set-user-ID) takes none of them from this user.
const char *environment(const char *name);

extern std::atomic<const Options *> g_options;
const Options &read_options();

// Anything malformed is one line on stderr naming both sides, and leaves the cache off.
inline const Options &options() {
  const Options *const known = g_options.load(std::memory_order_acquire);
  return known != nullptr ? *known : read_options();
}

}  // namespace opcache

#endif  // OPCACHE_SETTINGS_OPTIONS_H_
