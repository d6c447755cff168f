// Proof of what this process runs on, from the cache library's own counters: a benchmark that was
// asked for a cache and ran without one, or the other way round, ends here.
#ifndef OPCACHE_MICROBENCH_EVIDENCE_H_
#define OPCACHE_MICROBENCH_EVIDENCE_H_

#include <stdint.h>

#include <string>

namespace microbench {

// Of primitives, since the process began.
struct Counts {
  uint64_t avoided;
  uint64_t created;
};

class Evidence {
 public:
  // Of variant stock (no library), off or all, on that release of MKL-DNN. Call after MKL-DNN.
  Evidence(const std::string &variant, const char *release);

  bool caches() const { return variant_ == "all"; }

  Counts counts() const;

  // Fails unless since `before` as many were created as asked for. Stock has no counters.
  void expect(const Counts &before, uint64_t avoided, uint64_t created, const char *what) const;
  // That many calls, of which a cache creates the first only, and no cache every one.
  void expect_calls(const Counts &before, uint64_t calls, const char *what) const;

  // The library's report, or null.
  std::string json() const;

 private:
  typedef size_t (*StatsJson)(char *, size_t);

  std::string report() const;

  std::string variant_;
  StatsJson stats_json_;  // nullptr without the library
};

// Paths of the loaded libmkldnn* as a JSON list.
std::string libraries_json();

}  // namespace microbench

#endif  // OPCACHE_MICROBENCH_EVIDENCE_H_
