// Scope, capacity, pauses and clearing while the program runs: what is understood, and what each
// thread gives up, and when. What callers hold meanwhile is in test_changes.cc.
#include <string.h>

#include <memory>
#include <random>
#include <thread>

#include "opcache.h"
#include "workload.h"

using namespace workload;

namespace {

std::string scope() {
  char text[256];
  CHECK(mkldnn_opcache_get_scope(text, sizeof(text)) < sizeof(text));
  return text;
}

}  // namespace

TEST(scope_words, ASSUME) {
  CHECK_EQ(scope(), "all");
  for (const char *text : {"off", "backward", "activation", "lrn,activation,forward", "all"}) {
    set_scope(text);
    CHECK_EQ(scope(), text);
    CHECK_EQ(Stats().text("scope"), text);
    CHECK_EQ(Stats().text("active"), strcmp(text, "off") == 0 ? "false" : "true");
  }
  char cut[4] = "###";
  CHECK_EQ(mkldnn_opcache_get_scope(cut, 2), 3);
  CHECK_EQ(std::string(cut), "a");
  CHECK_EQ(mkldnn_opcache_get_scope(nullptr, 0), 3);
}

TEST(unknown_scopes_change_nothing, ASSUME) {
  set_scope("activation");
  const auto check_refused = [](const char *text, const char *wrong) {
    char word[32] = "untouched";
    CHECK_EQ(mkldnn_opcache_set_scope(text, word, sizeof(word)), 1);
    CHECK_EQ(std::string(word), wrong);
    CHECK_EQ(mkldnn_opcache_set_scope(text, nullptr, 0), 1);
  };
  for (const auto &wrong : kWrongScopes) check_refused(wrong.text, wrong.word);
  for (const char *nothing : {"", static_cast<const char *>(nullptr)}) check_refused(nothing, "");
  char word[4];
  CHECK_EQ(mkldnn_opcache_set_scope("bakward", word, sizeof(word)), 1);
  CHECK_EQ(std::string(word), "bak");
  std::string many = "lrn";
  while (many.size() < 256) many += ",lrn";
  CHECK_EQ(mkldnn_opcache_set_scope(many.c_str(), word, sizeof(word)), 2);
  CHECK_EQ(scope(), "activation");
  mkldnn_opcache_pause();
  mkldnn_opcache_resume();
  Engine engine;
  call(engine, kReluBackward, 4);
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 0);
}

TEST(capacities, ASSUME, CAPACITY(7)) {
  CHECK_EQ(mkldnn_opcache_get_capacity(), 7);
  for (const size_t n : {size_t(0), size_t(1), size_t(1) << 30}) {
    set_capacity(n);
    CHECK_EQ(mkldnn_opcache_get_capacity(), n);
    CHECK_EQ(Stats()["capacity"], n);
    CHECK_EQ(Stats().text("active"), n == 0 ? "false" : "true");
  }
  CHECK_EQ(mkldnn_opcache_set_capacity((size_t(1) << 30) + 1), 1);
  CHECK_EQ(mkldnn_opcache_get_capacity(), size_t(1) << 30);
}

// A wrong word in the environment leaves the cache off, not the program without a cache for good.
SCENE(on_after_a_wrong_word) {
  set_scope("all");
  Engine engine;
  call(engine, kReluBackward, 4);
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 0);
}

TEST(wrong_environment_can_be_mended, ASSUME) {
  for (const char *wrong : {SCOPE("bakward"), CAPACITY(x)}) {
    CHECK_EQ(check::run_scene("on_after_a_wrong_word", {ASSUME, wrong}).exit_code, 0);
  }
}

TEST(pauses_add_up, ASSUME) {
  Engine engine;
  call(engine, kReluBackward, 4);
  const auto made = [&] { return made_by_call(engine, kReluBackward, 4); };
  CHECK_EQ(mkldnn_opcache_resume(), 1);
  mkldnn_opcache_pause();
  mkldnn_opcache_pause();
  CHECK_EQ(made(), 1);
  CHECK_EQ(Stats().text("active"), "false");
  CHECK_EQ(Stats().text("scope"), "all");
  CHECK_EQ(mkldnn_opcache_resume(), 0);
  CHECK_EQ(made(), 1);
  // What is changed meanwhile counts afterwards.
  set_scope("pooling");
  CHECK_EQ(mkldnn_opcache_resume(), 0);
  CHECK_EQ(made(), 1);
  set_scope("all");
  CHECK_EQ(made(), 0);  // a pause drops nothing
  CHECK_EQ(mkldnn_opcache_resume(), 1);
  CHECK_EQ(made(), 0);
  check_no_misuse();
}

TEST(clear_drops_what_nobody_holds, ASSUME) {
  Engine engine;
  on_thread([&] {
    // A layout is older here than most descriptors that hold it.
    const auto fill = [&] {
      for (const What what : known_kinds()) {
        const Described pd(engine, what, 4);
        mkldnn_primitive_desc_query_pd(pd, mkldnn_query_src_pd, 0);
        Bound(engine, pd, 0).run();
      }
    };
    fill();
    auto pd = Described(engine, kReluBackward, 4);
    auto live = std::make_unique<Bound>(engine, pd, 10);
    { const Bound idle(engine, pd, 20); }
    CHECK(fake_live(kFakePrimitive) > 10);
    mkldnn_opcache_clear();
    CHECK_EQ(fake_live(kFakePrimitive), 1);
    CHECK_EQ(fake_live(kFakeDescriptor), 1);
    CHECK_EQ(Stats()["totals/evictions"], 0);
    CHECK_EQ(Stats()["totals/idle_primitives"], 0);
    CHECK_EQ(Stats()["totals/live_primitives"], 1);
    // What is held works on, and is kept when it is released.
    live->run(content(engine, kReluBackward, 4));
    live.reset();
    CHECK_EQ(made_by_running(engine, pd, 10), 0);
    pd.reset();
    // The cache fills again.
    CHECK_EQ(made_by_call(engine, kPoolingBackward, 4), 1);
    CHECK_EQ(made_by_call(engine, kPoolingBackward, 4), 0);
    fill();
    mkldnn_opcache_clear();
    check_none_lives();
    CHECK_EQ(fake_live(kFakeMemory), 0);
    CHECK_EQ(fake_live(kFakeMemoryDescriptor), 0);
    // Nothing points to the engine any more.
    engine.reset();
    CHECK_EQ(fake_live(kFakeEngine), 0);
  });
  check_all_gone();
}

// Each thread can destroy only its own: the others do so at their next call.
WORKER_TEST(clear_on_other_threads) {
  Pair sent_home;
  a.run([&] {
    call(engine, kReluBackward, 4);
    sent_home.make(engine, kPoolingBackward, 4, 0);
  });
  b.run([&] {
    call(engine, kReluBackward, 4);
    sent_home.reset();
  });
  CHECK_EQ(fake_live(kFakePrimitive), 3);
  b.run([] { mkldnn_opcache_clear(); });
  CHECK_EQ(fake_live(kFakePrimitive), 2);
  a.run([] { Stats(); });  // no call into MKL-DNN
  CHECK_EQ(fake_live(kFakePrimitive), 2);
  a.run([] { Stream stream(mkldnn_eager); });
  check_none_lives();
  // From a thread without a cache.
  a.run([&] { call(engine, kReluBackward, 4); });
  on_thread([] { mkldnn_opcache_clear(); });
  CHECK_EQ(fake_live(kFakePrimitive), 1);
  a.run([] { Stream stream(mkldnn_eager); });
  CHECK_EQ(fake_live(kFakePrimitive), 0);
  // A thread that comes later has nothing to drop.
  Worker c;
  c.run([&] { call(engine, kReluBackward, 4); });
  set_capacity(4000);
  c.run([&] { CHECK_EQ(made_by_call(engine, kReluBackward, 4), 0); });
}

// The real library may call exported functions back in the middle of a creation: what that creation
// stands on must not be dropped then, but afterwards.
WORKER_TEST(clear_in_the_middle_of_a_creation) {
  Described pd;
  a.run([&] { pd = Described(engine, kReluBackward, 4); });
  b.run([&] {
    call(engine, kPoolingBackward, 4);
    fake_on_primitive_create([] {
      on_thread([] { mkldnn_opcache_clear(); });
      mkldnn_primitive_desc_destroy(nullptr);
    });
    Bound bound(engine, pd, 0);
    fake_on_primitive_create(nullptr);
    bound.run(content(engine, kReluBackward, 4));
    CHECK_EQ(fake_live(kFakePrimitive), 1);  // the pooling went with the next call
  });
  a.run([&] { pd.reset(); });
}

CACHED_TEST(lower_capacity_evicts_the_least_recently_used, SCOPE("activation")) {
  std::vector<Described> all = described(engine, kReluBackward, 4, 12);
  const auto use = [&](size_t i) { return made_by_running(engine, all[i]); };
  for (size_t i = 0; i < all.size(); ++i) CHECK_EQ(use(i), 1);
  use(0);
  set_capacity(3);
  CHECK_EQ(fake_live(kFakePrimitive), 3);
  CHECK_EQ(Stats()["operators/_backward_Activation/evictions"], 5);
  for (const size_t kept : {0, 6, 7}) CHECK_EQ(use(kept), 0);
  CHECK_EQ(use(1), 1);
  CHECK_EQ(fake_live(kFakePrimitive), 3);
  set_capacity(8);
  for (size_t i = 2; i < 6; ++i) use(i);
  CHECK(fake_live(kFakePrimitive) > 3);
}

CACHED_TEST(lower_capacity_evicts_memory_objects) {
  {
    std::vector<Memory> many;
    for (int i = 0; i < 30; ++i) many.emplace_back(engine, image(4 + i % 3), buffer(i));
  }
  CHECK_EQ(fake_live(kFakeMemory), 30);
  set_capacity(10);
  CHECK_EQ(fake_live(kFakeMemory), 10);
  CHECK_EQ(fake_live(kFakeMemoryDescriptor), 3);
}

CACHED_TEST(lower_capacity_evicts_descriptors) {
  for (int n = 4; n < 40; ++n) {
    Memory(engine, image(n), buffer(0));  // older
    const Described pd(engine, kReluForward, n);
    mkldnn_primitive_desc_query_pd(pd, mkldnn_query_src_pd, 0);
  }
  set_capacity(10);
  CHECK(fake_live(kFakeDescriptor) + fake_live(kFakeMemoryDescriptor) <= 10);
  CHECK_EQ(Stats()["totals/descriptors"], 10);
  set_capacity(0);
  CHECK_EQ(fake_live(kFakeMemory), 0);
  CHECK_EQ(fake_live(kFakeDescriptor), 0);
  CHECK_EQ(fake_live(kFakeMemoryDescriptor), 0);
}

WORKER_TEST(lower_capacity_on_other_threads, SCOPE("activation")) {
  for (Worker *worker : {&a, &b}) {
    worker->run([&] { call_all(engine, kReluBackward, 4, 24); });
  }
  CHECK_EQ(fake_live(kFakePrimitive), 40);
  // This thread is the third to share what is left.
  call(engine, kReluBackward, 4);
  set_capacity(9);
  CHECK_EQ(fake_live(kFakePrimitive), 41);
  // Down to its share of 3 descriptors, hints among them, with their primitives.
  a.run([] { Stream stream(mkldnn_eager); });
  CHECK_EQ(fake_live(kFakePrimitive), 23);
  b.run([] { Stream stream(mkldnn_eager); });
  CHECK_EQ(Stats()["totals/descriptors"], 9);
  CHECK_EQ(fake_live(kFakePrimitive), 5);
  set_capacity(0);
  for (Worker *worker : {&a, &b}) worker->run([] { Stream stream(mkldnn_eager); });
  check_none_lives();
}

// Off, the first call of all: what the cache is made of must not need it to be on.
CACHED_TEST(on_after_a_start_with_capacity_0, CAPACITY(0)) {
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 1);
  set_capacity(10);
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 1);
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 0);
}

// Threads that train while one changes everything: everybody finds its own data and operation, and
// statistics are never negative.
TEST(changes_beside_work, ASSUME) {
  fake_reuse_addresses(1);
  Engine engine;
  auto beside = std::make_unique<Beside>(3, [&](int i, int n) {
    static thread_local Stream kept(mkldnn_eager);
    const What what = static_cast<What>((n + 5 * i) % kShuffle);
    const uint64_t expected = content(engine, what, 4 + n % 3);
    const Described pd(engine, what, 4 + n % 3);
    Bound bound(engine, pd, 1000 * i + n % 900);
    bound.run(expected);
    kept.submit(bound);
    bound.check_log(1000 * i + n % 900, expected);
  });
  std::mt19937 random(1);
  const char *const kScopes[] = {"off", "backward", "all", "activation,forward,reorder"};
  for (int i = 0; i < 2000; ++i) {
    switch (random() % 5) {
      case 0:
        set_scope(kScopes[random() % 4]);
        break;
      case 1:
        set_capacity(random() % 3 == 0 ? 0 : random() % 40);
        break;
      case 2:
        mkldnn_opcache_pause();
        std::this_thread::yield();
        CHECK_EQ(mkldnn_opcache_resume(), 0);
        break;
      case 3:
        mkldnn_opcache_clear();
        break;
      default:
        CHECK(!scope().empty());
        const Stats stats;
        for (const char *field : {"live_primitives", "idle_primitives", "descriptors"}) {
          const std::string path = std::string("totals/") + field;
          CHECK_TEXT(stats.has(path) && stats[path] < 1000, path << " " << stats.text(path));
        }
        if (i % 50 == 0) mkldnn_opcache_reset_stats();
    }
  }
  beside.reset();
  engine.reset();
  CHECK_EQ(fake_foreign_destroys(), 0);
  check_all_gone();
}

// A fork beside changes: the child can change on.
TEST(fork_beside_changes, ASSUME) {
  const Beside other(1, [](int, int) {
    set_scope("backward");
    set_scope("all");
  });
  for (int i = 0; i < 50; ++i) {
    check::in_child([] {
      set_scope("lrn");
      set_capacity(5);
      mkldnn_opcache_clear();
      CHECK_EQ(scope(), "lrn");
    });
  }
}
