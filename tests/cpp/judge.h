// What tests of failures demand of a scripted run, beside the same script past the library.
#pragma once

#include <stdlib.h>

#include <string>

#include "scripted.h"
#include "workload.h"

namespace judge {

struct Reference {
  scripted::Run plain;  // past the library
  // Really created by a run that finds everything cached; -1: under a bound in bytes, where it goes
  // by what MKL-DNN allocated for each.
  long warm_primitives;
};

// Told per function to harness/reliability/faults.py, which asks for it.
inline bool per_function() { return getenv("INJECTIONS") != nullptr; }
inline void say(long allocations) {
  printf(per_function() ? "injected: %ld of an allocation\n" : "%ld allocations failed\n",
         allocations);
}

// The call that is to fail after the nth: each of the first `all`, then more and more seldom, for a
// script does the same again and again.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
const long kAll = 12;
#else
const long kAll = 60;
#endif
inline long after(long nth, long all = kAll) { return nth < all ? nth + 1 : nth + 2 + nth / 8; }

// Runs the script without failures, on a thread of its own.
inline Reference make_reference(mkldnn_engine_t engine, bool batched) {
  Reference reference;
  workload::on_thread([&] {
    reference.plain = scripted::run(false, engine, batched);
    scripted::run(true, engine, batched);
    reference.warm_primitives = scripted::run(true, engine, batched).primitives_made;
  });
  if (getenv("MKLDNN_OPCACHE_MEMORY") != nullptr) reference.warm_primitives = -1;
  return reference;
}

inline void check_same(const scripted::Run &got, const scripted::Run &expected,
                       const std::string &when) {
  const size_t i = scripted::first_difference(got, expected);
  CHECK_TEXT(i == expected.steps.size(), when << ": " << scripted::show(got, i)
                                              << "; without the library "
                                              << scripted::show(expected, i));
}

// On the thread where something failed, afterwards: the script runs as ever, caches as ever, and
// what is left at MKL-DNN is what stays idle by intent.
inline void check_recovered(mkldnn_engine_t engine, const Reference &reference, bool batched,
                            const std::string &when) {
  check_same(scripted::run(true, engine, batched), reference.plain, when + ", the run after it");
  const scripted::Run last = scripted::run(true, engine, batched);
  check_same(last, reference.plain, when + ", the second run after it");
  CHECK_TEXT(reference.warm_primitives < 0 || last.primitives_made == reference.warm_primitives,
             when << ": " << last.primitives_made << " primitives created afterwards, "
                  << reference.warm_primitives << " expected");
  const Stats stats;
  CHECK_TEXT(stats["totals/live_primitives"] == 0 &&
                 stats["totals/idle_primitives"] == static_cast<double>(fake_live(kFakePrimitive)),
             when << ": " << fake_live(kFakePrimitive) << " primitives, of which idle "
                  << stats["totals/idle_primitives"]);
}

// After that thread ended: nothing is left.
inline void check_nothing_left(const std::string &when) {
  CHECK_TEXT(fake_misuses() == 0, when << ": " << fake_misuse());
  const std::string left = fake_left();
  CHECK_TEXT(left.empty(), when << ": objects of MKL-DNN leak: " << left);
  if (check::failures() > 20) check::give_up();
}

}  // namespace judge
