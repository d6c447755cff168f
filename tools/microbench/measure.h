// Times short pieces of code: as many in a row as fill a repetition, several repetitions, every
// one of them kept. Knows nothing of MKL-DNN.
#ifndef OPCACHE_MICROBENCH_MEASURE_H_
#define OPCACHE_MICROBENCH_MEASURE_H_

#include <stdint.h>

#include <functional>
#include <string>
#include <vector>

namespace microbench {

// Of a steady clock.
uint64_t now_ns();

struct Timing {
  uint64_t iterations;     // of one repetition
  uint64_t all;            // warm-up included
  std::vector<double> ns;  // of one iteration, by repetition
};

// Runs its code as many times as it is told.
typedef std::function<void(uint64_t)> Loop;

// Each loop is warmed up while its iterations are found; then the loops take turns.
std::vector<Timing> measure(int repetitions, const std::vector<Loop> &loops);

// JSON objects: the values with their median and quartiles, and a Timing.
std::string summary_json(const std::vector<double> &values);
std::string timing_json(const Timing &timing);

}  // namespace microbench

#endif  // OPCACHE_MICROBENCH_MEASURE_H_
