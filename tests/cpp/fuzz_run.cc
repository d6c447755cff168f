#include "fuzz_run.h"

#include <stdio.h>

#include "fuzz_process.h"
#include "fuzz_twin.h"
#include "json.h"
#include "opcache.h"

namespace fuzz {

namespace {

// What the process tells its parent.
struct Shared {
  std::array<long, kSteps> done;
  long hits, misses, evictions;
};

long total(const json::Document &document, const std::string &name) {
  const auto found = document.find("totals/" + name);
  return found != document.end() ? static_cast<long>(found->second.number) : 0;
}

void count_hits(Shared *shared) {
  std::string text(mkldnn_opcache_stats_json(nullptr, 0) + 1, '\0');
  text.resize(mkldnn_opcache_stats_json(&text[0], text.size()));
  json::Document document;
  size_t at;
  if (!json::parse(text, &document, &at)) return;
  shared->hits = total(document, "primitives_avoided") + total(document, "descriptors_avoided");
  shared->misses = total(document, "primitives_created") + total(document, "descriptors_created");
  shared->evictions = total(document, "evictions");
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

Outcome run_apart(const Steps &steps) {
  static Shared *const shared = static_cast<Shared *>(shared_memory(sizeof(Shared)));
  *shared = Shared();
  world(0);  // loads the reference once for all
  const Ended ended = in_a_process(
      [&] {
        Twin twin;
        twin.run(steps);
        shared->done = twin.done();
        count_hits(shared);
        fprintf(stderr, "%s\n", twin.difference().c_str());
        return twin.difference().empty() ? 0 : 1;
      },
      60);
  Outcome outcome;
  outcome.ok = ended.ok;
  outcome.what = ended.what;
  outcome.done = shared->done;
  outcome.hits = shared->hits;
  outcome.misses = shared->misses;
  outcome.evictions = shared->evictions;
  return outcome;
}

Result run(const Steps &steps, const std::string &name) {
  const Outcome outcome = run_apart(steps);
  Result result;
  result.ok = outcome.ok;
  result.sequences = 1;
  result.done = outcome.done;
  result.hits = outcome.hits;
  result.misses = outcome.misses;
  result.evictions = outcome.evictions;
  for (const long n : outcome.done) result.operations += n;
  if (outcome.ok) return result;
  result.report = name + ": " + outcome.what + "\n";
  const Steps few = shortest<Step>(steps, [](const Steps &s) { return !run_apart(s).ok; });
  result.report += "the shortest that fails (" + std::to_string(few.size()) + " of " +
                   std::to_string(steps.size()) + " steps): " + run_apart(few).what + "\n" +
                   describe_failure(few);
  return result;
}

Result run(const Campaign &c) {
  Result all;
  while (all.ok && all.operations < c.operations) {
    const uint64_t number = static_cast<uint64_t>(all.sequences);
    const Result one =
        run(random_steps(c.seed * 1000003 + number, c.length, c.steady || number % 2 == 0),
            "seed " + std::to_string(c.seed) + ", sequence " + std::to_string(number) + ", after " +
                std::to_string(all.operations) + " operations");
    ++all.sequences;
    all.ok = one.ok;
    all.report = one.report;
    all.operations += one.operations;
    all.hits += one.hits;
    all.misses += one.misses;
    all.evictions += one.evictions;
    for (size_t i = 0; i < all.done.size(); ++i) all.done[i] += one.done[i];
  }
  return all;
}

}  // namespace fuzz
