// What the library hands out of MKL-DNN 1.0 behaves as MKL-DNN's own; what it does not understand,
// and what goes wrong, goes through it unchanged.
#include <dlfcn.h>
#include <string.h>

#include <functional>
#include <string>
#include <vector>

#include "allocations.h"
#include "everything_twice.h"

using namespace workload;

namespace {

// Descriptors that are really created by so many calls, each of which gives the right one.
long created_by(int calls, mkldnn_engine_t engine, const operation::OpDesc &d,
                const_mkldnn_primitive_attr_t attr) {
  Described expected;
  CHECK_OK(api::direct().describe(&expected.handle, &d, attr, engine, nullptr));
  return descriptors_made_by([&] {
    for (int i = 0; i < calls; ++i) {
      const Described pd(engine, d, nullptr, attr);
      CHECK_EQ(fake_content(pd), fake_content(expected));
      Bound(engine, pd, 10 * i).run(fake_content(expected));
    }
  });
}

}  // namespace

// Each of them is created anew each time. One of a known description beside them still hits.
CACHED_SCENE(strange_descriptions) {
  const operation::OpDesc plain = op_desc(kReluForward, 4);
  created_by(1, engine, plain, nullptr);
  const std::vector<std::function<void(mkldnn_memory_desc_t *)>> changes = {
      [](mkldnn_memory_desc_t *md) { md->extra.flags = 1; },
      [](mkldnn_memory_desc_t *md) { md->extra.flags = 1u << 31; },
      [](mkldnn_memory_desc_t *md) { md->extra.flags = uint64_t(1) << 32; },
      [](mkldnn_memory_desc_t *md) { md->format_kind = mkldnn_format_kind_wino; },
      [](mkldnn_memory_desc_t *md) { md->format_kind = mkldnn_format_kind_rnn_packed; },
      [](mkldnn_memory_desc_t *md) { md->format_kind = static_cast<mkldnn_format_kind_t>(5); },
  };
  for (const auto &change : changes) {
    operation::OpDesc d = plain;
    change(&d.eltwise.data_desc);
    CHECK_EQ(created_by(2, engine, d, nullptr), 2);
  }
  const Attr user = std::move(Attr().scratchpad(mkldnn_scratchpad_mode_user));
  CHECK_EQ(created_by(2, engine, plain, user), 2);
  CHECK_EQ(created_by(2, engine, plain, nullptr), 0);
  CHECK_EQ(Stats()["bypasses/unknown_description"], 2 * changes.size() + 2);
}

TEST(strange_descriptions_are_passed_through) {
  check::run_well("strange_descriptions", {ASSUME}, check::passing_through("unknown_description"));
}

// What the functions for RNNs set can be asked by nobody. All of their arguments arrive.
CACHED_SCENE(rnn_attributes) {
  const operation::OpDesc relu = op_desc(kReluForward, 4);
  const float scales[] = {0.5f, 2.0f};
  for (int setter = 0; setter < 2; ++setter) {
    const Attr attr = std::move(Attr().create()), twin = std::move(Attr().create());
    if (setter == 0) CHECK_EQ(created_by(2, engine, relu, attr), 1);
    const auto set = [&](const api::Api &a, const Attr &to) {
      CHECK_OK(setter == 0 ? a.primitive_attr_set_rnn_data_qparams(to, 2.0f, 0.5f)
                           : a.primitive_attr_set_rnn_weights_qparams(to, 2, 1, scales));
    };
    set(api::through(), attr);
    set(api::direct(), twin);
    CHECK_EQ(created_by(2, engine, relu, attr), 2);
    Described expected;
    CHECK_OK(api::direct().describe(&expected.handle, &relu, twin, engine, nullptr));
    CHECK_EQ(fake_content(Described(engine, relu, nullptr, attr)), fake_content(expected));
    CHECK_EQ(fake_content(Iterator(engine, relu, attr).fetch()), fake_content(expected));
  }
  created_by(1, engine, relu, nullptr);
  CHECK_EQ(created_by(2, engine, relu, nullptr), 0);  // one without attributes hits as ever
}

TEST(rnn_attributes_are_passed_through) {
  check::run_well("rnn_attributes", {ASSUME}, check::passing_through("unknown_description"));
}

// The layouts that a descriptor tells of are there as long as a handle of it is.
CACHED_TEST(queries_of_shared_descriptors) {
  Described first(engine, kConvolutionForward, 4), second(engine, kConvolutionForward, 4),
      clone = Described::clone_of(first);
  CHECK_EQ(first, second);
  for (const mkldnn_query_t what : {mkldnn_query_src_md, mkldnn_query_weights_md}) {
    const mkldnn_memory_desc_t *md = mkldnn_primitive_desc_query_md(first, what, 0),
                               *same = nullptr;
    REQUIRE(md != nullptr);
    CHECK_EQ(md->dims[1], 3);
    CHECK_OK(mkldnn_primitive_desc_query(second, what, 0, &same));
    CHECK_EQ(md, same);
  }
  const mkldnn_memory_desc_t *md = mkldnn_primitive_desc_query_md(first, mkldnn_query_dst_md, 0);
  first.reset();
  second.reset();
  mkldnn_opcache_clear();
  CHECK_EQ(md->dims[2], 4);
  const Primitive primitive(clone);
  CHECK_EQ(content_behind(primitive), fake_content(clone));
}

// One primitive executes with each caller's arguments; several live ones are several.
CACHED_TEST(arguments_of_each_execution) {
  const Described relu(engine, kReluBackward, 4);
  const uint64_t expected = content(engine, kReluBackward, 4);
  for (const int made : {2, 0}) {
    CHECK_EQ(primitives_made_by([&] {
               Bound a(engine, relu, 10), b(engine, relu, 20);
               CHECK(a.handle != b.handle);
               for (Bound *bound : {&a, &b, &a}) bound->run(expected);
               a.arguments.swap(b.arguments);
               std::swap(a.first, b.first);
               for (Bound *bound : {&a, &b}) bound->run(expected);
             }),
             made);
  }
}

// A failure comes back as it is, hands out nothing, is not remembered and leaves nothing behind.
CACHED_TEST(failures_of_mkldnn) {
  const struct {
    const char *function;
    What what;
  } kRows[] = {{"primitive_desc_create", kConvolutionForward},
               {"reorder_primitive_desc_create", kReorder},
               {"sum_primitive_desc_create", kSum},
               {"concat_primitive_desc_create", kConcat}};
  for (const auto &row : kRows) {
    for (const mkldnn_status_t status :
         {mkldnn_out_of_memory, mkldnn_unimplemented, mkldnn_runtime_error}) {
      fake_fail(row.function, 1, 0, status);
      mkldnn_primitive_desc_t pd = nullptr;
      CHECK_EQ(describe(engine, row.what, 4, &pd), status);
      CHECK(pd == nullptr);
    }
    fake_stop_failing();
    const Described pd(engine, row.what, 4);
    fake_fail("primitive_create", 1, 1, mkldnn_out_of_memory);
    mkldnn_primitive_t primitive = nullptr;
    CHECK_EQ(mkldnn_primitive_create(&primitive, pd), mkldnn_out_of_memory);
    CHECK(primitive == nullptr);
    fake_stop_failing();
    Bound(engine, pd, 0).run(content(engine, row.what, 4));
    CHECK_EQ(made_by_call(engine, row.what, 4), 0);
  }
  const operation::OpDesc relu = op_desc(kReluForward, 4);
  fake_fail("primitive_desc_iterator_create", 1, 0, mkldnn_out_of_memory);
  Iterator it;
  CHECK_EQ(it.create(engine, relu), mkldnn_out_of_memory);
  CHECK(it.handle == nullptr);
  const Iterator good(engine, relu);
  CHECK_EQ(fake_content(good.fetch()), content(engine, kReluForward, 4));
}

// The library's own memory is short: each of its allocations in turn, once and for good. Callers
// see nothing of it, and afterwards everything is cached as ever.
static void own_allocations_fail(bool shadowing) {
  REQUIRE(allocations::watch() > 5);
  Engine engine;
  for (const What what : {kReluBackward, kConvolutionBackwardWeights, kReorder, kSum, kConcat}) {
    for (const int variant : {0, 1, 2, 3}) {
      bool failed = true;
      for (long nth = 1; failed; ++nth) {
        on_thread([&] {
          const operation::OpDesc relu = op_desc(kReluForward, 4);
          const auto use = [&] {
            Bound(engine, Described(engine, what, 4), 0).execute();
            CHECK_EQ(last_execution().content, content(engine, what, 4));
          };
          if (variant & 1) use();
          const long before = allocations::failed();
          allocations::fail(nth, (variant & 2) != 0);
          use();
          const Described pd = Iterator(engine, relu).fetch();
          CHECK_EQ(fake_content(pd), content(engine, kReluForward, 4));
          failed = allocations::failed() > before;
          allocations::stop();
          use();
          if (!shadowing) CHECK_EQ(primitives_made_by(use), 0);
        });
        check_no_misuse();
        CHECK_EQ(std::string(fake_left()), "");
        if (check::failures() > 0) return;
      }
    }
  }
}

TEST(own_allocations_fail, ASSUME) { own_allocations_fail(false); }
TEST(own_allocations_of_shadows_fail, ASSUME, SHADOW(1)) { own_allocations_fail(true); }

// An OpenMP runtime in front of the one that MKL-DNN is linked to: MKL-DNN asks this one.
static int g_threads = 0;  // 0: as many as the other says
extern "C" int omp_get_max_threads() {
  static const auto other = reinterpret_cast<int (*)()>(dlsym(RTLD_NEXT, "omp_get_max_threads"));
  return g_threads > 0 ? g_threads : other();
}

CACHED_TEST(runtime_that_mkldnn_asks) {
  for (const int made : {1, 0}) {
    for (const int threads : {3, 5, 0}) {
      g_threads = threads;
      CHECK_EQ(primitives_made_by([&] { call_right(engine, kBatchNormForward, 4); }), made);
    }
  }
}

TEST(unknown_build_passes_through) {
  const check::Outcome outcome = check::run_scene("everything_twice", {});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.out.size(), 40);
  const std::string begin =
      "opcache: libmkldnn.so.1 with build-id '" + outcome.out + "' is not one this library knows";
  CHECK_EQ(outcome.err.substr(0, begin.size()), begin);
  CHECK_EQ(outcome.err.find('\n') + 1, outcome.err.size());  // one line
}

// The releases of the other interface are none of this one's.
TEST(assumed_to_be_of_the_other_interface) {
  const check::Outcome outcome =
      check::run_scene("everything_twice", {"MKLDNN_OPCACHE_ASSUME=v0.17.4"});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK(!outcome.err.empty());
}

// In a process with both, calls of MKL-DNN 1.0 stay right, whichever was there when the statistics
// were asked for.
SCENE(both_interfaces) {
  const Stats before;
  CHECK_EQ(before["recognised"], 1);
  CHECK_EQ(before["active"], 1);
  Dl_info here = {};
  REQUIRE(dladdr(beneath("mkldnn_engine_create"), &here) != 0);
  const std::string path = here.dli_fname;
  const std::string other = path.substr(0, path.rfind('/')) + "/../fake/libmkldnn.so.0";
  REQUIRE(dlopen(other.c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr);
  const Engine engine;
  for (const What what : known_kinds()) call_right(engine, what, 4);
  CHECK_EQ(Stats()["active"], 0);
}

TEST(both_interfaces_pass_through) {
  const check::Outcome outcome = check::run_scene("both_interfaces", {ASSUME});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK(!outcome.err.empty());
  CHECK_EQ(outcome.err.find('\n') + 1, outcome.err.size());
}
