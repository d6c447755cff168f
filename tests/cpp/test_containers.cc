// The library's containers: the list behind "least recently used", the lock-free map from handles
// to records and the table of a thread's descriptors, each against one that does the same slowly;
// the map also with readers beside writers.
#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cache/descriptor_table.h"
#include "cache/lru.h"
#include "cache/pointer_map.h"
#include "check.h"

namespace {

struct Item {
  int id;
  opcache::Link<Item> link;
  opcache::Link<Item> other;  // a second list through the same items must not interfere
};

typedef opcache::List<Item, &Item::link> Recency;

std::vector<int> ids(const Recency &list) {
  std::vector<int> forward, backward;
  for (Item *item = list.first(); item != nullptr; item = item->link.next) {
    forward.push_back(item->id);
  }
  for (Item *item = list.last(); item != nullptr; item = item->link.previous) {
    backward.push_back(item->id);
  }
  std::reverse(backward.begin(), backward.end());
  CHECK(forward == backward);
  return forward;
}

struct Record {
  const void *key;
};

typedef opcache::PointerMap<Record> Map;

// Addresses as a heap hands them out: multiples of 16, near each other.
const void *address(uint64_t i) { return reinterpret_cast<const void *>(0x7f0000000000 + 16 * i); }

struct Entry {
  uint64_t hash;
  int content;
};

typedef opcache::DescriptorTable<Entry> Table;

Entry *find(const Table &table, uint64_t hash, int content) {
  return table.find(hash, [&](const Entry *r) { return r->content == content; });
}

}  // namespace

TEST(empty) {
  Recency list;
  CHECK(list.first() == nullptr && list.last() == nullptr);
  static Map map;
  CHECK(map.find(address(1)) == nullptr);
  map.erase(address(1));
  CHECK(map.find(nullptr) == nullptr);
  CHECK(find(Table(), 1, 1) == nullptr);
}

TEST(order_is_most_recent_first) {
  Item items[3] = {{0, {}, {}}, {1, {}, {}}, {2, {}, {}}};
  Recency list;
  for (Item &item : items) list.push_front(&item);
  CHECK((ids(list) == std::vector<int>{2, 1, 0}));
  list.touch(&items[0]);
  CHECK((ids(list) == std::vector<int>{0, 2, 1}));
  list.touch(&items[0]);
  CHECK((ids(list) == std::vector<int>{0, 2, 1}));
  list.touch(&items[2]);
  CHECK((ids(list) == std::vector<int>{2, 0, 1}));
  list.remove(&items[0]);
  CHECK((ids(list) == std::vector<int>{2, 1}));
  list.remove(&items[1]);
  CHECK((ids(list) == std::vector<int>{2}));
  list.remove(&items[2]);
  CHECK(ids(list).empty());
}

TEST(two_lists_through_the_same_items) {
  Item items[2] = {{0, {}, {}}, {1, {}, {}}};
  Recency list;
  opcache::List<Item, &Item::other> other;
  for (Item &item : items) list.push_front(&item);
  other.push_front(&items[0]);
  other.remove(&items[0]);
  CHECK((ids(list) == std::vector<int>{1, 0}));
}

TEST(random_list_against_a_vector) {
  std::vector<Item> items(50);
  for (int i = 0; i < 50; ++i) items[static_cast<size_t>(i)].id = i;
  Recency list;
  std::vector<int> model;
  std::mt19937 random(1);
  for (int step = 0; step < 20000; ++step) {
    const int id = static_cast<int>(random() % items.size());
    Item *item = &items[static_cast<size_t>(id)];
    const auto at = std::find(model.begin(), model.end(), id);
    const bool listed = at != model.end();
    if (listed) model.erase(at);
    if (!listed) {
      list.push_front(item);
      model.insert(model.begin(), id);
    } else if (random() % 2 == 0) {
      list.touch(item);
      model.insert(model.begin(), id);
    } else {
      list.remove(item);
    }
    if (step % 10 == 0) REQUIRE(ids(list) == model);
  }
}

TEST(random_map_against_unordered_map) {
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

TEST(equal_hashes_are_told_apart_by_content) {
  Table table;
  Entry records[] = {{7, 1}, {7, 2}, {7 + 256, 3}};
  for (size_t i = 0; i < 3; ++i) {
    REQUIRE(table.reserve(i + 1));
    table.insert(&records[i]);
  }
  for (Entry &r : records) CHECK(find(table, r.hash, r.content) == &r);
  CHECK(find(table, 7, 3) == nullptr);
  table.erase(&records[0]);
  CHECK(find(table, 7, 1) == nullptr);
  CHECK(find(table, 7, 2) == &records[1]);
  CHECK(find(table, 7 + 256, 3) == &records[2]);
}

// Few hashes: long runs of records that stand beside their places, around the end of the table.
TEST(random_table_against_a_map) {
  Table table;
  std::map<int, std::unique_ptr<Entry>> model;
  std::mt19937 random(1);
  for (int step = 0; step < 20000; ++step) {
    const int content = static_cast<int>(random() % 700);
    const uint64_t hash = 250 + static_cast<uint64_t>(content % 9);
    const auto found = model.find(content);
    CHECK(find(table, hash, content) == (found != model.end() ? found->second.get() : nullptr));
    if (found != model.end()) {
      table.erase(found->second.get());
      model.erase(found);
    } else {
      REQUIRE(table.reserve(model.size() + 1));
      table.insert((model[content] = std::make_unique<Entry>(Entry{hash, content})).get());
    }
  }
  for (const auto &entry : model) {
    CHECK(find(table, entry.second->hash, entry.first) == entry.second.get());
  }
}
