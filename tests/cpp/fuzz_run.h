// Runs sequences in processes of their own, so that what one leaves behind or breaks does not touch
// the next; finds a shortest one of those that fail.
#ifndef OPCACHE_TESTS_FUZZ_RUN_H_
#define OPCACHE_TESTS_FUZZ_RUN_H_

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "fuzz_steps.h"

namespace fuzz {

// What a process of its own came to.
struct Outcome {
  bool ok;
  std::string what;  // the difference, or how the process died and what it wrote on stderr
  std::array<long, kSteps> done;
  long hits, misses, evictions;  // of descriptors and primitives, as the library counts them
};
Outcome run_apart(const Steps &steps);

// Leaves out items as long as `fails` still holds; calls it at most `tries` times.
template <class T>
std::vector<T> shortest(std::vector<T> items,
                        const std::function<bool(const std::vector<T> &)> &fails,
                        int tries = 2000) {
  for (size_t chunk = (items.size() + 1) / 2; chunk > 0;) {
    bool any = false;
    for (size_t at = 0; at < items.size() && tries > 0;) {
      std::vector<T> fewer(items.begin(), items.begin() + static_cast<long>(at));
      const size_t end = at + chunk < items.size() ? at + chunk : items.size();
      fewer.insert(fewer.end(), items.begin() + static_cast<long>(end), items.end());
      --tries;
      if (fails(fewer)) {
        items = fewer;
        any = true;
      } else {
        at += chunk;
      }
    }
    // Once more at the last size: what one step needed may be gone.
    if (chunk > 1 || !any || tries <= 0) chunk /= 2;
  }
  return items;
}

// Many sequences, one after the other, until one fails.
struct Campaign {
  uint64_t seed = 1;
  long operations = 0;   // at least so many
  size_t length = 4000;  // of a sequence
  bool steady = false;   // the settings are left alone in all sequences, else in every other one
};
struct Result {
  bool ok = true;
  std::string report;  // of a failure: seed, operation, shortest sequence
  long sequences = 0, operations = 0, hits = 0, misses = 0, evictions = 0;
  std::array<long, kSteps> done = {};
};
Result run(const Campaign &campaign);
// One sequence; on failure the report has its shortest form.
Result run(const Steps &steps, const std::string &name);

}  // namespace fuzz

#endif  // OPCACHE_TESTS_FUZZ_RUN_H_
