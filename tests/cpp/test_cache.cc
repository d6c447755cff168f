// Descriptors and primitives: created once, shared, counted, told apart by their content.
#include <dlfcn.h>

#include "api0/real.h"
#include "workload.h"

using namespace workload;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

// The fake must have all that the library calls, or the tests would not see a call.
TEST(fake_is_complete) {
#define CHECK_PRESENT(name) CHECK_TEXT(beneath("mkldnn_" #name) != nullptr, #name);
  OPCACHE_REAL_FUNCTIONS(CHECK_PRESENT)
#undef CHECK_PRESENT
  CHECK(beneath("omp_get_max_threads") != nullptr);
  // And the library stands before it.
  const void *first = dlsym(RTLD_DEFAULT, "mkldnn_primitive_create");
  CHECK(first != nullptr && first != beneath("mkldnn_primitive_create"));
}

TEST(equal_descriptions_share_one_descriptor, ASSUME) {
  on_thread([] {
    Engine engine;
    for (int what = 0; what < kShuffle; ++what) {
      const What w = static_cast<What>(what);
      mkldnn_primitive_desc_t a = nullptr, b = nullptr, other = nullptr;
      CHECK_OK(describe(engine.handle, w, 4, &a));
      CHECK_EQ(descriptors_made_by([&] { CHECK_OK(describe(engine.handle, w, 4, &b)); }), 0);
      CHECK_TEXT(a == b, name_of(w));
      CHECK_EQ(fake_content(a), content(engine.handle, w, 4));
      CHECK_OK(describe(engine.handle, w, 5, &other));
      CHECK_TEXT(other != a, name_of(w));
      CHECK_EQ(fake_content(other), content(engine.handle, w, 5));
      for (mkldnn_primitive_desc_t pd : {a, b, other}) CHECK_OK(mkldnn_primitive_desc_destroy(pd));
      // All handles are gone; the description is not forgotten.
      CHECK_EQ(descriptors_made_by([&] { CHECK_OK(describe(engine.handle, w, 4, &a)); }), 0);
      CHECK_OK(mkldnn_primitive_desc_destroy(a));
    }
  });
  check_no_misuse();
}

TEST(every_kind_hits, ASSUME) {
  on_thread([] {
    Engine engine;
    for (int what = 0; what < kShuffle; ++what) {
      const What w = static_cast<What>(what);
      for (int n = 4; n < 6; ++n) {
        const uint64_t expected = content(engine.handle, w, n);
        CHECK_EQ(primitives_made_by([&] { call(engine.handle, w, n); }), 1);
        CHECK_EQ(fake_execution(fake_executions() - 1).content, expected);
        const long made = primitives_made_by(
            [&] { CHECK_EQ(descriptors_made_by([&] { call(engine.handle, w, n, 100); }), 0); });
        CHECK_TEXT(made == 0, name_of(w));
        CHECK_EQ(fake_execution(fake_executions() - 1).content, expected);
      }
      CHECK(Stats()[std::string("operators/") + name_of(w) + "/primitives_avoided"] >= 2);
    }
  });
  CHECK_EQ(fake_foreign_destroys(), 0);
  CHECK_EQ(fake_zero_paddings(), 0);
  Engine();  // the last engine is only destroyed when nothing is cached any more
  check_no_misuse();
}

TEST(thread_end_destroys_everything, ASSUME) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] {
    for (int what = 0; what < kShuffle; ++what) call(engine, static_cast<What>(what), 4);
    CHECK(fake_live(kFakePrimitive) > 0);
    CHECK(fake_live(kFakeDescriptor) > 0);
  });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

TEST(engine_stays_while_anything_is_cached, ASSUME) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] {
    call(engine, kReluBackward, 4);
    CHECK_OK(mkldnn_engine_destroy(engine));
    CHECK_EQ(fake_live(kFakeEngine), 1);
    // Another engine is another description, wherever it lives.
    Engine other;
    CHECK(other.handle != engine);
    CHECK_EQ(primitives_made_by([&] { call(other.handle, kReluBackward, 4); }), 1);
  });
  check_no_misuse();
  CHECK_EQ(fake_live(kFakePrimitive), 0);
  CHECK_EQ(fake_live(kFakeDescriptor), 0);
}

TEST(clones_only_count, ASSUME) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] {
    mkldnn_primitive_desc_t pd = nullptr, clone = nullptr, again = nullptr;
    CHECK_OK(describe(engine, kPoolingBackward, 4, &pd));
    const long clones = fake_calls("primitive_desc_clone");
    CHECK_OK(mkldnn_primitive_desc_clone(&clone, pd));
    CHECK_OK(mkldnn_primitive_desc_clone(&again, clone));
    CHECK_EQ(fake_calls("primitive_desc_clone"), clones);
    CHECK_OK(mkldnn_primitive_desc_destroy(pd));
    CHECK_OK(mkldnn_primitive_desc_destroy(clone));
    // The clone outlives the original.
    CHECK_EQ(fake_content(again), content(engine, kPoolingBackward, 4));
    Bound(engine, again, 0).run();
    CHECK_OK(mkldnn_primitive_desc_destroy(again));
    CHECK_EQ(mkldnn_primitive_desc_clone(nullptr, again), mkldnn_invalid_arguments);
    CHECK_EQ(mkldnn_primitive_desc_clone(&clone, nullptr), mkldnn_invalid_arguments);
    CHECK_OK(mkldnn_primitive_desc_destroy(nullptr));
    CHECK_OK(mkldnn_primitive_destroy(nullptr));
  });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

TEST(same_descriptor_live_several_times, ASSUME) {
  on_thread([] {
    Engine engine;
    Described relu(engine.handle, kReluBackward, 4);
    const uint64_t expected = content(engine.handle, kReluBackward, 4);
    CHECK_EQ(primitives_made_by([&] {
               Bound a(engine.handle, relu.pd, 0), b(engine.handle, relu.pd, 10),
                   c(engine.handle, relu.pd, 20);
               CHECK(a.handle != b.handle && b.handle != c.handle && a.handle != c.handle);
               a.run(expected);
               c.run(expected);
               b.run(expected);
               a.run(expected);
             }),
             3);
    // All three are there for the next ones.
    CHECK_EQ(primitives_made_by([&] {
               Bound a(engine.handle, relu.pd, 30), b(engine.handle, relu.pd, 40),
                   c(engine.handle, relu.pd, 50);
               CHECK(a.handle != b.handle && b.handle != c.handle && a.handle != c.handle);
               a.run(expected);
               b.run(expected);
               c.run(expected);
             }),
             0);
  });
  check_no_misuse();
}

// The forward hint is identity too: by its content, whether it comes from the cache or not.
TEST(hint_is_part_of_the_key, ASSUME) {
  on_thread([] {
    Engine engine;
    const mkldnn_memory_desc_t data = image(4);
    mkldnn_eltwise_desc_t op, forward;
    CHECK_OK(mkldnn_eltwise_backward_desc_init(&op, mkldnn_eltwise_relu, &data, &data, 0, 0));
    std::vector<mkldnn_primitive_desc_t> hints(4), seen;
    for (size_t i = 0; i < hints.size(); ++i) {
      // Two contents, each twice.
      const float alpha = i % 2 == 0 ? 0.0f : 0.5f;
      CHECK_OK(mkldnn_eltwise_forward_desc_init(&forward, mkldnn_forward_training,
                                                mkldnn_eltwise_relu, &data, alpha, 0));
      const auto create = reinterpret_cast<decltype(&mkldnn_primitive_desc_create_v2)>(
          i < 2 ? dlsym(RTLD_DEFAULT, "mkldnn_primitive_desc_create_v2")
                : beneath("mkldnn_primitive_desc_create_v2"));
      CHECK_OK(create(&hints[i], &forward, nullptr, engine.handle, nullptr));
      mkldnn_primitive_desc_t pd = nullptr;
      CHECK_OK(mkldnn_primitive_desc_create(&pd, &op, engine.handle, hints[i]));
      for (mkldnn_primitive_desc_t other : seen) CHECK(pd != other);
      seen.push_back(pd);
    }
    for (size_t i = 0; i < hints.size(); ++i) {
      mkldnn_primitive_desc_t pd = nullptr;
      CHECK_OK(mkldnn_primitive_desc_create(&pd, &op, engine.handle, hints[i]));
      CHECK_EQ(pd, seen[i]);
      CHECK_OK(mkldnn_primitive_desc_destroy(pd));
    }
    CHECK_EQ(fake_content(seen[0]), fake_content(seen[2]));
    CHECK_EQ(fake_content(seen[1]), fake_content(seen[3]));
    CHECK(fake_content(seen[0]) != fake_content(seen[1]));
    for (mkldnn_primitive_desc_t pd : seen) CHECK_OK(mkldnn_primitive_desc_destroy(pd));
    for (mkldnn_primitive_desc_t pd : hints) CHECK_OK(mkldnn_primitive_desc_destroy(pd));
  });
  check_no_misuse();
}

// What a hint was itself hinted at cannot be asked of it: one that is no forward descriptor, and
// not known from its own creation, is not described.
SCENE(hints_that_had_hints) {
  on_thread([] {
    Engine engine;
    const mkldnn_memory_desc_t data = image(4);
    mkldnn_eltwise_desc_t op, forward;
    CHECK_OK(mkldnn_eltwise_backward_desc_init(&op, mkldnn_eltwise_relu, &data, &data, 0, 0));
    const auto real = reinterpret_cast<decltype(&mkldnn_primitive_desc_create_v2)>(
        beneath("mkldnn_primitive_desc_create_v2"));
    std::vector<mkldnn_primitive_desc_t> all;
    for (int i = 0; i < 2; ++i) {
      CHECK_OK(mkldnn_eltwise_forward_desc_init(&forward, mkldnn_forward_training,
                                                mkldnn_eltwise_relu, &data, i == 0 ? 0 : 0.5f, 0));
      mkldnn_primitive_desc_t first, hint, expected, pd;
      CHECK_OK(real(&first, &forward, nullptr, engine.handle, nullptr));
      CHECK_OK(real(&hint, &op, nullptr, engine.handle, first));
      CHECK_OK(real(&expected, &op, nullptr, engine.handle, hint));
      CHECK_OK(mkldnn_primitive_desc_create(&pd, &op, engine.handle, hint));
      CHECK_EQ(fake_content(pd), fake_content(expected));
      for (mkldnn_primitive_desc_t each : {first, hint, expected, pd}) all.push_back(each);
    }
    for (mkldnn_primitive_desc_t pd : all) CHECK_OK(mkldnn_primitive_desc_destroy(pd));
  });
  check_no_misuse();
}

TEST(a_hint_may_have_had_a_hint) {
  const check::Outcome outcome = check::run_scene("hints_that_had_hints", {ASSUME});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.err,
           "opcache: unknown_description: passing it through to MKL-DNN (said once; counted in the "
           "statistics)\n");
}

TEST(attributes_are_part_of_the_key, ASSUME) {
  on_thread([] {
    Engine engine;
    const mkldnn_memory_desc_t data = image(4);
    mkldnn_eltwise_desc_t op;
    CHECK_OK(mkldnn_eltwise_forward_desc_init(&op, mkldnn_forward_training, mkldnn_eltwise_relu,
                                              &data, 0, 0));
    mkldnn_primitive_attr_t attr = nullptr;
    CHECK_OK(mkldnn_primitive_attr_create(&attr));
    const auto make = [&] {
      mkldnn_primitive_desc_t pd = nullptr;
      CHECK_OK(mkldnn_primitive_desc_create_v2(&pd, &op, attr, engine.handle, nullptr));
      return pd;
    };
    const float scale = 0.5f;
    std::vector<mkldnn_primitive_desc_t> all = {make()};
    CHECK_OK(mkldnn_primitive_attr_set_output_scales(attr, 1, 0, &scale));
    all.push_back(make());
    CHECK_OK(mkldnn_primitive_attr_set_int_output_round_mode(attr, mkldnn_round_down));
    all.push_back(make());
    mkldnn_post_ops_t post_ops = nullptr;
    CHECK_OK(mkldnn_post_ops_create(&post_ops));
    CHECK_OK(mkldnn_post_ops_append_sum(post_ops, 1.0f));
    CHECK_OK(mkldnn_primitive_attr_set_post_ops(attr, post_ops));
    all.push_back(make());
    CHECK_OK(mkldnn_post_ops_append_eltwise(post_ops, 1.0f, mkldnn_eltwise_relu, 0, 0));
    CHECK_OK(mkldnn_primitive_attr_set_post_ops(attr, post_ops));
    all.push_back(make());
    for (size_t i = 0; i < all.size(); ++i) {
      for (size_t j = 0; j < i; ++j) CHECK(all[i] != all[j]);
    }
    const mkldnn_primitive_desc_t again = make();
    CHECK_EQ(again, all.back());
    all.push_back(again);
    for (mkldnn_primitive_desc_t pd : all) CHECK_OK(mkldnn_primitive_desc_destroy(pd));
    CHECK_OK(mkldnn_post_ops_destroy(post_ops));
    CHECK_OK(mkldnn_primitive_attr_destroy(attr));
  });
  check_no_misuse();
}

TEST(openmp_threads_are_part_of_the_key, ASSUME) {
  on_thread([] {
    Engine engine;
    CHECK_EQ(primitives_made_by([&] { call(engine.handle, kBatchNormBackward, 4); }), 1);
    fake_set_max_threads(2);
    CHECK_EQ(primitives_made_by([&] { call(engine.handle, kBatchNormBackward, 4); }), 1);
    fake_set_max_threads(4);
    CHECK_EQ(primitives_made_by([&] { call(engine.handle, kBatchNormBackward, 4); }), 0);
  });
  check_no_misuse();
}

// A library that creates by calling its own exported functions meets us there.
TEST(nested_creations_are_not_the_users, ASSUME) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] {
    const uint64_t expected = content(engine, kDeconvolutionForward, 4);
    fake_call_back(1);
    for (int round = 0; round < 3; ++round) {
      CHECK_EQ(descriptors_made_by([&] {
                 Described pd(engine, kDeconvolutionForward, 4);
                 Bound bound(engine, pd.pd, 10 * round);
                 bound.run(expected);
               }),
               round == 0 ? 3 : 0);  // the deconvolution's own, and two that it consults
    }
    CHECK_EQ(Stats()["operators/Deconvolution/descriptors_created"], 1);
    CHECK_EQ(Stats()["operators/Convolution/descriptors_created"], 0);
  });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

TEST(wrong_arguments_get_the_real_answer, ASSUME) {
  on_thread([] {
    Engine engine;
    Described relu(engine.handle, kReluBackward, 4);
    mkldnn_primitive_desc_t pd = nullptr;
    mkldnn_primitive_t p = nullptr;
    mkldnn_stream_t stream = nullptr;
    mkldnn_primitive_desc_iterator_t it = nullptr;
    const mkldnn_memory_desc_t data = image(4);
    mkldnn_eltwise_desc_t op;
    mkldnn_eltwise_forward_desc_init(&op, mkldnn_forward_training, mkldnn_eltwise_relu, &data, 0,
                                     0);
    const mkldnn_status_t bad = mkldnn_invalid_arguments;
    CHECK_EQ(mkldnn_primitive_desc_create(nullptr, &op, engine.handle, nullptr), bad);
    CHECK_EQ(mkldnn_primitive_desc_create(&pd, nullptr, engine.handle, nullptr), bad);
    CHECK_EQ(mkldnn_primitive_desc_create(&pd, &op, nullptr, nullptr), bad);
    CHECK_EQ(mkldnn_primitive_desc_iterator_create(nullptr, &op, engine.handle, nullptr), bad);
    CHECK_EQ(mkldnn_primitive_desc_iterator_create(&it, nullptr, engine.handle, nullptr), bad);
    CHECK_EQ(mkldnn_primitive_desc_iterator_next(nullptr), bad);
    CHECK(mkldnn_primitive_desc_iterator_fetch(nullptr) == nullptr);
    CHECK_EQ(mkldnn_primitive_desc_iterator_destroy(nullptr), mkldnn_success);
    CHECK_EQ(mkldnn_reorder_primitive_desc_create(&pd, nullptr, nullptr), bad);
    CHECK_EQ(mkldnn_sum_primitive_desc_create(&pd, nullptr, 0, nullptr, nullptr), bad);
    const float scale = 1;
    const_mkldnn_primitive_desc_t none[] = {nullptr};
    CHECK_EQ(mkldnn_sum_primitive_desc_create(&pd, nullptr, 1, &scale, none), bad);
    CHECK_EQ(mkldnn_concat_primitive_desc_create(&pd, nullptr, -1, 0, none), bad);
    CHECK_EQ(mkldnn_concat_primitive_desc_create(&pd, nullptr, 1, 0, none), bad);
    mkldnn_memory_desc_t any = data;
    any.format = mkldnn_any;
    CHECK_EQ(mkldnn_memory_primitive_desc_create(&pd, &any, engine.handle), bad);
    CHECK_EQ(mkldnn_memory_primitive_desc_create(nullptr, &data, engine.handle), bad);
    CHECK_EQ(mkldnn_memory_primitive_desc_create(&pd, &data, nullptr), bad);
    CHECK_EQ(mkldnn_primitive_create(&p, nullptr, nullptr, nullptr), bad);
    const mkldnn_primitive_at_t no_inputs[] = {{nullptr, 0}, {nullptr, 0}};
    CHECK_EQ(mkldnn_primitive_create(&p, relu.pd, no_inputs, nullptr), bad);
    Memory memory(engine.handle, buffer(0));
    const mkldnn_primitive_at_t inputs[] = {{memory.handle, 0}, {memory.handle, 0}};
    const_mkldnn_primitive_t no_outputs[] = {nullptr};
    CHECK_EQ(mkldnn_primitive_create(nullptr, relu.pd, inputs, no_outputs), bad);
    CHECK_EQ(mkldnn_primitive_create(&p, relu.pd, inputs, no_outputs), bad);
    // A memory object has one output, itself.
    const mkldnn_primitive_at_t beyond[] = {{memory.handle, 1}, {memory.handle, 0}};
    const_mkldnn_primitive_t outputs[] = {memory.handle};
    CHECK_EQ(mkldnn_primitive_create(&p, relu.pd, beyond, outputs), bad);
    CHECK_EQ(mkldnn_stream_create(nullptr, mkldnn_eager), bad);
    CHECK_EQ(mkldnn_stream_create(&stream, mkldnn_any_stream), bad);
    CHECK_EQ(mkldnn_stream_submit(nullptr, 0, nullptr, nullptr), bad);
    CHECK_EQ(mkldnn_stream_wait(nullptr, 1, nullptr), bad);
    CHECK_EQ(mkldnn_stream_rerun(nullptr, nullptr), bad);
    Stream good(mkldnn_eager);
    CHECK_EQ(mkldnn_stream_submit(good.handle, 1, nullptr, nullptr), bad);
    CHECK_EQ(mkldnn_stream_submit(good.handle, 1, &p, nullptr), bad);
    CHECK_EQ(mkldnn_stream_rerun(good.handle, nullptr), bad);
    CHECK(pd == nullptr && p == nullptr && stream == nullptr && it == nullptr);
    // None of it left a trace.
    Bound(engine.handle, relu.pd, 0).run();
  });
  check_no_misuse();
}
