// A random walk over the C API on one thread, against a model that knows what each execution must
// look like: which operation, and which data, at that moment. Addresses of what was destroyed are
// handed out again at once. The seed is in the failure's text.
#include <array>
#include <memory>
#include <random>

#include "opcache.h"
#include "workload.h"

using namespace workload;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

namespace {

class Walk {
 public:
  Walk(mkldnn_engine_t engine, unsigned seed, bool unsteady)
      : engine_(engine), random_(seed), unsteady_(unsteady) {
    for (int what = 0; what < kShuffle; ++what) {
      for (int n = 0; n < kSizes; ++n) {
        contents_[static_cast<size_t>(what)][static_cast<size_t>(n)] =
            content(engine, static_cast<What>(what), 4 + n);
      }
    }
  }

  ~Walk() {
    streams_.clear();
    primitives_.clear();
    for (const Handle &h : handles_) CHECK_OK(mkldnn_primitive_desc_destroy(h.pd));
    for (mkldnn_primitive_desc_t pd : layouts_) CHECK_OK(mkldnn_primitive_desc_destroy(pd));
    while (mkldnn_opcache_resume() == 0) continue;
  }

  void step() {
    if (unsteady_ && pick(4) == 0) change_settings();
    switch (pick(12)) {
      case 0:
      case 1:
        describe_one();
        break;
      case 2:
        if (!handles_.empty()) clone(handles_[pick(handles_.size())]);
        break;
      case 3:
        if (handles_.size() > 5) destroy_handle();
        break;
      case 4:
      case 5:
        if (!handles_.empty()) create_primitive(handles_[pick(handles_.size())]);
        break;
      case 6:
        if (!primitives_.empty() && streams_.empty()) {
          primitives_.erase(primitives_.begin() + static_cast<long>(pick(primitives_.size())));
        }
        break;
      case 7:
        if (!primitives_.empty()) move(*primitives_[pick(primitives_.size())]);
        break;
      case 8:
        if (!primitives_.empty()) primitives_[pick(primitives_.size())]->run();
        break;
      case 9:
        submit_many();
        break;
      case 10:
        rerun_or_end();
        break;
      default:
        if (!handles_.empty()) ask_for_layout(handles_[pick(handles_.size())]);
    }
    if (layouts_.size() > 10) {
      CHECK_OK(mkldnn_primitive_desc_destroy(layouts_.front()));
      layouts_.erase(layouts_.begin());
    }
  }

 private:
  static const int kSizes = 3;

  struct Handle {
    mkldnn_primitive_desc_t pd;
    uint64_t content;
  };

  // A primitive with where its memory objects point.
  struct Live {
    Live(mkldnn_engine_t engine, const Handle &h, int first)
        : bound(engine, h.pd, first), content(h.content) {
      for (size_t i = 0; i < bound.memories.size(); ++i) {
        data.push_back(buffer(first + static_cast<int>(i)));
      }
    }
    void check(const FakeExecution &e) const {
      CHECK_EQ(e.content, content);
      CHECK_EQ(e.inputs + e.outputs, data.size());
      for (size_t i = 0; i < data.size(); ++i) CHECK_EQ(e.data[i], data[i]);
    }
    void run() {
      Stream stream(mkldnn_eager);
      stream.submit(bound.handle);
      stream.wait();
      check(fake_execution(fake_executions() - 1));
    }
    Bound bound;
    uint64_t content;
    std::vector<void *> data;
  };

  struct Running {
    explicit Running(mkldnn_stream_kind_t kind) : stream(kind) {}
    Stream stream;
    std::vector<Live *> submitted;
    bool waited = false;
    bool lazy = false;
  };

  size_t pick(size_t n) { return random_() % n; }

  void describe_one() {
    const int what = static_cast<int>(pick(kShuffle)), n = static_cast<int>(pick(kSizes));
    Handle h = {nullptr, contents_[static_cast<size_t>(what)][static_cast<size_t>(n)]};
    CHECK_OK(describe(engine_, static_cast<What>(what), 4 + n, &h.pd));
    CHECK_EQ(fake_content(h.pd), h.content);
    handles_.push_back(h);
  }

  void clone(const Handle &h) {
    Handle c = h;
    CHECK_OK(mkldnn_primitive_desc_clone(&c.pd, h.pd));
    CHECK_EQ(fake_content(c.pd), c.content);
    handles_.push_back(c);
  }

  void destroy_handle() {
    const size_t i = pick(handles_.size());
    CHECK_OK(mkldnn_primitive_desc_destroy(handles_[i].pd));
    handles_.erase(handles_.begin() + static_cast<long>(i));
  }

  void create_primitive(const Handle &h) {
    if (primitives_.size() > 12) return;
    primitives_.push_back(std::make_unique<Live>(engine_, h, static_cast<int>(pick(1000)) * 10));
  }

  void move(Live &live) {
    const size_t i = pick(live.data.size());
    live.data[i] = buffer(static_cast<int>(pick(10000)));
    live.bound.memories[i]->point_to(live.data[i]);
  }

  void change_settings() {
    static const char *const kScopes[] = {"off", "backward", "all", "reorder,pooling",
                                          "deconvolution,activation,forward"};
    static const size_t kCapacities[] = {0, 1, 5, 50, 4096};
    switch (pick(5)) {
      case 0:
        CHECK_EQ(mkldnn_opcache_set_scope(kScopes[pick(5)], nullptr, 0), 0);
        break;
      case 1:
        CHECK_EQ(mkldnn_opcache_set_capacity(kCapacities[pick(5)]), 0);
        break;
      case 2:
        mkldnn_opcache_pause();
        break;
      case 3:
        mkldnn_opcache_resume();
        break;
      default:
        mkldnn_opcache_clear();
    }
  }

  void submit_many() {
    if (primitives_.empty()) return;
    if (streams_.empty() || streams_.back()->waited) {
      const bool lazy = pick(2) == 0;
      streams_.push_back(std::make_unique<Running>(lazy ? mkldnn_lazy : mkldnn_eager));
      streams_.back()->lazy = lazy;
    }
    Running &running = *streams_.back();
    std::vector<mkldnn_primitive_t> handles;
    const size_t before = running.submitted.size();
    for (size_t i = 0; i < 1 + pick(9); ++i) {
      running.submitted.push_back(primitives_[pick(primitives_.size())].get());
      handles.push_back(running.submitted.back()->bound.handle);
    }
    const long log = fake_executions();
    CHECK_OK(mkldnn_stream_submit(running.stream.handle, handles.size(), handles.data(), nullptr));
    check_all(running, before, log, running.lazy ? 0 : handles.size());
  }

  void rerun_or_end() {
    if (streams_.empty()) return;
    Running &running = *streams_.back();
    const long log = fake_executions();
    if (!running.waited) {
      running.stream.wait();
      running.waited = true;
      check_all(running, 0, log, running.lazy ? running.submitted.size() : 0);
    } else if (pick(3) != 0) {
      CHECK_OK(mkldnn_stream_rerun(running.stream.handle, nullptr));
      check_all(running, 0, log, running.submitted.size());
    } else {
      streams_.pop_back();
    }
  }

  // The last `count` executions are those of the stream's primitives from `first` on.
  void check_all(const Running &running, size_t first, long log, size_t count) {
    CHECK_EQ(fake_executions() - log, count);
    for (size_t i = 0; i < count; ++i) {
      running.submitted[first + i]->check(fake_execution(log + static_cast<long>(i)));
    }
  }

  void ask_for_layout(const Handle &h) {
    const mkldnn_query_t kQueries[] = {mkldnn_query_src_pd, mkldnn_query_weights_pd,
                                       mkldnn_query_dst_pd, mkldnn_query_workspace_pd};
    const mkldnn_query_t query = kQueries[pick(4)];
    const const_mkldnn_primitive_desc_t answer = mkldnn_primitive_desc_query_pd(h.pd, query, 0);
    if (answer == nullptr) return;
    mkldnn_primitive_desc_t clone = nullptr;
    CHECK_OK(mkldnn_primitive_desc_clone(&clone, answer));
    CHECK_EQ(fake_content(clone), fake_content(answer));
    layouts_.push_back(clone);
  }

  mkldnn_engine_t engine_;
  std::mt19937 random_;
  bool unsteady_;
  std::array<std::array<uint64_t, kSizes>, kShuffle> contents_;
  std::vector<Handle> handles_;
  std::vector<mkldnn_primitive_desc_t> layouts_;
  std::vector<std::unique_ptr<Live>> primitives_;
  std::vector<std::unique_ptr<Running>> streams_;
};

void walk(unsigned first_seed, bool unsteady = false) {
  fake_reuse_addresses(1);
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  for (unsigned seed = first_seed; seed < first_seed + 4; ++seed) {
    on_thread([&] {
      Walk w(engine, seed, unsteady);
      for (int step = 0; step < 3000; ++step) {
        w.step();
        if (check::failures() > 0 || fake_misuses() > 0) {
          CHECK_TEXT(false, "seed " << seed << ", step " << step << ": " << fake_misuse());
          break;
        }
      }
    });
    CHECK_EQ(fake_live(kFakePrimitive), 0);
  }
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

}  // namespace

TEST(default_settings, ASSUME) { walk(100); }
TEST(capacity_0, ASSUME, "MKLDNN_OPCACHE_CAPACITY=0") { walk(200); }
TEST(capacity_1, ASSUME, "MKLDNN_OPCACHE_CAPACITY=1") { walk(300); }
TEST(capacity_5, ASSUME, "MKLDNN_OPCACHE_CAPACITY=5") { walk(400); }
TEST(capacity_50, ASSUME, "MKLDNN_OPCACHE_CAPACITY=50") { walk(500); }
TEST(scope_backward, ASSUME, "MKLDNN_OPCACHE=backward", "MKLDNN_OPCACHE_CAPACITY=10") { walk(600); }
TEST(scope_list, ASSUME, "MKLDNN_OPCACHE=deconvolution,reorder,pooling") { walk(700); }
TEST(scope_off, ASSUME, "MKLDNN_OPCACHE=off") { walk(800); }
TEST(changing_settings, ASSUME) { walk(900, true); }
TEST(changing_settings_from_off, ASSUME, "MKLDNN_OPCACHE=off") { walk(1000, true); }
