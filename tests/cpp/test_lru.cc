// The list behind "least recently used", against a vector that does the same slowly.
#include <algorithm>
#include <random>
#include <vector>

#include "cache/lru.h"
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

}  // namespace

TEST(empty) {
  Recency list;
  CHECK(list.first() == nullptr);
  CHECK(list.last() == nullptr);
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

TEST(random_against_a_vector) {
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
