#include "real_session.h"

#include <thread>

namespace real_session {

namespace {

constexpr mkldnn_alg_kind_t alg(int number) { return static_cast<mkldnn_alg_kind_t>(number); }

struct Release {
  const char *version;
  Formats formats;
  Algorithms algorithms;
};

const Algorithms kUpToV017 = {alg(8),  alg(9),  alg(17), alg(34), alg(40), alg(41),
                              alg(65), alg(71), alg(66), alg(10), alg(11), alg(12),
                              alg(13), alg(14), alg(15), alg(16)};
const Algorithms kFromV018 = {alg(31),   alg(47),  alg(175),  alg(511), alg(767), alg(1023),
                              alg(2815), alg(10),  alg(3071), alg(63),  alg(79),  alg(95),
                              alg(111),  alg(127), alg(143),  alg(159)};
const Release kReleases[] = {
    {"v0.14", {5, 6, 8, 13, 15, 36, 9}, kUpToV017},
    {"v0.17.4", {7, 8, 33, 12, 16, 22, 34}, kUpToV017},
    {"v0.19", {7, 8, 37, 12, 16, 23, 38}, kFromV018},
};

const Release &release() {
  static const Release &found = []() -> const Release & {
    const std::string version = Stats().text("mkldnn");
    for (const Release &r : kReleases) {
      if (version == r.version) return r;
    }
    check::fail(__FILE__, __LINE__, version + " has no numbers here");
    check::give_up();
  }();
  return found;
}

}  // namespace

const Formats &formats() { return release().formats; }
const Algorithms &algorithms() { return release().algorithms; }

mkldnn_memory_desc_t tensor(const Dims &dims, int format, mkldnn_data_type_t type) {
  mkldnn_memory_desc_t md;
  CHECK_OK(mkldnn_memory_desc_init(&md, static_cast<int>(dims.size()), dims.data(), type,
                                   static_cast<mkldnn_memory_format_t>(format)));
  return md;
}

mkldnn_memory_desc_t any(const Dims &dims) { return tensor(dims, mkldnn_any); }

mkldnn_engine_t engine() {
  static mkldnn_engine_t e = [] {
    mkldnn_engine_t made = nullptr;
    CHECK_OK(mkldnn_engine_create(&made, mkldnn_cpu, 0));
    return made;
  }();
  return e;
}

void compare(const char *op, const Case &run, const std::function<void()> &prepare_thread) {
  CHECK_EQ(Stats()["recognised"], 1);
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 2; ++i) {
    sessions.push_back(std::make_unique<Session>(direct()));
    run(sessions.back().get());
    if (sessions.back()->status() == mkldnn_unimplemented) {
      printf("%s: not implemented by %s: skipped\n", op, Stats().text("mkldnn").c_str());
      return;
    }
    CHECK_EQ(sessions.back()->status(), mkldnn_success);
  }
  const std::string expected = sessions[0]->bits();
  REQUIRE(!expected.empty());
  REQUIRE(sessions[1]->bits() == expected);  // else there is nothing to compare with
  const std::string path = std::string("operators/") + op;
  Stats before;
  for (int i = 0; i < 3; ++i) {
    before = Stats();
    Session cached(through());
    run(&cached);
    CHECK_EQ(cached.status(), mkldnn_success);
    CHECK_TEXT(cached.bits() == expected, op << " differs in cached run " << i);
    // Buffers of this run are freed with it: take their place, so that the next ones are elsewhere.
    sessions.push_back(std::make_unique<Session>(direct()));
    run(sessions.back().get());
  }
  const Stats after;
  for (const char *field : {"/primitives_created", "/descriptors_created"}) {
    CHECK_EQ(after[path + field], before[path + field]);
    CHECK_EQ(after[std::string("totals") + field], before[std::string("totals") + field]);
  }
  CHECK(after[path + "/primitives_avoided"] > before[path + "/primitives_avoided"]);
  CHECK(after[path + "/descriptors_avoided"] > before[path + "/descriptors_avoided"]);
  CHECK(after[path + "/primitives_created"] > 0);
  // And on threads, where everything is made anew and destroyed at their end.
  for (int i = 0; i < 2; ++i) {
    std::thread([&] {
      prepare_thread();
      Session other(through());
      run(&other);
      CHECK(other.bits() == expected);
    }).join();
  }
}

int some_channels() {
  mkldnn_memory_desc_t md;
  const int dims[] = {2, 3, 5, 5};
  const auto format = static_cast<mkldnn_memory_format_t>(formats().nChw8c);
  return mkldnn_memory_desc_init(&md, 4, dims, mkldnn_f32, format) == mkldnn_success ? 3 : 8;
}

}  // namespace real_session
