// The fuzz on the counting fake, as a program: the last line is what was done, as JSON.
//   fuzz [--operations N] [--seed S] [--length N] [--at-once N] [--steady] [--as-found] |
//   --replay HEX | FILE...
// --as-found: a sequence that fails is not cut down to the shortest that does.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>

#include "fuzz_run.h"

namespace {

fuzz::Steps from_hex(const std::string &hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(strtoul(hex.substr(i, 2).c_str(), nullptr, 16)));
  }
  return fuzz::steps_of(bytes.data(), bytes.size());
}

fuzz::Steps from_file(const char *path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  if (bytes.empty()) {
    fprintf(stderr, "fuzz: %s cannot be read\n", path);
    exit(2);
  }
  return fuzz::steps_of(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
}

int tell(const fuzz::Result &result, uint64_t seed, double seconds) {
  fputs(result.report.c_str(), stderr);
  printf(
      "{\"ok\": %s, \"seed\": %llu, \"sequences\": %ld, \"operations\": %ld, \"hits\": %ld, "
      "\"misses\": %ld, \"evictions\": %ld, \"seconds\": %.1f, \"steps\": {",
      result.ok ? "true" : "false", static_cast<unsigned long long>(seed), result.sequences,
      result.operations, result.hits, result.misses, result.evictions, seconds);
  for (uint8_t i = 0; i < fuzz::kSteps; ++i) {
    printf("%s\"%s\": %ld", i > 0 ? ", " : "", fuzz::name_of(i), result.done[i]);
  }
  printf("}}\n");
  return result.ok ? 0 : 1;
}

}  // namespace

int main(int argc, char **argv) {
  // The headers' release; the library does not know the fake otherwise.
  setenv("MKLDNN_OPCACHE_ASSUME", "v0.17.4", 0);
  if (getenv("FUZZ_STARTED") == nullptr) {
    // The library reads its environment when it is loaded.
    setenv("FUZZ_STARTED", "1", 1);
    execv("/proc/self/exe", argv);
    perror("fuzz");
    return 2;
  }
  fuzz::Campaign campaign;
  campaign.operations = 100000;
  fuzz::Result result;
  bool files = false;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 1; i < argc && result.ok; ++i) {
    const std::string word = argv[i];
    const bool value = i + 1 < argc;
    if (word == "--operations" && value) {
      campaign.operations = atol(argv[++i]);
    } else if (word == "--seed" && value) {
      campaign.seed = strtoull(argv[++i], nullptr, 10);
    } else if (word == "--length" && value) {
      campaign.length = strtoul(argv[++i], nullptr, 10);
    } else if (word == "--at-once" && value) {
      campaign.at_once = std::max(1ul, strtoul(argv[++i], nullptr, 10));
    } else if (word == "--steady") {
      campaign.steady = true;
    } else if (word == "--as-found") {
      campaign.shorten = false;
    } else if (word[0] != '-' || (word == "--replay" && value)) {
      files = true;
      const fuzz::Result one = word[0] != '-' ? fuzz::run({from_file(argv[i])}, word)
                                              : fuzz::run({from_hex(argv[++i])}, "--replay");
      result += one;
      result.ok = one.ok;
      result.report = one.report;
    } else {
      fprintf(stderr, "fuzz: %s is not understood\n", word.c_str());
      return 2;
    }
  }
  if (!files) result = fuzz::run(campaign);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return tell(result, campaign.seed, elapsed.count());
}
