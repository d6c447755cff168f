// Random primitives on a real MKL-DNN, with the library and directly: the same statuses,
// implementations, layouts and bits. On one OpenMP thread, where MKL-DNN repeats its bits.
// FUZZ_CASES: how many, FUZZ_SEED: which. The last line is what was done, as JSON.
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "fuzz_case.h"
#include "fuzz_process.h"
#include "opcache.h"
#include "worker.h"

using namespace real_session;

namespace {

const int kThreads = 2;     // the second for one case in four
const size_t kChunk = 250;  // cases to a process

struct Item {
  uint64_t number;
  int thread;
  int destroyed_on;
  int setting;  // what is changed before it; mostly nothing
};

struct Answer {
  std::string text;
  std::string bits;
  size_t beside;  // bytes written beside the tensors
};

// What the processes tell.
struct Counts {
  long cases, repeated, refused, bytes, hits, misses;
  long stock_dies;    // cases left out, because MKL-DNN does not survive them
  long beside;        // cases in which MKL-DNN writes beside its tensors
  uint64_t directly;  // the case that is being run without the library; 0: none
  char kinds[400][16];
  long kind_counts[400];
};
Counts *counts() {
  static Counts *const c = static_cast<Counts *>(fuzz::shared_memory(sizeof(Counts)));
  return c;
}

void change(int setting) {
  const bool to_defaults = setting == 0 || (setting > 5 && setting <= 25);
  if (setting == 1) mkldnn_opcache_clear();
  if (setting == 2) mkldnn_opcache_set_capacity(1);
  if (setting == 3) mkldnn_opcache_set_capacity(20);
  if (setting == 4) mkldnn_opcache_set_scope("backward", nullptr, 0);
  if (setting == 5) mkldnn_opcache_set_scope("off", nullptr, 0);
  if (to_defaults) mkldnn_opcache_set_capacity(4096);
  if (to_defaults) mkldnn_opcache_set_scope("all", nullptr, 0);
}

void count(const Answer &a, bool repeated) {
  Counts &c = *counts();
  ++c.cases;
  c.repeated += repeated;
  c.refused += a.bits.empty();
  c.bytes += static_cast<long>(a.bits.size());
  c.beside += a.beside > 0;
  const std::string kind = a.text.substr(0, a.text.find(';'));
  size_t i = 0;
  while (c.kinds[i][0] != '\0' && kind != c.kinds[i]) ++i;
  snprintf(c.kinds[i], sizeof(c.kinds[i]), "%s", kind.c_str());
  ++c.kind_counts[i];
}

// 0 when all were the same as without the library; `tested` may be that for comparison.
int run_items(const std::vector<Item> &items, bool aloud = false, const Api &tested = through()) {
  const int failures = check::failures();
  workload::Worker threads[kThreads];
  const auto set_threads = reinterpret_cast<void (*)(int)>(
      dlsym(dlopen(MKLDNN_LIBRARY, RTLD_NOLOAD | RTLD_LAZY), "omp_set_num_threads"));
  REQUIRE(set_threads != nullptr);
  for (workload::Worker &thread : threads) thread.run([&] { set_threads(1); });
  std::map<uint64_t, Answer> expected;
  for (const Item &item : items) {
    change(item.setting);
    const auto run = [&](const Api &api) {
      std::unique_ptr<Session> session;
      Answer answer;
      threads[item.thread].run([&] {
        session = std::make_unique<Session>(api);
        answer.text = fuzz::run_case(session.get(), item.number, aloud);
        answer.bits = session->bits();
        answer.beside = session->touched_beside();
      });
      threads[item.destroyed_on].run([&] { session.reset(); });
      return answer;
    };
    const bool repeated = expected.count(item.number) != 0;
    counts()->directly = item.number;
    if (!repeated) expected[item.number] = run(direct());
    counts()->directly = 0;
    const Answer answer = run(tested);
    const Answer &right = expected[item.number];
    const bool bits_differ = answer.bits != right.bits || check::failures() > failures;
    if (answer.text != right.text || answer.beside != right.beside || bits_differ) {
      size_t at = 0;
      while (at < right.bits.size() && answer.bits[at] == right.bits[at]) ++at;
      fprintf(stderr,
              "case %llu:\nwith the cache %s\nwithout %s\n%zu and %zu bytes written beside the "
              "tensors; %zu bytes, the first that differs is %zu\n",
              static_cast<unsigned long long>(item.number), answer.text.c_str(), right.text.c_str(),
              answer.beside, right.beside, right.bits.size(), at);
      return 1;
    }
    count(answer, repeated);
  }
  const Stats report;
  for (const char *object : {"primitives", "descriptors"}) {
    counts()->hits += static_cast<long>(report[std::string("totals/") + object + "_avoided"]);
    counts()->misses += static_cast<long>(report[std::string("totals/") + object + "_created"]);
  }
  return 0;
}

// A primitive that writes beside its memory shows late, or not at all in this process.
bool dies_without_the_library(const std::vector<Item> &items) {
  for (int i = 0; i < 20; ++i) {
    const auto ended = fuzz::in_a_process([&] { return run_items(items, false, direct()); }, 300);
    if (!ended.ok && ended.what.find("signal") != std::string::npos) return true;
  }
  return false;
}

std::vector<Item> random_items(uint64_t seed, size_t n) {
  std::mt19937_64 random(seed);
  std::vector<Item> items(n);
  for (Item &item : items) {
    // Twenty of a family, the first of it more often.
    const uint64_t family = seed * 1000 + random() % (kChunk / 20);
    item.number = family * fuzz::kVariants + (random() % 3 == 0 ? 0 : random() % fuzz::kVariants);
    item.thread = random() % 4 == 0 ? 1 : 0;
    item.destroyed_on = random() % 4 == 0 ? 1 - item.thread : item.thread;
    item.setting = static_cast<int>(random() % 200);
  }
  return items;
}

uint64_t from_environment(const char *name, uint64_t otherwise) {
  const char *const text = getenv(name);
  return text != nullptr ? strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

TEST(random_primitives) {
  const uint64_t cases = from_environment("FUZZ_CASES", 500),
                 seed = from_environment("FUZZ_SEED", 1);
  const Counts &c = *counts();
  alarm(0);  // as long as it takes; each process has its own limit
  const auto start = std::chrono::steady_clock::now();
  const std::function<bool(const std::vector<Item> &)> fails = [](const std::vector<Item> &items) {
    return !fuzz::in_a_process([&] { return run_items(items); }, 300).ok;
  };
  for (uint64_t done = 0, chunk = 0; done < cases; done += kChunk, ++chunk) {
    std::vector<Item> items =
        random_items(seed * 1000 + chunk, cases - done < kChunk ? cases - done : kChunk);
    const Counts before = c;
    fuzz::Ended ended = fuzz::in_a_process([&] { return run_items(items); }, 300);
    std::vector<Item> few;
    for (long dies = 1; !ended.ok; ++dies) {
      uint64_t deadly = c.directly;
      if (deadly == 0) {
        few = fuzz::shortest<Item>(items, fails, 60);
        if (few.size() != 1 || !dies_without_the_library(few)) break;
        deadly = few.front().number;
      }
      items.erase(std::remove_if(items.begin(), items.end(),
                                 [=](const Item &item) { return item.number == deadly; }),
                  items.end());
      *counts() = before;
      counts()->stock_dies += dies;
      ended = fuzz::in_a_process([&] { return run_items(items); }, 300);
    }
    if (ended.ok) continue;
    std::string text;
    for (const Item &item : few) {
      text += " " + std::to_string(item.number) + "/" + std::to_string(item.thread) + "/" +
              std::to_string(item.destroyed_on) + "/" + std::to_string(item.setting);
    }
    CHECK_TEXT(false, "seed " << seed << ", chunk " << chunk << ": " << ended.what);
    CHECK_TEXT(false, "the shortest that fails (case/thread/destroyed on/setting):"
                          << text << "\n"
                          << fuzz::in_a_process([&] { return run_items(few, true); }, 300).what);
    return;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  CHECK(c.cases + 20 * c.stock_dies >= static_cast<long>(cases) && c.hits > 0);
  CHECK(100 * c.stock_dies < c.cases);
  printf(
      "{\"mkldnn\": \"%s\", \"seed\": %llu, \"cases\": %ld, \"repeated\": %ld, \"refused\": %ld, "
      "\"stock_dies\": %ld, \"written_beside\": %ld, "
      "\"compared_bytes\": %ld, \"hits\": %ld, \"misses\": %ld, \"seconds\": %.1f, \"kinds\": {",
      Stats().text("mkldnn").c_str(), static_cast<unsigned long long>(seed), c.cases, c.repeated,
      c.refused, c.stock_dies, c.beside, c.bytes, c.hits, c.misses, elapsed.count());
  for (size_t i = 0; c.kinds[i][0] != '\0'; ++i) {
    printf("%s\"%s\": %ld", i > 0 ? ", " : "", c.kinds[i], c.kind_counts[i]);
  }
  printf("}}\n");
}
