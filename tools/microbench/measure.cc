#include "measure.h"

#include <stdio.h>

#include <algorithm>
#include <chrono>

namespace microbench {

namespace {

// Long against the clock's 20 ns, short against the scheduler's time slice.
const uint64_t kRepetitionNs = 2000000;

uint64_t time(const Loop &loop, uint64_t iterations) {
  const uint64_t start = now_ns();
  loop(iterations);
  return std::max<uint64_t>(now_ns() - start, 1);
}

Timing warm_up(const Loop &loop) {
  Timing timing = {};
  uint64_t iterations = 1;
  for (;;) {
    const uint64_t elapsed_ns = time(loop, iterations);
    timing.all += iterations;
    if (elapsed_ns >= kRepetitionNs / 2) {
      timing.iterations = std::max<uint64_t>(iterations * kRepetitionNs / elapsed_ns, 1);
      return timing;
    }
    iterations *= 2;
  }
}

// Between two values in proportion, as NumPy does it.
double quantile(const std::vector<double> &sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::string number(double value) {
  char text[32];
  snprintf(text, sizeof(text), "%.2f", value);
  return text;
}

}  // namespace

uint64_t now_ns() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

std::vector<Timing> measure(int repetitions, const std::vector<Loop> &loops) {
  std::vector<Timing> timings;
  for (const Loop &loop : loops) {
    // The first time is slow for more reasons than can be repeated: it must not set the count.
    loop(1);
    timings.push_back(warm_up(loop));
    ++timings.back().all;
  }
  for (int r = 0; r < repetitions; ++r) {
    for (size_t i = 0; i < loops.size(); ++i) {
      Timing &t = timings[i];
      t.ns.push_back(static_cast<double>(time(loops[i], t.iterations)) /
                     static_cast<double>(t.iterations));
      t.all += t.iterations;
    }
  }
  return timings;
}

std::string summary_json(const std::vector<double> &values) {
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  std::string json = "{\"values\": [";
  for (size_t i = 0; i < values.size(); ++i) json += (i > 0 ? ", " : "") + number(values[i]);
  return json + "], \"median\": " + number(quantile(sorted, 0.5)) +
         ", \"lower_quartile\": " + number(quantile(sorted, 0.25)) +
         ", \"upper_quartile\": " + number(quantile(sorted, 0.75)) +
         ", \"repetitions\": " + std::to_string(values.size()) + "}";
}

std::string timing_json(const Timing &timing) {
  return "{\"ns\": " + summary_json(timing.ns) +
         ", \"iterations\": " + std::to_string(timing.iterations) + "}";
}

}  // namespace microbench
