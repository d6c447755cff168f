// Descriptors and primitives: created once, shared, counted, told apart by their content.
#include <dlfcn.h>

#include "api.h"
#ifdef API1
#include "api1/real.h"
#else
#include "api0/real.h"
#endif
#include "workload.h"
#include "wrong_calls.h"

using namespace workload;

// The fake must have all that the library calls, or the tests would not see a call.
TEST(fake_is_complete) {
#ifdef API1
#define CHECK_PRESENT(result, name, arguments) \
  CHECK_TEXT(beneath("mkldnn_" #name) != nullptr, #name);
  OPCACHE_API1_FUNCTIONS(CHECK_PRESENT)
#else
#define CHECK_PRESENT(name) CHECK_TEXT(beneath("mkldnn_" #name) != nullptr, #name);
  OPCACHE_REAL_FUNCTIONS(CHECK_PRESENT)
#endif
#undef CHECK_PRESENT
  CHECK(beneath("omp_get_max_threads") != nullptr);
  // And the library stands before it.
  const void *first = dlsym(RTLD_DEFAULT, "mkldnn_primitive_create");
  CHECK(first != nullptr && first != beneath("mkldnn_primitive_create"));
}

CACHED_TEST(equal_descriptions_share_one_descriptor) {
  for (const What w : known_kinds()) {
    {
      const Described a(engine, w, 4);
      CHECK_EQ(descriptors_made_by([&] { CHECK_EQ(Described(engine, w, 4), a); }), 0);
      CHECK_EQ(fake_content(a), content(engine, w, 4));
      const Described other(engine, w, 5);
      CHECK_TEXT(other.handle != a.handle, name_of(w));
      CHECK_EQ(fake_content(other), content(engine, w, 5));
    }
    // All handles are gone; the description is not forgotten.
    CHECK_EQ(descriptors_made_by([&] { Described(engine, w, 4); }), 0);
  }
}

CACHED_TEST(every_kind_hits) {
  for (const What w : known_kinds()) {
    for (int n = 4; n < 6; ++n) {
      const uint64_t expected = content(engine, w, n);
      CHECK_EQ(made_by_call(engine, w, n), 1);
      CHECK_EQ(last_execution().content, expected);
      const long made = primitives_made_by(
          [&] { CHECK_EQ(descriptors_made_by([&] { call(engine, w, n, 100); }), 0); });
      CHECK_TEXT(made == 0, name_of(w));
      CHECK_EQ(last_execution().content, expected);
    }
    CHECK(Stats()[std::string("operators/") + name_of(w) + "/primitives_avoided"] >= 2);
  }
  CHECK_EQ(fake_zero_paddings(), 0);
}

CACHED_TEST(thread_end_destroys_everything) {
  for (const What what : known_kinds()) call(engine, what, 4);
  CHECK(fake_live(kFakePrimitive) > 0);
  CHECK(fake_live(kFakeDescriptor) > 0);
}

TEST(engine_stays_while_anything_is_cached, ASSUME) {
  on_thread([] {
    Engine engine;
    const mkldnn_engine_t address = engine;
    call(engine, kReluBackward, 4);
    engine.reset();
    CHECK_EQ(fake_live(kFakeEngine), 1);
    // Another engine is another description, wherever it lives.
    const Engine other;
    CHECK(other.handle != address);
    CHECK_EQ(made_by_call(other, kReluBackward, 4), 1);
  });
  check_no_misuse();
  check_none_lives();
}

CACHED_TEST(clones_only_count) {
  Described pd(engine, kPoolingBackward, 4);
  const long clones = fake_calls("primitive_desc_clone");
  Described clone = Described::clone_of(pd), again = Described::clone_of(clone);
  CHECK_EQ(fake_calls("primitive_desc_clone"), clones);
  pd.reset();
  clone.reset();
  // The clone outlives the original.
  CHECK_EQ(fake_content(again), content(engine, kPoolingBackward, 4));
  Bound(engine, again, 0).run();
  again.reset();
}

CACHED_TEST(same_descriptor_live_several_times) {
  const Described relu(engine, kReluBackward, 4);
  const uint64_t expected = content(engine, kReluBackward, 4);
  // The second time all three are there for the next ones.
  for (const int made : {3, 0}) {
    CHECK_EQ(primitives_made_by([&] {
               Bound a(engine, relu, made), b(engine, relu, 10 + made), c(engine, relu, 20 + made);
               CHECK(a.handle != b.handle && b.handle != c.handle && a.handle != c.handle);
               for (Bound *bound : {&a, &c, &b, &a}) bound->run(expected);
             }),
             made);
  }
}

// Forward ReLUs of two contents.
static operation::OpDesc forward(bool other) {
  operation::Operation op = operation_of(kReluForward, 4);
  operation::OpDesc d;
  op.alpha = other ? 0.5f : 0.0f;
  CHECK_OK(op.describe(operation::kForward, &d));
  return d;
}

// The forward hint is identity too: by its content, whether it comes from the cache or not.
CACHED_TEST(hint_is_part_of_the_key) {
  const operation::OpDesc op = op_desc(kReluBackward, 4);
  std::vector<Described> hints(4), seen;
  for (size_t i = 0; i < hints.size(); ++i) {
    // Two contents, each twice.
    const operation::OpDesc d = forward(i % 2 != 0);
    CHECK_OK((i < 2 ? api::through() : api::direct())
                 .describe(&hints[i].handle, &d, nullptr, engine, nullptr));
    Described pd(engine, op, hints[i]);
    for (const Described &other : seen) CHECK(pd.handle != other.handle);
    seen.push_back(std::move(pd));
  }
  for (size_t i = 0; i < hints.size(); ++i) CHECK_EQ(Described(engine, op, hints[i]), seen[i]);
  CHECK_EQ(fake_content(seen[0]), fake_content(seen[2]));
  CHECK_EQ(fake_content(seen[1]), fake_content(seen[3]));
  CHECK(fake_content(seen[0]) != fake_content(seen[1]));
}

// What a hint was itself hinted at cannot be asked of it: one that is no forward descriptor, and
// not known from its own creation, is not described.
CACHED_SCENE(hints_that_had_hints) {
  const operation::OpDesc op = op_desc(kReluBackward, 4);
  std::vector<Described> all;
  const auto real = [&](const operation::OpDesc &d, const_mkldnn_primitive_desc_t hint) {
    all.emplace_back();
    CHECK_OK(api::direct().describe(&all.back().handle, &d, nullptr, engine, hint));
    return all.back().handle;
  };
  for (const bool other : {false, true}) {
    const mkldnn_primitive_desc_t hint = real(op, real(forward(other), nullptr));
    all.emplace_back(engine, op, hint);
    const mkldnn_primitive_desc_t pd = all.back();
    CHECK_EQ(fake_content(pd), fake_content(real(op, hint)));
  }
}

TEST(a_hint_may_have_had_a_hint) {
  check::run_well("hints_that_had_hints", {ASSUME}, check::passing_through("unknown_description"));
}

CACHED_TEST(attributes_are_part_of_the_key) {
  const operation::OpDesc op = op_desc(kReluForward, 4);
  Attr attr;
  PostOps post_ops;
  std::vector<Described> all;
  attr.create();
  const auto make = [&] { all.emplace_back(engine, op, nullptr, attr); };
  make();
  attr.scale(0.5f);
  make();
#ifndef API1
  attr.round(mkldnn_round_down);
  make();
#endif
  attr.post(post_ops.sum(1.0f));
  make();
  attr.post(post_ops.eltwise(mkldnn_eltwise_relu));
  make();
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < i; ++j) CHECK(all[i].handle != all[j].handle);
  }
  CHECK_EQ(Described(engine, op, nullptr, attr), all.back());
}

CACHED_TEST(openmp_threads_are_part_of_the_key) {
  CHECK_EQ(made_by_call(engine, kBatchNormBackward, 4), 1);
  fake_set_max_threads(2);
  CHECK_EQ(made_by_call(engine, kBatchNormBackward, 4), 1);
  fake_set_max_threads(4);
  CHECK_EQ(made_by_call(engine, kBatchNormBackward, 4), 0);
}

// In a parallel region MKL-DNN creates some for one thread, whatever omp_get_max_threads says
// there.
CACHED_TEST(parallel_regions) {
  for (const int made : {1, 0}) {
    for (const int in_parallel : {0, 1}) {
      fake_set_in_parallel(in_parallel);
      CHECK_EQ(primitives_made_by([&] { call_right(engine, kReluForward, 4); }), made);
    }
  }
}

// Some primitives are sized when they are created, not with their descriptor.
CACHED_TEST(primitives_for_another_team) {
  const Described pd(engine, kConvolutionBackwardWeights, 4);
  CHECK_EQ(made_by_running(engine, pd), 1);
  for (int round = 0; round < 2; ++round) {
    fake_set_in_parallel(1);
    CHECK_EQ(made_by_running(engine, pd), 1);
    fake_set_in_parallel(0);
    fake_set_max_threads(2);
    CHECK_EQ(made_by_running(engine, pd), 1);
    fake_set_max_threads(4);
    CHECK_EQ(made_by_running(engine, pd), 0);
  }
  CHECK_EQ(Stats()["bypasses/other_team"], 4);
}

// A library that creates by calling its own exported functions meets us there.
CACHED_TEST(nested_creations_are_not_the_users) {
  const uint64_t expected = content(engine, kDeconvolutionForward, 4);
  fake_call_back(1);
  for (int round = 0; round < 3; ++round) {
    CHECK_EQ(descriptors_made_by([&] {
               Described pd(engine, kDeconvolutionForward, 4);
               Bound bound(engine, pd, 10 * round);
               bound.run(expected);
             }),
             round == 0 ? 3 : 0);  // the deconvolution's own, and two that it consults
  }
  CHECK_EQ(Stats()["operators/Deconvolution/descriptors_created"], 1);
  CHECK_EQ(Stats()["operators/Convolution/descriptors_created"], 0);
}

CACHED_TEST(wrong_arguments_get_the_real_answer) {
  const Described relu(engine, kReluBackward, 4);
  const operation::OpDesc op = op_desc(kReluForward, 4);
  const mkldnn_memory_desc_t md = image(4);
  WronglyMade made;
  const std::vector<WrongCall> calls = wrong_calls(api::through(), engine, relu, op, md, made);
  for (size_t i = 0; i < calls.size(); ++i) {
    CHECK_TEXT(calls[i].second() == calls[i].first, "call " << i);
  }
  CHECK(mkldnn_primitive_desc_iterator_fetch(nullptr) == nullptr);
#ifndef API1
  const mkldnn_status_t bad = mkldnn_invalid_arguments;
  const Memory memory(engine, buffer(0));
  const mkldnn_primitive_at_t no_inputs[] = {{nullptr, 0}, {nullptr, 0}},
                              inputs[] = {{memory, 0}, {memory, 0}},
                              beyond[] = {{memory, 1}, {memory, 0}};  // it has one output, itself
  const_mkldnn_primitive_t no_outputs[] = {nullptr}, outputs[] = {memory};
  CHECK_EQ(mkldnn_primitive_create(&made.primitive, relu, no_inputs, nullptr), bad);
  CHECK_EQ(mkldnn_primitive_create(nullptr, relu, inputs, no_outputs), bad);
  CHECK_EQ(mkldnn_primitive_create(&made.primitive, relu, inputs, no_outputs), bad);
  CHECK_EQ(mkldnn_primitive_create(&made.primitive, relu, beyond, outputs), bad);
  Stream good(mkldnn_eager);
  CHECK_EQ(mkldnn_stream_submit(good, 1, nullptr, nullptr), bad);
  CHECK_EQ(mkldnn_stream_submit(good, 1, &made.primitive, nullptr), bad);
  CHECK_EQ(mkldnn_stream_rerun(good, nullptr), bad);
#endif
  CHECK(made.none());
  // None of it left a trace.
  Bound(engine, relu, 0).run();
}
