#include "fuzz_steps.h"

#include <string.h>

#include <random>

namespace fuzz {

namespace {

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

bool changes_settings(int what) { return what >= k_change_scope && what <= k_clear; }

}  // namespace

const char *name_of(uint8_t what) { return kNames[what % kSteps]; }

Steps random_steps(uint64_t seed, size_t n, bool steady) {
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

Steps steps_of(const uint8_t *bytes, size_t size) {
  Steps steps(size / sizeof(Step));
  if (!steps.empty()) memcpy(steps.data(), bytes, steps.size() * sizeof(Step));
  for (Step &step : steps) step.what = static_cast<uint8_t>(step.what % kSteps);
  return steps;
}

std::string to_text(const Step &step) {
  std::string text = kNames[step.what];
  for (const uint8_t a : step.arg) text += " " + std::to_string(a);
  return text;
}

}  // namespace fuzz
