// One script of calls as a program makes them, step by step: through the library or past it, with
// one step made to fail or none. What it returns, executes and reads is written down, so that two
// runs can be compared. A step whose handle an earlier failure left missing is skipped.
#ifndef OPCACHE_TESTS_SCRIPTED_H_
#define OPCACHE_TESTS_SCRIPTED_H_

#include <mkldnn.h>

#include <string>
#include <vector>

#include "fake_mkldnn.h"

namespace scripted {

const int kSkipped = -1;
const int kNothing = -2;  // a function without a status returned nullptr

struct Step {
  const char *function;  // without the mkldnn_ prefix
  int status;
  std::vector<FakeExecution> executions;
};

struct Run {
  std::vector<Step> steps;
  long primitives_made;  // at the fake, those of memory not counted
};

// Before step number `step` begins, the next call of `function` is made to fail once.
struct Arm {
  size_t step;
  const char *function;
  mkldnn_status_t status;
};

// To be called once, while nothing fails: what descriptions are made of.
void prepare();

// Runs the script on the calling thread, and parts of it on a second one. `batched`: some of the
// submissions hold several primitives. Everything it made is destroyed when it returns.
Run run(bool through_library, mkldnn_engine_t engine, bool batched, const Arm *arm = nullptr);

// The first step in which two runs differ, or as many as there are when they do not.
size_t first_difference(const Run &a, const Run &b);
bool same(const Step &a, const Step &b);
std::string show(const Run &run, size_t step);

}  // namespace scripted

#endif  // OPCACHE_TESTS_SCRIPTED_H_
