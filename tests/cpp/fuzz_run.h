// Runs sequences on the fake, each in a process of its own.
#ifndef OPCACHE_TESTS_FUZZ_RUN_H_
#define OPCACHE_TESTS_FUZZ_RUN_H_

#include <array>
#include <string>
#include <vector>

#include "fuzz_steps.h"

namespace fuzz {

// What a process of its own came to.
struct Outcome {
  bool ok = false;
  std::string what;  // the difference, or how the process ended and what it wrote on stderr
  std::array<long, kSteps> done = {};
  long hits = 0, misses = 0, evictions = 0;  // of both kinds of object, as the library counts them
};
// Several sequences run at once, each on a thread and with objects of its own.
Outcome run_apart(const std::vector<Steps> &sequences);

// Many sequences, one after the other, until one fails.
struct Campaign {
  uint64_t seed = 1;
  long operations = 0;   // at least so many
  size_t length = 4000;  // of a sequence
  size_t at_once = 1;    // sequences that run beside each other
  bool steady = false;   // the settings are left alone in all sequences, else in every other one
};
struct Result {
  bool ok = true;
  std::string report;  // of a failure: seed, operation, shortest sequence
  long sequences = 0, operations = 0, hits = 0, misses = 0, evictions = 0;
  std::array<long, kSteps> done = {};
};
Result run(const Campaign &campaign);
// On failure of a single sequence the report has its shortest form.
Result run(const std::vector<Steps> &sequences, const std::string &name);

}  // namespace fuzz

#endif  // OPCACHE_TESTS_FUZZ_RUN_H_
