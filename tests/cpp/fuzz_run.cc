#include "fuzz_run.h"

#include <stdio.h>

#include <memory>
#include <thread>

#include "fuzz_process.h"
#include "fuzz_twin.h"
#include "stats.h"

namespace fuzz {

namespace {

void count_hits(Counts *shared) {
  const Stats stats;
  const auto total = [&](const char *name) { return static_cast<long>(stats[name]); };
  shared->hits = total("totals/primitives_avoided") + total("totals/descriptors_avoided");
  shared->misses = total("totals/primitives_created") + total("totals/descriptors_created");
  shared->evictions = total("totals/evictions");
  shared->trials = total("bypasses/trial");
}

// Returns the first difference.
std::string run_here(const std::vector<Steps> &sequences, Counts *shared) {
  std::vector<std::unique_ptr<Twin>> twins;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < sequences.size(); ++i) {
    twins.push_back(std::make_unique<Twin>(sequences.size() == 1));
  }
  if (sequences.size() == 1) {
    twins[0]->run(sequences[0]);
  } else {
    for (size_t i = 0; i < sequences.size(); ++i) {
      threads.emplace_back([&, i] { twins[i]->run(sequences[i]); });
    }
  }
  for (std::thread &thread : threads) thread.join();
  std::string difference;
  for (const auto &twin : twins) {
    if (difference.empty()) difference = twin->difference();
    for (size_t i = 0; i < kSteps; ++i) shared->done[i] += twin->done()[i];
  }
  return difference.empty() ? Twin::left_over() : difference;
}

std::string describe_failure(const Steps &steps) {
  std::string report;
  for (size_t i = 0; i < steps.size(); ++i) {
    report += "  " + std::to_string(i) + ": " + to_text(steps[i]) + "\n";
  }
  report += "  --replay ";
  for (const Step &step : steps) {
    char text[3];
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(&step);
    for (size_t i = 0; i < sizeof(step); ++i) {
      snprintf(text, sizeof(text), "%02x", bytes[i]);
      report += text;
    }
  }
  return report + "\n";
}

}  // namespace

Counts &Counts::operator+=(const Counts &other) {
  for (size_t i = 0; i < done.size(); ++i) done[i] += other.done[i];
  sequences += other.sequences;
  operations += other.operations;
  hits += other.hits;
  misses += other.misses;
  evictions += other.evictions;
  trials += other.trials;
  return *this;
}

// In a process of their own; the report is how it ended and what it wrote on stderr.
static Result run_apart(const std::vector<Steps> &sequences) {
  static Counts *const shared = static_cast<Counts *>(shared_memory(sizeof(Counts)));
  *shared = Counts();
  shared->sequences = static_cast<long>(sequences.size());
  world(0);  // loads the reference once for all
  const Ended ended = in_a_process(
      [&] {
        const std::string difference = run_here(sequences, shared);
        count_hits(shared);
        fprintf(stderr, "%s\n", difference.c_str());
        return difference.empty() ? 0 : 1;
      },
      60);
  Result result;
  static_cast<Counts &>(result) = *shared;
  for (const long n : result.done) result.operations += n;
  result.ok = ended.ok;
  result.report = ended.what;
  return result;
}

Result run(const std::vector<Steps> &sequences, const std::string &name, bool shorten) {
  Result result = run_apart(sequences);
  if (result.ok) return result;
  result.report = name + ": " + result.report + "\n";
  // What threads do at once is not the same twice: nothing shorter would be sure to fail.
  if (sequences.size() > 1 || !shorten) return result;
  const Steps few = shortest<Step>(sequences[0], [](const Steps &s) { return !run_apart({s}).ok; });
  result.report += "the shortest that fails (" + std::to_string(few.size()) + " of " +
                   std::to_string(sequences[0].size()) + " steps): " + run_apart({few}).report +
                   "\n" + describe_failure(few);
  return result;
}

Result run(const Campaign &c) {
  Result all;
  while (all.ok && all.operations < c.operations) {
    const uint64_t number = static_cast<uint64_t>(all.sequences);
    std::vector<Steps> sequences;
    for (size_t i = 0; i < c.at_once; ++i) {
      // One that changes the settings changes them for those beside it.
      const bool steady = c.steady || number / c.at_once % 2 == 0;
      sequences.push_back(random_steps(c.seed * 1000003 + number + i, c.length, steady));
    }
    const Result one =
        run(sequences,
            "seed " + std::to_string(c.seed) + ", sequence " + std::to_string(number) + ", after " +
                std::to_string(all.operations) + " operations",
            c.shorten);
    all += one;
    all.ok = one.ok;
    all.report = one.report;
  }
  return all;
}

}  // namespace fuzz
