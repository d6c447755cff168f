// Random calls of MKL-DNN 1.0 on three threads, one at a time, with addresses that are used again
// at once. Whatever is handed out must be what MKL-DNN creates for the same arguments, and whatever
// is executed must run with its caller's data. The same calls in every run.
#include <algorithm>
#include <deque>
#include <random>

#include "opcache.h"
#include "workload.h"

using namespace workload;

namespace {

struct Held {
  Described pd;
  uint64_t content;
  std::unique_ptr<Bound> bound;
};

class Fuzz {
 public:
  // `changes`: of settings, and hints that are not forward descriptors: some is passed through.
  Fuzz(mkldnn_engine_t engine, bool changes) : engine_(engine), changes_(changes), random_(7) {
    attrs_[1].create();
    attrs_[2].scale(0.5f);
    attrs_[3].post(PostOps().sum(1.0f));
  }
  // Needs a thread that lives on: each owns what it created.
  void step() {
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
        return describe();
      case 3:
        return walk();
      case 4:
        return clone();
      case 5:
      case 6:
        return create();
      case 7:
        for (Held &held : held_) {
          if (held.bound != nullptr) held.bound->run(held.content);
        }
        return;
      case 8:
        if (changes_ && below(8) == 0) return change();
        [[fallthrough]];
      default:
        drop();
    }
  }
  void end() { held_.clear(); }

 private:
  size_t below(size_t n) { return random_() % n; }
  template <class T, size_t n>
  const T &one_of(const T (&all)[n]) {
    return all[below(n)];
  }

  void keep(Described pd, uint64_t content) {
    CHECK_EQ(fake_content(pd), content);
    held_.push_back({std::move(pd), content, nullptr});
    if (held_.size() > 12) drop();
  }
  Held *any() { return held_.empty() ? nullptr : &held_[below(held_.size())]; }
  void drop() {
    if (!held_.empty()) held_.erase(held_.begin() + static_cast<long>(below(held_.size())));
  }

  uint64_t directly(const operation::OpDesc &d, const_mkldnn_primitive_attr_t attr,
                    const_mkldnn_primitive_desc_t hint) {
    mkldnn_primitive_desc_t pd = nullptr;
    CHECK_OK(api::direct().describe(&pd, &d, attr, engine_, hint));
    const uint64_t content = fake_content(pd);
    api::direct().primitive_desc_destroy(pd);
    return content;
  }
  // Any kind, with any attribute; a backward one with any hint there is, or none.
  void describe() {
    const What what = one_of({kReluForward, kReluBackward, kPoolingBackward, kBatchNormForward,
                              kConvolutionBackwardWeights, kReorder, kSum, kConcat});
    const int n = 4 + static_cast<int>(below(3));
    if (kRows[what].kind == operation::kKinds) {
      return keep(Described(engine_, what, n), content(engine_, what, n));
    }
    const operation::OpDesc d = op_desc(what, n);
    const Attr &attr = one_of(attrs_);
    Described forward(engine_, one_of({kReluForward, kBatchNormForward}), n);
    const Held *const held = changes_ && below(2) == 0 ? any() : nullptr;
    const_mkldnn_primitive_desc_t hint = held != nullptr ? held->pd.handle : forward.handle;
    if (below(4) == 0) hint = nullptr;
    keep(Described(engine_, d, hint, attr), directly(d, attr, hint));
  }
  void walk() {
    const operation::OpDesc d = op_desc(kReluForward, 4 + static_cast<int>(below(3)));
    const Attr &attr = one_of(attrs_);
    const Iterator it(engine_, d, attr);
    mkldnn_primitive_desc_iterator_t expected = nullptr;
    CHECK_OK(api::direct().primitive_desc_iterator_create(&expected, &d, attr, engine_, nullptr));
    for (size_t steps = below(4); steps > 0; --steps) {
      CHECK_EQ(it.next(), api::direct().primitive_desc_iterator_next(expected));
    }
    const mkldnn_primitive_desc_t pd = api::direct().primitive_desc_iterator_fetch(expected);
    Described got = it.fetch();
    CHECK_EQ(got.handle == nullptr, pd == nullptr);
    if (pd != nullptr) keep(std::move(got), fake_content(pd));
    api::direct().primitive_desc_destroy(pd);
    api::direct().primitive_desc_iterator_destroy(expected);
  }
  void clone() {
    const Held *const held = any();
    if (held != nullptr) keep(Described::clone_of(held->pd), held->content);
  }
  void create() {
    Held *const held = any();
    if (held == nullptr) return;
    held->bound = std::make_unique<Bound>(engine_, held->pd, static_cast<int>(below(1000)));
    held->bound->run(held->content);
  }
  void change() {
    switch (below(5)) {
      case 0:
        return set_scope(one_of({"all", "all", "backward", "reorder,sum", "off"}));
      case 1:
        return set_capacity(one_of({size_t(2), size_t(20), size_t(4096)}));
      case 2:
        return mkldnn_opcache_clear();
      default:
        fake_set_max_threads(1 + static_cast<int>(below(3)));
    }
  }

  mkldnn_engine_t engine_;
  const bool changes_;
  std::mt19937 random_;
  Attr attrs_[4];
  std::deque<Held> held_;
};

void fuzz(bool changes) {
  fake_reuse_addresses(1);
  Engine engine;
  {
    Worker workers[3];
    std::mt19937 random(7);
    Fuzz fuzz(engine, changes);
    for (int i = 0; i < 6000 && check::failures() < 5; ++i) {
      workers[random() % 3].run([&] { fuzz.step(); });
    }
    workers[0].run([&] { fuzz.end(); });
  }
  engine.reset();
  check_all_gone();
}

}  // namespace

TEST(random_calls, ASSUME) {
  fuzz(false);
  check_end();
  CHECK(Stats()["totals/primitives_avoided"] > 500);
}
TEST(random_calls_small_memory, ASSUME, MEMORY(40K)) {
  fuzz(false);
  check_end();
}
SCENE(changing_settings) { fuzz(true); }
TEST(random_calls_changing_settings) {
  check::run_well("changing_settings", {ASSUME}, check::passing_through("unknown_description"));
}
