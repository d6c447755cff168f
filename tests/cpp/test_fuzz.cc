// Random sequences of calls, with and without the library, compared after each call (fuzz_twin.h).
// `make -C tests/cpp fuzz` runs more of them.
#include "check.h"
#include "fuzz_run.h"

namespace {

void fuzz_it(uint64_t seed, bool steady, size_t at_once = 1) {
  fuzz::Campaign campaign;
  campaign.seed = seed;
  campaign.operations = 16000;
  campaign.steady = steady;
  campaign.at_once = at_once;
  const fuzz::Result result = fuzz::run(campaign);
  CHECK_TEXT(result.ok, result.report);
  CHECK(result.operations >= 16000);
}

}  // namespace

TEST(default_settings, ASSUME) { fuzz_it(100, true); }
TEST(capacity_0, ASSUME, CAPACITY(0)) { fuzz_it(200, true); }
TEST(capacity_1, ASSUME, CAPACITY(1)) { fuzz_it(300, true); }
TEST(capacity_5, ASSUME, CAPACITY(5)) { fuzz_it(400, true); }
TEST(capacity_50, ASSUME, CAPACITY(50)) { fuzz_it(500, true); }
TEST(scope_backward, ASSUME, SCOPE("backward"), CAPACITY(10)) { fuzz_it(600, true); }
TEST(scope_list, ASSUME, SCOPE("deconvolution,reorder,pooling")) { fuzz_it(700, true); }
TEST(scope_off, ASSUME, SCOPE("off")) { fuzz_it(800, true); }
TEST(memory_1, ASSUME, MEMORY(1)) { fuzz_it(1100, true); }
TEST(memory_64k, ASSUME, MEMORY(64K)) { fuzz_it(1200, true); }
TEST(changing_settings, ASSUME) { fuzz_it(900, false); }
TEST(changing_settings_from_off, ASSUME, SCOPE("off")) { fuzz_it(1000, false); }
// Threads end so often that few caches pay.
TEST(threads_on_trial, ASSUME, CAPACITY(5), TRIAL(40)) {
  for (uint64_t seed = 1600; seed < 1604; ++seed) {
    fuzz::Steps steps = fuzz::random_steps(seed, 4000, true);
    for (size_t i = 0; i < steps.size(); i += 50)
      steps[i] = {fuzz::k_end_thread, {steps[i].arg[0]}};
    const fuzz::Result result = fuzz::run({steps}, "seed " + std::to_string(seed));
    CHECK_TEXT(result.ok, result.report);
    CHECK(result.trials > 0 && result.hits > 0);
  }
}

TEST(four_at_once, ASSUME) { fuzz_it(1300, true, 4); }
TEST(four_at_once_of_capacity_50, ASSUME, CAPACITY(50)) { fuzz_it(1400, true, 4); }
TEST(four_at_once_changing_settings, ASSUME) { fuzz_it(1500, false, 4); }
