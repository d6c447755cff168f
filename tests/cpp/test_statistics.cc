// The report: its numbers are the fake's, and each process leaves its own.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>

#include "folder.h"
#include "opcache.h"
#include "workload.h"

using namespace workload;

namespace {

const char kCreated[] = "operators/_backward_Activation/primitives_created";

}  // namespace

SCENE(work) { call_three_times(); }

SCENE(work_and_fork) {
  call_three_times();
  if (fork() == 0) exit(0);  // runs destructors
  sleep(1);
}

SCENE(nothing) {}

CACHED_TEST(numbers_are_the_fakes, "MKLDNN_OPCACHE_CAPACITY=9") {
  long calls = 0;
  for (int round = 0; round < 4; ++round) {
    for (const What what : known_kinds()) {
      call(engine, what, 4 + round % 2);
      ++calls;
    }
  }
  Described held(engine, kReluBackward, 4);
  Bound live(engine, held, 0);
  ++calls;
  const Stats stats;
  // Of a field, over all operators.
  const auto sum = [&](const std::string &field) {
    double all = 0;
    for (const auto &member : stats.document) {
      const std::string &path = member.first;
      const size_t at = path.rfind("/" + field);
      const bool of_operator = path.compare(0, 10, "operators/") == 0 && at != std::string::npos;
      if (of_operator && at + 1 + field.size() == path.size()) all += member.second.number;
    }
    return all;
  };
  const auto without_memory = [&](const std::string &field) {
    return sum(field) - stats["operators/memory/" + field];
  };
  const double created = without_memory("primitives_created");
  CHECK_EQ(created, fake_created(kFakePrimitive));
  CHECK_EQ(created + without_memory("primitives_avoided"), calls);
  CHECK(without_memory("evictions") > 0);
  CHECK_EQ(stats["totals/live_primitives"], 1);
  CHECK_EQ(stats["totals/idle_primitives"], fake_live(kFakePrimitive) - 1);
  CHECK_EQ(stats["totals/descriptors"],
           fake_live(kFakeDescriptor) + fake_live(kFakeMemoryDescriptor));
  CHECK_EQ(stats["schema"], 1);
  CHECK_EQ(stats.text("mkldnn"), "v0.17.4");
  CHECK_EQ(stats.text("scope"), "all");
  CHECK_EQ(stats["recognised"], 1);
  CHECK_EQ(stats["active"], 1);
  CHECK_EQ(stats["capacity"], 9);
  CHECK_EQ(stats.text("build_id").size(), 40);
  CHECK(stats["totals/create_ns"] > 0);
  CHECK(stats["totals/destroy_ns"] > 0);
  CHECK(stats["totals/avoided_ns"] > 0);
  CHECK(stats["totals/cache_ns"] > 0);
  // The totals are sums.
  for (const char *field : {"primitives_avoided", "primitives_created", "descriptors_avoided",
                            "descriptors_created", "evictions"}) {
    CHECK_EQ(stats[std::string("totals/") + field], sum(field));
  }
}

TEST(reset_counts_from_zero_and_keeps_the_cache, ASSUME) {
  Engine engine;
  call(engine, kReluBackward, 4);
  mkldnn_opcache_reset_stats();
  CHECK_EQ(Stats()["totals/primitives_created"], 0);
  CHECK_EQ(Stats()["totals/idle_primitives"], 1);
  CHECK_EQ(made_by_call(engine, kReluBackward, 4), 0);
  CHECK_EQ(Stats()["operators/_backward_Activation/primitives_avoided"], 1);
  // What threads that ended did stays counted, and can be reset too.
  on_thread([&] { call(engine, kReluBackward, 4); });
  CHECK_EQ(Stats()[kCreated], 1);
  mkldnn_opcache_reset_stats();
  CHECK_EQ(Stats()["totals/primitives_created"], 0);
}

TEST(any_buffer_size, ASSUME) {
  call_three_times();
  const size_t needed = mkldnn_opcache_stats_json(nullptr, 0);
  CHECK(needed > 100);
  for (const size_t size : {size_t(1), size_t(2), size_t(10), size_t(100), needed / 2, needed}) {
    std::string text(size + 8, '#');
    const size_t length = mkldnn_opcache_stats_json(&text[0], size);
    // The times move on, so the length may by a few digits.
    CHECK(length + 40 > needed && length < needed + 40);
    CHECK_EQ(strlen(text.c_str()), std::min(length, size - 1));
    CHECK_EQ(text.substr(size), "########");
  }
}

TEST(stderr_at_exit) {
  const check::Outcome outcome = check::run_scene("work", {ASSUME, "MKLDNN_OPCACHE_STATS=stderr"});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(Stats(outcome.err)[kCreated], 1);
}

TEST(process_id_in_the_name, ASSUME) {
  Folder folder;
  check::run_well("work_and_fork", {ASSUME, "MKLDNN_OPCACHE_STATS=" + folder.path + "/a-%p.json"});
  // One file of the parent's, one of the child's, which did nothing itself.
  for (const auto &file : std::filesystem::directory_iterator(folder.path)) {
    folder.files.push_back(file.path().filename());
  }
  REQUIRE(folder.files.size() == 2);
  double created = 0;
  for (const std::string &file : folder.files) {
    CHECK_EQ(file.compare(0, 2, "a-"), 0);
    const Stats stats(read(folder.path + "/" + file));
    if (stats.has(kCreated)) created += stats[kCreated];
  }
  CHECK_EQ(created, 1);
}

// A child without a name of its own leaves the file to its parent.
TEST(forked_child_does_not_write_its_parents_file, ASSUME) {
  const Folder folder({"stats.json"});
  const std::string path = folder.path + "/stats.json";
  check::run_well("work_and_fork", {ASSUME, "MKLDNN_OPCACHE_STATS=" + path});
  CHECK_EQ(Stats(read(path))[kCreated], 1);
}

TEST(silent_by_default) {
  for (const char *scene : {"work", "nothing"}) CHECK_EQ(check::run_well(scene, {ASSUME}), "");
}
