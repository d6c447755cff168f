// The lock-free map from handles to records: against std::unordered_map, then with readers beside
// writers.
#include <string.h>

#include <atomic>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cache/pointer_map.h"
#include "check.h"

namespace {

struct Record {
  const void *key;
};

typedef opcache::PointerMap<Record> Map;

// Addresses as a heap hands them out: multiples of 16, near each other.
const void *address(uint64_t i) { return reinterpret_cast<const void *>(0x7f0000000000 + 16 * i); }

}  // namespace

TEST(empty) {
  static Map map;
  CHECK(map.find(address(1)) == nullptr);
  map.erase(address(1));
  CHECK(map.find(nullptr) == nullptr);
}

TEST(random_against_unordered_map) {
  static Map map;
  std::unordered_map<const void *, Record *> model;
  std::vector<Record> records(6000);
  for (size_t i = 0; i < records.size(); ++i) records[i].key = address(i);
  std::mt19937 random(2);
  for (int step = 0; step < 300000; ++step) {
    // In waves, so that it fills beyond the first table and empties again.
    const size_t range = (step / 50000) % 2 == 0 ? records.size() : 100;
    Record *record = &records[random() % range];
    const auto found = model.find(record->key);
    CHECK_EQ(map.find(record->key), found != model.end() ? found->second : nullptr);
    if (found == model.end()) {
      CHECK(map.insert(record->key, record));
      model[record->key] = record;
    } else if (random() % 3 != 0) {
      map.erase(record->key);
      model.erase(found);
    }
    if (step % 30000 == 0) {
      for (Record &r : records) {
        REQUIRE(map.find(r.key) == (model.count(r.key) != 0 ? &r : nullptr));
      }
    }
  }
}

TEST(colliding_keys_survive_each_others_erasure) {
  // Every subset of a run of neighbours, erased in every rotation.
  const int kRun = 6;
  static Map map;
  Record records[kRun];
  for (int i = 0; i < kRun; ++i)
    records[i].key = address(1u << 20 | static_cast<unsigned>(i) << 16);
  for (int subset = 0; subset < 1 << kRun; ++subset) {
    for (int rotation = 0; rotation < kRun; ++rotation) {
      for (Record &r : records) map.insert(r.key, &r);
      for (int i = 0; i < kRun; ++i) {
        const int j = (i + rotation) % kRun;
        if ((subset >> j & 1) != 0) map.erase(records[j].key);
      }
      for (int j = 0; j < kRun; ++j) {
        Record *expected = (subset >> j & 1) != 0 ? nullptr : &records[j];
        CHECK_EQ(map.find(records[j].key), expected);
        map.erase(records[j].key);
      }
    }
  }
}

// Readers hold their own keys, which stay, while writers insert and erase others around them.
TEST(readers_beside_writers) {
  static Map map;
  const size_t kHeld = 200, kChurn = 3000;
  std::vector<Record> held(kHeld), churn(kChurn);
  for (size_t i = 0; i < kHeld; ++i) {
    held[i].key = address(17 * i);
    REQUIRE(map.insert(held[i].key, &held[i]));
  }
  for (size_t i = 0; i < kChurn; ++i) churn[i].key = address(100000 + 3 * i);
  std::atomic<bool> stop(false);
  std::atomic<long> wrong(0), reads(0);
  std::vector<std::thread> threads;
  for (unsigned reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&, reader] {
      std::mt19937 random(reader);
      long n = 0;
      while (!stop.load()) {
        Record *record = &held[random() % kHeld];
        if (map.find(record->key) != record) ++wrong;
        // A handle of the real library: never ours.
        if (map.find(address(1000000 + random() % 1000)) != nullptr) ++wrong;
        ++n;
      }
      reads += n;
    });
  }
  for (unsigned writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      // Each writer has its own half of the keys, as each handle has one holder.
      std::mt19937 random(10 + writer);
      std::vector<bool> in(kChurn);
      for (int step = 0; step < 60000; ++step) {
        const size_t i = 2 * (random() % (kChurn / 2)) + writer;
        if (in[i]) {
          map.erase(churn[i].key);
        } else if (!map.insert(churn[i].key, &churn[i])) {
          ++wrong;
        }
        in[i] = !in[i];
        if ((map.find(churn[i].key) == &churn[i]) != in[i]) ++wrong;
      }
    });
  }
  threads[2].join();
  threads[3].join();
  stop = true;
  threads[0].join();
  threads[1].join();
  CHECK_EQ(wrong.load(), 0);
  CHECK(reads.load() > 0);
}
