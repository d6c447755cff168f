// A sequence of calls as bytes: eight to a step, the first says what is done, the others with what.
// Objects are named by slots, so that a sequence stays meaningful when steps are taken out of it.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <random>
#include <string>
#include <vector>

namespace fuzz {

// X(name, weight in a random sequence)
// clang-format off
#define FUZZ_STEPS(X) \
  X(describe, 14) X(describe_memory, 5) X(describe_view, 0.5) X(reorder, 4) X(sum, 2) X(concat, 2) \
  X(clone, 5) X(destroy_pd, 8) X(query_layout, 6) X(query_numbers, 3) X(compare_memories, 1) \
  X(attr_change, 1.5) X(attr_clone, 0.3) X(attr_destroy, 0.3) X(iterate, 3) X(iterator_next, 4) \
  X(iterator_fetch, 4) X(iterator_destroy, 1) X(make_memory, 8) X(move_data, 8) \
  X(destroy_memory, 3) X(make_primitive, 12) X(ask_primitive, 3) X(destroy_primitive, 8) \
  X(run, 10) X(make_stream, 4) X(submit, 8) X(wait, 4) X(rerun, 4) X(destroy_stream, 2) \
  X(change_scope, 0.4) X(change_capacity, 0.4) X(change_memory, 0.4) X(pause, 0.4) X(resume, 1) \
  X(clear, 0.3) X(statistics, 0.3) X(openmp_threads, 0.4) X(callbacks, 0.3) X(make_engine, 0.3) \
  X(destroy_engine, 0.3) X(go_to_thread, 8) X(end_thread, 0.15) X(wrong_arguments, 3)
// clang-format on

enum What : uint8_t {
#define FUZZ_NAME(name, weight) k_##name,
  FUZZ_STEPS(FUZZ_NAME)
#undef FUZZ_NAME
      kSteps,
};

struct Step {
  uint8_t what;
  uint8_t arg[7];
};
static_assert(sizeof(Step) == 8, "steps are stored as they are");

typedef std::vector<Step> Steps;

const double kWeights[] = {
#define FUZZ_WEIGHT(name, weight) weight,
    FUZZ_STEPS(FUZZ_WEIGHT)
#undef FUZZ_WEIGHT
};

const char *const kNames[] = {
#define FUZZ_NAME(name, weight) #name,
    FUZZ_STEPS(FUZZ_NAME)
#undef FUZZ_NAME
};

inline bool changes_settings(int what) { return what >= k_change_scope && what <= k_clear; }

inline const char *name_of(uint8_t what) { return kNames[what % kSteps]; }

// A random sequence; `steady` ones leave the settings alone.
inline Steps random_steps(uint64_t seed, size_t n, bool steady) {
  std::vector<double> weights(kWeights, kWeights + kSteps);
  for (size_t i = 0; steady && i < weights.size(); ++i) {
    if (changes_settings(static_cast<int>(i))) weights[i] = 0;
  }
  std::mt19937_64 random(seed);
  std::discrete_distribution<int> what(weights.begin(), weights.end());
  Steps steps(n);
  for (Step &step : steps) {
    step.what = static_cast<uint8_t>(what(random));
    const uint64_t bits = random();
    memcpy(step.arg, &bits, sizeof(step.arg));
  }
  return steps;
}

// What is left over at the end is dropped.
inline Steps steps_of(const uint8_t *bytes, size_t size) {
  Steps steps(size / sizeof(Step));
  if (!steps.empty()) memcpy(steps.data(), bytes, steps.size() * sizeof(Step));
  for (Step &step : steps) step.what = static_cast<uint8_t>(step.what % kSteps);
  return steps;
}

inline std::string to_text(const Step &step) {
  std::string text = kNames[step.what];
  for (const uint8_t a : step.arg) text += " " + std::to_string(a);
  return text;
}

}  // namespace fuzz
