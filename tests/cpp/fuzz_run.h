// Runs sequences on the fake, each in a process of its own.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "fuzz_steps.h"

namespace fuzz {

// What was done, and the library's own counts of both kinds of object.
struct Counts {
  std::array<long, kSteps> done = {};
  long sequences = 0, operations = 0, hits = 0, misses = 0, evictions = 0, trials = 0;
  Counts &operator+=(const Counts &other);
};

// Many sequences, one after the other, until one fails.
struct Campaign {
  uint64_t seed = 1;
  long operations = 0;   // at least so many
  size_t length = 4000;  // of a sequence
  size_t at_once = 1;    // sequences that run beside each other, each with objects of its own
  bool steady = false;   // the settings are left alone in all sequences, else in every other one
  bool shorten = true;   // what fails, to the shortest that does
};
struct Result : Counts {
  bool ok = true;
  std::string report;  // of a failure: seed, operation, shortest sequence
};
Result run(const Campaign &campaign);
// On failure of a single sequence the report has its shortest form, if wanted.
Result run(const std::vector<Steps> &sequences, const std::string &name, bool shorten = true);

}  // namespace fuzz
