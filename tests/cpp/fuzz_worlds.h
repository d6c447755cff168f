// The two worlds that a fuzz compares: MKL-DNN through the library, and a second copy of the fake
// that nothing stands before. Both are reached through the same table of functions.
#ifndef OPCACHE_TESTS_FUZZ_WORLDS_H_
#define OPCACHE_TESTS_FUZZ_WORLDS_H_

#include "api.h"
#include "fake_mkldnn.h"

namespace fuzz {

// What the fake tells of itself; X(name without the fake_ prefix)
#define FUZZ_FAKE_FUNCTIONS(X) \
  X(call_back)                 \
  X(content)                   \
  X(created)                   \
  X(execution)                 \
  X(executions)                \
  X(foreign_destroys)          \
  X(forget_executions)         \
  X(left)                      \
  X(misuse)                    \
  X(misuses)                   \
  X(reuse_addresses)           \
  X(set_max_threads)

struct World : api::Api {
  struct {
#define FUZZ_DECLARE(name) decltype(&fake_##name) name;
    FUZZ_FAKE_FUNCTIONS(FUZZ_DECLARE)
#undef FUZZ_DECLARE
  } fake;
};

const int kWorlds = 2;
// 0: through the library; 1: the reference. Ends the program when there is no reference.
const World &world(int which);

}  // namespace fuzz

#endif  // OPCACHE_TESTS_FUZZ_WORLDS_H_
