// The table of a thread's descriptors, against a map that does the same slowly.
#include <map>
#include <memory>
#include <random>

#include "cache/descriptor_table.h"
#include "check.h"

namespace {

struct Record {
  uint64_t hash;
  int content;
};

typedef opcache::DescriptorTable<Record> Table;

Record *find(const Table &table, uint64_t hash, int content) {
  return table.find(hash, [&](const Record *r) { return r->content == content; });
}

}  // namespace

TEST(empty) {
  const Table table;
  CHECK(find(table, 1, 1) == nullptr);
}

TEST(equal_hashes_are_told_apart_by_content) {
  Table table;
  Record records[] = {{7, 1}, {7, 2}, {7 + 256, 3}};
  for (size_t i = 0; i < 3; ++i) {
    REQUIRE(table.reserve(i + 1));
    table.insert(&records[i]);
  }
  for (Record &r : records) CHECK(find(table, r.hash, r.content) == &r);
  CHECK(find(table, 7, 3) == nullptr);
  table.erase(&records[0]);
  CHECK(find(table, 7, 1) == nullptr);
  CHECK(find(table, 7, 2) == &records[1]);
  CHECK(find(table, 7 + 256, 3) == &records[2]);
}

// Few hashes: long runs of records that stand beside their places, around the end of the table.
TEST(random_against_a_map) {
  Table table;
  std::map<int, std::unique_ptr<Record>> model;
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
      table.insert((model[content] = std::make_unique<Record>(Record{hash, content})).get());
    }
  }
  for (const auto &entry : model) {
    CHECK(find(table, entry.second->hash, entry.first) == entry.second.get());
  }
}
